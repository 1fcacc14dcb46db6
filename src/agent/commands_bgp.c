/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of BGP. Routes are BIRD's to tell, which may take seconds for a hundred thousand of
 * them: the first line of the answer says that there is a second one, which comes when BIRD has
 * answered. A session of that lives until BIRD's answer, which comes in any case, even if its
 * client has gone meanwhile.
 */
#include "agent/commands_bgp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/bgp_json.h"
#include "agent/log.h"
#include "agent/node_json.h"
#include "routing/bird_question.h"

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- at once ----------------------------------------------------------------------------- */

json_t *cv_commands_bgp_status(const struct cv_commands *commands)
{
	struct cv_bgp_look look;

	cv_bgp_look(commands->node, &look);
	return cv_bgp_status_to_json(&look, now_us());
}

json_t *cv_commands_bgp_peers(const struct cv_commands *commands)
{
	struct cv_bgp_look look;

	cv_bgp_look(commands->node, &look);
	return cv_bgp_peers_to_json(&look, now_us());
}

void cv_commands_bgp_add_status(const struct cv_commands *commands, json_t *status)
{
	json_t *warnings;
	struct cv_bgp_look look;

	cv_bgp_look(commands->node, &look);
	json_object_set_new(status, "bgp", cv_bgp_summary_to_json(&look));
	warnings = cv_messages_to_json(&look.view.intent->warnings);
	json_array_extend(json_object_get(status, "warnings"), warnings);
	json_decref(warnings);
}

int cv_commands_bgp_restart(const struct cv_commands *commands, const struct cv_peer *peer,
			    json_t **ret_result, struct cv_error *error)
{
	struct cv_bgp_look look;
	int rc;

	cv_bgp_look(commands->node, &look);
	if (look.view.mode != CV_BGP_SUPERVISED)
		return cv_error_set(
			error, -EPERM,
			look.view.mode == CV_BGP_OFF
				? "culvertd runs with --bgp off"
				: "this BIRD is not culvertd's (--bgp external): restart "
				  "it as it was started, e.g. systemctl restart bird");
	if (!look.view.bird || look.state != CV_BIRD_UP)
		return cv_error_set(error, -EIO, "BIRD does not run%s%.300s",
				    look.problem[0] ? ": " : "", look.problem);
	rc = cv_bird_restart(look.view.bird, error);
	if (rc)
		return rc;
	cv_log(LOG_INFO, "BIRD is restarted gracefully, as process %d asked", (int)peer->pid);
	*ret_result = json_object();
	return 0;
}

/* ---- routes ------------------------------------------------------------------------------ */

struct session {
	const struct cv_commands *commands;
	json_t *id;
	struct cv_request_bgp question;
	struct cv_server_debt
		*debt; /* where the second line goes; NULL: nowhere (yet, or any more) */
};

static void destroy_session(struct session *session)
{
	json_decref(session->id);
	free(session);
}

/* The second line: BIRD's text in our form. */
static char *make_line(const struct session *session, const char *text, size_t size)
{
	const struct cv_request_bgp *question = &session->question;
	struct cv_bird_route *routes = NULL;
	struct cv_bgp_look look;
	json_t *json = NULL;
	size_t count = 0;
	int rc;

	if (!text && size)
		return cv_answer_error(session->id, -EMSGSIZE,
				       "BIRD's answer is too long to be read: ask for a PREFIX",
				       -1);
	if (!text)
		return cv_answer_error(session->id, -EIO, "BIRD does not answer", -1);
	rc = cv_bird_read_routes(text, size, &routes, &count);
	if (rc)
		return cv_answer_error(session->id, rc, "BIRD's answer makes no sense", -1);
	cv_bgp_look(session->commands->node, &look);
	json = cv_bgp_routes_to_json(
		&look, cv_node_intent(session->commands->node), question->which,
		question->has_prefix ? &question->prefix : NULL, routes, count);
	free(routes);
	if (!json)
		return NULL;
	return cv_answer_result(session->id, json);
}

static void on_answer(const char *text, size_t size, void *data)
{
	struct session *session = data;

	if (session->debt)
		cv_server_reply(session->debt, make_line(session, text, size));
	destroy_session(session);
}

/* The client has gone; BIRD's answer will find nobody. */
static void gone(void *context)
{
	struct session *session = context;

	session->debt = NULL;
}

static void refuse(struct session *session, struct cv_server_debt *debt, int rc)
{
	char *line = cv_answer_error(session->id, rc, "BIRD does not answer", -1);

	destroy_session(session);
	cv_server_reply(debt, line);
}

static void begin(void *context, struct cv_server_debt *debt)
{
	struct session *session = context;
	const struct cv_prefix *around =
		session->question.has_prefix ? &session->question.prefix : NULL;
	char question[CV_BIRD_QUESTION_ROUTES_MAX];
	struct cv_bgp_look look;
	int rc;

	if (!debt) {
		destroy_session(session);
		return;
	}
	cv_bgp_look(session->commands->node, &look);
	cv_bird_question_routes(session->question.which == CV_BGP_REFUSED, around, question);
	rc = look.view.bird ? cv_bird_ask(look.view.bird, question, on_answer, session) : -ENOENT;
	if (rc)
		refuse(session, debt, rc);
	else
		session->debt = debt;
}

static int ask_bird(const struct cv_commands *commands, const struct cv_request *request,
		    json_t **ret_result, struct cv_server_then *ret_then, struct cv_error *error)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return cv_error_set(error, -ENOMEM, "out of memory");
	session->commands = commands;
	session->question = request->bgp;
	session->id = json_incref(json_object_get(request->root, "id"));
	if (!session->id)
		session->id = json_null();
	ret_then->begin = begin;
	ret_then->gone = gone;
	ret_then->context = session;
	*ret_result = json_pack("{s:b}", "more", 1);
	return 0;
}

int cv_commands_bgp_routes(const struct cv_commands *commands, const struct cv_request *request,
			   json_t **ret_result, struct cv_server_then *ret_then,
			   struct cv_error *error)
{
	const struct cv_request_bgp *question = &request->bgp;
	struct cv_bgp_look look;

	cv_bgp_look(commands->node, &look);
	if (!cv_bgp_is_asked_for(&look.view))
		return cv_error_set(error, -ENOENT,
				    "there is no BGP: no resource BGPConfiguration default");
	if (question->which == CV_BGP_EXPORTED) {
		*ret_result = cv_bgp_exports_to_json(&look, question->has_prefix ? &question->prefix
										 : NULL);
		return *ret_result ? 0 : cv_error_set(error, -ENOMEM, "out of memory");
	}
	if (!look.view.bird || look.state != CV_BIRD_UP)
		return cv_error_set(error, -EIO, "BIRD does not run%s%.300s",
				    look.problem[0] ? ": " : "", look.problem);
	return ask_bird(commands, request, ret_result, ret_then, error);
}
