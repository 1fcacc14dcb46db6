/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which peer owns which addresses. Nested prefixes are cut into flat ranges once, so that the
 * question asked for a packet is one binary search.
 *
 * Invariants: peers are sorted and each is there once; ranges are sorted, do not overlap, belong to
 * somebody (addresses of owner 0 are in no range), and neighbours that touch have different owners.
 * So equal ownership is equal arrays.
 */
#include "engine/owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/types.h"

enum {
	NESTED_MAX = 33 /* lengths 0 … 32: one that is inside of another is longer */
};

void cv_owners_fini(struct cv_owners *owners)
{
	free(owners->peers);
	free(owners->ranges);
	free(owners->formers);
	*owners = (struct cv_owners){0};
}

/* ---- making ---------------------------------------------------------------------- */

static int compare_addresses(const void *a, const void *b)
{
	uint32_t x = cv_ntohl(*(const __be32 *)a), y = cv_ntohl(*(const __be32 *)b);

	return x < y ? -1 : x > y;
}

static int make_peers(const __be32 *peers, size_t count, struct cv_owners *owners)
{
	if (!count)
		return 0;
	owners->peers = calloc(count, sizeof(*owners->peers));
	if (!owners->peers)
		return -ENOMEM;
	memcpy(owners->peers, peers, count * sizeof(*peers));
	qsort(owners->peers, count, sizeof(*owners->peers), compare_addresses);
	owners->peer_count = 1;
	for (size_t i = 1; i < count; i++) {
		if (owners->peers[i] != owners->peers[owners->peer_count - 1])
			owners->peers[owners->peer_count++] = owners->peers[i];
	}
	return 0;
}

/* The prefixes that are open where the sweep stands, the longest last. */
struct sweep {
	struct cv_owners *owners;
	const struct cv_owned_prefix *open[NESTED_MAX];
	size_t depth;
	uint64_t at; /* addresses below are done */
};

/* Addresses up to last, not done yet, are owner's. */
static void give(struct sweep *sweep, uint32_t last, __be32 owner)
{
	struct cv_owners *owners = sweep->owners;
	struct cv_owner_range *before =
		owners->range_count ? &owners->ranges[owners->range_count - 1] : NULL;
	uint64_t first = sweep->at;

	if (first > last)
		return;
	sweep->at = (uint64_t)last + 1;
	if (!owner)
		return;
	if (before && before->owner == owner && (uint64_t)before->last + 1 == first)
		before->last = last;
	else
		owners->ranges[owners->range_count++] =
			(struct cv_owner_range){(uint32_t)first, last, owner};
}

static void close_top(struct sweep *sweep)
{
	const struct cv_owned_prefix *top = sweep->open[--sweep->depth];

	give(sweep, top->last, top->owner);
}

static void open_prefix(struct sweep *sweep, const struct cv_owned_prefix *prefix)
{
	while (sweep->depth && sweep->open[sweep->depth - 1]->last < prefix->first)
		close_top(sweep);
	if (sweep->depth) {
		const struct cv_owned_prefix *top = sweep->open[sweep->depth - 1];

		/* The same prefix again: the later word counts. */
		if (top->length == prefix->length) {
			sweep->open[sweep->depth - 1] = prefix;
			return;
		}
		if (prefix->first)
			give(sweep, prefix->first - 1, top->owner);
	}
	sweep->at = prefix->first;
	sweep->open[sweep->depth++] = prefix;
}

int cv_owners_make(const struct cv_owned_prefix *prefixes, size_t count, const __be32 *peers,
		   size_t peer_count, struct cv_owners *ret_owners)
{
	struct cv_owners owners = {0};
	struct sweep sweep = {.owners = &owners};
	int rc = make_peers(peers, peer_count, &owners);

	if (rc)
		return rc;
	if (count) {
		/* Every prefix gives at most one range when it opens and one when it closes. */
		owners.ranges = calloc(2 * count, sizeof(*owners.ranges));
		if (!owners.ranges) {
			cv_owners_fini(&owners);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < count; i++)
		open_prefix(&sweep, &prefixes[i]);
	while (sweep.depth)
		close_top(&sweep);
	*ret_owners = owners;
	return 0;
}

/* ---- copying and comparing ------------------------------------------------------- */

static void *copy_array(const void *items, size_t count, size_t size)
{
	void *copy = calloc(count ? count : 1, size);

	if (copy && count)
		memcpy(copy, items, count * size);
	return copy;
}

int cv_owners_copy(const struct cv_owners *owners, struct cv_owners *ret_copy)
{
	struct cv_owners copy = {
		.peers = copy_array(owners->peers, owners->peer_count, sizeof(*owners->peers)),
		.peer_count = owners->peer_count,
		.ranges = copy_array(owners->ranges, owners->range_count, sizeof(*owners->ranges)),
		.range_count = owners->range_count,
		.formers =
			copy_array(owners->formers, owners->former_count, sizeof(*owners->formers)),
		.former_count = owners->former_count,
	};

	if (!copy.peers || !copy.ranges || !copy.formers) {
		cv_owners_fini(&copy);
		return -ENOMEM;
	}
	*ret_copy = copy;
	return 0;
}

bool cv_owners_equal(const struct cv_owners *a, const struct cv_owners *b)
{
	if (a->peer_count != b->peer_count || a->range_count != b->range_count ||
	    a->former_count != b->former_count)
		return false;
	for (size_t i = 0; i < a->former_count; i++) {
		if (a->formers[i].former != b->formers[i].former ||
		    a->formers[i].now != b->formers[i].now)
			return false;
	}
	for (size_t i = 0; i < a->peer_count; i++) {
		if (a->peers[i] != b->peers[i])
			return false;
	}
	for (size_t i = 0; i < a->range_count; i++) {
		const struct cv_owner_range *x = &a->ranges[i], *y = &b->ranges[i];

		if (x->first != y->first || x->last != y->last || x->owner != y->owner)
			return false;
	}
	return true;
}

/* ---- questions ------------------------------------------------------------------- */

static bool is_peer(const struct cv_owners *owners, __be32 address)
{
	return cv_owners_peer_index(owners, address) < owners->peer_count;
}

size_t cv_owners_peer_index(const struct cv_owners *owners, __be32 address)
{
	const __be32 *found = owners->peer_count
				      ? bsearch(&address, owners->peers, owners->peer_count,
						sizeof(address), compare_addresses)
				      : NULL;

	return found ? (size_t)(found - owners->peers) : owners->peer_count;
}

static const struct cv_owner_former *find_former(const struct cv_owners *owners, __be32 address)
{
	/* The address comes first in the struct: the comparison of addresses serves. */
	return owners->former_count ? bsearch(&address, owners->formers, owners->former_count,
					      sizeof(*owners->formers), compare_addresses)
				    : NULL;
}

bool cv_owners_has_peer(const struct cv_owners *owners, __be32 address)
{
	return is_peer(owners, address) || find_former(owners, address);
}

__be32 cv_owners_now(const struct cv_owners *owners, __be32 address)
{
	const struct cv_owner_former *former = find_former(owners, address);

	return former ? former->now : address;
}

__be32 cv_owners_find(const struct cv_owners *owners, __be32 inner)
{
	uint32_t wanted = cv_ntohl(inner);
	size_t low = 0, high = owners->range_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (owners->ranges[middle].last < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == owners->range_count || owners->ranges[low].first > wanted)
		return 0;
	return owners->ranges[low].owner;
}

int cv_owners_add_former(struct cv_owners *owners, __be32 former, __be32 now)
{
	struct cv_owner_former *larger;

	if (is_peer(owners, former) || find_former(owners, former))
		return 0;
	larger = realloc(owners->formers, (owners->former_count + 1) * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	owners->formers = larger;
	larger[owners->former_count++] = (struct cv_owner_former){former, now};
	qsort(larger, owners->former_count, sizeof(*larger), compare_addresses);
	return 0;
}
