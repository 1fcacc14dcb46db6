/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the agent's routes BIRD has taken over: a route goes when BIRD has one to what the other
 * node announces of it, as bgp.c on that node decides. Claims are the snapshot's, as there: what
 * was learned moves decisions, and changes nothing of what is announced.
 *
 * Invariant: a prefix is handed over once, and what has been handed over is not waited for.
 */
#include "routing/hand_over.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>

struct way {
	struct cv_prefix handed;  /* what the agent makes no route to any more … */
	struct cv_prefix awaited; /* … when BIRD has one to this */
};

static int by_prefix(const void *a, const void *b)
{
	return cv_prefix_compare(a, b);
}

static bool has_prefix(const struct cv_vector *prefixes, size_t count,
		       const struct cv_prefix *prefix)
{
	return count &&
	       bsearch(prefix, prefixes->items, count, sizeof(struct cv_prefix), by_prefix);
}

/* What is announced of a claim: a Workload in a block of its own node is reached by that. */
static struct cv_prefix announced_of(const struct cv_intent *intent, const struct cv_claim *claim)
{
	const struct cv_claim *block = cv_snapshot_block_of(intent->snapshot, &claim->prefix);

	return block && block->node == claim->node ? block->prefix : claim->prefix;
}

/*
 * False: it is no way to what is declared. Those with a gateway are to nodes, Tunnels' and
 * workloads' have a device alone. A route may be to a part of its claim, beside a host. A Node's
 * tunnel address has a route of its own where it is not in a block of that node's: in another's
 * it was borrowed, and is announced; where none is declared it is in the block that is announced,
 * or nobody's.
 */
static bool find_way(const struct cv_intent *intent, const struct cv_table_route *route,
		     struct way *ret_way)
{
	const struct cv_claim *claim;

	if (route->type != RTN_UNICAST || !route->gateway)
		return false;
	claim = cv_snapshot_claim_of(intent->snapshot, &route->prefix);
	if (!claim || !claim->pool)
		return false;
	if (claim->node && claim->node->node.address == route->gateway)
		*ret_way = (struct way){claim->prefix, announced_of(intent, claim)};
	else
		*ret_way = (struct way){route->prefix, route->prefix};
	return true;
}

int cv_hand_over(const struct cv_intent *intent, const struct cv_vector *birds,
		 struct cv_vector *handed, struct cv_hand_over *ret_over)
{
	const size_t before = handed->count;
	struct cv_hand_over over = {.missing = 0};
	int rc = 0;

	for (size_t i = 0; i < intent->route_count && !rc; i++) {
		struct way way;

		if (!find_way(intent, &intent->routes[i], &way) ||
		    has_prefix(handed, before, &way.handed))
			continue;
		if (has_prefix(birds, birds->count, &way.awaited))
			rc = cv_vector_append(handed, &way.handed);
		else if (!over.missing++)
			over.first = way.awaited;
	}
	over.has_news = handed->count > before;
	if (over.has_news)
		qsort(handed->items, handed->count, sizeof(struct cv_prefix), by_prefix);
	*ret_over = over;
	return rc;
}
