/* SPDX-License-Identifier: Apache-2.0 */
/* Two sorted lists made one: a node may have 20,000 routes to others and 1,000 to its pods. */
#include "agent/node_routes.h"

#include <stdlib.h>

static int compare_keys(const struct cv_table_route *a, const struct cv_table_route *b)
{
	int order = cv_prefix_compare(&a->prefix, &b->prefix);

	return order ? order : (a->metric > b->metric) - (a->metric < b->metric);
}

static int compare_routes(const void *a, const void *b)
{
	return compare_keys(a, b);
}

static void append_decided(struct cv_table_route *routes, size_t *count,
			   const struct cv_table_route *route, int pool_ifindex)
{
	if (route->oif == CV_OIF_POOL_DEVICE && !pool_ifindex)
		return;
	routes[*count] = *route;
	if (route->oif == CV_OIF_POOL_DEVICE)
		routes[*count].oif = pool_ifindex;
	++*count;
}

static size_t merge(struct cv_table_route *routes, const struct cv_intent *intent, int pool_ifindex,
		    const struct cv_vector *own)
{
	const struct cv_table_route *pods = own->items;
	size_t count = 0, next = 0;

	for (size_t i = 0; i < intent->route_count; i++) {
		const struct cv_table_route *route = &intent->routes[i];

		for (; next < own->count && compare_keys(&pods[next], route) < 0; next++)
			routes[count++] = pods[next];
		if (next == own->count || compare_keys(&pods[next], route))
			append_decided(routes, &count, route, pool_ifindex);
	}
	for (; next < own->count; next++)
		routes[count++] = pods[next];
	return count;
}

struct cv_table_route *cv_node_routes(const struct cv_intent *intent, int pool_ifindex,
				      const struct cv_pods *pods, size_t *ret_count)
{
	struct cv_table_route *routes = NULL;
	struct cv_vector own;

	cv_vector_init(&own, sizeof(struct cv_table_route));
	if (!pods || !cv_pods_add_routes(pods, &own))
		routes = calloc(intent->route_count + own.count + 1, sizeof(*routes));
	if (routes) {
		if (own.count)
			qsort(own.items, own.count, sizeof(struct cv_table_route), compare_routes);
		*ret_count = merge(routes, intent, pool_ifindex, &own);
	}
	cv_vector_fini(&own);
	return routes;
}
