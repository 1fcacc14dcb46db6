/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `doctor`: the examination is the first line of the answer, what a probe shows the second. A
 * session lives from the first line to the second, or to its client's end; server.h calls exactly
 * one of begin(NULL) and gone() when there will be no second line. `metrics`: their text.
 */
#include "agent/commands_doctor.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/doctor_probe.h"
#include "agent/metrics.h"
#include "agent/pods_look.h"

struct session {
	const struct cv_commands *commands;
	json_t *id;
	struct cv_probe_target target;
	struct cv_probe *probe;	     /* NULL: not begun, or it could not */
	struct cv_server_debt *debt; /* where the second line goes; NULL: not yet */
};

static void fill_input(const struct cv_commands *commands, struct cv_doctor_input *input)
{
	*input = (struct cv_doctor_input){
		.engine = commands->engine,
		.tunnels = commands->set,
		.fastpath = commands->fastpath,
		.no_fastpath = commands->fastpath ? NULL : commands->no_fastpath,
	};
	cv_doctor_input_of(input, commands->node, commands->nl);
}

static void destroy_session(struct session *session)
{
	cv_probe_destroy(session->probe);
	json_decref(session->id);
	free(session);
}

static void gone(void *context)
{
	destroy_session(context);
}

static void on_done(void *context, const struct cv_probe_report *report)
{
	struct session *session = context;
	struct cv_server_debt *debt = session->debt;
	struct cv_findings findings;
	struct cv_doctor_input input;
	char *line = NULL;

	fill_input(session->commands, &input);
	if (!cv_findings_init(&findings)) {
		cv_doctor_judge_probe(&input, &session->target, report, &findings);
		line = cv_answer_result(session->id, json_pack("{s:o}", "findings", findings.list));
	}
	destroy_session(session);
	cv_server_reply(debt, line);
}

static void begin(void *context, struct cv_server_debt *debt)
{
	struct session *session = context;
	struct cv_error error;
	char *line;
	int rc;

	if (!debt) {
		destroy_session(session);
		return;
	}
	session->debt = debt;
	rc = cv_probe_create(session->commands->base, &session->target, on_done, session,
			     &session->probe, &error);
	if (!rc)
		return;
	line = cv_answer_error(session->id, rc, error.text, -1);
	destroy_session(session);
	cv_server_reply(debt, line);
}

/* Add what is known of the way to the peer to the findings, and owe the rest. */
static int add_probe(const struct cv_commands *commands, const struct cv_request *request,
		     const struct cv_doctor_input *input, json_t *list,
		     struct cv_server_then *ret_then, struct cv_error *error)
{
	struct cv_findings findings = {.list = list};
	struct session *session;
	struct cv_probe_target target;
	int rc = cv_doctor_find_target(input, request->peer, &target, error);

	if (rc)
		return rc;
	session = calloc(1, sizeof(*session));
	if (!session)
		return cv_error_set(error, -ENOMEM, "out of memory");
	session->commands = commands;
	session->target = target;
	session->id = json_incref(json_object_get(request->root, "id"));
	if (!session->id)
		session->id = json_null();
	cv_doctor_check_way(input, &target, &findings);
	ret_then->begin = begin;
	ret_then->gone = gone;
	ret_then->context = session;
	return 0;
}

int cv_commands_doctor(const struct cv_commands *commands, const struct cv_request *request,
		       json_t **ret_result, struct cv_server_then *ret_then, struct cv_error *error)
{
	struct cv_paths paths = {.count = 0};
	struct cv_doctor_input input;
	struct cv_pods_look pods;
	struct cv_bgp_look bgp;
	json_t *list;
	int rc = 0;

	fill_input(commands, &input);
	cv_bgp_look(commands->node, &bgp);
	input.bgp = &bgp;
	/* Without memory for them: the others' findings alone. */
	if (!cv_pods_look(commands, &pods))
		input.pods = &pods;
	if (!cv_paths_read(commands->engine, input.intent, &paths))
		input.paths = &paths;
	list = cv_doctor_examine(&input);
	if (!list)
		rc = cv_error_set(error, -ENOMEM, "out of memory");
	else if (request->peer)
		rc = add_probe(commands, request, &input, list, ret_then, error);
	cv_paths_fini(&paths);
	cv_pods_look_fini(&pods);
	if (rc) {
		json_decref(list);
		return rc;
	}
	*ret_result = json_pack("{s:o}", "findings", list);
	if (request->peer)
		json_object_set_new(*ret_result, "more", json_true());
	return 0;
}

char *cv_commands_metrics_text(void *context)
{
	const struct cv_commands *commands = context;
	struct cv_paths paths = {.count = 0};
	struct cv_pods_look pods;
	struct cv_bgp_look bgp;
	const struct cv_metrics_input input = {
		.engine = commands->engine,
		.fastpath = commands->fastpath,
		.tunnels = commands->set,
		.endpoints = commands->endpoints,
		.capturers = commands->capturers,
		.node = commands->node,
		.paths = &paths,
		.bgp = &bgp,
		.pods = cv_pods_look(commands, &pods) ? NULL : &pods,
	};
	char *text;

	cv_bgp_look(commands->node, &bgp);
	/* Without memory for them: the others' metrics alone. */
	if (cv_paths_read(commands->engine, cv_node_intent(commands->node), &paths))
		paths.count = 0;
	text = cv_metrics_text(&input);
	cv_paths_fini(&paths);
	cv_pods_look_fini(&pods);
	return text;
}

int cv_commands_metrics(const struct cv_commands *commands, json_t **ret_result,
			struct cv_error *error)
{
	struct cv_commands copy = *commands;
	char *text = cv_commands_metrics_text(&copy);

	*ret_result = text ? json_pack("{s:s}", "text", text) : NULL;
	free(text);
	return *ret_result ? 0 : cv_error_set(error, -ENOMEM, "out of memory");
}
