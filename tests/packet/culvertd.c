/* SPDX-License-Identifier: Apache-2.0 */
/*
 * culvertd with one request more, "test.pools": what resources would say of the pools' device. So
 * tests/packet/owners.t says what it likes of owners, and all of the rest is culvertd.
 *
 *   {"version": 1, "command": "test.pools", "device": "tunl0", "local": "192.168.100.1", "mtu":
 * 1400, "peers": ["192.168.100.2"], "owned": [["10.244.2.0", 24, "192.168.100.2"]]}
 *
 * owned: sorted by address, shorter prefixes first; owner "any": nobody. The device is added if
 * there is none, else changed.
 */
#define cv_commands_handle handle_as_ever
#include "agent/commands.c" /* NOLINT(bugprone-suspicious-include) */
#undef cv_commands_handle
#include "agent/culvertd.c" /* NOLINT(bugprone-suspicious-include) */

#include <stdlib.h>

char *cv_commands_handle(void *context, const struct cv_peer *peer, const char *line, size_t length,
			 struct cv_server_then *ret_then);

enum {
	LIST_MAX = 64
};

static __be32 address_of(const json_t *json)
{
	struct cv_error error;
	__be32 address = 0;

	if (cv_tunnel_parse_address(json_string_value(json), "address", &address, &error))
		cv_log(LOG_ERR, "test.pools: %s", error.text);
	return address;
}

static int want_device(const struct cv_commands *commands, const json_t *root,
		       struct cv_error *error)
{
	const char *name = json_string_value(json_object_get(root, "device"));
	struct cv_tunnel_change change = {
		.verb = CV_TUNNEL_REPLACE,
		.patch = {.given = CV_TUNNEL_NAME | CV_TUNNEL_LOCAL | CV_TUNNEL_MTU},
	};
	size_t at;

	snprintf(change.patch.config.name, IFNAMSIZ, "%s", name);
	change.patch.config.local = address_of(json_object_get(root, "local"));
	change.patch.config.mtu = (uint32_t)json_integer_value(json_object_get(root, "mtu"));
	return cv_tunnel_set_apply(commands->set, CV_TUNNEL_OWNER_POOLS, &change, 1, &at, error);
}

static int make_owners(const json_t *root, struct cv_owners *ret_owners)
{
	const json_t *peers = json_object_get(root, "peers");
	const json_t *owned = json_object_get(root, "owned");
	struct cv_owned_prefix prefixes[LIST_MAX];
	__be32 addresses[LIST_MAX];
	size_t i;
	const json_t *each;

	if (json_array_size(peers) > LIST_MAX || json_array_size(owned) > LIST_MAX)
		return -E2BIG;
	json_array_foreach(peers, i, each)
	{
		addresses[i] = address_of(each);
	}
	json_array_foreach(owned, i, each)
	{
		uint32_t first = cv_ntohl(address_of(json_array_get(each, 0)));
		unsigned int bits = (unsigned int)json_integer_value(json_array_get(each, 1));

		prefixes[i] = (struct cv_owned_prefix){
			.first = first,
			.last = first | (uint32_t)((1ULL << (32 - bits)) - 1),
			.length = (uint8_t)bits,
			.owner = address_of(json_array_get(each, 2)),
		};
	}
	return cv_owners_make(prefixes, json_array_size(owned), addresses, json_array_size(peers),
			      ret_owners);
}

static int want_pools(const struct cv_commands *commands, const json_t *root,
		      struct cv_error *error)
{
	const char *name = json_string_value(json_object_get(root, "device"));
	struct cv_owners owners;
	int rc;

	commands->catch_up(commands->context);
	rc = want_device(commands, root, error);
	if (rc)
		return rc;
	rc = make_owners(root, &owners);
	if (rc)
		return cv_error_set(error, rc, "no such owners");
	rc = cv_tunnel_set_owners(commands->set, name, &owners);
	cv_owners_fini(&owners);
	return rc ? cv_error_set(error, rc, "owners are not taken") : 0;
}

char *cv_commands_handle(void *context, const struct cv_peer *peer, const char *line, size_t length,
			 struct cv_server_then *ret_then)
{
	json_t *root = json_loadb(line, length, 0, NULL);
	const char *command = json_string_value(json_object_get(root, "command"));
	struct cv_error error;
	json_t *id;
	char *answer;
	int rc;

	if (!command || strcmp(command, "test.pools") != 0) {
		json_decref(root);
		return handle_as_ever(context, peer, line, length, ret_then);
	}
	rc = want_pools(context, root, &error);
	id = json_null();
	answer = rc ? cv_answer_error(id, rc, error.text, -1) : cv_answer_result(id, json_object());
	json_decref(root);
	return answer;
}
