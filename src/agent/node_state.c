/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file pools.json: {"version": 1, "protocol": 84, "nat": true, "address": "10.244.1.0"}. It is
 * written before what it tells of is made: what was made is always known to the next daemon.
 */
#include "agent/node_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>

#include "tunnel/config.h"
#include "tunnel/file.h"

enum {
	STATE_VERSION = 1
};

static const struct cv_file state_file = {CV_NODE_STATE_FILE, "what was made of pools"};

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
	};
	return address ? cv_tunnel_parse_address(address, "address", &state->address, error) : 0;
}

int cv_node_state_load(const char *run_dir, struct cv_node_state *ret_state, struct cv_error *error)
{
	struct cv_node_state state = {.protocol = 0};
	int rc = cv_file_load(run_dir, &state_file, read_state, &state, error);

	if (!rc)
		*ret_state = state;
	return rc;
}

int cv_node_state_save(const char *run_dir, const struct cv_node_state *state,
		       struct cv_error *error)
{
	char text[INET_ADDRSTRLEN];
	json_t *root =
		json_pack("{s:i, s:i, s:b, s:s?}", "version", STATE_VERSION, "protocol",
			  (int)state->protocol, "nat", (int)state->nat, "address",
			  state->address ? cv_tunnel_format_address(state->address, text) : NULL);
	int rc = cv_file_save(run_dir, &state_file, root, error);

	json_decref(root);
	return rc;
}
