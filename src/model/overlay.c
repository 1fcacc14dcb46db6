/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay space: pools − holes. Candidates for holes are collected in one list, sorted, judged
 * one by one against the pools and the claims (both by binary search), and what is left of them is
 * taken out of the pools at once. Nothing compares each with each: thousands of nodes publish the
 * same few prefixes, and stores have tens of thousands of claims.
 *
 * Invariants: an address of a pool is in the space exactly if cv_overlay_hole_of has no hole for
 * it; every hole lies within one pool and is smaller than it, or a single address.
 */
#include "model/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/place.h"
#include "net/vector.h"
#include "wire/types.h"

enum {
	WARNINGS_MAX = 10 /* the rest is counted */
};

/* What may be a hole. */
struct candidate {
	struct cv_hole hole; /* its prefix as it was given, with the address's last bits */
	__be32 own;	     /* the address that is left out where all of the prefix cannot be; 0:
				none */
};

struct build {
	struct cv_overlay *overlay;
	const struct cv_snapshot *snapshot;
	struct cv_vector candidates; /* struct candidate */
	struct cv_vector holes;	     /* struct cv_hole */
	struct cv_ranges claimed;
	size_t warnings;
};

/* Claims count more than these. */
static bool yields_to_claims(enum cv_hole_reason reason)
{
	return reason == CV_HOLE_GATEWAY || reason == CV_HOLE_NODE_PREFIX ||
	       reason == CV_HOLE_CONNECTED;
}

/* ---- candidates ------------------------------------------------------------------ */

static int add_candidate(struct build *build, struct cv_prefix prefix, enum cv_hole_reason reason,
			 const struct cv_resource *resource, __be32 own)
{
	const struct candidate candidate = {
		.hole = {cv_prefix_of(prefix.address, prefix.length), reason, resource},
		.own = own,
	};

	return cv_vector_append(&build->candidates, &candidate);
}

static int add_nodes(struct build *build)
{
	size_t count;
	struct cv_resource *const *nodes = cv_snapshot_kind(build->snapshot, CV_KIND_NODE, &count);
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		const struct cv_node *node = &nodes[i]->node;

		if (!node->address)
			continue;
		rc = add_candidate(build, cv_prefix_of(node->address, 32), CV_HOLE_NODE, nodes[i],
				   0);
		if (!rc && node->has_prefix && node->prefix_length < 32)
			rc = add_candidate(build, cv_prefix_of(node->address, node->prefix_length),
					   CV_HOLE_NODE_PREFIX, nodes[i], 0);
	}
	return rc;
}

static int add_listed(struct build *build)
{
	size_t count;
	struct cv_resource *const *resources =
		cv_snapshot_kind(build->snapshot, CV_KIND_FELIX_CONFIGURATION, &count);
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		const struct cv_felix_configuration *felix = resources[i]->felix;

		for (size_t j = 0; !rc && j < felix->external_count; j++)
			rc = add_candidate(build, felix->external_nodes[j], CV_HOLE_EXTERNAL,
					   resources[i], 0);
	}
	resources = cv_snapshot_kind(build->snapshot, CV_KIND_IP_RESERVATION, &count);
	for (size_t i = 0; i < count; i++) {
		const struct cv_ip_reservation *reservation = &resources[i]->reservation;

		for (size_t j = 0; !rc && j < reservation->count; j++)
			rc = add_candidate(build, reservation->cidrs[j], CV_HOLE_RESERVATION,
					   resources[i], 0);
	}
	return rc;
}

static int add_host(struct build *build, const struct cv_overlay_host *host)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < host->gateway_count; i++)
		rc = add_candidate(build, cv_prefix_of(host->gateways[i], 32), CV_HOLE_GATEWAY,
				   NULL, 0);
	for (size_t i = 0; !rc && i < host->connected_count; i++)
		rc = add_candidate(build, host->connected[i], CV_HOLE_CONNECTED, NULL,
				   host->connected[i].address);
	return rc;
}

/* Of equal ones the first in the order of names comes first. */
static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = cv_prefix_compare(&x->hole.prefix, &y->hole.prefix);

	if (order)
		return order;
	if (x->hole.reason != y->hole.reason)
		return x->hole.reason < y->hole.reason ? -1 : 1;
	if (x->own != y->own)
		return cv_ntohl(x->own) < cv_ntohl(y->own) ? -1 : 1;
	if (x->hole.resource && y->hole.resource)
		return cv_resource_compare(x->hole.resource, y->hole.resource);
	return 0;
}

static bool same_candidate(const struct candidate *a, const struct candidate *b)
{
	return a->hole.reason == b->hole.reason && a->own == b->own &&
	       !cv_prefix_compare(&a->hole.prefix, &b->hole.prefix);
}

/* ---- claims ---------------------------------------------------------------------- */

/* All claims, and the nodes' tunnel addresses. */
static int find_claimed(struct build *build)
{
	size_t count, nodes, used;
	struct cv_resource *const *node = cv_snapshot_kind(build->snapshot, CV_KIND_NODE, &nodes);
	struct cv_prefix *prefixes;
	struct cv_claim *claims;
	int rc = cv_snapshot_claims(build->snapshot, &claims, &count);

	if (rc)
		return rc;
	prefixes = calloc(count + nodes + 1, sizeof(*prefixes));
	if (!prefixes) {
		free(claims);
		return -ENOMEM;
	}
	for (used = 0; used < count; used++)
		prefixes[used] = claims[used].prefix;
	for (size_t i = 0; i < nodes; i++) {
		if (node[i]->node.tunnel_address)
			prefixes[used++] = cv_prefix_of(node[i]->node.tunnel_address, 32);
	}
	rc = cv_ranges_from_prefixes(prefixes, used, &build->claimed);
	free(prefixes);
	free(claims);
	return rc;
}

/* The part of the claimed ranges that touches a prefix; its items are not its own. */
static struct cv_ranges claimed_within(const struct cv_ranges *claimed,
				       const struct cv_prefix *prefix)
{
	size_t low = 0, high = claimed->count, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (claimed->items[middle].last < cv_prefix_first(prefix))
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low;
	     end < claimed->count && claimed->items[end].first <= cv_prefix_last(prefix);)
		end++;
	return (struct cv_ranges){.items = claimed->items + low, .count = end - low};
}

/* ---- holes ----------------------------------------------------------------------- */

static int add_hole(struct build *build, const struct cv_hole *hole, struct cv_prefix prefix)
{
	const struct cv_hole part = {prefix, hole->reason, hole->resource};

	return cv_vector_append(&build->holes, &part);
}

/* The parts of a hole that are not claimed. */
static int add_unclaimed(struct build *build, const struct cv_hole *hole, struct cv_prefix prefix)
{
	const struct cv_ranges claimed = claimed_within(&build->claimed, &prefix);
	struct cv_ranges whole, rest;
	struct cv_prefix *parts;
	size_t count;
	int rc;

	if (!claimed.count || !yields_to_claims(hole->reason))
		return add_hole(build, hole, prefix);
	rc = cv_ranges_from_prefixes(&prefix, 1, &whole);
	if (rc)
		return rc;
	rc = cv_ranges_subtract(&whole, &claimed, &rest);
	cv_ranges_fini(&whole);
	if (rc)
		return rc;
	rc = cv_ranges_to_prefixes(&rest, &parts, &count);
	cv_ranges_fini(&rest);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < count; i++)
		rc = add_hole(build, hole, parts[i]);
	free(parts);
	return rc;
}

/* A pool that equals the prefix or is a part of it, or NULL. */
static const struct cv_resource *find_pool_inside(const struct cv_snapshot *snapshot,
						  const struct cv_prefix *prefix)
{
	size_t low = 0, high, count;

	cv_snapshot_kind(snapshot, CV_KIND_IP_POOL, &count);
	high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_first(&snapshot->pools_by_cidr[middle]->pool.cidr) <
		    cv_prefix_first(prefix))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count || !cv_prefix_contains(prefix, &snapshot->pools_by_cidr[low]->pool.cidr))
		return NULL;
	return snapshot->pools_by_cidr[low];
}

static void warn_of_pool_inside(struct build *build, const struct cv_hole *hole,
				const struct cv_resource *pool)
{
	const char *rest = "", *what = "";
	char who[CV_PLACE_NAME_MAX] = "this host";
	char prefix[CV_PREFIX_TEXT_MAX], cidr[CV_PREFIX_TEXT_MAX];

	if (++build->warnings > WARNINGS_MAX)
		return;
	if (hole->resource)
		cv_place_here(hole->resource, who);
	switch (hole->reason) {
	case CV_HOLE_NODE_PREFIX:
		what = "the node's subnet";
		rest = "only the node's address is kept out of the overlay; its neighbours in the "
		       "pool are taken for overlay addresses";
		break;
	case CV_HOLE_CONNECTED:
		what = "connected";
		rest = "only its address is kept out of the overlay; neighbours in the pool are "
		       "taken for overlay addresses";
		break;
	case CV_HOLE_EXTERNAL:
		what = "in externalNodesList,";
		rest = "it is ignored for the overlay; list the external nodes one by one";
		break;
	default:
		what = "reserved,";
		rest = "it is ignored for the overlay; disable the pool, or reserve parts of it";
		break;
	}
	cv_messages_add(&build->overlay->warnings, "%s: %s %s has all of IPPool %s (%s) in it: %s",
			who, what, cv_prefix_format(&hole->prefix, prefix), pool->name,
			cv_prefix_format(&pool->pool.cidr, cidr), rest);
}

static bool is_claimed(const struct build *build, const struct cv_prefix *prefix)
{
	const struct cv_ranges claimed = claimed_within(&build->claimed, prefix);

	return claimed.count == 1 && claimed.items[0].first <= cv_prefix_first(prefix) &&
	       claimed.items[0].last >= cv_prefix_last(prefix);
}

static int judge(struct build *build, const struct candidate *candidate)
{
	const struct cv_hole *hole = &candidate->hole;
	const struct cv_resource *pool = cv_snapshot_pool_of_prefix(build->snapshot, &hole->prefix);

	/* A single address is left out of a pool of a single address, too. */
	if (pool && (pool->pool.cidr.length < hole->prefix.length || hole->prefix.length == 32))
		return add_unclaimed(build, hole, hole->prefix);
	if (!pool)
		pool = find_pool_inside(build->snapshot, &hole->prefix);
	/* Apart from all pools, or the bridge of somebody who has the whole of it. */
	if (!pool || (yields_to_claims(hole->reason) && is_claimed(build, &hole->prefix)))
		return 0;
	warn_of_pool_inside(build, hole, pool);
	if (candidate->own && cv_snapshot_pool_of(build->snapshot, candidate->own))
		return add_unclaimed(build, hole, cv_prefix_of(candidate->own, 32));
	return 0;
}

static int judge_all(struct build *build)
{
	const struct candidate *candidates = build->candidates.items;
	int rc = 0;

	if (!build->candidates.count)
		return 0;
	qsort(build->candidates.items, build->candidates.count, sizeof(*candidates),
	      compare_candidates);
	for (size_t i = 0; !rc && i < build->candidates.count; i++) {
		if (i == 0 || !same_candidate(&candidates[i - 1], &candidates[i]))
			rc = judge(build, &candidates[i]);
	}
	if (build->warnings > WARNINGS_MAX)
		cv_messages_add(&build->overlay->warnings, "%zu more prefixes have a pool in them",
				build->warnings - WARNINGS_MAX);
	return rc;
}

static int compare_holes(const void *a, const void *b)
{
	const struct cv_hole *x = a, *y = b;
	int order = cv_prefix_compare(&x->prefix, &y->prefix);

	if (order)
		return order;
	return x->reason < y->reason ? -1 : x->reason > y->reason;
}

/* ---- the space ------------------------------------------------------------------- */

static bool is_any(const struct cv_ip_pool *pool)
{
	(void)pool;
	return true;
}

static bool is_encapsulated(const struct cv_ip_pool *pool)
{
	return pool->ipip_mode != CV_IPIP_NEVER;
}

static bool is_nat(const struct cv_ip_pool *pool)
{
	return pool->nat_outgoing;
}

static int make_space(const struct cv_snapshot *snapshot, const struct cv_ranges *holes,
		      bool (*wanted)(const struct cv_ip_pool *pool), struct cv_ranges *ret_space)
{
	size_t count, used = 0;
	struct cv_resource *const *pools = cv_snapshot_kind(snapshot, CV_KIND_IP_POOL, &count);
	struct cv_prefix *cidrs = calloc(count + 1, sizeof(*cidrs));
	struct cv_ranges all;
	int rc;

	if (!cidrs)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (wanted(&pools[i]->pool))
			cidrs[used++] = pools[i]->pool.cidr;
	}
	rc = cv_ranges_from_prefixes(cidrs, used, &all);
	free(cidrs);
	if (rc)
		return rc;
	rc = cv_ranges_subtract(&all, holes, ret_space);
	cv_ranges_fini(&all);
	return rc;
}

/* Two addresses in one subnet of this host, or subnets within each other, give the same hole. */
static void sort_holes(struct cv_overlay *overlay)
{
	size_t count = 0;

	if (overlay->hole_count)
		qsort(overlay->holes, overlay->hole_count, sizeof(*overlay->holes), compare_holes);
	for (size_t i = 0; i < overlay->hole_count; i++) {
		if (!count || compare_holes(&overlay->holes[count - 1], &overlay->holes[i]))
			overlay->holes[count++] = overlay->holes[i];
	}
	overlay->hole_count = count;
}

/* Sort the holes, and take them out of the pools. */
static int make_spaces(struct build *build)
{
	struct cv_overlay *overlay = build->overlay;
	struct cv_prefix *prefixes = calloc(build->holes.count + 1, sizeof(*prefixes));
	struct cv_ranges holes = {0};
	int rc;

	if (!prefixes)
		return -ENOMEM;
	overlay->holes = build->holes.items;
	overlay->hole_count = build->holes.count;
	sort_holes(overlay);
	for (size_t i = 0; i < overlay->hole_count; i++)
		prefixes[i] = overlay->holes[i].prefix;
	rc = cv_ranges_from_prefixes(prefixes, overlay->hole_count, &holes);
	free(prefixes);
	if (!rc)
		rc = make_space(build->snapshot, &holes, is_any, &overlay->space);
	if (!rc)
		rc = make_space(build->snapshot, &holes, is_encapsulated, &overlay->encapsulated);
	if (!rc)
		rc = make_space(build->snapshot, &holes, is_nat, &overlay->nat);
	cv_ranges_fini(&holes);
	return rc;
}

int cv_overlay_init(struct cv_overlay *ret_overlay, const struct cv_snapshot *snapshot,
		    const struct cv_overlay_host *host)
{
	struct cv_overlay overlay = {0};
	struct build build = {.overlay = &overlay, .snapshot = snapshot};
	int rc;

	cv_vector_init(&build.candidates, sizeof(struct candidate));
	cv_vector_init(&build.holes, sizeof(struct cv_hole));
	rc = find_claimed(&build);
	if (!rc)
		rc = add_nodes(&build);
	if (!rc)
		rc = add_listed(&build);
	if (!rc && host)
		rc = add_host(&build, host);
	if (!rc)
		rc = judge_all(&build);
	if (!rc)
		rc = make_spaces(&build);
	cv_ranges_fini(&build.claimed);
	cv_vector_fini(&build.candidates);
	if (rc) {
		if (!overlay.holes)
			cv_vector_fini(&build.holes);
		cv_overlay_fini(&overlay);
		return rc;
	}
	*ret_overlay = overlay;
	return 0;
}

void cv_overlay_fini(struct cv_overlay *overlay)
{
	cv_ranges_fini(&overlay->space);
	cv_ranges_fini(&overlay->encapsulated);
	cv_ranges_fini(&overlay->nat);
	cv_messages_fini(&overlay->warnings);
	free(overlay->holes);
	*overlay = (struct cv_overlay){0};
}

/* ---- questions ------------------------------------------------------------------- */

/* The first of the holes with this very prefix, or NULL. */
static const struct cv_hole *find_hole(const struct cv_overlay *overlay,
				       const struct cv_prefix *prefix)
{
	size_t low = 0, high = overlay->hole_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_compare(&overlay->holes[middle].prefix, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == overlay->hole_count || cv_prefix_compare(&overlay->holes[low].prefix, prefix))
		return NULL;
	return &overlay->holes[low];
}

const struct cv_hole *cv_overlay_hole_of(const struct cv_overlay *overlay, __be32 address)
{
	const struct cv_hole *hole = NULL;

	for (int length = 32; !hole && length >= 0; length--) {
		const struct cv_prefix prefix = cv_prefix_of(address, (uint8_t)length);

		hole = find_hole(overlay, &prefix);
	}
	return hole;
}

const char *cv_hole_reason_text(enum cv_hole_reason reason)
{
	switch (reason) {
	case CV_HOLE_NODE:
		return "a node's address";
	case CV_HOLE_EXTERNAL:
		return "an external node's address";
	case CV_HOLE_GATEWAY:
		return "a gateway of this host";
	case CV_HOLE_NODE_PREFIX:
		return "in a node's subnet";
	case CV_HOLE_CONNECTED:
		return "in a subnet of this host";
	case CV_HOLE_RESERVATION:
		return "reserved";
	}
	return "unknown";
}
