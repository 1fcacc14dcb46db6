/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules between the resources of a snapshot, each by one pass over what is sorted. Names are
 * compared side by side, pools side by side, addresses of nodes after a sort. Claims and addresses
 * are swept together from the first address to the last, with the claims that are open on a stack:
 * what encloses a claim or an address is on its top.
 *
 * Invariant of the stack: each claim on it is a part of the one below. The same prefix may be there
 * several times, so its depth is not bounded by 33; it has room for all claims.
 *
 * Errors name the place that comes later in the files first: there it is probably to be mended.
 */
#include "model/snapshot_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/place.h"
#include "wire/types.h"

enum {
	WARNINGS_MAX = 10 /* of a kind; the rest is counted */
};

/* What can be worth a warning, counted, so that thousands of the same stay readable. */
enum warning {
	WARN_NO_POOL,
	WARN_NO_NODE,
	WARN_TUNNEL_ADDRESS_BORROWED,
	WARN_TUNNEL_ADDRESS_NO_POOL,
	WARN_NODE_IN_BLOCK,
	WARN_NO_PREFIX,
	WARN_BLOCK_TWICE,
	WARN_MAX
};

struct check {
	const struct cv_snapshot *snapshot;
	struct cv_messages *warnings;
	struct cv_error *error;
	size_t seen[WARN_MAX];
};

/* ---- words ----------------------------------------------------------------------- */

static void order_by_place(const struct cv_resource **a, const struct cv_resource **b)
{
	if (cv_place_is_later(*b, *a)) {
		const struct cv_resource *swap = *a;

		*a = *b;
		*b = swap;
	}
}

static bool is_worth(struct check *check, enum warning warning)
{
	return ++check->seen[warning] <= WARNINGS_MAX;
}

static void count_the_rest(struct check *check)
{
	static const char *const what[WARN_MAX] = {
		[WARN_NO_POOL] = "prefixes are in no pool",
		[WARN_NO_NODE] = "resources are of nodes that there are not",
		[WARN_TUNNEL_ADDRESS_BORROWED] = "tunnel addresses are borrowed",
		[WARN_TUNNEL_ADDRESS_NO_POOL] = "tunnel addresses are in no pool",
		[WARN_NODE_IN_BLOCK] = "nodes have an address within a block",
		[WARN_NO_PREFIX] = "nodes have an address without a prefix",
		[WARN_BLOCK_TWICE] = "prefixes are in two BlockAffinities of their node",
	};

	for (int i = 0; i < WARN_MAX; i++) {
		if (check->seen[i] > WARNINGS_MAX)
			cv_messages_add(check->warnings, "%zu more %s",
					check->seen[i] - WARNINGS_MAX, what[i]);
	}
}

/* ---- names and pools ------------------------------------------------------------- */

static int check_names(struct check *check)
{
	const struct cv_snapshot *snapshot = check->snapshot;
	char text[CV_PLACE_NAME_MAX], at[CV_PLACE_MAX];

	for (size_t i = 1; i < snapshot->count; i++) {
		const struct cv_resource *a = snapshot->resources[i - 1];
		const struct cv_resource *b = snapshot->resources[i];

		if (cv_resource_compare(a, b))
			continue;
		order_by_place(&b, &a);
		return cv_error_set(check->error, -EEXIST,
				    "%s is at %s, too; remove one of them, or rename it",
				    cv_place_here(b, text), cv_place_text(a, at));
	}
	return 0;
}

static int check_pools(struct check *check)
{
	struct cv_resource *const *pools = check->snapshot->pools_by_cidr;
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], cidr[CV_PREFIX_TEXT_MAX],
		other_cidr[CV_PREFIX_TEXT_MAX];
	size_t count;

	cv_snapshot_kind(check->snapshot, CV_KIND_IP_POOL, &count);
	/* Sorted: if any two overlap, then two neighbours do. */
	for (size_t i = 1; i < count; i++) {
		const struct cv_resource *a = pools[i - 1], *b = pools[i];

		if (!cv_prefix_overlaps(&a->pool.cidr, &b->pool.cidr))
			continue;
		order_by_place(&b, &a);
		return cv_error_set(check->error, -EINVAL,
				    "%s: its cidr %s overlaps %s of %s; pools must not share "
				    "addresses",
				    cv_place_here(b, text), cv_prefix_format(&b->pool.cidr, cidr),
				    cv_prefix_format(&a->pool.cidr, other_cidr),
				    cv_place_there(a, other));
	}
	return 0;
}

/* ---- tunnels --------------------------------------------------------------------- */

/* By what the kernel tells tunnels apart; those of every node come first. */
static int compare_tunnels(const void *a, const void *b)
{
	const struct cv_tunnel_resource *x = (*(struct cv_resource *const *)a)->tunnel;
	const struct cv_tunnel_resource *y = (*(struct cv_resource *const *)b)->tunnel;

	if (x->config.remote != y->config.remote)
		return cv_ntohl(x->config.remote) < cv_ntohl(y->config.remote) ? -1 : 1;
	if (x->config.local != y->config.local)
		return cv_ntohl(x->config.local) < cv_ntohl(y->config.local) ? -1 : 1;
	if (!x->node || !y->node)
		return (x->node != NULL) - (y->node != NULL);
	return strcmp(x->node, y->node);
}

/* Neighbours in that order, of which a node would have both. */
static bool collide(const struct cv_tunnel_resource *a, const struct cv_tunnel_resource *b)
{
	return a->config.remote == b->config.remote && a->config.local == b->config.local &&
	       (!a->node || !strcmp(a->node, b->node));
}

static int check_tunnels(struct check *check)
{
	size_t count;
	struct cv_resource *const *resources =
		cv_snapshot_kind(check->snapshot, CV_KIND_TUNNEL, &count);
	const struct cv_resource **tunnels = calloc(count + 1, sizeof(*tunnels));
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX];
	int rc = 0;

	if (!tunnels)
		return cv_error_set(check->error, -ENOMEM, "no memory to check the resources");
	for (size_t i = 0; i < count; i++)
		tunnels[i] = resources[i];
	if (count)
		qsort(tunnels, count, sizeof(*tunnels), compare_tunnels);
	for (size_t i = 1; !rc && i < count; i++) {
		const struct cv_resource *a = tunnels[i - 1], *b = tunnels[i];

		if (!collide(a->tunnel, b->tunnel))
			continue;
		order_by_place(&b, &a);
		rc = cv_error_set(check->error, -EINVAL,
				  "%s has the remote and local of %s; no node can have both: "
				  "change one, or give each its node",
				  cv_place_here(b, text), cv_place_there(a, other));
	}
	free(tunnels);
	return rc;
}

/* ---- addresses of nodes ---------------------------------------------------------- */

struct node_address {
	uint32_t address; /* host byte order */
	bool is_tunnel;	  /* its ipv4IPIPTunnelAddr */
	const struct cv_resource *node;
};

static int compare_addresses(const void *a, const void *b)
{
	const struct node_address *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return strcmp(x->node->name, y->node->name);
}

/* All that nodes have, sorted; the caller frees. */
static int list_addresses(const struct cv_snapshot *snapshot, struct node_address **ret_addresses,
			  size_t *ret_count)
{
	size_t nodes, count = 0;
	struct cv_resource *const *resources = cv_snapshot_kind(snapshot, CV_KIND_NODE, &nodes);
	struct node_address *addresses = calloc(2 * nodes + 1, sizeof(*addresses));

	if (!addresses)
		return -ENOMEM;
	for (size_t i = 0; i < nodes; i++) {
		const struct cv_node *node = &resources[i]->node;

		if (node->address)
			addresses[count++] =
				(struct node_address){cv_ntohl(node->address), false, resources[i]};
		if (node->tunnel_address)
			addresses[count++] = (struct node_address){cv_ntohl(node->tunnel_address),
								   true, resources[i]};
	}
	if (count)
		qsort(addresses, count, sizeof(*addresses), compare_addresses);
	*ret_addresses = addresses;
	*ret_count = count;
	return 0;
}

static const char *field_of(const struct node_address *address)
{
	return address->is_tunnel ? "ipv4IPIPTunnelAddr" : "ipv4Address";
}

static int refuse_shared_address(struct check *check, const struct node_address *a,
				 const struct node_address *b)
{
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], address[CV_ADDRESS_TEXT_MAX];

	cv_address_format(cv_htonl(a->address), address);
	if (a->node == b->node)
		return cv_error_set(check->error, -EINVAL,
				    "%s: its ipv4Address and its ipv4IPIPTunnelAddr are both %s; "
				    "take a tunnel address from one of its blocks",
				    cv_place_here(a->node, text), address);
	if (cv_place_is_later(a->node, b->node)) {
		const struct node_address *swap = a;

		a = b;
		b = swap;
	}
	return cv_error_set(check->error, -EINVAL,
			    "%s: its %s %s is the %s of %s; every node needs its own",
			    cv_place_here(b->node, text), field_of(b), address, field_of(a),
			    cv_place_there(a->node, other));
}

static int check_addresses(struct check *check, const struct node_address *addresses, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		if (addresses[i - 1].address == addresses[i].address)
			return refuse_shared_address(check, &addresses[i - 1], &addresses[i]);
	}
	return 0;
}

/* CrossSubnet of nodes whose subnet nobody knows is Always, and nobody said so. */
static void check_prefixes(struct check *check)
{
	size_t pools, nodes;
	struct cv_resource *const *pool =
		cv_snapshot_kind(check->snapshot, CV_KIND_IP_POOL, &pools);
	struct cv_resource *const *node = cv_snapshot_kind(check->snapshot, CV_KIND_NODE, &nodes);
	char text[CV_PLACE_NAME_MAX], address[CV_ADDRESS_TEXT_MAX];
	bool is_cross_subnet = false;

	for (size_t i = 0; i < pools; i++)
		is_cross_subnet |= pool[i]->pool.ipip_mode == CV_IPIP_CROSS_SUBNET;
	for (size_t i = 0; is_cross_subnet && i < nodes; i++) {
		if (!node[i]->node.address || node[i]->node.has_prefix ||
		    !is_worth(check, WARN_NO_PREFIX))
			continue;
		cv_address_format(node[i]->node.address, address);
		cv_messages_add(check->warnings,
				"%s: ipv4Address %s has no prefix, so CrossSubnet always tunnels "
				"to it; write it like %s/24",
				cv_place_here(node[i], text), address, address);
	}
}

/* ---- claims ---------------------------------------------------------------------- */

static const char *claim_node(const struct cv_claim *claim)
{
	return claim->resource->kind == CV_KIND_WORKLOAD ? claim->resource->workload.node
							 : claim->resource->affinity.node;
}

static bool same_node(const struct cv_claim *a, const struct cv_claim *b)
{
	/* Without a Node there are still the names. */
	if (a->node && b->node)
		return a->node == b->node;
	return !strcmp(claim_node(a), claim_node(b));
}

/* A claim without another one in mind. */
static int check_claim(struct check *check, const struct cv_claim *claim)
{
	const struct cv_resource *resource = claim->resource;
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], prefix[CV_PREFIX_TEXT_MAX];
	bool is_block = resource->kind == CV_KIND_BLOCK_AFFINITY;

	if (!claim->node && is_worth(check, WARN_NO_NODE))
		cv_messages_add(check->warnings,
				"%s: there is no Node %s, so nobody reaches %s; add the Node",
				cv_place_here(resource, text), claim_node(claim),
				cv_prefix_format(&claim->prefix, prefix));
	if (!claim->pool && is_worth(check, WARN_NO_POOL))
		cv_messages_add(check->warnings,
				"%s: %s is in no IPPool, so it is not routed; add an IPPool that "
				"contains it",
				cv_place_here(resource, text),
				cv_prefix_format(&claim->prefix, prefix));
	if (is_block && claim->pool && claim->prefix.length > claim->pool->pool.block_size)
		return cv_error_set(check->error, -EINVAL,
				    "%s: %s is smaller than a block of %s, whose blockSize is %u; "
				    "a block is a /%u or larger",
				    cv_place_here(resource, text),
				    cv_prefix_format(&claim->prefix, prefix),
				    cv_place_there(claim->pool, other),
				    claim->pool->pool.block_size, claim->pool->pool.block_size);
	return 0;
}

/* A block that contains whole pools; the pools are sorted, so the first behind its first address
 * tells. */
static int check_not_larger(struct check *check, const struct cv_claim *claim, size_t *next_pool)
{
	struct cv_resource *const *pools = check->snapshot->pools_by_cidr;
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], prefix[CV_PREFIX_TEXT_MAX],
		cidr[CV_PREFIX_TEXT_MAX];
	const struct cv_resource *pool;
	size_t count;

	cv_snapshot_kind(check->snapshot, CV_KIND_IP_POOL, &count);
	while (*next_pool < count &&
	       cv_prefix_first(&pools[*next_pool]->pool.cidr) < cv_prefix_first(&claim->prefix))
		++*next_pool;
	if (claim->pool || *next_pool == count || claim->resource->kind != CV_KIND_BLOCK_AFFINITY)
		return 0;
	pool = pools[*next_pool];
	if (!cv_prefix_contains(&claim->prefix, &pool->pool.cidr))
		return 0;
	return cv_error_set(check->error, -EINVAL,
			    "%s: %s is larger than %s of %s; a block lies within its pool",
			    cv_place_here(claim->resource, text),
			    cv_prefix_format(&claim->prefix, prefix),
			    cv_prefix_format(&pool->pool.cidr, cidr), cv_place_there(pool, other));
}

static int refuse_two_owners(struct check *check, const struct cv_claim *outer,
			     const struct cv_claim *inner)
{
	const struct cv_claim *a = outer, *b = inner;
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], prefix[CV_PREFIX_TEXT_MAX],
		other_prefix[CV_PREFIX_TEXT_MAX];

	if (cv_place_is_later(a->resource, b->resource)) {
		a = inner;
		b = outer;
	}
	return cv_error_set(check->error, -EINVAL,
			    "%s: %s of node %s overlaps %s of node %s, %s; %s",
			    cv_place_here(b->resource, text), cv_prefix_format(&b->prefix, prefix),
			    claim_node(b), cv_prefix_format(&a->prefix, other_prefix),
			    claim_node(a), cv_place_there(a->resource, other),
			    inner->resource->kind == CV_KIND_WORKLOAD &&
					    cv_prefix_compare(&outer->prefix, &inner->prefix)
				    ? "only single addresses may be borrowed from another node"
				    : "a prefix has one owner");
}

/* outer: the smallest claim that inner is a part of, or the same as. */
static int check_nested(struct check *check, const struct cv_claim *outer,
			const struct cv_claim *inner)
{
	bool is_same = !cv_prefix_compare(&outer->prefix, &inner->prefix);
	bool is_workload = inner->resource->kind == CV_KIND_WORKLOAD;
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], prefix[CV_PREFIX_TEXT_MAX];
	const struct cv_resource *a = outer->resource, *b = inner->resource;

	if (!same_node(outer, inner)) {
		if (is_workload && inner->prefix.length == 32 && !is_same)
			return 0; /* borrowed */
		return refuse_two_owners(check, outer, inner);
	}
	if (!is_same || a->kind != b->kind)
		return 0;
	order_by_place(&b, &a);
	cv_prefix_format(&inner->prefix, prefix);
	if (is_workload)
		return cv_error_set(check->error, -EINVAL,
				    "%s: %s is in %s, too; remove it from one of them",
				    cv_place_here(b, text), prefix, cv_place_there(a, other));
	if (is_worth(check, WARN_BLOCK_TWICE))
		cv_messages_add(check->warnings, "%s: %s is in %s, too; one of them is enough",
				cv_place_here(b, text), prefix, cv_place_there(a, other));
	return 0;
}

/* owner: the smallest claim that an address of a node is in; NULL: none. */
static int check_address(struct check *check, const struct node_address *address,
			 const struct cv_claim *owner)
{
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], printed[CV_ADDRESS_TEXT_MAX],
		prefix[CV_PREFIX_TEXT_MAX];

	cv_address_format(cv_htonl(address->address), printed);
	if (!address->is_tunnel) {
		if (owner && is_worth(check, WARN_NODE_IN_BLOCK))
			cv_messages_add(check->warnings,
					"%s: its ipv4Address %s lies within %s of %s; it stays the "
					"node's, but must not be assigned to a workload",
					cv_place_here(address->node, text), printed,
					cv_prefix_format(&owner->prefix, prefix),
					cv_place_there(owner->resource, other));
		return 0;
	}
	if (owner && (owner->node ? owner->node != address->node
				  : strcmp(claim_node(owner), address->node->name) != 0)) {
		/* Calico borrows addresses from others' blocks; such a one gets a route of its own.
		 */
		if (owner->resource->kind == CV_KIND_BLOCK_AFFINITY) {
			if (is_worth(check, WARN_TUNNEL_ADDRESS_BORROWED))
				cv_messages_add(check->warnings,
						"%s: its ipv4IPIPTunnelAddr %s is borrowed from "
						"%s of node %s, %s",
						cv_place_here(address->node, text), printed,
						cv_prefix_format(&owner->prefix, prefix),
						claim_node(owner),
						cv_place_there(owner->resource, other));
			return 0;
		}
		return cv_error_set(check->error, -EINVAL,
				    "%s: its ipv4IPIPTunnelAddr %s lies within %s of node %s, %s; "
				    "take an address from its own blocks",
				    cv_place_here(address->node, text), printed,
				    cv_prefix_format(&owner->prefix, prefix), claim_node(owner),
				    cv_place_there(owner->resource, other));
	}
	if (!cv_snapshot_pool_of(check->snapshot, cv_htonl(address->address)) &&
	    is_worth(check, WARN_TUNNEL_ADDRESS_NO_POOL))
		cv_messages_add(check->warnings,
				"%s: its ipv4IPIPTunnelAddr %s is in no IPPool; other nodes may "
				"not answer to it",
				cv_place_here(address->node, text), printed);
	return 0;
}

/* Open claims, the smallest on top. */
struct sweep {
	const struct cv_claim **open;
	size_t depth;
	size_t next_pool;
};

static const struct cv_claim *enclosing(struct sweep *sweep, uint32_t address)
{
	while (sweep->depth && cv_prefix_last(&sweep->open[sweep->depth - 1]->prefix) < address)
		sweep->depth--;
	return sweep->depth ? sweep->open[sweep->depth - 1] : NULL;
}

static int open_claim(struct check *check, struct sweep *sweep, const struct cv_claim *claim)
{
	const struct cv_claim *outer = enclosing(sweep, cv_prefix_first(&claim->prefix));
	int rc = check_claim(check, claim);

	if (!rc)
		rc = check_not_larger(check, claim, &sweep->next_pool);
	if (!rc && outer)
		rc = check_nested(check, outer, claim);
	sweep->open[sweep->depth++] = claim;
	return rc;
}

static int check_claims(struct check *check, const struct node_address *addresses, size_t count)
{
	const struct cv_claim *claim = check->snapshot->claims;
	const struct cv_claim *end = claim + check->snapshot->claim_count;
	struct sweep sweep = {
		.open = calloc(check->snapshot->claim_count + 1, sizeof(*sweep.open))};
	size_t i = 0;
	int rc = 0;

	if (!sweep.open)
		return cv_error_set(check->error, -ENOMEM, "no memory to check the resources");
	while (!rc && (claim < end || i < count)) {
		/* A claim that begins at an address has it. */
		if (i == count ||
		    (claim < end && cv_prefix_first(&claim->prefix) <= addresses[i].address)) {
			rc = open_claim(check, &sweep, claim++);
		} else {
			rc = check_address(check, &addresses[i],
					   enclosing(&sweep, addresses[i].address));
			i++;
		}
	}
	free(sweep.open);
	return rc;
}

/* Resources that name a node, beside claims. */
static void check_node_names(struct check *check)
{
	size_t count;
	struct cv_resource *const *resources =
		cv_snapshot_kind(check->snapshot, CV_KIND_TUNNEL, &count);
	char text[CV_PLACE_NAME_MAX];

	for (size_t i = 0; i < count; i++) {
		const char *node = resources[i]->tunnel->node;

		if (node && !cv_snapshot_find(check->snapshot, CV_KIND_NODE, node) &&
		    is_worth(check, WARN_NO_NODE))
			cv_messages_add(check->warnings,
					"%s: there is no Node %s; only a host that calls itself so "
					"makes this tunnel: add the Node, or mend the name",
					cv_place_here(resources[i], text), node);
	}
}

int cv_snapshot_check(const struct cv_snapshot *snapshot, struct cv_messages *warnings,
		      struct cv_error *error)
{
	struct check check = {.snapshot = snapshot, .warnings = warnings, .error = error};
	struct node_address *addresses;
	size_t count;
	int rc = check_names(&check);

	if (!rc)
		rc = check_pools(&check);
	if (!rc)
		rc = check_tunnels(&check);
	if (rc)
		return rc;
	if (list_addresses(snapshot, &addresses, &count))
		return cv_error_set(error, -ENOMEM, "no memory to check the resources");
	rc = check_addresses(&check, addresses, count);
	if (!rc)
		rc = check_claims(&check, addresses, count);
	free(addresses);
	if (!rc)
		rc = cv_snapshot_check_bgp(snapshot, warnings, error);
	if (rc)
		return rc;
	check_prefixes(&check);
	check_node_names(&check);
	count_the_rest(&check);
	return 0;
}
