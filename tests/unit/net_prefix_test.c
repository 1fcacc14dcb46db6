/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prefixes and sets of addresses. Sets are checked against a naive oracle: one bit for each
 * address of a small space, at the ends of the address space and in its middle.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/prefix.h"

static struct cv_prefix prefix(const char *text)
{
	struct cv_prefix parsed;

	assert_int_equal(cv_prefix_parse(text, &parsed), 0);
	return parsed;
}

static __be32 address(const char *text)
{
	return inet_addr(text);
}

/* ---- text ------------------------------------------------------------------------ */

static void test_parses(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *printed;
	} cases[] = {
		{"10.0.0.0/8", 0, "10.0.0.0/8"},
		{"0.0.0.0/0", 0, "0.0.0.0/0"},
		{"255.255.255.255/32", 0, "255.255.255.255/32"},
		{"128.0.0.0/1", 0, "128.0.0.0/1"},
		{"192.168.100.1/24", -ERANGE, "192.168.100.1/24"},
		{"0.0.0.1/0", -ERANGE, "0.0.0.1/0"},
		{"192.168.100.1", -ENODATA, "192.168.100.1/32"},
		{"0.0.0.0", -ENODATA, "0.0.0.0/32"},
		{"", -EINVAL, NULL},
		{"10", -EINVAL, NULL},
		{"10.0.0", -EINVAL, NULL},
		{"10.0.0.", -EINVAL, NULL},
		{"10.0.0.0.0", -EINVAL, NULL},
		{"10.0.0.256", -EINVAL, NULL},
		{"10.0.0.99999999999999999999", -EINVAL, NULL},
		{"010.0.0.0/8", -EINVAL, NULL},
		{"10.0.0.00/8", -EINVAL, NULL},
		{"10.0.0.0/", -EINVAL, NULL},
		{"10.0.0.0/08", -EINVAL, NULL},
		{"10.0.0.0/33", -EINVAL, NULL},
		{"10.0.0.0/-1", -EINVAL, NULL},
		{"10.0.0.0/8 ", -EINVAL, NULL},
		{" 10.0.0.0/8", -EINVAL, NULL},
		{"10.0.0.0/8/8", -EINVAL, NULL},
		{"10.0.0.0/255.0.0.0", -EINVAL, NULL},
		{"0x0a.0.0.0/8", -EINVAL, NULL},
		{"+10.0.0.0/8", -EINVAL, NULL},
		{"10..0.0/8", -EINVAL, NULL},
		{"fd00::/8", -EINVAL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cv_prefix parsed = {0x01020304, 77};
		char text[CV_PREFIX_TEXT_MAX];

		assert_int_equal(cv_prefix_parse(cases[i].text, &parsed), cases[i].rc);
		if (cases[i].printed)
			assert_string_equal(cv_prefix_format(&parsed, text), cases[i].printed);
		else
			assert_int_equal(parsed.length, 77); /* untouched */
	}
}

/* ---- prefixes -------------------------------------------------------------------- */

static void test_relations(void **state)
{
	struct cv_prefix ten = prefix("10.0.0.0/8"), part = prefix("10.244.0.0/16");
	struct cv_prefix next = prefix("11.0.0.0/8"), all = prefix("0.0.0.0/0");
	struct cv_prefix host = cv_prefix_of(address("10.244.1.2"), 24);

	(void)state;
	assert_true(cv_prefix_contains(&ten, &part) && !cv_prefix_contains(&part, &ten));
	assert_true(cv_prefix_contains(&ten, &ten));
	assert_true(cv_prefix_overlaps(&ten, &part) && cv_prefix_overlaps(&part, &ten));
	assert_false(cv_prefix_overlaps(&ten, &next) || cv_prefix_contains(&ten, &next));
	assert_true(cv_prefix_contains(&all, &next) && cv_prefix_has(&all, 0));
	assert_true(cv_prefix_has(&part, address("10.244.255.255")));
	assert_false(cv_prefix_has(&part, address("10.245.0.0")));
	assert_int_equal(host.address, address("10.244.1.0"));
	assert_int_equal(cv_prefix_first(&all), 0);
	assert_int_equal(cv_prefix_last(&all), UINT32_MAX);
	assert_int_equal(cv_prefix_first(&part), 0x0af40000);
	assert_int_equal(cv_prefix_last(&part), 0x0af4ffff);
	assert_int_equal(cv_prefix_mask(0), 0);
	assert_int_equal(cv_prefix_mask(32), UINT32_MAX);
	assert_int_equal(cv_prefix_mask(20), address("255.255.240.0"));
	/* An address with a length belongs to its network. */
	assert_int_equal(cv_prefix_parse("10.244.1.2/24", &host), -ERANGE);
	assert_int_equal(cv_prefix_first(&host), 0x0af40100);
	assert_int_equal(cv_prefix_last(&host), 0x0af401ff);
	assert_true(cv_prefix_has(&host, address("10.244.1.77")));
}

static void test_order(void **state)
{
	static const char *const sorted[] = {"0.0.0.0/0",   "0.0.0.0/32",  "9.0.0.0/8",
					     "10.0.0.0/8",  "10.0.0.0/16", "10.0.0.1/32",
					     "127.0.0.0/8", "128.0.0.0/1", "255.255.255.255/32"};
	size_t count = sizeof(sorted) / sizeof(sorted[0]);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < count; j++) {
			struct cv_prefix a = prefix(sorted[i]), b = prefix(sorted[j]);
			int order = cv_prefix_compare(&a, &b);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

/* ---- sets: the oracle ------------------------------------------------------------ */

enum {
	SPACE = 256,
	PREFIXES_MAX = 12
};

/* Where the small space lies. */
static uint32_t base;

struct bits {
	bool has[SPACE];
};

static void random_set(struct bits *bits, struct cv_ranges *ranges)
{
	struct cv_prefix prefixes[PREFIXES_MAX];
	size_t count = (size_t)rand() % (PREFIXES_MAX + 1);

	memset(bits, 0, sizeof(*bits));
	for (size_t i = 0; i < count; i++) {
		uint8_t length = (uint8_t)(26 + rand() % 7);
		uint32_t at = base + (uint32_t)(rand() % SPACE);

		prefixes[i] = cv_prefix_of(htonl(at), length);
		for (uint32_t a = cv_prefix_first(&prefixes[i]) - base;
		     a <= cv_prefix_last(&prefixes[i]) - base; a++)
			bits->has[a] = true;
	}
	assert_int_equal(cv_ranges_from_prefixes(prefixes, count, ranges), 0);
}

/* Same members, and in the one form that a set has. */
static void assert_is(const struct cv_ranges *ranges, const struct bits *bits)
{
	size_t runs = 0;

	for (uint32_t a = 0; a < SPACE; a++) {
		assert_int_equal(cv_ranges_has(ranges, htonl(base + a)), bits->has[a]);
		runs += bits->has[a] && (a == 0 || !bits->has[a - 1]);
	}
	assert_false(cv_ranges_has(ranges, htonl(base + SPACE)));
	assert_false(cv_ranges_has(ranges, htonl(base - 1)));
	assert_int_equal(ranges->count, runs);
	for (size_t i = 0; i < ranges->count; i++) {
		assert_true(ranges->items[i].first <= ranges->items[i].last);
		if (i)
			assert_true(ranges->items[i].first >
				    (uint64_t)ranges->items[i - 1].last + 1);
	}
}

/* The fewest prefixes for an aligned part of the space: one if it is full, else its halves'. */
static size_t fewest(const struct bits *bits, size_t first, size_t size)
{
	size_t members = 0;

	for (size_t a = first; a < first + size; a++)
		members += bits->has[a];
	if (members == 0 || members == size)
		return members != 0;
	return fewest(bits, first, size / 2) + fewest(bits, first + size / 2, size / 2);
}

static void assert_prefixes(const struct cv_ranges *ranges, const struct bits *bits)
{
	struct cv_ranges again;
	struct cv_prefix *prefixes;
	size_t count;

	assert_int_equal(cv_ranges_to_prefixes(ranges, &prefixes, &count), 0);
	assert_int_equal(count, fewest(bits, 0, SPACE));
	for (size_t i = 1; i < count; i++)
		assert_true(cv_prefix_compare(&prefixes[i - 1], &prefixes[i]) < 0);
	assert_int_equal(cv_ranges_from_prefixes(prefixes, count, &again), 0);
	assert_is(&again, bits);
	cv_ranges_fini(&again);
	free(prefixes);
}

static void check_pair(void)
{
	struct bits a_bits, b_bits, bits;
	struct cv_ranges a, b, result;

	random_set(&a_bits, &a);
	random_set(&b_bits, &b);
	assert_is(&a, &a_bits);
	assert_prefixes(&a, &a_bits);

	for (size_t i = 0; i < SPACE; i++)
		bits.has[i] = a_bits.has[i] && !b_bits.has[i];
	assert_int_equal(cv_ranges_subtract(&a, &b, &result), 0);
	assert_is(&result, &bits);
	assert_prefixes(&result, &bits);
	cv_ranges_fini(&result);
	cv_ranges_fini(&a);
	cv_ranges_fini(&b);
}

static void test_sets_as_bitmaps(void **state)
{
	/* The first and the last addresses are where sums overflow. */
	static const uint32_t bases[] = {0, 0x0af40000, 0x80000000, 0xffffff00};

	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		base = bases[i];
		for (int round = 0; round < 1000; round++)
			check_pair();
	}
}

static void test_whole_space(void **state)
{
	struct cv_prefix all = prefix("0.0.0.0/0"), one = prefix("192.168.100.1/32"), *prefixes;
	struct cv_ranges a, b, result;
	size_t count;

	(void)state;
	assert_int_equal(cv_ranges_from_prefixes(&all, 1, &a), 0);
	assert_int_equal(cv_ranges_from_prefixes(&one, 1, &b), 0);
	assert_int_equal(cv_ranges_subtract(&a, &b, &result), 0);
	assert_int_equal(result.count, 2);
	assert_int_equal(cv_ranges_to_prefixes(&result, &prefixes, &count), 0);
	assert_int_equal(count, 32);
	free(prefixes);
	cv_ranges_fini(&result);
	assert_int_equal(cv_ranges_subtract(&b, &a, &result), 0);
	assert_int_equal(result.count, 0);
	cv_ranges_fini(&result);
	assert_int_equal(cv_ranges_to_prefixes(&a, &prefixes, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(prefixes[0].length, 0);
	free(prefixes);
	cv_ranges_fini(&a);
	cv_ranges_fini(&b);
}

/* Zeroed is the empty set. */
static void test_empty(void **state)
{
	struct cv_ranges none = {0}, result;
	struct cv_prefix *prefixes;
	size_t count;

	(void)state;
	assert_int_equal(cv_ranges_from_prefixes(NULL, 0, &result), 0);
	assert_int_equal(result.count, 0);
	assert_false(cv_ranges_has(&none, address("10.0.0.1")));
	assert_int_equal(cv_ranges_to_prefixes(&none, &prefixes, &count), 0);
	assert_int_equal(count, 0);
	free(prefixes);
	cv_ranges_fini(&result);
	cv_ranges_fini(&none);
}

static void test_formats_addresses(void **state)
{
	static const char *const texts[] = {"0.0.0.0", "10.244.1.2", "255.255.255.255",
					    "192.168.0.1"};
	char text[CV_ADDRESS_TEXT_MAX];
	struct cv_prefix prefix;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(cv_prefix_parse(texts[i], &prefix), -ENODATA);
		assert_string_equal(cv_address_format(prefix.address, text), texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats_addresses),
		cmocka_unit_test(test_parses),
		cmocka_unit_test(test_relations),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_sets_as_bitmaps),
		cmocka_unit_test(test_whole_space),
		cmocka_unit_test(test_empty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
