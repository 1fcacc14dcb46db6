/* SPDX-License-Identifier: Apache-2.0 */
/*
 * It lives until there is both an answer and somebody who takes it, or knows that there is nobody:
 * what was asked for goes on when its client has gone.
 */
#include "agent/owed.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/request.h"

struct cv_owed {
	json_t *id;
	bool is_begun;		     /* the first line was sent, or there is none to be */
	bool is_gone;		     /* the client is */
	struct cv_server_debt *debt; /* NULL: not yet, or gone */
	bool is_answered;	     /* before it was begun */
	int rc;
	struct cv_error error;
	json_t *result;
};

static void destroy(struct cv_owed *owed)
{
	json_decref(owed->id);
	json_decref(owed->result);
	free(owed);
}

struct cv_owed *cv_owed_create(const json_t *id)
{
	struct cv_owed *owed = calloc(1, sizeof(*owed));

	if (owed)
		owed->id = id ? json_incref((json_t *)(uintptr_t)id) : json_null();
	return owed;
}

/* Once there are both. */
static void reply(struct cv_owed *owed)
{
	char *line;

	if (owed->rc)
		line = cv_answer_error(owed->id, owed->rc, owed->error.text, -1);
	else
		line = cv_answer_result(owed->id, owed->result);
	owed->result = NULL;
	if (owed->debt)
		cv_server_reply(owed->debt, line);
	else
		free(line);
	destroy(owed);
}

static void begin(void *context, struct cv_server_debt *debt)
{
	struct cv_owed *owed = context;

	owed->is_begun = true;
	owed->is_gone = !debt;
	owed->debt = debt;
	if (owed->is_answered)
		reply(owed);
}

static void gone(void *context)
{
	struct cv_owed *owed = context;

	owed->is_gone = true;
	owed->debt = NULL;
}

void cv_owed_answer(void *context, int rc, const struct cv_error *error, json_t *result)
{
	struct cv_owed *owed = context;

	owed->is_answered = true;
	owed->rc = rc;
	if (rc && error)
		owed->error = *error;
	owed->result = result;
	if (owed->is_begun)
		reply(owed);
}

int cv_owed_begin(struct cv_owed *owed, json_t **ret_result, struct cv_server_then *ret_then,
		  struct cv_error *error)
{
	int rc = owed->rc;

	if (!owed->is_answered) {
		*ret_result = json_pack("{s:b}", "more", 1);
		ret_then->begin = begin;
		ret_then->gone = gone;
		ret_then->context = owed;
		return 0;
	}
	*ret_result = owed->result;
	owed->result = NULL;
	if (rc)
		*error = owed->error;
	destroy(owed);
	return rc;
}
