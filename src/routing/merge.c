/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One route for each prefix and metric. Two claims of one node may be the same prefix (a block, and
 * a Workload that is all of it): the first is enough. Two Tunnels that list one prefix are both
 * used: one route by both devices, among which the kernel chooses for each flow.
 */
#include "routing/merge.h"

#include <stdlib.h>
#include <string.h>

/* Where others want the same, too, those of Tunnels come last, in the order of their devices. */
static int by_prefix_and_metric(const void *a, const void *b)
{
	const struct cv_table_route *x = a, *y = b;
	int order = cv_prefix_compare(&x->prefix, &y->prefix);

	if (order)
		return order;
	if (x->metric != y->metric)
		return x->metric < y->metric ? -1 : 1;
	if (x->device_count != y->device_count)
		return x->device_count < y->device_count ? -1 : 1;
	return x->devices[0] < y->devices[0] ? -1 : x->devices[0] > y->devices[0];
}

static bool is_in_place_of(const struct cv_table_route *a, const struct cv_table_route *b)
{
	return a->metric == b->metric && !cv_prefix_compare(&a->prefix, &b->prefix);
}

/* The route of one more Tunnel to the same prefix. */
static void add_device(struct cv_intent *intent, struct cv_table_route *route, int device)
{
	char prefix[CV_PREFIX_TEXT_MAX];

	if (route->devices[route->device_count - 1] == device)
		return; /* it lists the prefix twice */
	if (route->device_count < CV_TABLE_ROUTE_DEVICES)
		route->devices[route->device_count++] = device;
	else
		cv_messages_add(&intent->warnings,
				"more than %d Tunnels have the route %s; the others are not used",
				CV_TABLE_ROUTE_DEVICES, cv_prefix_format(&route->prefix, prefix));
}

static bool is_dead(const struct cv_decide_input *input, int device)
{
	size_t i = 0;

	while (i < input->dead_count && input->dead[i] != device)
		i++;
	return i < input->dead_count;
}

/* Without dead devices, if there is one that is not. A single one is an ordinary route. */
static void settle_devices(const struct cv_decide_input *input, bool skip_dead,
			   struct cv_table_route *route)
{
	int alive[CV_TABLE_ROUTE_DEVICES];
	uint8_t count = 0;

	for (unsigned int i = 0; i < route->device_count; i++) {
		if (!skip_dead || !is_dead(input, route->devices[i]))
			alive[count++] = route->devices[i];
	}
	if (count) {
		memcpy(route->devices, alive, count * sizeof(alive[0]));
		route->device_count = count;
	}
	if (route->device_count == 1) {
		route->oif = route->devices[0];
		route->devices[0] = 0;
		route->device_count = 0;
	}
}

size_t cv_merge_routes(const struct cv_decide_input *input, struct cv_intent *intent,
		       struct cv_table_route *routes, size_t count)
{
	struct cv_path_configuration path;
	size_t kept = 0;

	cv_snapshot_path(input->snapshot, &path);
	if (count)
		qsort(routes, count, sizeof(*routes), by_prefix_and_metric);
	for (size_t i = 0; i < count; i++) {
		struct cv_table_route *last = kept ? &routes[kept - 1] : NULL;

		if (!last || !is_in_place_of(last, &routes[i]))
			routes[kept++] = routes[i];
		else if (last->device_count && routes[i].device_count)
			add_device(intent, last, routes[i].devices[0]);
	}
	for (size_t i = 0; i < kept; i++) {
		if (routes[i].device_count)
			settle_devices(input, path.skip_dead_next_hops, &routes[i]);
	}
	return kept;
}
