/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from the decisions: routes, who may send what, NAT, the MTU of the pool device.
 *
 * Routes, by prefix and then by metric:
 * - towards other nodes, by tunnel or directly, and to our workloads' devices;
 * - blackhole for our own blocks: an address of ours that no pod has must not go round in circles;
 * - the guard: unreachable for what is left of the overlay space of encapsulating pools, so that
 * nothing inner leaves by the default route, unencapsulated.
 */
#include "routing/wanted.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/selector.h"
#include "wire/ipip.h"

enum {
	EXTERNAL_HOSTS_MAX = 256, /* addresses of one externalNodesList entry that count as peers */
	MTU_LEAST = 68,
	SPREAD_ABOVE = 256, /* peers: their routes have several metrics */
	SPREAD_BITS = 10,
	UNDECLARED_MAX = 8, /* networks that nobody has declared, told one by one */
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

void cv_wanted_mtu(const struct cv_decide_input *input, struct cv_intent *intent)
{
	const struct cv_fact_interface *own =
		cv_facts_interface(input->facts, intent->self.ifindex);
	const char *name = own ? own->name : "";
	uint32_t mtu = 0;

	if (intent->felix.ipip_mtu) {
		intent->mtu = intent->felix.ipip_mtu;
		snprintf(intent->mtu_how, sizeof(intent->mtu_how), "FelixConfiguration ipipMTU");
		return;
	}
	mtu_of_pattern(input, intent, &mtu, &name);
	if (!mtu && own)
		mtu = own->mtu;
	/* The card is gone, and the address is kept: so is what followed of it. */
	if (!mtu && intent->self.ifindex && input->in_force) {
		intent->mtu = input->in_force->mtu;
		memcpy(intent->mtu_how, input->in_force->mtu_how, sizeof(intent->mtu_how));
	}
	if (mtu < MTU_LEAST + CV_IPIP_OVERHEAD)
		return;
	if (mtu > UINT16_MAX)
		mtu = UINT16_MAX;
	intent->mtu = mtu - CV_IPIP_OVERHEAD;
	snprintf(intent->mtu_how, sizeof(intent->mtu_how), "%s's %u less %d", name, mtu,
		 CV_IPIP_OVERHEAD);
}

/* ---- routes ------------------------------------------------------------------------ */

struct list {
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

/* A route to what a prefix has beside hosts: nearly always to all of it. */
static int add_beside_hosts(struct list *list, const struct cv_table_route *route)
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
	return CV_METRIC_NODE + (ntohl(peer->address) * 2654435761U >> (32 - SPREAD_BITS));
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
	}
	return add_beside_hosts(list, &route);
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

	return add_beside_hosts(list, &route);
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
	return add_beside_hosts(list, &route);
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
		else if (claim->node)
			rc = add_way(list, intent, &claim->prefix, decision->path,
				     cv_intent_peer(intent, claim->node->node.address));
	}
	return rc;
}

/* Peers' tunnel addresses are in their blocks, or get a route of their own. */
static int add_tunnel_addresses(struct list *list, const struct cv_intent *intent)
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
		if (pool)
			path = cv_decide_path(intent, pool, peer, &reason);
		rc = add_way(list, intent, &prefix, path, peer);
	}
	return rc;
}

static bool has_own_claim(const struct cv_intent *intent)
{
	for (size_t i = 0; i < intent->decision_count; i++) {
		if (intent->decisions[i].path == CV_PATH_LOCAL)
			return true;
	}
	return false;
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
	if (!intent->peer_count && !has_own_claim(intent))
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

		if ((tunnel->node && strcmp(tunnel->node, input->node_name)) || !interface ||
		    !(interface->flags & IFF_UP) ||
		    (input->has_tunnel && !input->has_tunnel(tunnels[i]->name, input->data)))
			continue;
		for (size_t j = 0; j < tunnel->route_count && !rc; j++) {
			const struct cv_table_route route = {
				.prefix = tunnel->routes[j],
				.type = RTN_UNICAST,
				.protocol = intent->protocol,
				.metric = CV_METRIC_NODE,
				.oif = interface->index,
			};

			rc = add_route(list, &route);
		}
	}
	return rc;
}

static int by_prefix_and_metric(const void *a, const void *b)
{
	const struct cv_table_route *x = a, *y = b;
	int order = cv_prefix_compare(&x->prefix, &y->prefix);

	if (order)
		return order;
	return x->metric < y->metric ? -1 : x->metric > y->metric;
}

/* Two claims of one node may be the same prefix (a block, and a Workload that is all of it). */
static void drop_doubles(struct list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (kept && !by_prefix_and_metric(&list->routes[kept - 1], &list->routes[i]))
			continue;
		list->routes[kept++] = list->routes[i];
	}
	list->count = kept;
}

static int make_routes(const struct cv_decide_input *input, struct cv_intent *intent)
{
	struct list list = {.count = 0};
	int rc = find_hosts(intent, &list.hosts);

	if (!rc)
		rc = add_claims(&list, input, intent);
	if (!rc)
		rc = add_tunnel_addresses(&list, intent);
	if (!rc)
		rc = add_guard(&list, intent);
	if (!rc)
		rc = add_tunnel_routes(&list, input, intent);
	cv_ranges_fini(&list.hosts);
	if (rc) {
		free(list.routes);
		return rc;
	}
	if (list.count)
		qsort(list.routes, list.count, sizeof(*list.routes), by_prefix_and_metric);
	drop_doubles(&list);
	intent->routes = list.routes;
	intent->route_count = list.count;
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
			peers[count++] = htonl(cv_prefix_first(prefix) + j);
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

/* ---- what people should know ------------------------------------------------------------- */

/* All that is somebody's: claims, holes and other nodes' tunnel addresses. The caller frees it. */
static struct cv_prefix *list_taken(const struct cv_intent *intent, size_t *ret_count)
{
	struct cv_prefix *taken =
		calloc(intent->decision_count + intent->overlay.hole_count + intent->peer_count + 1,
		       sizeof(*taken));
	size_t count = 0;

	if (!taken)
		return NULL;
	for (size_t i = 0; i < intent->decision_count; i++)
		taken[count++] = intent->decisions[i].claim.prefix;
	for (size_t i = 0; i < intent->overlay.hole_count; i++)
		taken[count++] = intent->overlay.holes[i].prefix;
	for (size_t i = 0; i < intent->peer_count; i++)
		taken[count++] = cv_prefix_of(intent->peers[i].node->node.tunnel_address, 32);
	*ret_count = count;
	return taken;
}

/* The first block of a pool that nobody has. */
static bool find_free_block(const struct cv_intent *intent, const struct cv_ip_pool *pool,
			    struct cv_prefix *ret_block)
{
	size_t count;
	struct cv_prefix *taken = list_taken(intent, &count);
	struct cv_ranges all = {.count = 0}, used = {.count = 0}, rest = {.count = 0};
	uint32_t size = (uint32_t)1 << (32 - pool->block_size);
	bool found = false;

	if (!taken)
		return false;
	if (!cv_ranges_from_prefixes(&pool->cidr, 1, &all) &&
	    !cv_ranges_from_prefixes(taken, count, &used) &&
	    !cv_ranges_subtract(&all, &used, &rest)) {
		for (size_t i = 0; i < rest.count && !found; i++) {
			uint64_t first =
				((uint64_t)rest.items[i].first + size - 1) & ~(uint64_t)(size - 1);

			found = first + size - 1 <= rest.items[i].last;
			if (found)
				*ret_block = cv_prefix_of(htonl((uint32_t)first), pool->block_size);
		}
	}
	cv_ranges_fini(&all);
	cv_ranges_fini(&used);
	cv_ranges_fini(&rest);
	free(taken);
	return found;
}

static const struct cv_resource *first_open_pool(const struct cv_snapshot *snapshot)
{
	size_t count;
	struct cv_resource *const *pools = cv_snapshot_kind(snapshot, CV_KIND_IP_POOL, &count);

	for (size_t i = 0; i < count; i++) {
		if (!pools[i]->pool.disabled && pools[i]->pool.allowed_uses & CV_USE_WORKLOAD)
			return pools[i];
	}
	return NULL;
}

/* Nothing is claimed for a node by itself: whoever has no block is told which line to add. */
static void warn_of_no_block(struct cv_intent *intent)
{
	const struct cv_resource *pool = first_open_pool(intent->snapshot);
	char cidr[CV_PREFIX_TEXT_MAX], name[CV_PREFIX_TEXT_MAX];
	struct cv_prefix block;

	if (!pool || has_own_claim(intent))
		return;
	if (!find_free_block(intent, &pool->pool, &block)) {
		cv_messages_add(&intent->warnings,
				"this node owns no block, and IPPool %s has none left; add a pool",
				pool->name);
		return;
	}
	cv_prefix_format(&block, cidr);
	memcpy(name, cidr, sizeof(name));
	for (char *p = name; *p; p++) {
		if (*p == '.' || *p == '/')
			*p = '-';
	}
	cv_messages_add(&intent->warnings,
			"this node owns no block; add to a manifest: {apiVersion: "
			"projectcalico.org/v3, kind: BlockAffinity, metadata: {name: %s-%s}, spec: "
			"{cidr: %s, node: %s, state: confirmed}}",
			intent->self.name, name, cidr, intent->self.name);
}

/* A pool's selector says which nodes may take blocks; one that has a block keeps it, as in Calico.
 */
static void warn_of_selectors(struct cv_intent *intent)
{
	const struct cv_resource *pool = NULL, *node = intent->self.node;
	struct cv_selector *selector = NULL;

	for (size_t i = 0; i < intent->decision_count; i++) {
		const struct cv_claim *claim = &intent->decisions[i].claim;

		if (intent->decisions[i].path != CV_PATH_LOCAL || !claim->pool || !node)
			continue;
		if (claim->pool != pool) {
			pool = claim->pool;
			cv_selector_destroy(selector);
			selector = NULL;
			if (cv_selector_create(pool->pool.node_selector, &selector, NULL))
				selector = NULL;
		}
		if (selector && !cv_selector_matches(selector, node))
			cv_messages_add(&intent->warnings,
					"this node has %s %s of IPPool %s, whose nodeSelector does "
					"not match it; it is kept",
					cv_kind_name(claim->resource->kind), claim->resource->name,
					pool->name);
	}
	cv_selector_destroy(selector);
}

/* Whoever is in a pool and is no node can be reached by nobody, unless it is said that it is there.
 */
static void warn_of_underlay(struct cv_intent *intent)
{
	for (size_t i = 0; i < intent->overlay.hole_count; i++) {
		const struct cv_hole *hole = &intent->overlay.holes[i];
		const struct cv_resource *pool =
			cv_snapshot_pool_of_prefix(intent->snapshot, &hole->prefix);

		if (!pool || pool->pool.ipip_mode == CV_IPIP_NEVER || hole->reason != CV_HOLE_NODE)
			continue;
		cv_messages_add(
			&intent->warnings,
			"IPPool %s contains the underlay's addresses, Node %s's for one: other "
			"hosts in it are unreachable unless a node's prefix or an IPReservation "
			"has them",
			pool->name, hole->resource ? hole->resource->name : "this one");
		return;
	}
}

static bool is_encapsulating(const struct cv_intent *intent)
{
	return intent->overlay.encapsulated.count != 0;
}

/* Whether somebody has said, or it is plain, that a network of this host is not the overlay's. */
static bool is_underlay(const struct cv_facts *facts, const struct cv_intent *intent,
			const struct cv_prefix *network)
{
	for (size_t i = 0; i < facts->gateway_count; i++) {
		if (cv_prefix_has(network, facts->gateways[i]))
			return true;
	}
	for (size_t i = 0; i < intent->overlay.hole_count; i++) {
		const struct cv_hole *hole = &intent->overlay.holes[i];

		/* A node's address in it, or a wider hole of another kind. */
		if (hole->reason == CV_HOLE_NODE || hole->reason == CV_HOLE_EXTERNAL
			    ? cv_prefix_has(network, hole->prefix.address)
			    : hole->reason != CV_HOLE_CONNECTED &&
				      cv_prefix_contains(&hole->prefix, network))
			return true;
	}
	return false;
}

static bool is_hole(const struct cv_intent *intent, const struct cv_prefix *network)
{
	for (size_t i = 0; i < intent->overlay.hole_count; i++) {
		const struct cv_hole *hole = &intent->overlay.holes[i];

		if (hole->reason == CV_HOLE_CONNECTED && !cv_prefix_compare(&hole->prefix, network))
			return true;
	}
	return false;
}

/* A pods' bridge that nobody has declared is a hole, and nobody but its own host reaches it. */
static void warn_of_undeclared(const struct cv_facts *facts, struct cv_intent *intent)
{
	size_t told = 0;

	for (size_t i = 0; i < facts->address_count && told < UNDECLARED_MAX; i++) {
		const struct cv_fact_address *address = &facts->addresses[i];
		const struct cv_prefix network =
			cv_prefix_of(address->address.address, address->address.length);
		const struct cv_resource *pool =
			cv_snapshot_pool_of_prefix(intent->snapshot, &network);
		char text[CV_PREFIX_TEXT_MAX];

		if (!pool || network.length == 32 || !address->interface ||
		    address->interface->is_ours || !is_hole(intent, &network) ||
		    is_underlay(facts, intent, &network))
			continue;
		told++;
		cv_messages_add(&intent->warnings,
				"%s of %s is inside IPPool %s, but no BlockAffinity or Workload "
				"declares it: it is taken for the underlay's, and other nodes do "
				"not reach it; if pods or machines are there, add one on all "
				"hosts, if not, an IPReservation",
				cv_prefix_format(&network, text), address->interface->name,
				pool->name);
	}
}

static void warn(const struct cv_facts *facts, struct cv_intent *intent)
{
	if (intent->self.problem[0])
		cv_messages_add(&intent->warnings, "%s", intent->self.problem);
	if (cv_decide_is_ipip_off(&intent->felix) && is_encapsulating(intent))
		cv_messages_add(&intent->warnings, "%s", cv_intent_ipip_off_text);
	warn_of_no_block(intent);
	warn_of_selectors(intent);
	warn_of_underlay(intent);
	warn_of_undeclared(facts, intent);
	if (intent->has_device && !intent->tunnel_address)
		cv_messages_add(&intent->warnings,
				"the pool device has no address, as Node %s has no "
				"ipv4IPIPTunnelAddr and no block; packets from this host itself "
				"have its outer address",
				intent->self.name);
	for (size_t i = 0; i < intent->felix.external_count; i++) {
		char text[CV_PREFIX_TEXT_MAX];

		if (intent->felix.external_nodes[i].length < 24)
			cv_messages_add(
				&intent->warnings,
				"externalNodesList %s: only its routes' next hops may send, "
				"as it is larger than %d addresses",
				cv_prefix_format(&intent->felix.external_nodes[i], text),
				EXTERNAL_HOSTS_MAX);
	}
}

int cv_wanted(const struct cv_decide_input *input, struct cv_intent *intent)
{
	int rc = make_routes(input, intent);

	if (!rc)
		rc = make_owners(input->formers, intent);
	if (!rc)
		rc = make_nat(input, intent);
	if (!rc)
		warn(input->facts, intent);
	return rc;
}
