/* SPDX-License-Identifier: Apache-2.0 */
/* What BIRD learned: a sorted array without repetitions. */
#include "routing/learned.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/types.h"

static int compare(const void *left, const void *right)
{
	const struct cv_learned_route *a = left, *b = right;
	int order = cv_prefix_compare(&a->prefix, &b->prefix);

	if (order)
		return order;
	return (cv_ntohl(a->next_hop) > cv_ntohl(b->next_hop)) -
	       (cv_ntohl(a->next_hop) < cv_ntohl(b->next_hop));
}

static size_t remove_repeated(struct cv_learned_route *items, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!kept || compare(&items[kept - 1], &items[i]))
			items[kept++] = items[i];
	}
	return kept;
}

int cv_learned_make(const struct cv_bird_route *routes, size_t count,
		    struct cv_learned *ret_learned)
{
	struct cv_learned learned = {0};

	if (count) {
		learned.items = calloc(count, sizeof(*learned.items));
		if (!learned.items)
			return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		if (routes[i].next_hop)
			learned.items[learned.count++] = (struct cv_learned_route){
				.prefix = routes[i].prefix, .next_hop = routes[i].next_hop};
	}
	if (learned.count) {
		qsort(learned.items, learned.count, sizeof(*learned.items), compare);
		learned.count = remove_repeated(learned.items, learned.count);
	}
	*ret_learned = learned;
	return 0;
}

void cv_learned_fini(struct cv_learned *learned)
{
	free(learned->items);
	*learned = (struct cv_learned){0};
}

bool cv_learned_equal(const struct cv_learned *a, const struct cv_learned *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (compare(&a->items[i], &b->items[i]))
			return false;
	}
	return true;
}

bool cv_learned_has(const struct cv_learned *learned, const struct cv_prefix *prefix)
{
	size_t from = 0, to = learned->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = cv_prefix_compare(&learned->items[middle].prefix, prefix);

		if (!order)
			return true;
		if (order < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return false;
}
