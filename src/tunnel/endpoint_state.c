/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints' state file: JSON, version 1:
 *
 *   {"version": 1, "namespace": "…net/namespace.h…", "bypass": "on",
 *    "endpoints": [{"endpoint": {…endpoint.h…}, "ifindex": 7}]}
 *
 * How it is written and read: tunnel/file.h.
 */
#include "tunnel/endpoint_state.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/file.h"

enum {
	STATE_VERSION = 1
};

static const struct cv_file state_file = {CV_ENDPOINT_STATE_FILE, "endpoints"};

/* ---- saving -------------------------------------------------------------------- */

static json_t *state_to_json(const struct cv_endpoint_state *state)
{
	json_t *endpoints = json_array();
	int failed = 0;

	for (size_t i = 0; i < state->count; i++) {
		const struct cv_endpoint_record *record = &state->records[i];

		failed |= json_array_append_new(
			endpoints, json_pack("{s:o, s:i}", "endpoint",
					     cv_endpoint_config_to_json(&record->config), "ifindex",
					     record->ifindex));
	}
	if (failed) {
		json_decref(endpoints);
		return NULL;
	}
	return json_pack("{s:i, s:s, s:s, s:o}", "version", STATE_VERSION, "namespace",
			 state->namespace_id, "bypass", state->bypass ? "on" : "off", "endpoints",
			 endpoints);
}

int cv_endpoint_state_save(const char *run_dir, const struct cv_endpoint_state *state,
			   struct cv_error *error)
{
	json_t *root = state_to_json(state);
	int rc = cv_file_save(run_dir, &state_file, root, error);

	json_decref(root);
	return rc;
}

/* ---- loading ------------------------------------------------------------------- */

static int record_from_json(const json_t *json, struct cv_endpoint_record *ret_record,
			    struct cv_error *error)
{
	const json_t *ifindex = json_object_get(json, "ifindex");
	struct cv_endpoint_patch patch;
	int rc = cv_endpoint_patch_from_json(json_object_get(json, "endpoint"), &patch, error);

	if (rc)
		return rc;
	if (json_integer_value(ifindex) <= 0 || json_integer_value(ifindex) > INT_MAX)
		return cv_error_set(error, -EINVAL, "an endpoint is not complete");
	ret_record->config = patch.config;
	ret_record->ifindex = (int)json_integer_value(ifindex);
	return cv_endpoint_config_check(&ret_record->config, error);
}

/* Names may be the same: a rename that another one followed may not have been seen yet. */
static int check_unique(const struct cv_endpoint_record *records, size_t last,
			struct cv_error *error)
{
	const struct cv_endpoint_record *record = &records[last];

	for (size_t i = 0; i < last; i++) {
		const struct cv_endpoint_record *other = &records[i];

		if (other->ifindex == record->ifindex)
			return cv_error_set(error, -EINVAL, "endpoint %s is there twice",
					    record->config.dev);
		for (unsigned int k = 0; k < record->config.count; k++) {
			if (cv_endpoint_has_address(&other->config, record->config.addresses[k]))
				return cv_error_set(error, -EINVAL,
						    "endpoints %s and %s have the same address",
						    other->config.dev, record->config.dev);
		}
	}
	return 0;
}

static int state_from_json(const json_t *root, void *data, struct cv_error *error)
{
	const json_t *endpoints = json_object_get(root, "endpoints");
	const char *bypass = json_string_value(json_object_get(root, "bypass"));
	const char *id = json_string_value(json_object_get(root, "namespace"));
	struct cv_endpoint_state state = {.count = json_array_size(endpoints)};
	int rc = 0;

	if (json_integer_value(json_object_get(root, "version")) != STATE_VERSION)
		return cv_error_set(error, -EINVAL, "its version is not %d", STATE_VERSION);
	if (!json_is_array(endpoints) || !bypass || !id || strlen(id) >= CV_NAMESPACE_ID_MAX)
		return cv_error_set(error, -EINVAL,
				    "it has no namespace, no default, or no list of endpoints");
	memcpy(state.namespace_id, id, strlen(id) + 1);
	rc = cv_endpoint_parse_default(bypass, &state.bypass, error);
	if (rc)
		return rc;
	state.records = calloc(state.count + 1, sizeof(*state.records));
	if (!state.records)
		return cv_error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < state.count && !rc; i++) {
		rc = record_from_json(json_array_get(endpoints, i), &state.records[i], error);
		if (!rc)
			rc = check_unique(state.records, i, error);
	}
	if (rc) {
		free(state.records);
		return rc;
	}
	*(struct cv_endpoint_state *)data = state;
	return 0;
}

int cv_endpoint_state_load(const char *run_dir, struct cv_endpoint_state *ret_state,
			   struct cv_error *error)
{
	struct cv_endpoint_state state = {.bypass = true};
	int rc = cv_file_load(run_dir, &state_file, state_from_json, &state, error);

	if (!rc)
		*ret_state = state;
	return rc;
}
