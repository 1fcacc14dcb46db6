/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file pools.json: {"version": 1, "protocol": 84, "nat": true, "bird": false, "address":
 * "10.244.1.0", "given": [["gw0", "10.9.0.1/30"]]}, the last of which is of Tunnels' devices. It is
 * written before what it tells of is made: what was made is always known to the next daemon.
 */
#include "agent/node_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "tunnel/config.h"
#include "tunnel/file.h"

enum {
	STATE_VERSION = 1
};

static const struct cv_file state_file = {CV_NODE_STATE_FILE, "what was made of pools"};

/* ---- addresses of Tunnels -------------------------------------------------------------- */

static bool is_same(const struct cv_node_given *given, const char *device,
		    const struct cv_prefix *address)
{
	return !strcmp(given->device, device) && given->address.address == address->address &&
	       given->address.length == address->length;
}

void cv_node_state_give(struct cv_node_state *state, const char *device,
			const struct cv_prefix *address)
{
	struct cv_node_given *given = &state->given[state->given_count];

	for (uint32_t i = 0; i < state->given_count; i++) {
		if (is_same(&state->given[i], device, address))
			return;
	}
	if (state->given_count == CV_NODE_STATE_GIVEN_MAX)
		return;
	snprintf(given->device, sizeof(given->device), "%s", device);
	given->address = *address;
	state->given_count++;
}

void cv_node_state_take(struct cv_node_state *state, uint32_t index)
{
	state->given[index] = state->given[--state->given_count];
}

bool cv_node_state_equal(const struct cv_node_state *a, const struct cv_node_state *b)
{
	if (a->protocol != b->protocol || a->nat != b->nat || a->bird != b->bird ||
	    a->address != b->address || a->given_count != b->given_count)
		return false;
	for (uint32_t i = 0; i < a->given_count; i++) {
		if (!is_same(&a->given[i], b->given[i].device, &b->given[i].address))
			return false;
	}
	return true;
}

/* ---- the file --------------------------------------------------------------------------- */

static int read_given(const json_t *array, struct cv_node_state *state, struct cv_error *error)
{
	struct cv_prefix prefix;
	const json_t *each;
	size_t i;

	json_array_foreach(array, i, each)
	{
		const char *device = json_string_value(json_array_get(each, 0));
		const char *address = json_string_value(json_array_get(each, 1));
		int rc = address ? cv_prefix_parse(address, &prefix) : -EINVAL;

		if (!device || (rc && rc != -ERANGE))
			return cv_error_set(error, -EINVAL, "\"given\" has what is no address");
		cv_node_state_give(state, device, &prefix);
	}
	return 0;
}

static int read_state(const json_t *root, void *data, struct cv_error *error)
{
	const json_t *protocol = json_object_get(root, "protocol");
	const char *address = json_string_value(json_object_get(root, "address"));
	struct cv_node_state *state = data;

	if (json_integer_value(json_object_get(root, "version")) != STATE_VERSION)
		return cv_error_set(error, -EINVAL, "its version is not %d", STATE_VERSION);
	if (!json_is_integer(protocol) || json_integer_value(protocol) < 0 ||
	    json_integer_value(protocol) > UINT8_MAX)
		return cv_error_set(error, -EINVAL, "it has no protocol");
	/* The kernel's and people's own routes, which would be deleted as ours. */
	if (json_integer_value(protocol) && json_integer_value(protocol) <= RTPROT_STATIC)
		return cv_error_set(error, -EINVAL, "protocol %d is never ours",
				    (int)json_integer_value(protocol));
	*state = (struct cv_node_state){
		.protocol = (uint8_t)json_integer_value(protocol),
		.nat = json_is_true(json_object_get(root, "nat")),
		.bird = json_is_true(json_object_get(root, "bird")),
	};
	if (address) {
		int rc = cv_tunnel_parse_address(address, "address", &state->address, error);

		if (rc)
			return rc;
	}
	return read_given(json_object_get(root, "given"), state, error);
}

int cv_node_state_load(const char *run_dir, struct cv_node_state *ret_state, struct cv_error *error)
{
	struct cv_node_state state = {.protocol = 0};
	int rc = cv_file_load(run_dir, &state_file, read_state, &state, error);

	if (!rc)
		*ret_state = state;
	return rc;
}

static json_t *given_to_json(const struct cv_node_state *state)
{
	json_t *array = json_array();
	char text[CV_PREFIX_TEXT_MAX];

	for (uint32_t i = 0; i < state->given_count; i++) {
		const struct cv_node_given *given = &state->given[i];

		json_array_append_new(array, json_pack("[s, s]", given->device,
						       cv_prefix_format(&given->address, text)));
	}
	return array;
}

int cv_node_state_save(const char *run_dir, const struct cv_node_state *state,
		       struct cv_error *error)
{
	char text[INET_ADDRSTRLEN];
	json_t *root = json_pack(
		"{s:i, s:i, s:b, s:b, s:s?, s:o}", "version", STATE_VERSION, "protocol",
		(int)state->protocol, "nat", (int)state->nat, "bird", (int)state->bird, "address",
		state->address ? cv_tunnel_format_address(state->address, text) : NULL, "given",
		given_to_json(state));
	int rc = cv_file_save(run_dir, &state_file, root, error);

	json_decref(root);
	return rc;
}
