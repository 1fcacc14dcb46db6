/* SPDX-License-Identifier: Apache-2.0 */
/* `path`, and its part of `status`. */
#include "agent/commands_path.h"

#include <errno.h>
#include <string.h>

#include "agent/json_text.h"
#include "agent/path_json.h"

static json_t *list_to_json(const struct cv_paths *paths, const char *peer)
{
	json_t *list = json_array();

	for (size_t i = 0; i < paths->count; i++) {
		if (!peer || cv_path_matches(&paths->items[i], peer))
			json_array_append_new(list, cv_path_to_json(&paths->items[i]));
	}
	return list;
}

int cv_commands_path(const struct cv_commands *commands, const struct cv_request *request,
		     json_t **ret_result, struct cv_error *error)
{
	const struct cv_intent *intent = cv_node_intent(commands->node);
	const char *not_probing = cv_node_not_probing(commands->node);
	struct cv_paths paths;
	json_t *list;
	int rc = cv_paths_read(commands->engine, intent, &paths);

	if (rc)
		return cv_error_set(error, rc, "cannot list the paths: %s", strerror(-rc));
	list = list_to_json(&paths, request->peer);
	cv_paths_fini(&paths);
	if (request->peer && !json_array_size(list)) {
		json_decref(list);
		return cv_paths_explain_none(
			intent, request->peer,
			cv_tunnel_set_find(commands->set, request->peer) != NULL, error);
	}
	*ret_result = json_pack("{s:b, s:o, s:o}", "probing", not_probing == NULL, "reason",
				cv_json_text(not_probing), "paths", list);
	return 0;
}

void cv_commands_path_status(const struct cv_commands *commands, json_t *status)
{
	struct cv_paths paths = {.count = 0};

	if (cv_paths_read(commands->engine, cv_node_intent(commands->node), &paths))
		return;
	json_object_set_new(status, "paths", cv_paths_summary_to_json(&paths));
	cv_paths_fini(&paths);
}
