/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 prefixes, and sets of addresses as sorted ranges. */
#ifndef CV_NET_PREFIX_H
#define CV_NET_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

struct cv_prefix {
	__be32 address; /* the bits behind length are 0 in a prefix, but not in "ADDRESS/LENGTH" */
	uint8_t length; /* 0 … 32 */
};

enum {
	CV_ADDRESS_TEXT_MAX = 16, /* "255.255.255.255" */
	CV_PREFIX_TEXT_MAX = 20	  /* "255.255.255.255/32" */
};

/*
 * "10.0.0.0/8"; a dotted quad of four decimal numbers without leading zeros. 0, -EINVAL: no such
 * thing, -ERANGE: bits are set behind the length (*ret_prefix is set all the same), -ENODATA: no
 * "/LENGTH" (it is set, too, with length 32).
 */
int cv_prefix_parse(const char *text, struct cv_prefix *ret_prefix);

/* Both return buffer. */
const char *cv_address_format(__be32 address, char buffer[CV_ADDRESS_TEXT_MAX]);
const char *cv_prefix_format(const struct cv_prefix *prefix, char buffer[CV_PREFIX_TEXT_MAX]);

/* The mask of length, and the prefix that an address of that length is in. */
__be32 cv_prefix_mask(uint8_t length);
struct cv_prefix cv_prefix_of(__be32 address, uint8_t length);

bool cv_prefix_has(const struct cv_prefix *prefix, __be32 address);

/* True if inner is a part of prefix, or the same. */
bool cv_prefix_contains(const struct cv_prefix *prefix, const struct cv_prefix *inner);
bool cv_prefix_overlaps(const struct cv_prefix *a, const struct cv_prefix *b);

/* For qsort and bsearch: by address in numbers, then the shorter length first. */
int cv_prefix_compare(const struct cv_prefix *a, const struct cv_prefix *b);

/* First and last address, in host byte order. */
uint32_t cv_prefix_first(const struct cv_prefix *prefix);
uint32_t cv_prefix_last(const struct cv_prefix *prefix);

/* ---- sets ------------------------------------------------------------------------ */

struct cv_range {
	uint32_t first, last; /* host byte order, both belong to it */
};

/* Sorted, without overlaps, never adjacent. Zeroed: the empty set. cv_ranges_fini frees. */
struct cv_ranges {
	struct cv_range *items;
	size_t count;
	size_t capacity;
};

void cv_ranges_fini(struct cv_ranges *ranges);

/* Make a set of count prefixes in any order: O(n log n). 0 or -ENOMEM. */
int cv_ranges_from_prefixes(const struct cv_prefix *prefixes, size_t count,
			    struct cv_ranges *ret_ranges);

/* *ret_ranges = a − b. 0 or -ENOMEM. ret_ranges is neither a nor b. */
int cv_ranges_subtract(const struct cv_ranges *a, const struct cv_ranges *b,
		       struct cv_ranges *ret_ranges);

bool cv_ranges_has(const struct cv_ranges *ranges, __be32 address);

/* The fewest prefixes that make up the set, sorted; the caller frees *ret_prefixes. 0 or -ENOMEM.
 */
int cv_ranges_to_prefixes(const struct cv_ranges *ranges, struct cv_prefix **ret_prefixes,
			  size_t *ret_count);

#endif
