/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A natural merge sort: runs that are in order already are found and merged two by two. A store of
 * 25,000 resources is two or three runs at every change; to sort it from scratch took a third of a
 * change's time.
 */
#include "model/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One behind the last of the run that begins at first. */
static size_t run_end(struct cv_resource *const *resources, size_t first, size_t count)
{
	size_t end = first + 1;

	while (end < count && cv_resource_compare(resources[end - 1], resources[end]) <= 0)
		end++;
	return end;
}

/* [first, middle) and [middle, end) of from become [first, end) of to. */
static void merge(struct cv_resource *const *from, struct cv_resource **to, size_t first,
		  size_t middle, size_t end)
{
	size_t a = first, b = middle;

	for (size_t i = first; i < end; i++) {
		bool take_a =
			b == end || (a < middle && cv_resource_compare(from[a], from[b]) <= 0);

		to[i] = take_a ? from[a++] : from[b++];
	}
}

/* One round over all runs; how many there are then. */
static size_t merge_runs(struct cv_resource *const *from, struct cv_resource **to, size_t count)
{
	size_t first = 0, runs = 0;

	while (first < count) {
		size_t middle = run_end(from, first, count);
		size_t end = middle < count ? run_end(from, middle, count) : count;

		merge(from, to, first, middle, end);
		first = end;
		runs++;
	}
	return runs;
}

int cv_resources_sort(struct cv_resource **resources, size_t count)
{
	struct cv_resource **other, **from = resources, **to;
	size_t runs;

	if (!count || run_end(resources, 0, count) == count)
		return 0;
	other = calloc(count, sizeof(*other));
	if (!other)
		return -ENOMEM;
	to = other;
	do {
		struct cv_resource **swap = from;

		runs = merge_runs(from, to, count);
		from = to;
		to = swap;
	} while (runs > 1);
	if (from != resources)
		memcpy(resources, from, count * sizeof(*resources));
	free(other);
	return 0;
}
