/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owners of addresses, against a naive oracle: for each address of a small space the longest
 * prefix that has it, found by looking at all of them.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/owners.h"

enum {
	SPACE = 256,
	PREFIXES_MAX = 24
};

static int compare(const void *a, const void *b)
{
	const struct cv_owned_prefix *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (int)x->length - (int)y->length;
}

static struct cv_owned_prefix owned(uint32_t address, uint8_t length, __be32 owner)
{
	uint32_t mask = length ? UINT32_MAX << (32 - length) : 0;

	return (struct cv_owned_prefix){address & mask, address | ~mask, length, owner};
}

static __be32 naive_find(const struct cv_owned_prefix *prefixes, size_t count, uint32_t address)
{
	const struct cv_owned_prefix *best = NULL;

	for (size_t i = 0; i < count; i++) {
		if (prefixes[i].first <= address && address <= prefixes[i].last &&
		    (!best || prefixes[i].length > best->length))
			best = &prefixes[i];
	}
	return best ? best->owner : 0;
}

static size_t random_prefixes(struct cv_owned_prefix *prefixes, uint32_t base)
{
	size_t count = (size_t)rand() % (PREFIXES_MAX + 1), distinct = 0;

	for (size_t i = 0; i < count; i++)
		prefixes[i] = owned(base + (uint32_t)(rand() % SPACE), (uint8_t)(24 + rand() % 9),
				    htonl((uint32_t)(rand() % 4)));
	qsort(prefixes, count, sizeof(*prefixes), compare);
	for (size_t i = 0; i < count; i++) {
		if (!distinct || compare(&prefixes[distinct - 1], &prefixes[i]))
			prefixes[distinct++] = prefixes[i];
	}
	return distinct;
}

static void assert_invariants(const struct cv_owners *owners)
{
	for (size_t i = 0; i < owners->range_count; i++) {
		const struct cv_owner_range *range = &owners->ranges[i];

		assert_true(range->first <= range->last && range->owner);
		if (!i)
			continue;
		assert_true(range->first > range[-1].last);
		assert_false(range->first == range[-1].last + 1 && range->owner == range[-1].owner);
	}
}

static void test_longest_prefix_wins(void **state)
{
	static const uint32_t bases[] = {0, 0x0af40000, 0xffffff00};
	struct cv_owned_prefix prefixes[PREFIXES_MAX];

	(void)state;
	srand(2);
	for (int round = 0; round < 3000; round++) {
		uint32_t base = bases[round % 3];
		size_t count = random_prefixes(prefixes, base);
		struct cv_owners owners, copy;

		assert_int_equal(cv_owners_make(prefixes, count, NULL, 0, &owners), 0);
		assert_invariants(&owners);
		for (uint32_t a = base; a != base + SPACE; a++)
			assert_int_equal(cv_owners_find(&owners, htonl(a)),
					 naive_find(prefixes, count, a));
		assert_int_equal(cv_owners_find(&owners, htonl(base + SPACE)), 0);
		assert_int_equal(cv_owners_find(&owners, htonl(base - 1)), 0);
		assert_int_equal(cv_owners_copy(&owners, &copy), 0);
		assert_true(cv_owners_equal(&owners, &copy));
		if (copy.range_count) {
			copy.ranges[0].owner ^= 0xff;
			assert_false(cv_owners_equal(&owners, &copy));
		}
		cv_owners_fini(&copy);
		cv_owners_fini(&owners);
	}
}

/* All lengths inside of each other: as deep as it goes, at both ends of a prefix. */
static void test_deepest_nesting(void **state)
{
	static const uint32_t corners[] = {0, UINT32_MAX, 0x0af40102};
	struct cv_owned_prefix prefixes[33];

	(void)state;
	for (size_t c = 0; c < sizeof(corners) / sizeof(corners[0]); c++) {
		struct cv_owners owners;

		for (uint8_t length = 0; length <= 32; length++)
			prefixes[length] = owned(corners[c], length, htonl(length + 1U));
		qsort(prefixes, 33, sizeof(*prefixes), compare);
		assert_int_equal(cv_owners_make(prefixes, 33, NULL, 0, &owners), 0);
		assert_invariants(&owners);
		assert_int_equal(cv_owners_find(&owners, htonl(corners[c])), htonl(33));
		for (uint32_t bit = 0; bit < 32; bit++)
			assert_int_equal(
				cv_owners_find(&owners, htonl(corners[c] ^ UINT32_C(1) << bit)),
				htonl(32 - bit));
		cv_owners_fini(&owners);
	}
}

static void test_same_prefix_twice(void **state)
{
	const struct cv_owned_prefix prefixes[] = {owned(0x0a000000, 8, htonl(1)),
						   owned(0x0a000000, 8, htonl(2))};
	struct cv_owners owners;

	(void)state;
	assert_int_equal(cv_owners_make(prefixes, 2, NULL, 0, &owners), 0);
	assert_int_equal(owners.range_count, 1);
	assert_int_equal(cv_owners_find(&owners, htonl(0x0a000001)), htonl(2));
	cv_owners_fini(&owners);
}

static void test_peers(void **state)
{
	const __be32 peers[] = {htonl(0xc0a8c802), htonl(0x0a000001), htonl(0xc0a8c802),
				htonl(0x01000000)};
	struct cv_owners owners, other, none = {0};

	(void)state;
	assert_int_equal(cv_owners_make(NULL, 0, peers, 4, &owners), 0);
	assert_int_equal(owners.peer_count, 3);
	assert_int_equal(owners.peers[0], htonl(0x01000000));
	assert_int_equal(owners.peers[2], htonl(0xc0a8c802));
	for (size_t i = 0; i < 4; i++)
		assert_true(cv_owners_has_peer(&owners, peers[i]));
	for (size_t i = 0; i < owners.peer_count; i++)
		assert_int_equal(cv_owners_peer_index(&owners, owners.peers[i]), i);
	assert_int_equal(cv_owners_peer_index(&owners, 0), owners.peer_count);
	assert_int_equal(cv_owners_peer_index(&none, 0), 0);
	assert_false(cv_owners_has_peer(&owners, 0));
	assert_false(cv_owners_has_peer(&owners, htonl(0xc0a8c803)));
	assert_false(cv_owners_has_peer(&none, htonl(0xc0a8c803)));
	assert_int_equal(cv_owners_make(NULL, 0, peers, 2, &other), 0);
	assert_false(cv_owners_equal(&owners, &other));
	cv_owners_fini(&other);
	assert_int_equal(cv_owners_copy(&none, &other), 0);
	assert_true(cv_owners_equal(&none, &other));
	cv_owners_fini(&other);
	cv_owners_fini(&owners);
	cv_owners_fini(&none);
}

static void test_former_addresses(void **state)
{
	const struct cv_owned_prefix prefix = owned(0x0a000000, 24, htonl(1));
	const __be32 peers[] = {htonl(1), htonl(2)};
	struct cv_owners owners, copy;

	(void)state;
	assert_int_equal(cv_owners_make(&prefix, 1, peers, 2, &owners), 0);
	assert_int_equal(cv_owners_now(&owners, htonl(9)), htonl(9));
	assert_int_equal(cv_owners_copy(&owners, &copy), 0);
	assert_int_equal(cv_owners_add_former(&owners, htonl(9), htonl(1)), 0);
	assert_int_equal(cv_owners_add_former(&owners, htonl(7), htonl(2)), 0);
	assert_int_equal(cv_owners_add_former(&owners, htonl(8), htonl(2)), 0);
	assert_false(cv_owners_equal(&owners, &copy));
	cv_owners_fini(&copy);
	assert_int_equal(cv_owners_copy(&owners, &copy), 0);
	assert_true(cv_owners_equal(&owners, &copy));
	for (uint32_t i = 7; i < 10; i++)
		assert_true(cv_owners_has_peer(&copy, htonl(i)));
	assert_false(cv_owners_has_peer(&copy, htonl(6)));
	assert_int_equal(cv_owners_now(&copy, htonl(9)), htonl(1));
	assert_int_equal(cv_owners_now(&copy, htonl(8)), htonl(2));
	/* What is somebody's now was nobody's. */
	assert_int_equal(cv_owners_add_former(&owners, htonl(2), htonl(1)), 0);
	assert_int_equal(cv_owners_now(&owners, htonl(2)), htonl(2));
	cv_owners_fini(&copy);
	cv_owners_fini(&owners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_prefix_wins), cmocka_unit_test(test_deepest_nesting),
		cmocka_unit_test(test_same_prefix_twice),   cmocka_unit_test(test_peers),
		cmocka_unit_test(test_former_addresses),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
