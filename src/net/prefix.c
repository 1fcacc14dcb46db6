/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv4 prefixes, and sets of addresses as sorted ranges.
 *
 * Invariant of a set: ranges are sorted, and at least one address that is not in the set lies
 * between two of them. So equal sets have equal ranges, and both can be walked side by side.
 * Sums are made in 64 bits where the last address, 255.255.255.255, could overflow.
 */
#include "net/prefix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/types.h"

/* ---- text ------------------------------------------------------------------------ */

/* A decimal number without leading zeros, up to max; *text is moved behind it. */
static bool read_number(const char **text, unsigned int max, unsigned int *ret_number)
{
	const char *p = *text;
	unsigned int number = 0;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		number = 10 * number + (unsigned int)(*p - '0');
		if (number > max)
			return false;
	}
	*text = p;
	*ret_number = number;
	return true;
}

int cv_prefix_parse(const char *text, struct cv_prefix *ret_prefix)
{
	uint32_t address = 0;
	unsigned int number, length = 32;
	bool has_length;

	for (int i = 0; i < 4; i++) {
		if (i > 0 && *text++ != '.')
			return -EINVAL;
		if (!read_number(&text, 255, &number))
			return -EINVAL;
		address = address << 8 | number;
	}
	has_length = *text == '/';
	if (has_length) {
		text++;
		if (!read_number(&text, 32, &length))
			return -EINVAL;
	}
	if (*text)
		return -EINVAL;
	*ret_prefix = (struct cv_prefix){cv_htonl(address), (uint8_t)length};
	if (!has_length)
		return -ENODATA;
	return cv_prefix_first(ret_prefix) == address ? 0 : -ERANGE;
}

const char *cv_address_format(__be32 address, char buffer[CV_ADDRESS_TEXT_MAX])
{
	uint32_t number = cv_ntohl(address);

	snprintf(buffer, CV_ADDRESS_TEXT_MAX, "%u.%u.%u.%u", number >> 24, number >> 16 & 0xff,
		 number >> 8 & 0xff, number & 0xff);
	return buffer;
}

const char *cv_prefix_format(const struct cv_prefix *prefix, char buffer[CV_PREFIX_TEXT_MAX])
{
	uint32_t address = cv_ntohl(prefix->address);

	snprintf(buffer, CV_PREFIX_TEXT_MAX, "%u.%u.%u.%u/%u", address >> 24, address >> 16 & 0xff,
		 address >> 8 & 0xff, address & 0xff, prefix->length);
	return buffer;
}

/* ---- prefixes -------------------------------------------------------------------- */

static uint32_t mask_of(uint8_t length)
{
	return length ? UINT32_MAX << (32 - length) : 0;
}

__be32 cv_prefix_mask(uint8_t length)
{
	return cv_htonl(mask_of(length));
}

struct cv_prefix cv_prefix_of(__be32 address, uint8_t length)
{
	return (struct cv_prefix){address & cv_prefix_mask(length), length};
}

uint32_t cv_prefix_first(const struct cv_prefix *prefix)
{
	return cv_ntohl(prefix->address) & mask_of(prefix->length);
}

uint32_t cv_prefix_last(const struct cv_prefix *prefix)
{
	return cv_ntohl(prefix->address) | ~mask_of(prefix->length);
}

bool cv_prefix_has(const struct cv_prefix *prefix, __be32 address)
{
	return !((prefix->address ^ address) & cv_prefix_mask(prefix->length));
}

bool cv_prefix_contains(const struct cv_prefix *prefix, const struct cv_prefix *inner)
{
	return inner->length >= prefix->length && cv_prefix_has(prefix, inner->address);
}

bool cv_prefix_overlaps(const struct cv_prefix *a, const struct cv_prefix *b)
{
	return cv_prefix_contains(a, b) || cv_prefix_contains(b, a);
}

int cv_prefix_compare(const struct cv_prefix *a, const struct cv_prefix *b)
{
	uint32_t x = cv_ntohl(a->address), y = cv_ntohl(b->address);

	if (x != y)
		return x < y ? -1 : 1;
	return (int)a->length - (int)b->length;
}

/* ---- sets ------------------------------------------------------------------------ */

void cv_ranges_fini(struct cv_ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct cv_ranges){0};
}

/* An empty set with room for capacity ranges, one at least. */
static int reserve(size_t capacity, struct cv_ranges *ret_ranges)
{
	struct cv_ranges ranges = {.capacity = capacity ? capacity : 1};

	ranges.items = calloc(ranges.capacity, sizeof(*ranges.items));
	if (!ranges.items)
		return -ENOMEM;
	*ret_ranges = ranges;
	return 0;
}

static void append(struct cv_ranges *ranges, uint32_t first, uint32_t last)
{
	ranges->items[ranges->count++] = (struct cv_range){first, last};
}

static int compare_ranges(const void *a, const void *b)
{
	const struct cv_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* Join what overlaps or touches; the ranges are sorted by first. */
static void join(struct cv_ranges *ranges)
{
	struct cv_range *last = ranges->items;

	for (size_t i = 1; i < ranges->count; i++) {
		const struct cv_range *range = &ranges->items[i];

		if (range->first > (uint64_t)last->last + 1)
			*++last = *range;
		else if (range->last > last->last)
			last->last = range->last;
	}
	if (ranges->count)
		ranges->count = (size_t)(last - ranges->items) + 1;
}

int cv_ranges_from_prefixes(const struct cv_prefix *prefixes, size_t count,
			    struct cv_ranges *ret_ranges)
{
	struct cv_ranges ranges;
	int rc = reserve(count, &ranges);

	if (rc)
		return rc;
	for (size_t i = 0; i < count; i++)
		append(&ranges, cv_prefix_first(&prefixes[i]), cv_prefix_last(&prefixes[i]));
	if (count)
		qsort(ranges.items, count, sizeof(*ranges.items), compare_ranges);
	join(&ranges);
	*ret_ranges = ranges;
	return 0;
}

int cv_ranges_subtract(const struct cv_ranges *a, const struct cv_ranges *b,
		       struct cv_ranges *ret_ranges)
{
	struct cv_ranges ranges;
	size_t j = 0;
	/* Every range of b cuts at most one piece in two. */
	int rc = reserve(a->count + b->count, &ranges);

	if (rc)
		return rc;
	for (size_t i = 0; i < a->count; i++) {
		uint64_t first = a->items[i].first;
		uint32_t last = a->items[i].last;

		while (j < b->count && b->items[j].last < first)
			j++;
		/* The last one that is cut off may reach into the next range: j stays there. */
		for (size_t k = j; k < b->count && b->items[k].first <= last; k++) {
			if (b->items[k].first > first)
				append(&ranges, (uint32_t)first, b->items[k].first - 1);
			first = (uint64_t)b->items[k].last + 1;
			j = k;
		}
		if (first <= last)
			append(&ranges, (uint32_t)first, last);
	}
	*ret_ranges = ranges;
	return 0;
}

bool cv_ranges_has(const struct cv_ranges *ranges, __be32 address)
{
	uint32_t wanted = cv_ntohl(address);
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->items[middle].last < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ranges->count && ranges->items[low].first <= wanted;
}

/* The largest prefix that begins at first and does not go beyond last. */
static uint8_t length_of(uint32_t first, uint32_t last)
{
	uint8_t length = first ? (uint8_t)(32 - __builtin_ctz(first)) : 0;

	while ((first | ~mask_of(length)) > last)
		length++;
	return length;
}

/* Cut ranges into prefixes; prefixes may be NULL, to count them. */
static size_t cut(const struct cv_ranges *ranges, struct cv_prefix *prefixes)
{
	size_t count = 0;

	for (size_t i = 0; i < ranges->count; i++) {
		uint64_t first = ranges->items[i].first;
		uint32_t last = ranges->items[i].last;

		while (first <= last) {
			uint8_t length = length_of((uint32_t)first, last);

			if (prefixes)
				prefixes[count] =
					(struct cv_prefix){cv_htonl((uint32_t)first), length};
			count++;
			first += UINT64_C(1) << (32 - length);
		}
	}
	return count;
}

int cv_ranges_to_prefixes(const struct cv_ranges *ranges, struct cv_prefix **ret_prefixes,
			  size_t *ret_count)
{
	size_t count = cut(ranges, NULL);
	struct cv_prefix *prefixes = calloc(count ? count : 1, sizeof(*prefixes));

	if (!prefixes)
		return -ENOMEM;
	*ret_count = cut(ranges, prefixes);
	*ret_prefixes = prefixes;
	return 0;
}
