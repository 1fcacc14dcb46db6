/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing/hand_over: round after round, as culvertd does it, until BIRD has all. Every test ends
 * with all handed over, or with what is waited for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "decide_world.h"
#include "netns.h"
#include "resources.h"
#include "routing/hand_over.h"

enum {
	ROUNDS_MAX = 8
};

static struct cv_decide_world world;
static struct cv_learned_route routes[8];
static struct cv_vector birds, handed;

static int by_prefix(const void *a, const void *b)
{
	return cv_prefix_compare(a, b);
}

/* a1 (this one), a2 and b1, of which a2 has the block 10.244.2.0/26. */
static void begin(const char *tunnel_address)
{
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("a2", "192.168.100.2/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", tunnel_address));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.1.0/26"));
	cv_world_add(&world, cv_test_affinity("a2", "10.244.2.0/26"));
	world.programs = CV_PROGRAMS_BIRD;
	world.is_handing_over = true;
	world.learned = (struct cv_learned){.items = routes};
	cv_vector_init(&birds, sizeof(struct cv_prefix));
	cv_vector_init(&handed, sizeof(struct cv_prefix));
}

static void end(void)
{
	cv_vector_fini(&birds);
	cv_vector_fini(&handed);
	cv_world_end(&world);
}

/* BIRD has a route in the kernel. */
static void announce(const char *prefix)
{
	const struct cv_prefix item = cv_test_prefix(prefix);

	assert_int_equal(cv_vector_append(&birds, &item), 0);
	qsort(birds.items, birds.count, sizeof(item), by_prefix);
}

static void decide(void)
{
	world.handed = handed.items;
	world.handed_count = handed.count;
	cv_world_decide(&world);
}

/* As long as there is news; what is missing then. It must come to an end. */
static struct cv_hand_over hand_over(void)
{
	struct cv_hand_over over;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		decide();
		assert_int_equal(cv_hand_over(&world.intent, &birds, &handed, &over), 0);
		if (!over.has_news)
			return over;
	}
	fail_msg("there is news in each of %d rounds, %zu are handed", ROUNDS_MAX, handed.count);
	return over;
}

static void expect_waiting(size_t count, const char *prefix)
{
	const struct cv_hand_over over = hand_over();
	const struct cv_prefix first = cv_test_prefix(prefix);
	char text[CV_PREFIX_TEXT_MAX];

	if (over.missing != count || cv_prefix_compare(&over.first, &first))
		fail_msg("%zu are missing, %s is", over.missing,
			 cv_prefix_format(&over.first, text));
}

static bool has_way(const char *prefix)
{
	const struct cv_prefix want = cv_test_prefix(prefix);

	for (size_t i = 0; i < world.intent.route_count; i++) {
		const struct cv_table_route *route = &world.intent.routes[i];

		if (route->gateway && !cv_prefix_compare(&route->prefix, &want))
			return true;
	}
	return false;
}

/* Nothing is missing, and the agent makes no way any more. */
static void expect_all_handed(void)
{
	const struct cv_hand_over over = hand_over();
	char text[CV_PREFIX_TEXT_MAX];

	if (over.missing)
		fail_msg("%zu are missing, %s is", over.missing,
			 cv_prefix_format(&over.first, text));
	for (size_t i = 0; i < world.intent.route_count; i++) {
		if (world.intent.routes[i].gateway)
			fail_msg("the agent has a way to %s",
				 cv_prefix_format(&world.intent.routes[i].prefix, text));
	}
}

static void test_one_after_the_other(void **state)
{
	(void)state;
	begin(NULL);
	cv_world_add(&world, cv_test_affinity("b1", "10.244.3.0/26"));
	expect_waiting(2, "10.244.2.0/26");
	announce("10.244.2.0/26");
	expect_waiting(1, "10.244.3.0/26");
	assert_false(has_way("10.244.2.0/26"));
	assert_true(has_way("10.244.3.0/26"));
	/* For good, whatever becomes of BIRD's. */
	birds.count = 0;
	announce("10.244.3.0/26");
	expect_all_handed();
	end();
}

/* A block's first address is an address like any other. */
static void test_borrowed_at_a_blocks_first_address(void **state)
{
	(void)state;
	begin(NULL);
	cv_world_add(&world, cv_test_workload("w", "b1", "", "10.244.2.0/32"));
	announce("10.244.2.0/26");
	expect_waiting(1, "10.244.2.0/32");
	assert_true(has_way("10.244.2.0/32"));
	announce("10.244.2.0/32");
	expect_all_handed();
	end();
}

static void test_block_in_a_block(void **state)
{
	(void)state;
	begin(NULL);
	cv_world_add(&world, cv_test_affinity("a2", "10.244.2.0/24"));
	announce("10.244.2.0/24");
	expect_waiting(1, "10.244.2.0/26");
	announce("10.244.2.0/26");
	expect_all_handed();
	end();
}

/* Its node does not announce it beside the block that it is in. */
static void test_workload_in_its_nodes_block(void **state)
{
	(void)state;
	begin(NULL);
	cv_world_add(&world, cv_test_workload("w", "a2", "", "10.244.2.7/32 10.244.2.16/28"));
	cv_world_add(&world, cv_test_workload("v", "a2", "", "10.244.2.17/32"));
	expect_waiting(4, "10.244.2.0/26");
	assert_true(has_way("10.244.2.7/32"));
	announce("10.244.2.0/26");
	expect_all_handed();
	end();
}

/* … but one that is in no block, or in another node's. */
static void test_workload_elsewhere(void **state)
{
	(void)state;
	begin(NULL);
	cv_world_add(&world, cv_test_workload("w", "b1", "", "10.244.2.7/32 10.244.9.0/28"));
	announce("10.244.2.0/26");
	expect_waiting(2, "10.244.2.7/32");
	announce("10.244.2.7/32");
	expect_waiting(1, "10.244.9.0/28");
	announce("10.244.9.0/28");
	expect_all_handed();
	end();
}

static void test_borrowed_tunnel_address(void **state)
{
	static const char *const blocks[] = {"10.244.1.9", "10.244.2.0", "10.244.2.9"};

	(void)state;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		begin(blocks[i]);
		announce("10.244.2.0/26");
		expect_waiting(1, blocks[i]);
		assert_true(has_way(blocks[i]));
		announce(blocks[i]);
		expect_all_handed();
		end();
	}
}

/* In a block that nobody declares: that is announced, or nobody's. */
static void test_tunnel_address_alone_is_not_waited_for(void **state)
{
	(void)state;
	begin("10.244.8.1");
	announce("10.244.2.0/26");
	assert_int_equal(hand_over().missing, 0);
	assert_true(has_way("10.244.8.1"));
	end();
}

/* What was learned is not the agent's, and does not stand for what is around it. */
static void test_learned_at_a_blocks_first_address(void **state)
{
	(void)state;
	begin(NULL);
	routes[world.learned.count++] = (struct cv_learned_route){
		.prefix = cv_test_prefix("10.244.2.0/32"),
		.next_hop = cv_test_address("192.168.200.2"),
	};
	announce("10.244.2.0/32");
	expect_waiting(1, "10.244.2.0/26");
	announce("10.244.2.0/26");
	expect_all_handed();
	end();
}

/* The claim's routes are to its parts, beside the host. */
static void test_host_in_a_block(void **state)
{
	(void)state;
	begin(NULL);
	cv_world_add(&world, cv_test_node("c1", "10.244.2.1/32", NULL));
	expect_waiting(6, "10.244.2.0/26");
	assert_true(has_way("10.244.2.0/32"));
	assert_true(has_way("10.244.2.32/27"));
	announce("10.244.2.0/26");
	expect_all_handed();
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_borrowed_at_a_blocks_first_address),
		cmocka_unit_test(test_block_in_a_block),
		cmocka_unit_test(test_workload_in_its_nodes_block),
		cmocka_unit_test(test_workload_elsewhere),
		cmocka_unit_test(test_borrowed_tunnel_address),
		cmocka_unit_test(test_tunnel_address_alone_is_not_waited_for),
		cmocka_unit_test(test_learned_at_a_blocks_first_address),
		cmocka_unit_test(test_host_in_a_block),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
