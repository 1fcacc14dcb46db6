/* SPDX-License-Identifier: Apache-2.0 */
/* What BIRD learned, against a naive oracle: search the routes themselves. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "routing/learned.h"

enum {
	ROUTES = 300,
	ROUNDS = 50,
};

static struct cv_bird_route draw(unsigned int *seed)
{
	return (struct cv_bird_route){
		.prefix = cv_prefix_of(htonl((uint32_t)rand_r(seed) % 8 << 28),
				       (uint8_t)(2 + rand_r(seed) % 3)),
		.next_hop = htonl((uint32_t)rand_r(seed) % 4 * 0x50000000U),
	};
}

static bool oracle_has(const struct cv_bird_route *routes, size_t count,
		       const struct cv_prefix *prefix, __be32 next_hop)
{
	for (size_t i = 0; i < count; i++) {
		if (routes[i].next_hop && !cv_prefix_compare(&routes[i].prefix, prefix) &&
		    (!next_hop || routes[i].next_hop == next_hop))
			return true;
	}
	return false;
}

static void check(const struct cv_bird_route *routes, size_t count)
{
	struct cv_learned learned;

	assert_int_equal(cv_learned_make(routes, count, &learned), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(cv_learned_has(&learned, &routes[i].prefix),
				 oracle_has(routes, count, &routes[i].prefix, 0));
	for (size_t i = 0; i < learned.count; i++) {
		const struct cv_learned_route *item = &learned.items[i], *next = item + 1;
		int order;

		assert_true(item->next_hop);
		assert_true(oracle_has(routes, count, &item->prefix, item->next_hop));
		if (i + 1 == learned.count)
			break;
		order = cv_prefix_compare(&item->prefix, &next->prefix);
		assert_true(order < 0 || (!order && ntohl(item->next_hop) < ntohl(next->next_hop)));
	}
	cv_learned_fini(&learned);
	assert_null(learned.items);
}

static void test_oracle(void **state)
{
	struct cv_bird_route routes[ROUTES] = {0};
	unsigned int seed = 6;

	(void)state;
	for (size_t round = 0; round < ROUNDS; round++) {
		size_t count = round * ROUTES / ROUNDS;

		for (size_t i = 0; i < count; i++)
			routes[i] = draw(&seed);
		check(routes, count);
	}
}

/* In which order BIRD lists them, and from whom they come, makes no difference. */
static void test_equal(void **state)
{
	struct cv_bird_route routes[3] = {
		{.prefix = cv_prefix_of(inet_addr("10.1.0.0"), 16),
		 .next_hop = inet_addr("1.1.1.2")},
		{.prefix = cv_prefix_of(inet_addr("10.1.0.0"), 16),
		 .next_hop = inet_addr("1.1.1.1")},
		{.prefix = cv_prefix_of(inet_addr("10.0.0.0"), 16),
		 .next_hop = inet_addr("1.1.1.1")},
	};
	const struct cv_bird_route turned[4] = {routes[2], routes[1], routes[0], routes[1]};
	struct cv_learned a, b, none = {0};

	(void)state;
	assert_int_equal(cv_learned_make(routes, 3, &a), 0);
	assert_int_equal(cv_learned_make(turned, 4, &b), 0);
	assert_true(cv_learned_equal(&a, &b));
	assert_false(cv_learned_equal(&a, &none));
	cv_learned_fini(&b);
	routes[0].next_hop = inet_addr("1.1.1.3");
	assert_int_equal(cv_learned_make(routes, 3, &b), 0);
	assert_false(cv_learned_equal(&a, &b));
	cv_learned_fini(&b);
	assert_int_equal(cv_learned_make(NULL, 0, &b), 0);
	assert_true(cv_learned_equal(&b, &none));
	assert_false(cv_learned_has(&none, &routes[0].prefix));
	cv_learned_fini(&a);
	cv_learned_fini(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oracle),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
