/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of the addresses, from resources and facts; and the pool device's own address, assigned
 * before any pod's: its job is in the queue before the socket listens, and behind each new world
 * before the next request is read.
 *
 * Without etcd the device's address is chosen as ever (the first of the first block), at once, and
 * then taken by name; only where a pod has it already, another one is. With etcd it is whatever is
 * assigned, as blocks are claimed for it.
 */
#include "agent/node_ipam.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "agent/pod_handle.h"
#include "model/selector.h"
#include "routing/decide.h"

struct cv_node_ipam {
	struct cv_addresses *addresses;
	const struct cv_pods *pods;
	bool is_etcd;
	void (*changed)(void *data);
	void *data;
	/* Of the world that was told last. */
	struct cv_snapshot *snapshot;
	struct cv_prefix *holes;
	size_t hole_count;
	struct cv_node_ipam_room room;
	/* Of the pool device. */
	char handle[CV_IPAM_HANDLE_MAX];
	char node[64];
	__be32 wanted;	/* asked for last; 0: any */
	__be32 had;	/* that the handle has, as far as is known */
	__be32 instead; /* of what is chosen, or where nothing is */
	bool is_asked;	/* wanted was, … */
	bool is_asking; /* … and the answer is still to come */
};

/* ---- the world ------------------------------------------------------------------------------- */

static int append_hole(struct cv_vector *holes, const struct cv_prefix *prefix)
{
	return cv_vector_append(holes, prefix);
}

/* Every Workload has its addresses by declaration: nobody else may get them. */
static int add_declared(const struct cv_intent *intent, struct cv_vector *holes)
{
	size_t count;
	struct cv_resource *const *workloads =
		cv_snapshot_kind(intent->snapshot, CV_KIND_WORKLOAD, &count);
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		for (size_t k = 0; k < workloads[i]->workload.count && !rc; k++)
			rc = append_hole(holes, &workloads[i]->workload.addresses[k]);
	}
	return rc;
}

static int add_tunnel_addresses(const struct cv_intent *intent, struct cv_vector *holes)
{
	size_t count;
	struct cv_resource *const *nodes = cv_snapshot_kind(intent->snapshot, CV_KIND_NODE, &count);
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		const struct cv_prefix prefix = cv_prefix_of(nodes[i]->node.tunnel_address, 32);

		if (prefix.address && nodes[i] != intent->self.node)
			rc = append_hole(holes, &prefix);
	}
	return rc;
}

static bool is_bridges(const struct cv_prefix *addresses, size_t count, __be32 address)
{
	for (size_t i = 0; i < count; i++) {
		if (addresses[i].address == address)
			return true;
	}
	return false;
}

/* What this host has itself, or sends to, is no pod's, whatever a claim says. */
static int add_own(const struct cv_node_ipam *ipam, const struct cv_facts *facts,
		   struct cv_vector *holes)
{
	struct cv_prefix *bridges = NULL;
	size_t bridge_count = 0;
	int rc = ipam->pods ? cv_pods_bridge_addresses(ipam->pods, &bridges, &bridge_count) : 0;

	for (size_t i = 0; i < facts->address_count && !rc; i++) {
		const struct cv_fact_address *have = &facts->addresses[i];
		const struct cv_prefix prefix = cv_prefix_of(have->address.address, 32);

		if ((have->interface && have->interface->is_ours) ||
		    is_bridges(bridges, bridge_count, prefix.address))
			continue;
		rc = append_hole(holes, &prefix);
	}
	for (size_t i = 0; i < facts->gateway_count && !rc; i++) {
		const struct cv_prefix prefix = cv_prefix_of(facts->gateways[i], 32);

		rc = append_hole(holes, &prefix);
	}
	free(bridges);
	return rc;
}

static int by_prefix(const void *a, const void *b)
{
	return cv_prefix_compare(a, b);
}

/* Those in pools alone; sorted, each once, so that two lists can be compared. */
static void tidy(const struct cv_snapshot *snapshot, struct cv_vector *holes)
{
	struct cv_prefix *items = holes->items;
	size_t count = 0;

	if (holes->count)
		qsort(items, holes->count, sizeof(*items), by_prefix);
	for (size_t i = 0; i < holes->count; i++) {
		if ((!count || cv_prefix_compare(&items[count - 1], &items[i])) &&
		    cv_snapshot_pool_of(snapshot, items[i].address))
			items[count++] = items[i];
	}
	holes->count = count;
}

static int find_holes(const struct cv_node_ipam *ipam, const struct cv_intent *intent,
		      const struct cv_facts *facts, struct cv_vector *holes)
{
	int rc = 0;

	for (size_t i = 0; i < intent->overlay.hole_count && !rc; i++)
		rc = append_hole(holes, &intent->overlay.holes[i].prefix);
	if (!rc)
		rc = add_declared(intent, holes);
	if (!rc)
		rc = add_tunnel_addresses(intent, holes);
	if (!rc)
		rc = add_own(ipam, facts, holes);
	if (!rc)
		tidy(intent->snapshot, holes);
	return rc;
}

static bool selects(const struct cv_ip_pool *pool, const struct cv_resource *node)
{
	struct cv_selector *selector;
	bool matches;

	if (pool->disabled)
		return false;
	if (!node)
		return !strcmp(pool->node_selector, "all()");
	/* It was parsed with its resource. */
	if (cv_selector_create(pool->node_selector, &selector, NULL))
		return false;
	matches = cv_selector_matches(selector, node);
	cv_selector_destroy(selector);
	return matches;
}

static int add_pools(const struct cv_intent *intent, struct cv_ipam_world *world)
{
	size_t count;
	struct cv_resource *const *pools =
		cv_snapshot_kind(intent->snapshot, CV_KIND_IP_POOL, &count);

	world->pools = calloc(count + 1, sizeof(*world->pools));
	if (!world->pools)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct cv_ip_pool *pool = &pools[i]->pool;
		struct cv_ipam_pool *to = &world->pools[world->pool_count++];

		snprintf(to->name, sizeof(to->name), "%s", pools[i]->name);
		to->cidr = pool->cidr;
		to->block_size = pool->block_size;
		to->selects_us = selects(pool, intent->self.node);
		to->is_manual = pool->manual;
		to->for_workload = pool->allowed_uses & CV_USE_WORKLOAD;
		to->for_tunnel = pool->allowed_uses & CV_USE_TUNNEL;
	}
	return 0;
}

static int add_blocks(const struct cv_intent *intent, struct cv_ipam_world *world)
{
	world->declared = calloc(intent->decision_count + 1, sizeof(*world->declared));
	if (!world->declared)
		return -ENOMEM;
	for (size_t i = 0; i < intent->decision_count; i++) {
		const struct cv_decision *decision = &intent->decisions[i];

		if (decision->path == CV_PATH_LOCAL && decision->claim.resource &&
		    decision->claim.pool &&
		    decision->claim.resource->kind == CV_KIND_BLOCK_AFFINITY)
			world->declared[world->declared_count++] = decision->claim.prefix;
	}
	return 0;
}

static int add_nodes(const struct cv_intent *intent, struct cv_ipam_world *world)
{
	size_t count;
	struct cv_resource *const *nodes = cv_snapshot_kind(intent->snapshot, CV_KIND_NODE, &count);

	world->nodes = calloc(count + 1, sizeof(*world->nodes));
	if (!world->nodes)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		snprintf(world->nodes[world->node_count++], sizeof(*world->nodes), "%s",
			 nodes[i]->name);
	return 0;
}

static void note_room(struct cv_node_ipam *ipam, const struct cv_ipam_world *world)
{
	ipam->room = (struct cv_node_ipam_room){.blocks = world->declared_count};
	for (size_t i = 0; i < world->pool_count; i++)
		ipam->room.pools += world->pools[i].selects_us && !world->pools[i].is_manual &&
				    world->pools[i].for_workload;
}

/* Takes holes over. */
static int tell_world(struct cv_node_ipam *ipam, const struct cv_intent *intent,
		      struct cv_vector *holes)
{
	struct cv_ipam_world world = {.claims = false};
	struct cv_ipam_configuration configuration;
	struct cv_prefix *copy = calloc(holes->count + 1, sizeof(*copy));
	int rc = copy ? 0 : -ENOMEM;

	cv_snapshot_ipam(intent->snapshot, &configuration);
	world.claims = ipam->is_etcd;
	world.no_new_blocks = !configuration.auto_allocate_blocks;
	world.strict_affinity = configuration.strict_affinity;
	world.max_blocks = configuration.max_blocks;
	snprintf(world.node, sizeof(world.node), "%s", intent->self.name);
	if (!rc)
		rc = add_pools(intent, &world);
	if (!rc)
		rc = add_blocks(intent, &world);
	if (!rc)
		rc = add_nodes(intent, &world);
	if (rc) {
		free(copy);
		cv_ipam_world_fini(&world);
		return rc;
	}
	if (holes->count)
		memcpy(copy, holes->items, holes->count * sizeof(*copy));
	world.holes = copy;
	world.hole_count = holes->count;
	note_room(ipam, &world);
	cv_addresses_configure(ipam->addresses, &world);
	free(ipam->holes);
	ipam->holes = holes->items;
	ipam->hole_count = holes->count;
	holes->items = NULL;
	cv_snapshot_put(ipam->snapshot);
	ipam->snapshot = cv_snapshot_get(intent->snapshot);
	return 0;
}

static bool is_told(const struct cv_node_ipam *ipam, const struct cv_intent *intent,
		    const struct cv_vector *holes)
{
	return ipam->snapshot == intent->snapshot && ipam->hole_count == holes->count &&
	       (!holes->count ||
		!memcmp(ipam->holes, holes->items, holes->count * sizeof(*ipam->holes)));
}

/* True if there is something new. */
static bool update_world(struct cv_node_ipam *ipam, const struct cv_intent *intent,
			 const struct cv_facts *facts)
{
	struct cv_vector holes;
	bool is_new = false;
	int rc;

	cv_vector_init(&holes, sizeof(struct cv_prefix));
	rc = find_holes(ipam, intent, facts, &holes);
	if (!rc && !is_told(ipam, intent, &holes)) {
		rc = tell_world(ipam, intent, &holes);
		is_new = !rc;
	}
	if (rc)
		cv_log(LOG_ERR, "cannot tell of pools and blocks: %s", strerror(-rc));
	cv_vector_fini(&holes);
	return is_new;
}

/* ---- the pool device's address ----------------------------------------------------------- */

static void ask(struct cv_node_ipam *ipam, __be32 address);

/* By another address than is had: decide again, once the loop is free. */
static void take_instead(struct cv_node_ipam *ipam, __be32 address)
{
	char text[CV_ADDRESS_TEXT_MAX];

	if (ipam->instead == address)
		return;
	ipam->instead = address;
	cv_log(LOG_INFO, "addresses: the pool device has %s", cv_address_format(address, text));
	ipam->changed(ipam->data);
}

/* It goes once there is another: nobody gets it as long as packets may still come from it. */
static void release_former(struct cv_node_ipam *ipam, __be32 address)
{
	if (ipam->had && ipam->had != address)
		cv_addresses_release_address(ipam->addresses, ipam->had, ipam->handle, NULL, NULL);
	ipam->had = address;
}

static void on_assigned(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct cv_node_ipam *ipam = context;
	const struct cv_ipam_result *assigned = result;
	char text[CV_ADDRESS_TEXT_MAX];

	ipam->is_asking = false;
	if (rc == -ECANCELED)
		return;
	if (!rc) {
		release_former(ipam, assigned->address);
		if (!ipam->wanted)
			take_instead(ipam, assigned->address);
	} else if (rc == -EADDRINUSE) {
		cv_log(LOG_WARNING, "addresses: %s cannot be the pool device's: %s",
		       cv_address_format(ipam->wanted, text), error->text);
		ask(ipam, 0);
	} else if (rc && rc != -EADDRNOTAVAIL) {
		/* In no pool of ours, or a hole: nobody will get it. Anything else: try again. */
		ipam->is_asked = false;
	}
}

static void ask(struct cv_node_ipam *ipam, __be32 address)
{
	const struct cv_ipam_request request = {
		.handle = ipam->handle,
		.attributes = {{"node", ipam->node}, {"type", "ipipTunnelAddress"}},
		.attribute_count = 2,
		.address = address,
		.for_tunnel = true,
		.is_repeated = true,
	};

	ipam->wanted = address;
	ipam->is_asked = ipam->is_asking = true;
	cv_addresses_assign(ipam->addresses, &request, on_assigned, ipam);
}

/* What was taken in place of a pod's holds as long as it is in a block of ours. */
static void judge_instead(struct cv_node_ipam *ipam, const struct cv_intent *intent)
{
	const struct cv_decision *decision;

	if (!ipam->instead || ipam->is_etcd)
		return;
	decision = cv_intent_decision(intent, ipam->instead);
	if (decision && decision->path == CV_PATH_LOCAL)
		return;
	ipam->instead = 0;
	ipam->is_asked = false;
	ipam->changed(ipam->data);
}

static void update_tunnel_address(struct cv_node_ipam *ipam, const struct cv_intent *intent,
				  bool is_new)
{
	bool is_chosen = intent->tunnel_address_chosen || !intent->tunnel_address;
	__be32 wanted = intent->tunnel_address;

	snprintf(ipam->node, sizeof(ipam->node), "%s", intent->self.name);
	snprintf(ipam->handle, sizeof(ipam->handle), "%s%s", CV_HANDLE_TUNNEL, ipam->node);
	judge_instead(ipam, intent);
	if (!intent->has_device || ipam->is_asking)
		return;
	if (is_chosen && (ipam->is_etcd || ipam->instead))
		wanted = 0;
	else if (!wanted)
		return;
	/* Another world may have it, or not have it any more. */
	if (ipam->is_asked && ipam->wanted == wanted &&
	    !(is_new && ipam->is_etcd && !ipam->instead))
		return;
	ask(ipam, wanted);
}

void cv_node_ipam_update(struct cv_node_ipam *ipam, const struct cv_intent *intent,
			 const struct cv_facts *facts)
{
	bool is_new = update_world(ipam, intent, facts);

	update_tunnel_address(ipam, intent, is_new);
}

/* ---- all --------------------------------------------------------------------------------- */

__be32 cv_node_ipam_tunnel_address(const struct cv_node_ipam *ipam)
{
	return ipam->instead;
}

bool cv_node_ipam_is_etcd(const struct cv_node_ipam *ipam)
{
	return ipam->is_etcd;
}

void cv_node_ipam_room(const struct cv_node_ipam *ipam, struct cv_node_ipam_room *ret_room)
{
	*ret_room = ipam->room;
}

struct cv_node_ipam *cv_node_ipam_create(const struct cv_node_ipam_options *options)
{
	struct cv_node_ipam *ipam = calloc(1, sizeof(*ipam));

	if (!ipam)
		return NULL;
	ipam->addresses = options->addresses;
	ipam->pods = options->pods;
	ipam->is_etcd = options->is_etcd;
	ipam->had = options->former;
	ipam->changed = options->changed;
	ipam->data = options->data;
	return ipam;
}

void cv_node_ipam_destroy(struct cv_node_ipam *ipam)
{
	if (!ipam)
		return;
	cv_snapshot_put(ipam->snapshot);
	free(ipam->holes);
	free(ipam);
}
