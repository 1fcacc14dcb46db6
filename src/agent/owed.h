/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that come later: the first line says so, the second one is the answer. One that is there
 * before the first line was sent is the only one.
 */
#ifndef CV_AGENT_OWED_H
#define CV_AGENT_OWED_H

#include <jansson.h>

#include "agent/server.h"

struct cv_owed;

/* id: the request's, or NULL. NULL: no memory. */
struct cv_owed *cv_owed_create(const json_t *id);

/*
 * What was asked for is under way, or has been answered: the result of the only line, or of the
 * first one, and what ret_then is to be; or -errno. Once, after it has begun.
 */
int cv_owed_begin(struct cv_owed *owed, json_t **ret_result, struct cv_server_then *ret_then,
		  struct cv_error *error);

/* The answer, once: takes result over. The client may be gone; owed is then, too. */
void cv_owed_answer(void *owed, int rc, const struct cv_error *error, json_t *result);

#endif
