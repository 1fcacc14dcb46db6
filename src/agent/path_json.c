/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as JSON: what is not known is null, never a 0 that could be taken for a measurement. */
#include "agent/path_json.h"

#include "agent/json_text.h"

enum {
	PROBLEMS_MAX = 8 /* in `status`; `culvert path` has all */
};

static json_t *number_or_null(uint32_t value)
{
	return value ? json_integer(value) : json_null();
}

static json_t *address_or_null(__be32 address)
{
	char text[CV_ADDRESS_TEXT_MAX];

	return address ? json_string(cv_address_format(address, text)) : json_null();
}

static json_t *seconds(uint64_t ms)
{
	return json_real((double)ms / 1000);
}

static void add_mtu(const struct cv_known_path *known, json_t *json)
{
	const struct cv_prober_path *path = &known->path;

	json_object_set_new(json, "link_mtu", number_or_null(path->link_mtu));
	json_object_set_new(json, "mtu", number_or_null(path->mtu));
	json_object_set_new(json, "inner_mtu", number_or_null(cv_path_inner_mtu(known)));
	json_object_set_new(json, "state", json_string(cv_plpmtud_state_name(path->state)));
	json_object_set_new(json, "how", json_string(cv_plpmtud_how_name(path->how)));
	json_object_set_new(json, "since_s", seconds(path->age_ms));
	json_object_set_new(json, "method", json_string(cv_prober_method_name(path->method)));
}

static void add_liveness(const struct cv_prober_path *path, json_t *json)
{
	bool is_unknown = path->liveness == CV_LIVENESS_UNKNOWN;
	bool was_asked = path->probes_sent != 0;

	json_object_set_new(json, "liveness", json_string(cv_liveness_name(path->liveness)));
	json_object_set_new(json, "liveness_since_s",
			    is_unknown ? json_null() : seconds(path->liveness_age_ms));
	json_object_set_new(json, "rtt_p50_us", number_or_null(path->rtt_p50_us));
	json_object_set_new(json, "rtt_p99_us", number_or_null(path->rtt_p99_us));
	json_object_set_new(json, "loss",
			    was_asked ? json_real((double)path->loss_permille / 1000)
				      : json_null());
	json_object_set_new(json, "probes",
			    json_pack("{s:I, s:I, s:I}", "sent", (json_int_t)path->probes_sent,
				      "answered", (json_int_t)path->probes_answered, "bytes",
				      (json_int_t)path->probe_bytes));
}

json_t *cv_path_to_json(const struct cv_known_path *known)
{
	const struct cv_prober_path *path = &known->path;
	char problem[CV_PATH_TEXT_MAX];
	json_t *json = json_pack(
		"{s:o, s:o, s:o, s:o, s:o}", "tunnel", cv_json_text_or_null(known->tunnel),
		"remote", address_or_null(path->remote), "node", cv_json_text_or_null(known->node),
		"source", address_or_null(path->source), "inner_source",
		address_or_null(path->inner_source));

	if (!json)
		return NULL;
	add_mtu(known, json);
	add_liveness(path, json);
	json_object_set_new(json, "blocked", json_boolean(path->is_blocked));
	json_object_set_new(json, "problem", cv_json_text(cv_path_problem(known, problem)));
	return json;
}

static json_t *problems_to_json(const struct cv_paths *paths)
{
	json_t *problems = json_array();
	char text[CV_PATH_TEXT_MAX];

	for (size_t i = 0; i < paths->count && json_array_size(problems) < PROBLEMS_MAX; i++) {
		if (cv_path_problem(&paths->items[i], text))
			json_array_append_new(problems, cv_json_text(text));
	}
	return problems;
}

json_t *cv_paths_summary_to_json(const struct cv_paths *paths)
{
	struct cv_paths_summary summary;
	json_t *json;

	cv_paths_sum_up(paths, &summary);
	json = json_pack("{s:I, s:I}", "count", (json_int_t)summary.count, "blocked",
			 (json_int_t)summary.blocked);
	for (unsigned int i = 0; i < CV_PLPMTUD_STATES; i++)
		json_object_set_new(json, cv_plpmtud_state_name(i),
				    json_integer((json_int_t)summary.states[i]));
	for (unsigned int i = 0; i < CV_LIVENESS_STATES; i++)
		json_object_set_new(json, cv_liveness_name(i),
				    json_integer((json_int_t)summary.liveness[i]));
	json_object_set_new(json, "problems", problems_to_json(paths));
	return json;
}
