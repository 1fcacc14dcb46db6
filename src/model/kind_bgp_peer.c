/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGPPeer (https://docs.tigera.io/calico/latest/reference/resources/bgppeer): whom some nodes, or
 * all, speak BGP with. Peers of IPv6, and workloads as peers, are passed over.
 */
#include "model/kinds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/schema_values.h"

enum {
	RESTART_TIME_MAX_S = 4095,   /* 12 bits (RFC 4724, 3) */
	KEEPALIVE_MAX_S = 65535 / 3, /* the hold time has 16 bits (RFC 4271, 4.2) */
	HOPS_MAX = 254,		     /* what a TTL of 255 can lose (RFC 5082) */
	LOCAL_AS_NUMBERS_MAX = UINT8_MAX,
};

/* ---- who ------------------------------------------------------------------------- */

static int read_node_selector(struct cv_reader *reader, const struct cv_yaml_node *node,
			      void *target)
{
	struct cv_bgp_peer *peer = target;

	return cv_reader_copy_selector(reader, node, &peer->node_selector);
}

static int read_peer_selector(struct cv_reader *reader, const struct cv_yaml_node *node,
			      void *target)
{
	struct cv_bgp_peer *peer = target;

	return cv_reader_copy_selector(reader, node, &peer->peer_selector);
}

/* The port behind a colon; 0: there is none. */
static uint16_t parse_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = digits && digits <= 5 && !text[digits] ? strtoul(text, NULL, 10) : 0;

	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* An IPv4 address, or one with a port. */
static int read_peer_ip(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;
	struct cv_yaml_node address = *node;
	char text[INET_ADDRSTRLEN];
	const char *colon;

	if (node->type != CV_YAML_SCALAR)
		return cv_reader_address(reader, node, &peer->address);
	if (!*node->text)
		return 0;
	colon = strchr(node->text, ':');
	if (!colon)
		return cv_reader_address(reader, node, &peer->address);
	peer->port = parse_port(colon + 1);
	if (!peer->port || colon == node->text || colon - node->text >= INET_ADDRSTRLEN)
		return cv_reader_fail(reader, node,
				      "spec.peerIP \"%.64s\" is no IPv4 address with a port; write "
				      "it like 192.0.2.1 or 192.0.2.1:179",
				      node->text);
	snprintf(text, sizeof(text), "%.*s", (int)(colon - node->text), node->text);
	address.text = text;
	return cv_reader_address(reader, &address, &peer->address);
}

static int read_as_number(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;

	return cv_reader_as_number(reader, node, &peer->as_number);
}

static void write_as_number(struct cv_text *out, const void *target)
{
	const struct cv_bgp_peer *peer = target;

	cv_json_integer(out, peer->as_number);
}

static int read_local_as(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;

	return cv_reader_as_number(reader, node, &peer->local_as_number);
}

static void write_local_as(struct cv_text *out, const void *target)
{
	const struct cv_bgp_peer *peer = target;

	cv_json_integer(out, peer->local_as_number);
}

/* ---- how ------------------------------------------------------------------------- */

static int read_key(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;

	return cv_reader_secret_key(reader, node, &peer->password.key);
}

static int read_source(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {
		{"UseNodeIP", true},
		{"None", false},
		{"", true},
		{NULL, 0},
	};
	struct cv_bgp_peer *peer = target;
	int value, rc = cv_reader_word(reader, node, words, &value);

	if (!rc)
		peer->use_node_ip = value;
	return rc;
}

/* The word of before: true is nextHopMode Keep. */
static int read_keep(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;
	bool is_kept;
	int rc = cv_reader_bool(reader, node, &is_kept);

	if (!rc && is_kept)
		peer->next_hop_mode = CV_BGP_NEXT_HOP_KEEP;
	return rc;
}

static int read_restart_time(struct cv_reader *reader, const struct cv_yaml_node *node,
			     void *target)
{
	struct cv_bgp_peer *peer = target;

	peer->has_restart_time = true;
	return cv_reader_seconds(reader, node, 0, RESTART_TIME_MAX_S, &peer->restart_time_s);
}

static int read_keepalive(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;

	return cv_reader_seconds(reader, node, 1, KEEPALIVE_MAX_S, &peer->keepalive_s);
}

static int read_hops(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;
	long long value;
	int rc = cv_reader_integer(reader, node, 0, HOPS_MAX, &value);

	if (!rc)
		peer->ttl_security = (uint8_t)value;
	return rc;
}

static int read_allowed(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;
	long long value;
	int rc = cv_reader_integer(reader, node, 0, LOCAL_AS_NUMBERS_MAX, &value);

	if (!rc)
		peer->allowed_local_as = (uint8_t)value;
	return rc;
}

static int read_reachable_by(struct cv_reader *reader, const struct cv_yaml_node *node,
			     void *target)
{
	struct cv_bgp_peer *peer = target;
	int rc;

	if (node->type == CV_YAML_SCALAR && !*node->text)
		return 0;
	rc = cv_reader_address(reader, node, &peer->reachable_by);
	if (rc == -EAFNOSUPPORT)
		return cv_reader_fail(reader, node,
				      "spec.reachableBy %.64s is IPv6, and peerIP is not; give the "
				      "gateway's IPv4 address",
				      node->text);
	return rc;
}

static int read_filters(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_peer *peer = target;

	return cv_reader_texts(reader, node, cv_reader_name, &peer->filters, &peer->filter_count);
}

/* Auto is what is done; Manual is not. */
static int read_reverse(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {
		{"Auto", true},
		{"Manual", false},
		{NULL, 0},
	};
	int value, rc = cv_reader_word(reader, node, words, &value);

	(void)target;
	if (!rc && !value)
		cv_reader_warn(reader, node,
			       "spec.reversePeering Manual is not acted on: nodes that "
			       "peerSelector selects speak back by this BGPPeer");
	return rc;
}

/* ---- tables ---------------------------------------------------------------------- */

static const struct cv_word next_hop_modes[] = {
	{"Auto", CV_BGP_NEXT_HOP_AUTO},
	{"Self", CV_BGP_NEXT_HOP_SELF},
	{"Keep", CV_BGP_NEXT_HOP_KEEP},
	{NULL, 0},
};

#define AT(member) offsetof(struct cv_bgp_peer, member)

static const struct cv_field secret_fields[] = {
	{"name", CV_FIELD_NAME, .offset = AT(password.name)},
	{"key", CV_FIELD_READ, .read = read_key},
	{"optional", CV_FIELD_UNUSED_SCALAR,
	 .note = "without its password a session is not made at all"},
};

static const struct cv_schema secret = {"BGPPeer spec.password.secretKeyRef", secret_fields,
					sizeof(secret_fields) / sizeof(secret_fields[0])};

static const struct cv_field password_fields[] = {
	{"secretKeyRef", CV_FIELD_OBJECT, .object = &secret},
};

static const struct cv_schema password = {"BGPPeer spec.password", password_fields,
					  sizeof(password_fields) / sizeof(password_fields[0])};

static const struct cv_field fields[] = {
	{"node", CV_FIELD_NAME, .offset = AT(node)},
	{"nodeSelector", CV_FIELD_READ, .read = read_node_selector},
	{"peerIP", CV_FIELD_READ, .read = read_peer_ip},
	{"peerSelector", CV_FIELD_READ, .read = read_peer_selector},
	{"asNumber", CV_FIELD_READ, .read = read_as_number, .write = write_as_number},
	{"localASNumber", CV_FIELD_READ, .read = read_local_as, .write = write_local_as},
	{"password", CV_FIELD_OBJECT, .object = &password},
	{"sourceAddress", CV_FIELD_READ, .read = read_source},
	{"keepOriginalNextHop", CV_FIELD_READ, .read = read_keep},
	{"nextHopMode", CV_FIELD_WORD, .offset = AT(next_hop_mode), .words = next_hop_modes},
	{"maxRestartTime", CV_FIELD_READ, .read = read_restart_time},
	{"keepaliveTime", CV_FIELD_READ, .read = read_keepalive},
	{"ttlSecurity", CV_FIELD_READ, .read = read_hops},
	{"numAllowedLocalASNumbers", CV_FIELD_READ, .read = read_allowed},
	{"reachableBy", CV_FIELD_READ, .read = read_reachable_by},
	{"filters", CV_FIELD_READ, .read = read_filters},
	{"reversePeering", CV_FIELD_READ, .read = read_reverse},
	{.name = "localWorkloadSelector", .type = CV_FIELD_UNUSED_SCALAR},
};
#undef AT

static int init(struct cv_resource *resource)
{
	resource->bgp_peer = calloc(1, sizeof(*resource->bgp_peer));
	if (!resource->bgp_peer)
		return -ENOMEM;
	resource->bgp_peer->use_node_ip = true;
	return 0;
}

static bool is_given(const struct cv_yaml_node *node)
{
	return !cv_reader_absent(node) && (node->type != CV_YAML_SCALAR || *node->text);
}

/* "fd00::1" or "[fd00::1]:179". */
static bool is_ipv6(const char *text)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr in6;
	size_t length;

	if (*text != '[')
		return inet_pton(AF_INET6, text, &in6) == 1;
	length = strcspn(++text, "]");
	if (length >= sizeof(address) || strncmp(text + length, "]:", 2) ||
	    !parse_port(text + length + 2))
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	return inet_pton(AF_INET6, address, &in6) == 1;
}

static int look(struct cv_reader *reader, const struct cv_yaml_node *spec)
{
	const struct cv_yaml_node *ip = cv_yaml_get(spec, "peerIP");
	const struct cv_yaml_node *workloads = cv_yaml_get(spec, "localWorkloadSelector");

	if (is_given(workloads)) {
		cv_reader_warn(reader, workloads,
			       "spec.localWorkloadSelector: passed over, Culvert speaks no BGP "
			       "with workloads");
		return CV_KIND_SKIP;
	}
	if (is_given(ip) && ip->type == CV_YAML_SCALAR && is_ipv6(ip->text)) {
		cv_reader_warn(reader, ip,
			       "spec.peerIP %.64s is IPv6; passed over, Culvert carries IPv4",
			       ip->text);
		return CV_KIND_SKIP;
	}
	return cv_reader_look_secret(reader, spec, "password");
}

static int check_next_hop(struct cv_reader *reader, const struct cv_yaml_node *spec)
{
	const struct cv_yaml_node *keep = cv_yaml_get(spec, "keepOriginalNextHop");
	bool is_kept = false;
	int rc = cv_reader_absent(keep) ? 0 : cv_reader_bool(reader, keep, &is_kept);

	if (rc || !is_kept || cv_reader_absent(cv_yaml_get(spec, "nextHopMode")))
		return rc;
	return cv_reader_fail_key(reader, keep,
				  "spec.keepOriginalNextHop and nextHopMode cannot both be set; "
				  "delete keepOriginalNextHop, which is the old word for "
				  "nextHopMode: Keep");
}

/* What does not go together, as in Calico. */
static int check_pairs(struct cv_reader *reader, const struct cv_yaml_node *spec,
		       const struct cv_bgp_peer *peer)
{
	if (peer->node && peer->node_selector)
		return cv_reader_fail_key(reader, cv_yaml_get(spec, "nodeSelector"),
					  "spec.nodeSelector and node cannot both be set; delete "
					  "one of them");
	if (peer->address && peer->peer_selector)
		return cv_reader_fail_key(reader, cv_yaml_get(spec, "peerSelector"),
					  "spec.peerSelector and peerIP cannot both be set; make "
					  "two BGPPeers");
	if (peer->as_number && peer->peer_selector)
		return cv_reader_fail_key(
			reader, cv_yaml_get(spec, "asNumber"),
			"spec.asNumber and peerSelector cannot both be set; "
			"delete asNumber: each node that is selected has its own");
	if (peer->reachable_by && !peer->address)
		return cv_reader_fail_key(reader, cv_yaml_get(spec, "reachableBy"),
					  "spec.reachableBy is the gateway towards peerIP; give "
					  "peerIP, or delete it");
	if (peer->reachable_by && peer->reachable_by == peer->address)
		return cv_reader_fail(reader, cv_yaml_get(spec, "reachableBy"),
				      "spec.reachableBy is peerIP itself; give the gateway towards "
				      "it, or delete it");
	return check_next_hop(reader, spec);
}

static int check(struct cv_reader *reader, const struct cv_yaml_node *node,
		 struct cv_resource *resource)
{
	const struct cv_yaml_node *spec = cv_yaml_get(node, "spec");
	const struct cv_yaml_node *secret_node = cv_yaml_get(spec, "password");
	const struct cv_bgp_peer *peer = resource->bgp_peer;
	int rc = check_pairs(reader, spec, peer);

	if (rc)
		return rc;
	if (!peer->address && !peer->peer_selector)
		return cv_reader_fail(reader, cv_reader_absent(spec) ? node : spec,
				      "spec has neither peerIP nor peerSelector; give the router's "
				      "address, or which Nodes to speak with");
	if (!cv_reader_absent(secret_node) && (!peer->password.name || !peer->password.key))
		return cv_reader_fail(reader, secret_node,
				      "spec.password needs a secretKeyRef with name and key: the "
				      "password stands in the file secrets/NAME/KEY");
	return 0;
}

static void fini(struct cv_resource *resource)
{
	struct cv_bgp_peer *peer = resource->bgp_peer;

	if (!peer)
		return;
	free(peer->node);
	free(peer->node_selector);
	free(peer->peer_selector);
	free(peer->password.name);
	free(peer->password.key);
	cv_reader_free_texts(peer->filters, peer->filter_count);
	free(peer);
}

const struct cv_kind_reader cv_kind_bgp_peer = {
	.spec = {"BGPPeer spec", fields, sizeof(fields) / sizeof(fields[0])},
	.init = init,
	.look = look,
	.check = check,
	.fini = fini,
};
