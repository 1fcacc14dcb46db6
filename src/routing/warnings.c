/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people should know of the decisions: things that work, but not as somebody may have meant
 * them. Each line says what to do; what the snapshot and the overlay space have to say of
 * themselves is in the list already.
 */
#include "routing/warnings.h"

#include <stdlib.h>
#include <string.h>

#include "model/selector.h"
#include "routing/wanted.h"
#include "wire/types.h"

enum {
	UNDECLARED_MAX = 8, /* networks that nobody has declared, told one by one */
};

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
				*ret_block =
					cv_prefix_of(cv_htonl((uint32_t)first), pool->block_size);
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

	if (!pool || cv_intent_has_path(intent, CV_PATH_LOCAL))
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
			"this node owns no block; add to the manifest of all hosts one that no "
			"other has, like: {apiVersion: "
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

void cv_warnings_add(const struct cv_facts *facts, bool claims_blocks, struct cv_intent *intent)
{
	size_t before;

	if (intent->self.problem[0])
		cv_messages_add(&intent->warnings, "%s", intent->self.problem);
	if (cv_decide_is_ipip_off(&intent->felix) && is_encapsulating(intent))
		cv_messages_add(&intent->warnings, "%s", cv_intent_ipip_off_text);
	before = intent->warnings.count;
	if (!claims_blocks)
		warn_of_no_block(intent);
	if (intent->warnings.count > before)
		intent->no_block = intent->warnings.texts[before];
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
				CV_WANTED_EXTERNAL_HOSTS_MAX);
	}
}
