/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted set of addresses. Sorted by their bits as they lie: any order will do. */
#include "engine/address_set.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum {
	FIRST_CAPACITY = 64
};

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int cv_address_set_add(struct cv_address_set *set, __be32 address)
{
	if (set->count == set->capacity) {
		size_t capacity = set->capacity ? 2 * set->capacity : FIRST_CAPACITY;
		__be32 *members;

		if (capacity > CV_ADDRESS_SET_MAX)
			return -ENOSPC;
		members = realloc(set->members, capacity * sizeof(*members));
		if (!members)
			return -ENOMEM;
		set->members = members;
		set->capacity = capacity;
	}
	set->members[set->count++] = address;
	return 0;
}

void cv_address_set_sort(struct cv_address_set *set)
{
	if (set->count)
		qsort(set->members, set->count, sizeof(*set->members), compare);
}

bool cv_address_set_has(const struct cv_address_set *set, __be32 address)
{
	return set->count && bsearch(&address, set->members, set->count, sizeof(address), compare);
}

void cv_address_set_clear(struct cv_address_set *set)
{
	set->count = 0;
}

void cv_address_set_fini(struct cv_address_set *set)
{
	free(set->members);
	*set = (struct cv_address_set){0};
}
