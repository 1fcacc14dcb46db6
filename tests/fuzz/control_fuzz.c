/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the control protocol's requests. Input: one line. Beyond memory errors and leaks it
 * demands: there is always an id for the answer, the answer is one line of JSON, errors are
 * printable, tunnels and endpoints in a request survive JSON there and back and endpoints words,
 * too, what requests say of resources is complete, and a batch played on some tunnels leaves names
 * and pairs unique.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/request.h"
#include "model/endpoint.h"
#include "model/tunnel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	TUNNELS = 3,
	TUNNELS_MAX = 6
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_error(const struct cv_error *error)
{
	demand(error->text[0]);
	for (const char *p = error->text; *p; p++)
		demand(*p >= ' ' && *p <= '~');
}

/* Takes line over. */
static void check_answer(char *line)
{
	json_t *answer;

	demand(line && strchr(line, '\n') == line + strlen(line) - 1);
	answer = json_loads(line, 0, NULL);
	demand(json_is_object(answer));
	json_decref(answer);
	free(line);
}

static void check_patch(const struct cv_tunnel_patch *patch)
{
	json_t *json = cv_tunnel_patch_to_json(patch);
	struct cv_tunnel_patch again;

	demand(!cv_tunnel_patch_from_json(json, &again, NULL));
	demand(again.given == patch->given);
	demand(cv_tunnel_config_matches(&again.config, patch));
	json_decref(json);
}

/* In JSON, and in words if it can be added. */
static void check_endpoint(const struct cv_endpoint_patch *patch)
{
	json_t *json = cv_endpoint_patch_to_json(patch);
	const char *words[CV_TUNNEL_WORDS_MAX];
	char text[CV_ENDPOINT_TEXT_MAX];
	struct cv_endpoint_patch again;
	int count;

	demand(!cv_endpoint_patch_from_json(json, &again, NULL));
	demand(again.given == patch->given);
	demand(!memcmp(&again.config, &patch->config, sizeof(again.config)));
	json_decref(json);
	if (cv_endpoint_config_check(&patch->config, NULL))
		return;
	cv_endpoint_print_words(&patch->config, text);
	count = cv_words_split(text, words, CV_TUNNEL_WORDS_MAX);
	demand(count > 0);
	demand(!cv_endpoint_parse_words(CV_ENDPOINT_COMMAND_ADD, (size_t)count, words, &again,
					NULL));
	demand(cv_endpoint_config_matches(&patch->config, &again));
}

static void check_name(const char *name)
{
	demand(name[0] && strlen(name) <= CV_REQUEST_NAME_MAX);
}

/* All strings are there until cv_request_fini: this reads every byte. */
static void check_resources(const struct cv_request *request)
{
	const struct cv_request_resources *resources = &request->resources;

	for (size_t i = 0; i < resources->file_count; i++) {
		check_name(resources->files[i].name);
		demand(strlen(resources->files[i].text) == resources->files[i].length);
	}
	for (size_t i = 0; i < resources->name_count; i++)
		check_name(resources->names[i]);
	if (request->kind == CV_REQUEST_APPLY || request->kind == CV_REQUEST_DIFF)
		demand(resources->file_count && !resources->name_count && !resources->has_kind);
	if (request->kind == CV_REQUEST_DELETE)
		demand(!resources->file_count == (resources->has_kind && resources->name_count));
	if (resources->has_kind)
		demand(resources->kind < CV_KIND_MAX);
	if (request->peer)
		check_name(request->peer);
	demand(memchr(request->trace.device, '\0', sizeof(request->trace.device)));
}

static void play(const struct cv_request *request)
{
	struct cv_tunnel_config current[TUNNELS];
	struct cv_error error = {.text = ""};
	struct cv_tunnel_plan plan;
	size_t at;

	for (size_t i = 0; i < TUNNELS; i++) {
		cv_tunnel_config_init(&current[i]);
		memcpy(current[i].name, (char[]){'t', 'u', 'n', (char)('0' + i), 0}, 5);
		current[i].remote = htonl(0xc0000201 + (uint32_t)i);
	}
	if (cv_tunnel_plan_init(&plan, current, TUNNELS, "", request->changes, request->count,
				TUNNELS_MAX, &at, &error)) {
		demand(at < request->count);
		return check_error(&error);
	}
	demand(plan.count <= TUNNELS_MAX);
	for (size_t i = 0; i < plan.count; i++) {
		const struct cv_tunnel_config *a = &plan.configs[i];

		demand(!cv_tunnel_config_check(a, NULL));
		for (size_t k = 0; k < i; k++) {
			const struct cv_tunnel_config *b = &plan.configs[k];

			demand(strcmp(a->name, b->name));
			demand(a->remote != b->remote || a->local != b->local);
		}
	}
	cv_tunnel_plan_fini(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_error error = {.text = ""};
	struct cv_request request;
	json_t *id = NULL;
	long at;
	int rc = cv_request_parse((const char *)data, size, &request, &id, &at, &error);

	demand(id);
	if (rc) {
		check_error(&error);
		check_answer(cv_answer_error(id, rc, error.text, at));
	} else {
		check_answer(cv_answer_result(id, json_object()));
		for (size_t i = 0; i < request.count; i++)
			check_patch(&request.changes[i].patch);
		if (request.kind == CV_REQUEST_CHANGES)
			play(&request);
		if (request.kind == CV_REQUEST_ENDPOINT_CHANGE ||
		    request.kind == CV_REQUEST_ENDPOINT_SHOW)
			check_endpoint(&request.endpoint.patch);
		check_resources(&request);
		cv_request_fini(&request);
	}
	json_decref(id);
	return 0;
}
