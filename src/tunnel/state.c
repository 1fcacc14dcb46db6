/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file: JSON, version 1:
 *
 *   {"version": 1, "tunnels": [{"tunnel": {…config.h…}, "owner": "pools", "mtu_wanted": 0,
 *                                "ifindex": 7, "mtu": 1480, "complete": true}]}
 *
 * Files of Culverts that knew no owners have neither "owner" nor "mtu_wanted": "" and 0. A member
 * that is not known is refused: what it says would be lost with the next writing.
 *
 * How it is written and read: tunnel/file.h.
 */
#include "tunnel/state.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/file.h"

enum {
	STATE_VERSION = 1
};

static const struct cv_file state_file = {CV_TUNNEL_STATE_FILE, "tunnels"};

static int out_of_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

/* ---- saving -------------------------------------------------------------------- */

/*
 * A field that Culverts before it do not know is left out where it has its default: they refuse
 * what they do not know, and whoever goes back to one keeps his tunnels.
 */
static json_t *config_to_json(const struct cv_tunnel_config *config)
{
	json_t *json = cv_tunnel_config_to_json(config);

	if (json && config->mssclamp == CV_TCP_MSS_AUTO)
		json_object_del(json, "mssclamp");
	return json;
}

static json_t *record_to_json(const struct cv_tunnel_record *record)
{
	return json_pack("{s:o, s:s, s:I, s:i, s:I, s:b}", "tunnel",
			 config_to_json(&record->config), "owner", record->config.owner,
			 "mtu_wanted", (json_int_t)record->config.mtu, "ifindex", record->ifindex,
			 "mtu", (json_int_t)record->mtu, "complete", (int)record->complete);
}

/* The caller owns it. NULL without memory. */
static json_t *records_to_json(const struct cv_tunnel_record *records, size_t count)
{
	json_t *tunnels = json_array();
	int failed = 0;

	for (size_t i = 0; i < count; i++)
		failed |= json_array_append_new(tunnels, record_to_json(&records[i]));
	if (failed) {
		json_decref(tunnels);
		return NULL;
	}
	return json_pack("{s:i, s:o}", "version", STATE_VERSION, "tunnels", tunnels);
}

int cv_tunnel_state_save(const char *run_dir, const struct cv_tunnel_record *records, size_t count,
			 struct cv_error *error)
{
	json_t *root = records_to_json(records, count);
	int rc = cv_file_save(run_dir, &state_file, root, error);

	json_decref(root);
	return rc;
}

/* ---- loading ------------------------------------------------------------------- */

static int check_members(const json_t *json, struct cv_error *error)
{
	static const char *const known[] = {"tunnel",  "owner", "mtu_wanted",
					    "ifindex", "mtu",	"complete"};
	void *it;

	/* jansson's iterators take no const object, and change nothing. */
	for (it = json_object_iter((json_t *)(uintptr_t)json); it;
	     it = json_object_iter_next((json_t *)(uintptr_t)json, it)) {
		const char *key = json_object_iter_key(it);
		size_t i = 0;

		while (i < sizeof(known) / sizeof(known[0]) && strcmp(known[i], key) != 0)
			i++;
		if (i == sizeof(known) / sizeof(known[0]))
			return cv_error_set(error, -EINVAL,
					    "unknown member \"%.64s\" beside a tunnel", key);
	}
	return 0;
}

/* What a resource's tunnel has more. */
static int owner_from_json(const json_t *json, struct cv_tunnel_config *config,
			   struct cv_error *error)
{
	const json_t *owner = json_object_get(json, "owner");
	const json_t *mtu = json_object_get(json, "mtu_wanted");

	if ((owner &&
	     (!json_is_string(owner) || json_string_length(owner) >= sizeof(config->owner) ||
	      json_string_length(owner) != strlen(json_string_value(owner)))) ||
	    (mtu && (!json_is_integer(mtu) || json_integer_value(mtu) < 0 ||
		     json_integer_value(mtu) > UINT16_MAX)))
		return cv_error_set(error, -EINVAL, "a tunnel's owner, or its MTU, makes no sense");
	if (owner)
		memcpy(config->owner, json_string_value(owner), json_string_length(owner) + 1);
	if (mtu)
		config->mtu = (uint32_t)json_integer_value(mtu);
	return 0;
}

static int record_from_json(const json_t *json, struct cv_tunnel_record *ret_record,
			    struct cv_error *error)
{
	const json_t *ifindex = json_object_get(json, "ifindex");
	const json_t *mtu = json_object_get(json, "mtu");
	const json_t *complete = json_object_get(json, "complete");
	struct cv_tunnel_patch patch;
	int rc = cv_tunnel_patch_from_json(json_object_get(json, "tunnel"), &patch, error);

	if (!rc)
		rc = check_members(json, error);
	if (!rc)
		rc = owner_from_json(json, &patch.config, error);
	if (rc)
		return rc;
	if (!(patch.given & CV_TUNNEL_NAME) || !json_is_integer(ifindex) ||
	    json_integer_value(ifindex) < 0 || json_integer_value(ifindex) > INT_MAX ||
	    !json_is_integer(mtu) || json_integer_value(mtu) < 0 ||
	    json_integer_value(mtu) > UINT16_MAX || !json_is_boolean(complete))
		return cv_error_set(error, -EINVAL, "a tunnel is not complete");
	ret_record->config = patch.config;
	ret_record->ifindex = (int)json_integer_value(ifindex);
	ret_record->mtu = (uint32_t)json_integer_value(mtu);
	ret_record->complete = json_is_true(complete);
	return cv_tunnel_config_check(&ret_record->config, error);
}

/* One that is not complete may have the pair of one that it was to replace. */
static int check_unique(const struct cv_tunnel_record *records, size_t last, struct cv_error *error)
{
	const struct cv_tunnel_config *config = &records[last].config;

	for (size_t i = 0; i < last; i++) {
		const struct cv_tunnel_config *other = &records[i].config;

		if (!strcmp(other->name, config->name))
			return cv_error_set(error, -EINVAL, "tunnel %s is there twice",
					    config->name);
		if (records[i].complete && records[last].complete &&
		    other->remote == config->remote && other->local == config->local)
			return cv_error_set(error, -EINVAL,
					    "tunnels %s and %s have the same remote and local",
					    other->name, config->name);
	}
	return 0;
}

struct loaded {
	struct cv_tunnel_record *records;
	size_t count;
};

static int records_from_json(const json_t *root, void *data, struct cv_error *error)
{
	const json_t *tunnels = json_object_get(root, "tunnels");
	size_t count = json_array_size(tunnels);
	struct cv_tunnel_record *records;
	struct loaded *loaded = data;
	int rc = 0;

	if (json_integer_value(json_object_get(root, "version")) != STATE_VERSION)
		return cv_error_set(error, -EINVAL, "its version is not %d", STATE_VERSION);
	if (!json_is_array(tunnels))
		return cv_error_set(error, -EINVAL, "it has no list of tunnels");
	records = calloc(count + 1, sizeof(*records));
	if (!records)
		return out_of_memory(error);
	for (size_t i = 0; i < count && !rc; i++) {
		rc = record_from_json(json_array_get(tunnels, i), &records[i], error);
		if (!rc)
			rc = check_unique(records, i, error);
	}
	if (rc) {
		free(records);
		return rc;
	}
	*loaded = (struct loaded){.records = records, .count = count};
	return 0;
}

int cv_tunnel_state_load(const char *run_dir, struct cv_tunnel_record **ret_records,
			 size_t *ret_count, struct cv_error *error)
{
	struct loaded loaded = {.count = 0};
	int rc = cv_file_load(run_dir, &state_file, records_from_json, &loaded, error);

	if (rc)
		return rc;
	*ret_records = loaded.records;
	*ret_count = loaded.count;
	return 0;
}
