/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For every prefix of every node: local, direct, tunnel, or the underlay's own routing.
 *
 * Everything is computed anew at every change; it is a few milliseconds for 20,000 prefixes, and
 * nothing can be left over from how things were before. What the kernel should have in
 * consequence is wanted.c's.
 */
#include "routing/decide.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/selector.h"
#include "net/route.h"
#include "routing/wanted.h"
#include "wire/types.h"

static const char *const path_names[] = {
	[CV_PATH_LOCAL] = "local",	 [CV_PATH_TUNNEL] = "tunnel", [CV_PATH_DIRECT] = "direct",
	[CV_PATH_UNDERLAY] = "underlay", [CV_PATH_NONE] = "none",
};

static const char *const reason_texts[] = {
	[CV_REASON_LOCAL] = "it is this node's",
	[CV_REASON_ALWAYS] = "ipipMode Always",
	[CV_REASON_NEVER] = "ipipMode Never: the underlay's own routes are used",
	[CV_REASON_SAME_SUBNET] = "CrossSubnet, same subnet",
	[CV_REASON_OTHER_SUBNET] = "CrossSubnet, not in our subnet",
	[CV_REASON_OTHER_SUBNET_BACK] = "CrossSubnet, we are not in its subnet",
	[CV_REASON_NO_PREFIX] = "CrossSubnet, no subnet is known (a /32 address)",
	[CV_REASON_NOT_ON_LINK] =
		"CrossSubnet, same subnet, but the kernel routes to it by a gateway",
	[CV_REASON_NO_NODE] = "there is no such Node",
	[CV_REASON_NO_ADDRESS] = "its Node has no bgp.ipv4Address",
	[CV_REASON_NO_POOL] = "it is in no IPPool",
	[CV_REASON_NO_SELF] = "this node has no address",
	[CV_REASON_IPIP_DISABLED] = "FelixConfiguration says ipipEnabled: false",
};

const char cv_intent_ipip_off_text[] = "FelixConfiguration says ipipEnabled: false, so nothing is "
				       "tunnelled; if that was meant for "
				       "Calico's Felix alone, remove the field here";

const char *cv_path_name(enum cv_path path)
{
	return path_names[path];
}

const char *cv_path_reason_text(enum cv_path_reason reason)
{
	return reason_texts[reason];
}

const char *cv_peer_path_name(const struct cv_peer_intent *peer)
{
	if (!(peer->tunnelled + peer->direct + peer->underlay))
		return path_names[CV_PATH_NONE];
	if (peer->tunnelled == peer->prefixes)
		return path_names[CV_PATH_TUNNEL];
	if (peer->direct == peer->prefixes)
		return path_names[CV_PATH_DIRECT];
	return peer->underlay == peer->prefixes ? path_names[CV_PATH_UNDERLAY] : "mixed";
}

/* ---- peers ------------------------------------------------------------------------- */

static int by_peer_address(const void *a, const void *b)
{
	uint32_t x = cv_ntohl(((const struct cv_peer_intent *)a)->address);
	uint32_t y = cv_ntohl(((const struct cv_peer_intent *)b)->address);

	return x < y ? -1 : x > y;
}

/* What the kernel's routing says of the way to a node. */
static void ask_for_link(const struct cv_decide_input *input, struct cv_peer_intent *peer)
{
	struct cv_route_flow flow = {.destination = peer->address};
	const struct cv_fact_interface *interface;
	struct cv_route route;

	if (cv_route_get(input->nl, &flow, &route) || route.type != RTN_UNICAST)
		return;
	interface = cv_facts_interface(input->facts, route.oif);
	peer->oif = route.oif;
	peer->on_link = !route.gateway && !(interface && interface->is_ours);
}

static enum cv_path_reason cross_subnet(const struct cv_decide_input *input,
					const struct cv_self *self, struct cv_peer_intent *peer)
{
	struct cv_prefix ours = cv_prefix_of(self->address, self->prefix_length);
	struct cv_prefix its = cv_prefix_of(peer->address, peer->prefix_length);

	if (self->prefix_length == 32 || peer->prefix_length == 32)
		return CV_REASON_NO_PREFIX;
	if (!cv_prefix_has(&ours, peer->address))
		return CV_REASON_OTHER_SUBNET;
	if (!cv_prefix_has(&its, self->address))
		return CV_REASON_OTHER_SUBNET_BACK;
	ask_for_link(input, peer);
	return peer->on_link ? CV_REASON_SAME_SUBNET : CV_REASON_NOT_ON_LINK;
}

static int make_peers(const struct cv_decide_input *input, struct cv_intent *intent)
{
	size_t count;
	struct cv_resource *const *nodes = cv_snapshot_kind(input->snapshot, CV_KIND_NODE, &count);

	intent->peers = calloc(count + 1, sizeof(*intent->peers));
	if (!intent->peers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct cv_node *node = &nodes[i]->node;
		struct cv_peer_intent *peer = &intent->peers[intent->peer_count];

		if (nodes[i] == intent->self.node || !node->address)
			continue;
		*peer = (struct cv_peer_intent){
			.node = nodes[i],
			.address = node->address,
			.prefix_length = node->has_prefix ? node->prefix_length : 32,
		};
		peer->cross_subnet_reason = cross_subnet(input, &intent->self, peer);
		peer->cross_subnet = peer->cross_subnet_reason == CV_REASON_SAME_SUBNET
					     ? CV_PATH_DIRECT
					     : CV_PATH_TUNNEL;
		intent->peer_count++;
	}
	qsort(intent->peers, intent->peer_count, sizeof(*intent->peers), by_peer_address);
	return 0;
}

static struct cv_peer_intent *find_peer(const struct cv_intent *intent, __be32 address)
{
	struct cv_peer_intent key = {.address = address};

	return bsearch(&key, intent->peers, intent->peer_count, sizeof(key), by_peer_address);
}

bool cv_intent_has_path(const struct cv_intent *intent, enum cv_path path)
{
	for (size_t i = 0; i < intent->decision_count; i++) {
		if (intent->decisions[i].path == path)
			return true;
	}
	return false;
}

const struct cv_peer_intent *cv_intent_peer(const struct cv_intent *intent, __be32 address)
{
	return address ? find_peer(intent, address) : NULL;
}

const struct cv_peer_intent *cv_intent_peer_named(const struct cv_intent *intent, const char *name)
{
	const struct cv_resource *node = cv_snapshot_find(intent->snapshot, CV_KIND_NODE, name);

	return node ? cv_intent_peer(intent, node->node.address) : NULL;
}

/* ---- paths ------------------------------------------------------------------------- */

bool cv_decide_is_ipip_off(const struct cv_felix_configuration *felix)
{
	return felix->has_ipip_enabled && !felix->ipip_enabled;
}

enum cv_path cv_decide_path(const struct cv_intent *intent, const struct cv_resource *pool,
			    const struct cv_peer_intent *peer, enum cv_path_reason *ret_reason)
{
	enum cv_path path = CV_PATH_TUNNEL;

	*ret_reason = CV_REASON_ALWAYS;
	if (pool->pool.ipip_mode == CV_IPIP_NEVER) {
		*ret_reason = CV_REASON_NEVER;
		return CV_PATH_UNDERLAY;
	}
	if (pool->pool.ipip_mode == CV_IPIP_CROSS_SUBNET) {
		*ret_reason = peer->cross_subnet_reason;
		path = peer->cross_subnet;
	}
	if (path == CV_PATH_TUNNEL && cv_decide_is_ipip_off(&intent->felix)) {
		*ret_reason = CV_REASON_IPIP_DISABLED;
		return CV_PATH_NONE;
	}
	return path;
}

static const char *owner_of(const struct cv_claim *claim)
{
	if (!claim->resource)
		return claim->node->name;
	return claim->resource->kind == CV_KIND_WORKLOAD ? claim->resource->workload.node
							 : claim->resource->affinity.node;
}

static void count_path(struct cv_peer_intent *peer, enum cv_path path, enum cv_path_reason reason)
{
	if (!peer->prefixes++)
		peer->reason = reason;
	peer->tunnelled += path == CV_PATH_TUNNEL;
	peer->direct += path == CV_PATH_DIRECT;
	peer->underlay += path == CV_PATH_UNDERLAY;
}

static void decide_one(const struct cv_intent *intent, struct cv_decision *decision)
{
	const struct cv_claim *claim = &decision->claim;
	struct cv_peer_intent *peer;

	decision->path = CV_PATH_NONE;
	if (!strcmp(owner_of(claim), intent->self.name)) {
		decision->path = CV_PATH_LOCAL;
		decision->reason = CV_REASON_LOCAL;
		return;
	}
	peer = claim->node ? find_peer(intent, claim->node->node.address) : NULL;
	if (!claim->node)
		decision->reason = CV_REASON_NO_NODE;
	else if (!peer)
		decision->reason = CV_REASON_NO_ADDRESS;
	else if (!claim->pool)
		decision->reason = CV_REASON_NO_POOL;
	else if (!intent->self.address)
		decision->reason = CV_REASON_NO_SELF;
	else
		decision->path = cv_decide_path(intent, claim->pool, peer, &decision->reason);
	if (peer)
		count_path(peer, decision->path, decision->reason);
}

static bool is_node_at(const struct cv_claim *claim, __be32 address)
{
	return claim->node && claim->node->node.address == address;
}

/*
 * What of the claims with a learned prefix stays: all, where they are this node's or say the same;
 * else what was learned tells where the prefix is now (an address that was borrowed, or has moved).
 */
static bool is_said_already(const struct cv_intent *intent, const struct cv_claim *claims,
			    size_t count, const struct cv_learned_route *route)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(owner_of(&claims[i]), intent->self.name) ||
		    is_node_at(&claims[i], route->next_hop))
			return true;
	}
	return false;
}

static bool is_learned_elsewhere(const struct cv_intent *intent, const struct cv_claim *claim,
				 const struct cv_learned_route *routes, size_t count)
{
	if (!strcmp(owner_of(claim), intent->self.name))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (is_node_at(claim, routes[i].next_hop))
			return false;
	}
	return count > 0;
}

/* A claim of what was learned; false: it is of no pool, or of a router that is no node. */
static bool claim_learned(const struct cv_intent *intent, const struct cv_learned_route *route,
			  struct cv_claim *ret_claim)
{
	const struct cv_peer_intent *peer = find_peer(intent, route->next_hop);

	*ret_claim = (struct cv_claim){
		.prefix = route->prefix,
		.node = peer ? peer->node : NULL,
		.pool = cv_snapshot_pool_of_prefix(intent->snapshot, &route->prefix),
	};
	return ret_claim->node && ret_claim->pool;
}

static void add_decision(struct cv_intent *intent, const struct cv_claim *claim)
{
	struct cv_decision *decision = &intent->decisions[intent->decision_count++];

	decision->claim = *claim;
	decide_one(intent, decision);
}

/* Declared claims and learned routes that all have one prefix. */
static void decide_prefix(struct cv_intent *intent, const struct cv_claim *claims,
			  size_t claim_count, const struct cv_learned_route *routes,
			  size_t route_count)
{
	struct cv_learned_route known[CV_TABLE_ROUTE_DEVICES];
	struct cv_claim claim;
	size_t known_count = 0;

	for (size_t i = 0; i < route_count && known_count < CV_TABLE_ROUTE_DEVICES; i++) {
		if (claim_learned(intent, &routes[i], &claim))
			known[known_count++] = routes[i];
	}
	for (size_t i = 0; i < claim_count; i++) {
		if (!is_learned_elsewhere(intent, &claims[i], known, known_count))
			add_decision(intent, &claims[i]);
	}
	for (size_t i = 0; i < known_count; i++) {
		if (!is_said_already(intent, claims, claim_count, &known[i]) &&
		    claim_learned(intent, &known[i], &claim))
			add_decision(intent, &claim);
	}
}

static int make_decisions(const struct cv_decide_input *input, struct cv_intent *intent)
{
	static const struct cv_learned_route none;
	const size_t learned = input->learned ? input->learned->count : 0;
	const struct cv_learned_route *routes = learned ? input->learned->items : &none;
	struct cv_claim *claims;
	size_t count, i = 0, j = 0;
	int rc = cv_snapshot_claims(intent->snapshot, &claims, &count);

	if (rc)
		return rc;
	intent->decisions = calloc(count + learned + 1, sizeof(*intent->decisions));
	if (!intent->decisions) {
		free(claims);
		return -ENOMEM;
	}
	/* Both are sorted by prefix. */
	while (i < count || j < learned) {
		const struct cv_prefix *prefix = &routes[j].prefix;
		size_t i_end = i, j_end = j;

		if (j == learned ||
		    (i < count && cv_prefix_compare(&claims[i].prefix, prefix) <= 0))
			prefix = &claims[i].prefix;
		while (i_end < count && !cv_prefix_compare(&claims[i_end].prefix, prefix))
			i_end++;
		while (j_end < learned && !cv_prefix_compare(&routes[j_end].prefix, prefix))
			j_end++;
		decide_prefix(intent, claims + i, i_end - i, routes + j, j_end - j);
		i = i_end;
		j = j_end;
	}
	free(claims);
	return 0;
}

static int by_claim(const void *a, const void *b)
{
	return cv_prefix_compare(&((const struct cv_decision *)a)->claim.prefix,
				 &((const struct cv_decision *)b)->claim.prefix);
}

const struct cv_decision *cv_intent_decision(const struct cv_intent *intent, __be32 address)
{
	for (int length = 32; length >= 0; length--) {
		struct cv_decision key = {.claim.prefix = cv_prefix_of(address, (uint8_t)length)};
		const struct cv_decision *found = bsearch(
			&key, intent->decisions, intent->decision_count, sizeof(key), by_claim);

		if (found)
			return found;
	}
	return NULL;
}

/* ---- the pool device ---------------------------------------------------------------- */

/* keep_device: for a while, a pool that is Never now is enough. */
static bool needs_device(const struct cv_snapshot *snapshot, bool keep_device)
{
	size_t count;
	struct cv_resource *const *pools = cv_snapshot_kind(snapshot, CV_KIND_IP_POOL, &count);

	for (size_t i = 0; i < count; i++) {
		if (pools[i]->pool.ipip_mode != CV_IPIP_NEVER)
			return true;
	}
	return count && keep_device;
}

/* The first address of our first block that may be a tunnel's. */
static __be32 choose_address(const struct cv_intent *intent)
{
	for (size_t i = 0; i < intent->decision_count; i++) {
		const struct cv_claim *claim = &intent->decisions[i].claim;

		if (intent->decisions[i].path == CV_PATH_LOCAL && claim->pool &&
		    claim->resource->kind == CV_KIND_BLOCK_AFFINITY &&
		    claim->pool->pool.ipip_mode != CV_IPIP_NEVER &&
		    claim->pool->pool.allowed_uses & CV_USE_TUNNEL)
			return claim->prefix.address;
	}
	return 0;
}

/*
 * Who hears of our new address before we do sends to it: we receive at all that this host has, but
 * at those that are the overlay's.
 */
static void find_others(const struct cv_facts *facts, struct cv_intent *intent)
{
	for (size_t i = 0; i < facts->address_count; i++) {
		const struct cv_fact_address *have = &facts->addresses[i];
		__be32 address = have->address.address;

		if (intent->other_count == CV_ENGINE_OTHERS_MAX)
			return;
		if (address == intent->self.address || !have->interface ||
		    have->interface->is_ours || cv_tunnel_no_host(address) ||
		    have->interface->flags & IFF_LOOPBACK || cv_intent_decision(intent, address))
			continue;
		intent->others[intent->other_count++] = address;
	}
}

static void decide_device(const struct cv_decide_input *input, struct cv_intent *intent)
{
	const struct cv_resource *node = intent->self.node;

	intent->has_device = intent->self.address && !cv_decide_is_ipip_off(&intent->felix) &&
			     needs_device(input->snapshot, input->keep_device);
	if (!intent->has_device)
		return;
	intent->tunnel_address = node ? node->node.tunnel_address : 0;
	if (!intent->tunnel_address) {
		intent->tunnel_address = input->tunnel_address;
		if (!intent->tunnel_address && !input->is_address_assigned)
			intent->tunnel_address = choose_address(intent);
		intent->tunnel_address_chosen = intent->tunnel_address != 0;
	}
	find_others(input->facts, intent);
	cv_wanted_mtu(input, intent);
}

/* ---- the overlay space ----------------------------------------------------------------- */

static int make_overlay(const struct cv_decide_input *input, struct cv_intent *intent)
{
	const struct cv_facts *facts = input->facts;
	struct cv_prefix *connected = calloc(facts->address_count + 1, sizeof(*connected));
	struct cv_overlay_host host = {
		.connected = connected,
		.gateways = facts->gateways,
		.gateway_count = facts->gateway_count,
	};
	int rc;

	if (!connected)
		return -ENOMEM;
	for (size_t i = 0; i < facts->address_count; i++) {
		const struct cv_fact_address *address = &facts->addresses[i];

		if (!address->interface || !address->interface->is_ours)
			connected[host.connected_count++] = address->address;
	}
	rc = cv_overlay_init(&intent->overlay, input->snapshot, &host);
	free(connected);
	return rc;
}

/* ---- this node ------------------------------------------------------------------------- */

static bool is_of_another(const struct cv_decide_input *input, const struct cv_self *self,
			  __be32 address)
{
	size_t count;
	struct cv_resource *const *nodes = cv_snapshot_kind(input->snapshot, CV_KIND_NODE, &count);

	for (size_t i = 0; i < count; i++) {
		if (nodes[i] != self->node && nodes[i]->node.address == address)
			return true;
	}
	return false;
}

/*
 * An address that was there and is not at this moment (a card that is replaced, a lease that is
 * renewed) stays this node's, with its problem told: without it there would be no pool device and
 * no guard, and what is inner would leave by whatever route there is, unencapsulated.
 */
static void keep_lost_address(const struct cv_decide_input *input, struct cv_self *self)
{
	const struct cv_self *former = input->in_force ? &input->in_force->self : NULL;
	const struct cv_node *node = self->node ? &self->node->node : NULL;

	if (self->address || !former || !former->address ||
	    (node && node->address && node->address != former->address) ||
	    cv_facts_address(input->facts, former->address) ||
	    is_of_another(input, self, former->address))
		return;
	self->address = former->address;
	self->prefix_length =
		node && node->has_prefix ? node->prefix_length : former->prefix_length;
	self->ifindex = former->ifindex;
	snprintf(self->how, sizeof(self->how), "it was there before");
}

/* ---- all ------------------------------------------------------------------------------- */

static void take_messages(struct cv_messages *to, const struct cv_messages *from)
{
	for (size_t i = 0; i < from->count; i++)
		cv_messages_add(to, "%s", from->texts[i]);
}

int cv_decide(const struct cv_decide_input *input, struct cv_intent *ret_intent)
{
	struct cv_intent intent = {
		.snapshot = cv_snapshot_get(input->snapshot),
		.programs = input->programs,
		.is_handing_over = input->is_handing_over,
	};
	int rc;

	cv_snapshot_felix(input->snapshot, input->node_name, &intent.felix);
	intent.protocol = intent.felix.device_route_protocol
				  ? (uint8_t)intent.felix.device_route_protocol
				  : CV_ROUTE_PROTOCOL;
	cv_self_find(input->snapshot, input->node_name, input->detect, input->facts, input->nl,
		     &intent.self);
	keep_lost_address(input, &intent.self);
	rc = make_overlay(input, &intent);
	if (!rc)
		rc = make_peers(input, &intent);
	if (!rc)
		rc = make_decisions(input, &intent);
	if (!rc) {
		decide_device(input, &intent);
		take_messages(&intent.warnings, &input->snapshot->warnings);
		take_messages(&intent.warnings, &intent.overlay.warnings);
		rc = cv_wanted(input, &intent);
	}
	if (rc) {
		cv_intent_fini(&intent);
		return rc;
	}
	*ret_intent = intent;
	return 0;
}

void cv_intent_fini(struct cv_intent *intent)
{
	free(intent->routes);
	free(intent->peers);
	free(intent->decisions);
	free(intent->nat.sources);
	free(intent->nat.overlay);
	free(intent->nat.hosts);
	cv_owners_fini(&intent->owners);
	cv_overlay_fini(&intent->overlay);
	cv_messages_fini(&intent->warnings);
	cv_snapshot_put(intent->snapshot);
	memset(intent, 0, sizeof(*intent));
}
