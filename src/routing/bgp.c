/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BIRD is to do on this node, decided anew at every change like everything else. Sessions are
 * bgp_sessions.c's.
 *
 * Invariants: all arrays are sorted, and no look-up compares each with each: there may be 5,000
 * nodes and 20,000 blocks. Claims are the snapshot's, not the decisions': what was learned moves
 * the latter, and must not change who may announce what.
 */
#include "routing/bgp.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/vector.h"
#include "routing/bgp_sessions.h"
#include "routing/decide.h"
#include "wire/ipv4.h"

const char *cv_programs_name(enum cv_programs programs)
{
	return programs == CV_PROGRAMS_BIRD ? "BIRD" : "agent";
}

enum cv_programs cv_bgp_programs(const struct cv_snapshot *snapshot, const char *node_name)
{
	struct cv_bgp_configuration bgp;

	if (!cv_snapshot_bgp(snapshot, node_name, &bgp) || !bgp.program_cluster_routes)
		return CV_PROGRAMS_AGENT;
	return CV_PROGRAMS_BIRD;
}

/* ---- sorting ------------------------------------------------------------------------ */

/* By number. */
static int compare_addresses(const void *a, const void *b)
{
	uint32_t x = cv_ntohl(*(const __be32 *)a), y = cv_ntohl(*(const __be32 *)b);

	return x < y ? -1 : x > y;
}

/* For all structs that begin with their prefix. */
static int compare_prefixes(const void *a, const void *b)
{
	return cv_prefix_compare(a, b);
}

/* Take the items of a vector over, sorted; those that compare as equal once, if unique. */
static void *take_sorted(struct cv_vector *vector, int (*compare)(const void *, const void *),
			 bool unique, size_t *ret_count)
{
	char *items = vector->items;
	size_t size = vector->item_size, count = 0;

	if (vector->count)
		qsort(items, vector->count, size, compare);
	for (size_t i = 0; i < vector->count; i++) {
		if (unique && count && !compare(items + (count - 1) * size, items + i * size))
			continue;
		if (count != i)
			memcpy(items + count * size, items + i * size, size);
		count++;
	}
	vector->items = NULL;
	*ret_count = count;
	return items;
}

/* ---- pools and nodes ---------------------------------------------------------------- */

_Static_assert(offsetof(struct cv_bgp_export, prefix) == 0, "compare_prefixes");
_Static_assert(offsetof(struct cv_bgp_block, prefix) == 0, "compare_prefixes");
_Static_assert(offsetof(struct cv_claim, prefix) == 0, "compare_prefixes");
_Static_assert(offsetof(struct cv_bgp_link, prefix) == 0, "compare_prefixes");

static int make_pools(struct cv_bgp_intent *bgp)
{
	struct cv_resource *const *pools = bgp->snapshot->pools_by_cidr;
	size_t count;

	cv_snapshot_kind(bgp->snapshot, CV_KIND_IP_POOL, &count);
	bgp->pools = calloc(count + 1, sizeof(*bgp->pools));
	if (!bgp->pools)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		bgp->pools[i] = (struct cv_bgp_pool){
			.pool = pools[i],
			.cidr = pools[i]->pool.cidr,
			.block_size = pools[i]->pool.block_size,
			.mode = pools[i]->pool.ipip_mode,
		};
	bgp->pool_count = count;
	return 0;
}

static bool is_on_links(const struct cv_bgp_intent *bgp, __be32 address)
{
	for (size_t i = 0; i < bgp->link_count; i++) {
		if (cv_prefix_has(&bgp->links[i].prefix, address))
			return true;
	}
	return false;
}

static int make_nodes(const struct cv_bgp_input *input, struct cv_bgp_intent *bgp)
{
	const struct cv_intent *intent = input->intent;

	bgp->nodes = calloc(intent->peer_count + 1, sizeof(*bgp->nodes));
	if (!bgp->nodes)
		return -ENOMEM;
	for (size_t i = 0; i < intent->peer_count; i++) {
		const struct cv_peer_intent *peer = &intent->peers[i];

		bgp->nodes[bgp->node_count++] = (struct cv_bgp_node){
			.node = peer->node,
			.address = peer->address,
			.cross_subnet = peer->cross_subnet,
			.on_link = peer->cross_subnet_reason != CV_REASON_NOT_ON_LINK &&
				   is_on_links(bgp, peer->address),
			.mtu = cv_decide_route_mtu(input->facts, intent, peer->address),
		};
	}
	return 0;
}

static int compare_nodes(const void *a, const void *b)
{
	return compare_addresses(&((const struct cv_bgp_node *)a)->address,
				 &((const struct cv_bgp_node *)b)->address);
}

const struct cv_bgp_node *cv_bgp_node_at(const struct cv_bgp_intent *bgp, __be32 address)
{
	const struct cv_bgp_node key = {.address = address};

	if (!bgp->node_count)
		return NULL;
	return bsearch(&key, bgp->nodes, bgp->node_count, sizeof(key), compare_nodes);
}

/* ---- what is declared, and what of it is announced ---------------------------------------- */

static const char *owner_of(const struct cv_claim *claim)
{
	return claim->resource->kind == CV_KIND_WORKLOAD ? claim->resource->workload.node
							 : claim->resource->affinity.node;
}

struct claims {
	const struct cv_bgp_input *input;
	struct cv_claim *items; /* sorted by prefix */
	size_t count;
	struct cv_vector blocks, exports;
};

static bool is_ours(const struct claims *claims, const struct cv_claim *claim)
{
	return !strcmp(owner_of(claim), claims->input->intent->self.name);
}

/*
 * The claimed block of ours that a prefix is in, its own among them. Of nested claims all are one
 * node's, or the inner one is a borrowed address: the smallest block tells.
 */
static bool is_in_block_of_ours(const struct claims *claims, const struct cv_prefix *prefix)
{
	const struct cv_claim *block =
		cv_snapshot_block_of(claims->input->intent->snapshot, prefix);

	return block && is_ours(claims, block);
}

static int add_export(struct claims *claims, struct cv_prefix prefix,
		      const struct cv_resource *pool, const struct cv_resource *resource)
{
	const struct cv_bgp_export export = {prefix, resource};

	if (!pool || pool->pool.disable_bgp_export)
		return 0;
	return cv_vector_append(&claims->exports, &export);
}

static int add_claim(struct claims *claims, const struct cv_claim *claim)
{
	bool ours = is_ours(claims, claim), is_block = claim->resource->kind != CV_KIND_WORKLOAD;
	const struct cv_bgp_block block = {
		.prefix = claim->prefix,
		.node = claim->node,
		.is_ours = ours,
		.is_workload = !is_block,
	};
	int rc = 0;

	if (claim->pool && (ours || is_block))
		rc = cv_vector_append(&claims->blocks, &block);
	if (!rc && ours && (is_block || !is_in_block_of_ours(claims, &claim->prefix)))
		rc = add_export(claims, claim->prefix, claim->pool, claim->resource);
	return rc;
}

/* A tunnel address of ours that is in none of our blocks is reached by nobody else's words. */
static int add_tunnel_address(struct claims *claims)
{
	const struct cv_intent *intent = claims->input->intent;
	const struct cv_prefix prefix = cv_prefix_of(intent->tunnel_address, 32);

	if (!intent->tunnel_address || is_in_block_of_ours(claims, &prefix))
		return 0;
	return add_export(claims, prefix,
			  cv_snapshot_pool_of(intent->snapshot, intent->tunnel_address),
			  intent->self.node);
}

/* Whether a prefix itself is claimed. */
static bool is_claimed(const struct claims *claims, const struct cv_prefix *prefix)
{
	const struct cv_claim key = {.prefix = *prefix};

	return claims->count &&
	       bsearch(&key, claims->items, claims->count, sizeof(key), compare_prefixes);
}

/*
 * Nobody borrows a tunnel address: what its node sends as a host is answered to it. It says nothing
 * of what is around it, whose block may not be declared here.
 */
static int protect_tunnel_address(struct claims *claims, __be32 address,
				  const struct cv_resource *node, bool ours)
{
	const struct cv_bgp_block block = {
		.prefix = cv_prefix_of(address, 32),
		.node = node,
		.is_ours = ours,
		.is_workload = true,
	};

	if (!address || is_claimed(claims, &block.prefix) ||
	    !cv_snapshot_pool_of(claims->input->intent->snapshot, address))
		return 0;
	return cv_vector_append(&claims->blocks, &block);
}

static int protect_tunnel_addresses(struct claims *claims)
{
	const struct cv_intent *intent = claims->input->intent;
	int rc = protect_tunnel_address(claims, intent->tunnel_address, intent->self.node, true);

	for (size_t i = 0; i < intent->peer_count && !rc; i++) {
		const struct cv_resource *node = intent->peers[i].node;

		if (node->node.tunnel_address != intent->tunnel_address)
			rc = protect_tunnel_address(claims, node->node.tunnel_address, node, false);
	}
	return rc;
}

static int make_claims(const struct cv_bgp_input *input, struct cv_bgp_intent *bgp)
{
	struct claims claims = {.input = input};
	int rc = cv_snapshot_claims(bgp->snapshot, &claims.items, &claims.count);

	if (rc)
		return rc;
	cv_vector_init(&claims.blocks, sizeof(struct cv_bgp_block));
	cv_vector_init(&claims.exports, sizeof(struct cv_bgp_export));
	for (size_t i = 0; i < claims.count && !rc; i++)
		rc = add_claim(&claims, &claims.items[i]);
	if (!rc)
		rc = add_tunnel_address(&claims);
	if (!rc)
		rc = protect_tunnel_addresses(&claims);
	if (!rc) {
		bgp->blocks =
			take_sorted(&claims.blocks, compare_prefixes, true, &bgp->block_count);
		bgp->exports =
			take_sorted(&claims.exports, compare_prefixes, true, &bgp->export_count);
	}
	cv_vector_fini(&claims.blocks);
	cv_vector_fini(&claims.exports);
	free(claims.items);
	return rc;
}

/* ---- what is never taken -------------------------------------------------------------- */

static bool is_ignored(const struct cv_bgp_intent *bgp, const char *device)
{
	for (size_t i = 0; i < bgp->ignored_interface_count; i++) {
		if (!fnmatch(bgp->ignored_interfaces[i], device, 0))
			return true;
	}
	return false;
}

/* A network of pods, on a bridge of theirs: what is claimed is nobody's way to other nodes. */
static bool is_pods(const struct cv_intent *intent, const struct cv_prefix *network)
{
	const struct cv_decision *decision = cv_intent_decision(intent, network->address);

	return decision && decision->claim.pool &&
	       cv_prefix_overlaps(&decision->claim.prefix, network) &&
	       cv_prefix_contains(&decision->claim.pool->pool.cidr, network);
}

static int make_links(const struct cv_bgp_input *input, struct cv_bgp_intent *bgp)
{
	struct cv_vector links;
	int rc = 0;

	cv_vector_init(&links, sizeof(struct cv_bgp_link));
	for (size_t i = 0; i < input->facts->address_count && !rc; i++) {
		const struct cv_fact_address *have = &input->facts->addresses[i];
		struct cv_bgp_link link = {
			.prefix = cv_prefix_of(have->address.address, have->address.length),
		};

		if (!have->interface || have->interface->is_ours || link.prefix.length == 32 ||
		    cv_ipv4_is_loopback(link.prefix.address) ||
		    is_ignored(bgp, have->interface->name) || is_pods(input->intent, &link.prefix))
			continue;
		snprintf(link.device, sizeof(link.device), "%s", have->interface->name);
		rc = cv_vector_append(&links, &link);
	}
	if (!rc)
		bgp->links = take_sorted(&links, compare_prefixes, true, &bgp->link_count);
	cv_vector_fini(&links);
	return rc;
}

static int add_external(struct cv_vector *addresses, struct cv_vector *networks,
			const struct cv_prefix *entry)
{
	const struct cv_prefix network = cv_prefix_of(entry->address, entry->length);

	if (entry->length == 32)
		return cv_vector_append(addresses, &entry->address);
	return cv_vector_append(networks, &network);
}

static int add_nodes(const struct cv_bgp_intent *bgp, struct cv_vector *addresses,
		     struct cv_vector *networks)
{
	size_t count;
	struct cv_resource *const *nodes = cv_snapshot_kind(bgp->snapshot, CV_KIND_NODE, &count);
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		const struct cv_node *node = &nodes[i]->node;
		const struct cv_prefix network = cv_prefix_of(node->address, node->prefix_length);

		if (!node->address)
			continue;
		rc = cv_vector_append(addresses, &node->address);
		if (!rc && node->has_prefix && network.length < 32)
			rc = cv_vector_append(networks, &network);
	}
	return rc;
}

static int add_externals(const struct cv_bgp_intent *bgp, struct cv_vector *addresses,
			 struct cv_vector *networks)
{
	size_t count;
	struct cv_resource *const *felix =
		cv_snapshot_kind(bgp->snapshot, CV_KIND_FELIX_CONFIGURATION, &count);
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < felix[i]->felix->external_count && !rc; j++)
			rc = add_external(addresses, networks, &felix[i]->felix->external_nodes[j]);
	}
	return rc;
}

static int add_host(const struct cv_bgp_input *input, struct cv_vector *addresses,
		    struct cv_vector *networks)
{
	const struct cv_facts *facts = input->facts;
	int rc = cv_vector_append(addresses, &input->intent->self.address);

	/* A gateway among the pods is a pod. */
	for (size_t i = 0; i < facts->gateway_count && !rc; i++) {
		if (!cv_intent_decision(input->intent, facts->gateways[i]))
			rc = cv_vector_append(addresses, &facts->gateways[i]);
	}
	for (size_t i = 0; i < facts->address_count && !rc; i++) {
		const struct cv_fact_address *have = &facts->addresses[i];
		const struct cv_prefix network =
			cv_prefix_of(have->address.address, have->address.length);

		/* 127.0.0.0/8 is refused as what it is. */
		if (!have->interface || have->interface->is_ours ||
		    cv_ipv4_is_loopback(network.address) ||
		    cv_snapshot_pool_of_prefix(input->intent->snapshot, &network))
			continue;
		rc = cv_vector_append(networks, &network);
	}
	return rc;
}

static int make_holes(const struct cv_overlay *overlay, struct cv_bgp_intent *bgp)
{
	bgp->holes = calloc(overlay->hole_count + 1, sizeof(*bgp->holes));
	if (!bgp->holes)
		return -ENOMEM;
	for (size_t i = 0; i < overlay->hole_count; i++) {
		const struct cv_hole *hole = &overlay->holes[i];

		/* Nobody has what is reserved, but BGP may say who does; the rest is in hosts. */
		if (hole->reason == CV_HOLE_RESERVATION || hole->reason == CV_HOLE_NODE ||
		    hole->reason == CV_HOLE_GATEWAY)
			continue;
		if (!bgp->hole_count ||
		    cv_prefix_compare(&bgp->holes[bgp->hole_count - 1], &hole->prefix))
			bgp->holes[bgp->hole_count++] = hole->prefix;
	}
	return 0;
}

static int make_never(const struct cv_bgp_input *input, struct cv_bgp_intent *bgp)
{
	struct cv_vector addresses, networks;
	int rc;

	cv_vector_init(&addresses, sizeof(__be32));
	cv_vector_init(&networks, sizeof(struct cv_prefix));
	rc = add_nodes(bgp, &addresses, &networks);
	if (!rc)
		rc = add_externals(bgp, &addresses, &networks);
	if (!rc)
		rc = add_host(input, &addresses, &networks);
	if (!rc) {
		bgp->hosts = take_sorted(&addresses, compare_addresses, true, &bgp->host_count);
		bgp->underlay =
			take_sorted(&networks, compare_prefixes, true, &bgp->underlay_count);
		rc = make_holes(&input->intent->overlay, bgp);
	}
	cv_vector_fini(&addresses);
	cv_vector_fini(&networks);
	return rc;
}

/* ---- all ------------------------------------------------------------------------------- */

static void take_configuration(const struct cv_bgp_input *input,
			       const struct cv_bgp_configuration *own, struct cv_bgp_intent *bgp)
{
	const struct cv_intent *intent = input->intent;

	snprintf(bgp->node_name, sizeof(bgp->node_name), "%s", intent->self.name);
	bgp->self = intent->self.node;
	bgp->router_id = bgp->local = intent->self.address;
	bgp->as_number =
		bgp->self && bgp->self->node.as_number ? bgp->self->node.as_number : own->as_number;
	bgp->cluster_id = bgp->self ? bgp->self->node.cluster_id : 0;
	bgp->listen_port = own->listen_port;
	bgp->listen_at_local = own->bind_mode == CV_BGP_BIND_NODE_IP;
	bgp->ignored_interfaces = own->ignored_interfaces;
	bgp->ignored_interface_count = own->ignored_interface_count;
	bgp->tunnel_forbidden = intent->felix.has_ipip_enabled && !intent->felix.ipip_enabled;
	if (intent->has_device)
		snprintf(bgp->pool_device, sizeof(bgp->pool_device), "%s", input->pool_device);
	bgp->programs = own->program_cluster_routes ? CV_PROGRAMS_BIRD : CV_PROGRAMS_AGENT;
}

static void warn_of_peers(struct cv_bgp_intent *bgp)
{
	size_t count;

	cv_snapshot_kind(bgp->snapshot, CV_KIND_BGP_PEER, &count);
	if (count)
		cv_messages_add(&bgp->warnings,
				"there are BGPPeers, and no BGPConfiguration \"default\": without "
				"it no BGP is spoken");
}

static int fill(const struct cv_bgp_input *input, const struct cv_bgp_configuration *own,
		struct cv_bgp_intent *bgp)
{
	int rc;

	take_configuration(input, own, bgp);
	rc = make_links(input, bgp);
	if (!rc)
		rc = make_pools(bgp);
	if (!rc)
		rc = make_nodes(input, bgp);
	if (!rc)
		rc = make_claims(input, bgp);
	if (!rc)
		rc = make_never(input, bgp);
	return rc ? rc : cv_bgp_sessions(input, own, bgp);
}

int cv_bgp_decide(const struct cv_bgp_input *input, struct cv_bgp_intent *ret_bgp)
{
	struct cv_bgp_intent bgp = {.snapshot = cv_snapshot_get(input->intent->snapshot)};
	struct cv_bgp_configuration own;
	int rc = 0;

	if (!cv_snapshot_bgp(bgp.snapshot, input->intent->self.name, &own)) {
		warn_of_peers(&bgp);
	} else if (!input->intent->self.address) {
		snprintf(bgp.problem, sizeof(bgp.problem), "this node has no address: %.400s",
			 *input->intent->self.problem ? input->intent->self.problem
						      : "none was found");
	} else {
		bgp.wanted = true;
		rc = fill(input, &own, &bgp);
	}
	if (rc) {
		cv_bgp_intent_fini(&bgp);
		return rc;
	}
	*ret_bgp = bgp;
	return 0;
}

void cv_bgp_intent_fini(struct cv_bgp_intent *bgp)
{
	for (size_t i = 0; i < bgp->session_count; i++) {
		free(bgp->sessions[i].password);
		free(bgp->sessions[i].filters);
	}
	free(bgp->sessions);
	free(bgp->exports);
	free(bgp->pools);
	free(bgp->nodes);
	free(bgp->blocks);
	free(bgp->hosts);
	free(bgp->holes);
	free(bgp->underlay);
	free(bgp->links);
	cv_messages_fini(&bgp->warnings);
	cv_snapshot_put(bgp->snapshot);
	*bgp = (struct cv_bgp_intent){.wanted = false};
}
