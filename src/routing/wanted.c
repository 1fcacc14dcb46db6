/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from the decisions: routes, who may send what, NAT, the MTU of the pool device.
 *
 * Routes, by prefix and then by metric:
 * - towards other nodes, by tunnel or directly, and to our workloads' devices;
 * - blackhole for our own blocks: an address of ours that no pod has must not go round in circles;
 * - into the devices of Tunnels: of several that list one prefix, one route by all of them;
 * - the guard: unreachable for what is left of the overlay space of encapsulating pools, so that
 * nothing inner leaves by the default route, unencapsulated.
 */
#include "routing/wanted.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "routing/merge.h"
#include "routing/warnings.h"
#include "wire/ipip.h"

enum {
	MTU_LEAST = 68,
	SPREAD_ABOVE = 256, /* peers: their routes have several metrics */
	SPREAD_BITS = 10,
};

/* ---- MTU --------------------------------------------------------------------------- */

static void mtu_of_pattern(const struct cv_decide_input *input, struct cv_intent *intent,
			   uint32_t *ret_mtu, const char **ret_name)
{
	regex_t pattern;

	if (!intent->felix.mtu_iface_pattern ||
	    regcomp(&pattern, intent->felix.mtu_iface_pattern, REG_EXTENDED | REG_NOSUB))
		return;
	for (size_t i = 0; i < input->facts->interface_count; i++) {
		const struct cv_fact_interface *interface = &input->facts->interfaces[i];

		if (interface->is_ours || !(interface->flags & IFF_UP) ||
		    regexec(&pattern, interface->name, 0, NULL, 0) ||
		    (*ret_mtu && interface->mtu >= *ret_mtu))
			continue;
		*ret_mtu = interface->mtu;
		*ret_name = interface->name;
	}
	regfree(&pattern);
}

/* What the ways of the underlay ask for: the smallest to a peer, or as long as none is known, that
 * of the interface of our own address. */
static uint32_t mtu_of_underlay(const struct cv_decide_input *input, const struct cv_intent *intent,
				const char **ret_name)
{
	const struct cv_facts *facts = input->facts;
	const struct cv_fact_interface *own = cv_facts_interface(facts, intent->self.ifindex);

	*ret_name = own ? own->name : "";
	if (!facts->link_mtu)
		return own ? own->mtu : 0;
	if (!own || own->mtu != facts->link_mtu)
		*ret_name = "the narrowest path";
	return facts->link_mtu;
}

/* Less the outer header; no more than an outer packet can have. */
static uint32_t less_overhead(uint32_t mtu)
{
	return (mtu > UINT16_MAX ? UINT16_MAX : mtu) - CV_IPIP_OVERHEAD;
}

void cv_wanted_mtu(const struct cv_decide_input *input, struct cv_intent *intent)
{
	const char *name, *limit_name = NULL;
	uint32_t mtu, limit = 0;

	if (intent->felix.ipip_mtu) {
		intent->mtu = intent->felix.ipip_mtu;
		snprintf(intent->mtu_how, sizeof(intent->mtu_how), "FelixConfiguration ipipMTU");
		return;
	}
	mtu = mtu_of_underlay(input, intent, &name);
	mtu_of_pattern(input, intent, &limit, &limit_name);
	/* The pattern alone says it as long as no peer is known. */
	if (limit && (limit < mtu || !input->facts->link_mtu)) {
		mtu = limit;
		name = limit_name;
	}
	/* The card is gone, and the address is kept: so is what followed of it. */
	if (!mtu && input->in_force && input->in_force->self.address == intent->self.address) {
		intent->mtu = input->in_force->mtu;
		memcpy(intent->mtu_how, input->in_force->mtu_how, sizeof(intent->mtu_how));
	}
	if (mtu < MTU_LEAST + CV_IPIP_OVERHEAD)
		return;
	intent->mtu = less_overhead(mtu);
	intent->route_mtu_max = less_overhead(limit ? limit : UINT16_MAX);
	snprintf(intent->mtu_how, sizeof(intent->mtu_how), "%s's %u less %d", name,
		 intent->mtu + CV_IPIP_OVERHEAD, CV_IPIP_OVERHEAD);
}

uint32_t cv_decide_route_mtu(const struct cv_facts *facts, const struct cv_intent *intent,
			     __be32 remote)
{
	uint32_t mtu = cv_facts_wider(facts, remote);

	if (!mtu || !intent->route_mtu_max || facts->mtu_by_hand)
		return 0;
	mtu = less_overhead(mtu);
	if (mtu > intent->route_mtu_max)
		mtu = intent->route_mtu_max;
	return mtu > intent->mtu ? mtu : 0;
}

/* ---- routes ------------------------------------------------------------------------ */

struct list {
	const struct cv_facts *facts;
	struct cv_table_route *routes;
	size_t count, capacity;
	struct cv_ranges hosts; /* addresses of nodes and external nodes: never led anywhere */
};

static int add_route(struct list *list, const struct cv_table_route *route)
{
	struct cv_table_route *larger;
	size_t capacity = list->capacity ? 2 * list->capacity : 64;

	if (list->count == list->capacity) {
		larger = realloc(list->routes, capacity * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		list->routes = larger;
		list->capacity = capacity;
	}
	list->routes[list->count++] = *route;
	return 0;
}

/*
 * What the packets of tunnels are sent to must stay on the underlay: a route of ours that covers a
 * node would lead its tunnel into itself.
 */
static int find_hosts(const struct cv_intent *intent, struct cv_ranges *ret_hosts)
{
	const struct cv_overlay *overlay = &intent->overlay;
	struct cv_prefix *prefixes =
		calloc(intent->peer_count + overlay->hole_count + 1, sizeof(*prefixes));
	size_t count = 0;
	int rc;

	if (!prefixes)
		return -ENOMEM;
	if (intent->self.address)
		prefixes[count++] = cv_prefix_of(intent->self.address, 32);
	for (size_t i = 0; i < intent->peer_count; i++)
		prefixes[count++] = cv_prefix_of(intent->peers[i].address, 32);
	for (size_t i = 0; i < overlay->hole_count; i++) {
		if (overlay->holes[i].reason == CV_HOLE_EXTERNAL)
			prefixes[count++] = overlay->holes[i].prefix;
	}
	rc = cv_ranges_from_prefixes(prefixes, count, ret_hosts);
	free(prefixes);
	return rc;
}

/* The part of hosts that touches a prefix; its items are not its own. */
static struct cv_ranges hosts_within(const struct cv_ranges *hosts, const struct cv_prefix *prefix)
{
	size_t low = 0, high = hosts->count, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (hosts->items[middle].last < cv_prefix_first(prefix))
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < hosts->count && hosts->items[end].first <= cv_prefix_last(prefix);)
		end++;
	return (struct cv_ranges){.items = hosts->items + low, .count = end - low};
}

static int by_claimed_prefix(const void *key, const void *decision)
{
	return cv_prefix_compare(key, &((const struct cv_decision *)decision)->claim.prefix);
}

/* Whether a part of a claim is one of its own, or in one: that leads to another node, maybe. */
static bool is_claimed_within(const struct cv_intent *intent, const struct cv_prefix *part,
			      uint8_t length)
{
	for (uint8_t i = part->length; i > length; i--) {
		const struct cv_prefix key = cv_prefix_of(part->address, i);

		if (bsearch(&key, intent->decisions, intent->decision_count,
			    sizeof(*intent->decisions), by_claimed_prefix))
			return true;
	}
	return false;
}

/*
 * A route to what a prefix has beside hosts: nearly always to all of it. Its parts are as large as
 * can be: a claim within it lies in one of them, is one, or is cut into the same ones.
 */
static int add_beside_hosts(struct list *list, const struct cv_intent *intent,
			    const struct cv_table_route *route)
{
	const struct cv_ranges hosts = hosts_within(&list->hosts, &route->prefix);
	struct cv_ranges whole = {.count = 0}, rest = {.count = 0};
	struct cv_table_route part = *route;
	struct cv_prefix *parts = NULL;
	size_t count = 0;
	int rc;

	if (!hosts.count)
		return add_route(list, route);
	rc = cv_ranges_from_prefixes(&route->prefix, 1, &whole);
	if (!rc)
		rc = cv_ranges_subtract(&whole, &hosts, &rest);
	if (!rc)
		rc = cv_ranges_to_prefixes(&rest, &parts, &count);
	for (size_t i = 0; i < count && !rc; i++) {
		part.prefix = parts[i];
		if (route->type != RTN_UNICAST ||
		    !is_claimed_within(intent, &parts[i], route->prefix.length))
			rc = add_route(list, &part);
	}
	free(parts);
	cv_ranges_fini(&rest);
	cv_ranges_fini(&whole);
	return rc;
}

/*
 * Linux keeps next hops in a hash of which the gateway is no part, but the metric is: with 5,000
 * gateways on one device and one metric, 20,000 routes took 9.3 s, with their metrics spread over
 * 1,024 numbers 0.7 s (6.18, in one run on a busy machine). Small networks have the pretty number.
 */
static uint32_t metric_of(const struct cv_intent *intent, const struct cv_peer_intent *peer)
{
	if (intent->peer_count <= SPREAD_ABOVE)
		return CV_METRIC_NODE;
	return CV_METRIC_NODE + (cv_ntohl(peer->address) * 2654435761U >> (32 - SPREAD_BITS));
}

/* peer: NULL where path is NONE. */
static int add_way(struct list *list, const struct cv_intent *intent,
		   const struct cv_prefix *prefix, enum cv_path path,
		   const struct cv_peer_intent *peer)
{
	struct cv_table_route route = {
		.prefix = *prefix,
		.type = RTN_UNICAST,
		.protocol = intent->protocol,
	};

	if (path != CV_PATH_TUNNEL && path != CV_PATH_DIRECT)
		return 0;
	route.metric = metric_of(intent, peer);
	route.gateway = peer->address;
	route.oif = peer->oif;
	if (path == CV_PATH_TUNNEL) {
		route.oif = CV_OIF_POOL_DEVICE;
		route.onlink = true;
		route.mtu = cv_decide_route_mtu(list->facts, intent, peer->address);
	}
	return add_beside_hosts(list, intent, &route);
}

static int add_refusal(struct list *list, const struct cv_intent *intent,
		       const struct cv_prefix *prefix, uint8_t type, uint32_t metric)
{
	const struct cv_table_route route = {
		.prefix = *prefix,
		.type = type,
		.protocol = intent->protocol,
		.metric = metric,
	};

	return add_beside_hosts(list, intent, &route);
}

/* Ours: a block gets its blackhole, what is behind a device of ours a route to it. */
static int add_own(struct list *list, const struct cv_decide_input *input, struct cv_intent *intent,
		   const struct cv_claim *claim)
{
	const struct cv_workload *workload = &claim->resource->workload;
	const struct cv_fact_interface *interface;
	struct cv_table_route route = {
		.prefix = claim->prefix,
		.type = RTN_UNICAST,
		.protocol = intent->protocol,
		.metric = CV_METRIC_NODE,
	};

	if (claim->resource->kind != CV_KIND_WORKLOAD) {
		/* What is in no pool is the underlay's, and may be the very subnet of this host. */
		return claim->pool ? add_refusal(list, intent, &claim->prefix, RTN_BLACKHOLE,
						 CV_METRIC_BLOCK)
				   : 0;
	}
	if (!workload->device[0])
		return 0;
	interface = cv_facts_interface_named(input->facts, workload->device);
	if (!interface) {
		cv_messages_add(&intent->warnings,
				"Workload %s: this node has no device %s; it is routed when there "
				"is one",
				claim->resource->name, workload->device);
		return 0;
	}
	/* The kernel refuses routes through a device that is down. */
	if (!(interface->flags & IFF_UP))
		return 0;
	route.oif = interface->index;
	return add_beside_hosts(list, intent, &route);
}

static int by_prefix(const void *a, const void *b)
{
	return cv_prefix_compare(a, b);
}

static bool is_handed(const struct cv_decide_input *input, const struct cv_prefix *prefix)
{
	return input->handed_count &&
	       bsearch(prefix, input->handed, input->handed_count, sizeof(*prefix), by_prefix);
}

/* Learned routes are never the agent's to make; declared ones are BIRD's, too, once it has taken
 * over: what nobody announces is not there. */
static bool is_agents(const struct cv_decide_input *input, const struct cv_claim *claim)
{
	return claim->resource && (input->programs == CV_PROGRAMS_AGENT ||
				   (input->is_handing_over && !is_handed(input, &claim->prefix)));
}

static int add_claims(struct list *list, const struct cv_decide_input *input,
		      struct cv_intent *intent)
{
	int rc = 0;

	for (size_t i = 0; i < intent->decision_count && !rc; i++) {
		const struct cv_decision *decision = &intent->decisions[i];
		const struct cv_claim *claim = &decision->claim;

		if (decision->path == CV_PATH_LOCAL)
			rc = add_own(list, input, intent, claim);
		else if (claim->node && is_agents(input, claim))
			rc = add_way(list, intent, &claim->prefix, decision->path,
				     cv_intent_peer(intent, claim->node->node.address));
	}
	return rc;
}

/* An address of the very links of this host: a gateway, a neighbour. */
static bool is_on_link(const struct cv_facts *facts, __be32 address)
{
	for (size_t i = 0; i < facts->gateway_count; i++) {
		if (facts->gateways[i] == address)
			return true;
	}
	for (size_t i = 0; i < facts->address_count; i++) {
		if (!facts->addresses[i].interface->is_ours &&
		    cv_prefix_has(&facts->addresses[i].address, address))
			return true;
	}
	return false;
}

/* Peers' tunnel addresses are in their blocks, or get a route of their own. */
static int add_tunnel_addresses(struct list *list, const struct cv_decide_input *input,
				struct cv_intent *intent)
{
	int rc = 0;

	for (size_t i = 0; i < intent->peer_count && !rc; i++) {
		const struct cv_peer_intent *peer = &intent->peers[i];
		struct cv_prefix prefix = cv_prefix_of(peer->node->node.tunnel_address, 32);
		const struct cv_decision *decision;
		const struct cv_resource *pool;
		enum cv_path_reason reason;
		enum cv_path path = CV_PATH_TUNNEL;

		if (!prefix.address || !intent->has_device)
			continue;
		decision = cv_intent_decision(intent, prefix.address);
		if (decision && decision->claim.node == peer->node)
			continue;
		pool = cv_snapshot_pool_of(intent->snapshot, prefix.address);
		/* Its node announces it. */
		if (pool && intent->programs == CV_PROGRAMS_BIRD &&
		    (!intent->is_handing_over || is_handed(input, &prefix)))
			continue;
		if (pool) {
			path = cv_decide_path(intent, pool, peer, &reason);
		} else if (is_on_link(input->facts, prefix.address)) {
			char text[CV_PREFIX_TEXT_MAX];

			cv_messages_add(
				&intent->warnings,
				"Node %s: its ipv4IPIPTunnelAddr %.*s is in no IPPool, and on a "
				"link of this host; it is not routed to the node",
				peer->node->name,
				(int)strcspn(cv_prefix_format(&prefix, text), "/"), text);
			continue;
		}
		rc = add_way(list, intent, &prefix, path, peer);
	}
	return rc;
}

static int add_guard(struct list *list, const struct cv_intent *intent)
{
	struct cv_prefix *prefixes;
	size_t count;
	int rc;

	/*
	 * Where a pool is all that is known, it may well contain nodes that will be. A tunnel that
	 * FelixConfiguration forbids is missed all the same: what it would have carried goes
	 * nowhere, not away by the default route.
	 */
	if (!intent->has_device && !(intent->self.address && cv_decide_is_ipip_off(&intent->felix)))
		return 0;
	if (!intent->peer_count && !cv_intent_has_path(intent, CV_PATH_LOCAL))
		return 0;
	rc = cv_ranges_to_prefixes(&intent->overlay.encapsulated, &prefixes, &count);
	for (size_t i = 0; i < count && !rc; i++)
		rc = add_refusal(list, intent, &prefixes[i], RTN_UNREACHABLE, CV_METRIC_GUARD);
	free(prefixes);
	return rc;
}

/* Of `Tunnel` resources. */
static int add_tunnel_routes(struct list *list, const struct cv_decide_input *input,
			     const struct cv_intent *intent)
{
	size_t count;
	struct cv_resource *const *tunnels =
		cv_snapshot_kind(input->snapshot, CV_KIND_TUNNEL, &count);
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		const struct cv_tunnel_resource *tunnel = tunnels[i]->tunnel;
		const struct cv_fact_interface *interface =
			cv_facts_interface_named(input->facts, tunnels[i]->name);

		/* What only has the name is not its device: somebody's card, the pools' own. */
		if ((tunnel->node && strcmp(tunnel->node, input->node_name)) || !interface ||
		    !interface->is_ours || !strcmp(tunnels[i]->name, input->pool_device) ||
		    !(interface->flags & IFF_UP) ||
		    (input->has_tunnel && !input->has_tunnel(tunnels[i]->name, input->data)))
			continue;
		for (size_t j = 0; j < tunnel->route_count && !rc; j++) {
			const struct cv_table_route route = {
				.prefix = tunnel->routes[j],
				.type = RTN_UNICAST,
				.protocol = intent->protocol,
				.metric = CV_METRIC_NODE,
				.device_count = 1,
				.devices = {interface->index},
			};

			rc = add_route(list, &route);
		}
	}
	return rc;
}

static int make_routes(const struct cv_decide_input *input, struct cv_intent *intent)
{
	struct list list = {.facts = input->facts};
	int rc = find_hosts(intent, &list.hosts);

	if (!rc)
		rc = add_claims(&list, input, intent);
	if (!rc)
		rc = add_tunnel_addresses(&list, input, intent);
	if (!rc)
		rc = add_guard(&list, intent);
	if (!rc)
		rc = add_tunnel_routes(&list, input, intent);
	cv_ranges_fini(&list.hosts);
	if (rc) {
		free(list.routes);
		return rc;
	}
	intent->routes = list.routes;
	intent->route_count = cv_merge_routes(input, intent, list.routes, list.count);
	return 0;
}

/* ---- who may send ---------------------------------------------------------------------- */

static size_t external_hosts(const struct cv_felix_configuration *felix)
{
	size_t count = 0;

	for (size_t i = 0; i < felix->external_count; i++) {
		const struct cv_prefix *prefix = &felix->external_nodes[i];

		if (prefix->length >= 24)
			count += (size_t)1 << (32 - prefix->length);
	}
	return count;
}

static size_t list_peers(const struct cv_intent *intent, __be32 *peers)
{
	const struct cv_felix_configuration *felix = &intent->felix;
	size_t count = 0;

	for (size_t i = 0; i < intent->peer_count; i++)
		peers[count++] = intent->peers[i].address;
	for (size_t i = 0; i < felix->external_count; i++) {
		const struct cv_prefix *prefix = &felix->external_nodes[i];

		if (prefix->length < 24)
			continue;
		for (uint32_t j = 0; j <= cv_prefix_last(prefix) - cv_prefix_first(prefix); j++)
			peers[count++] = cv_htonl(cv_prefix_first(prefix) + j);
	}
	return count;
}

static int by_first(const void *a, const void *b)
{
	const struct cv_owned_prefix *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->length < y->length ? -1 : x->length > y->length;
}

static struct cv_owned_prefix owned(const struct cv_prefix *prefix, __be32 owner)
{
	return (struct cv_owned_prefix){
		.first = cv_prefix_first(prefix),
		.last = cv_prefix_last(prefix),
		.length = prefix->length,
		.owner = owner,
	};
}

static size_t list_owned(const struct cv_intent *intent, struct cv_owned_prefix *prefixes)
{
	size_t count = 0;

	for (size_t i = 0; i < intent->decision_count; i++) {
		const struct cv_decision *decision = &intent->decisions[i];
		bool is_peers = decision->path != CV_PATH_LOCAL && decision->claim.node;

		prefixes[count++] = owned(&decision->claim.prefix,
					  is_peers ? decision->claim.node->node.address : 0);
	}
	for (size_t i = 0; i < intent->peer_count; i++) {
		struct cv_prefix prefix =
			cv_prefix_of(intent->peers[i].node->node.tunnel_address, 32);

		if (prefix.address)
			prefixes[count++] = owned(&prefix, intent->peers[i].address);
	}
	qsort(prefixes, count, sizeof(*prefixes), by_first);
	return count;
}

static int add_formers(const struct cv_formers *formers, struct cv_intent *intent)
{
	int rc = 0;

	for (size_t i = 0; formers && i < formers->count && !rc; i++) {
		const struct cv_peer_intent *peer =
			cv_intent_peer_named(intent, formers->items[i].name);

		if (peer)
			rc = cv_owners_add_former(&intent->owners, formers->items[i].address,
						  peer->address);
	}
	return rc;
}

static int make_owners(const struct cv_formers *formers, struct cv_intent *intent)
{
	__be32 *peers =
		calloc(intent->peer_count + external_hosts(&intent->felix) + 1, sizeof(*peers));
	struct cv_owned_prefix *prefixes =
		calloc(intent->decision_count + intent->peer_count + 1, sizeof(*prefixes));
	int rc = -ENOMEM;

	if (peers && prefixes)
		rc = cv_owners_make(prefixes, list_owned(intent, prefixes), peers,
				    list_peers(intent, peers), &intent->owners);
	free(peers);
	free(prefixes);
	return rc ? rc : add_formers(formers, intent);
}

/* ---- NAT --------------------------------------------------------------------------------- */

static int make_hosts(struct cv_intent *intent)
{
	const struct cv_felix_configuration *felix = &intent->felix;
	struct cv_nat_intent *nat = &intent->nat;
	size_t most = intent->peer_count + felix->external_count + 1;

	if (!felix->has_nat_exclusions || felix->nat_exclusions != CV_NAT_EXCLUDE_POOLS_AND_HOSTS)
		return 0;
	nat->hosts = calloc(most, sizeof(*nat->hosts));
	if (!nat->hosts)
		return -ENOMEM;
	if (intent->self.address)
		nat->hosts[nat->host_count++] = cv_prefix_of(intent->self.address, 32);
	for (size_t i = 0; i < intent->peer_count; i++)
		nat->hosts[nat->host_count++] = cv_prefix_of(intent->peers[i].address, 32);
	for (size_t i = 0; i < felix->external_count; i++)
		nat->hosts[nat->host_count++] = felix->external_nodes[i];
	return 0;
}

static int make_nat(const struct cv_decide_input *input, struct cv_intent *intent)
{
	struct cv_nat_intent *nat = &intent->nat;
	int rc = cv_ranges_to_prefixes(&intent->overlay.nat, &nat->sources, &nat->source_count);

	if (!rc)
		rc = cv_ranges_to_prefixes(&intent->overlay.space, &nat->overlay,
					   &nat->overlay_count);
	if (!rc)
		rc = make_hosts(intent);
	if (rc)
		return rc;
	nat->port_first = intent->felix.nat_port_first;
	nat->port_last = intent->felix.nat_port_last;
	nat->address = intent->felix.nat_outgoing_address;
	if (intent->has_device) {
		snprintf(nat->device, sizeof(nat->device), "%s", input->pool_device);
		nat->tunnel_address = intent->tunnel_address;
		nat->outer_source = intent->self.address;
	}
	nat->wanted = nat->source_count || intent->has_device;
	return 0;
}

int cv_wanted(const struct cv_decide_input *input, struct cv_intent *intent)
{
	int rc = make_routes(input, intent);

	if (!rc)
		rc = make_owners(input->formers, intent);
	if (!rc)
		rc = make_nat(input, intent);
	if (!rc)
		cv_warnings_add(input->facts, input->claims_blocks, intent);
	return rc;
}
