/* SPDX-License-Identifier: Apache-2.0 */
/* routing/decide with what BIRD learned: whose it is, who may send, and who makes routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "decide_world.h"
#include "netns.h"
#include "resources.h"

static struct cv_decide_world world;
static struct cv_learned_route routes[8];

/* a1 (this one) and a2 in one subnet, b1 in another; each declares what the test says. */
static void begin(enum cv_ipip_mode mode, enum cv_programs programs)
{
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", mode));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("a2", "192.168.100.2/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", NULL));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.1.0/24"));
	world.programs = programs;
	world.is_handing_over = false;
	world.learned = (struct cv_learned){.items = routes};
}

/* In the order of their prefixes. */
static void learn(const char *prefix, const char *next_hop)
{
	struct cv_learned_route *route = &routes[world.learned.count++];

	assert_int_equal(cv_prefix_parse(prefix, &route->prefix), 0);
	route->next_hop = cv_test_address(next_hop);
}

static void expect(const char *address, const char *node, enum cv_path path)
{
	const struct cv_decision *decision =
		cv_intent_decision(&world.intent, cv_test_address(address));

	if (!decision || !node) {
		assert_true(!decision == !node);
		return;
	}
	if (!decision->claim.node || strcmp(decision->claim.node->name, node) ||
	    decision->path != path)
		fail_msg("%s is %s's by %s", address,
			 decision->claim.node ? decision->claim.node->name : "nobody",
			 cv_path_name(decision->path));
}

static void expect_owner(const char *inner, const char *owner)
{
	assert_int_equal(cv_owners_find(&world.intent.owners, cv_test_address(inner)),
			 owner ? cv_test_address(owner) : 0);
}

static bool has_way(const char *prefix)
{
	struct cv_prefix want;

	assert_int_equal(cv_prefix_parse(prefix, &want), 0);
	for (size_t i = 0; i < world.intent.route_count; i++) {
		const struct cv_table_route *route = &world.intent.routes[i];

		if (route->gateway && !cv_prefix_compare(&route->prefix, &want))
			return true;
	}
	return false;
}

static void test_learned_is_as_declared(void **state)
{
	(void)state;
	begin(CV_IPIP_CROSS_SUBNET, CV_PROGRAMS_BIRD);
	learn("10.244.2.0/26", "192.168.100.2");
	learn("10.244.3.0/26", "192.168.200.2");
	learn("10.244.9.0/26", "192.168.9.9");	 /* a router, no node */
	learn("172.16.0.0/16", "192.168.100.2"); /* in no pool */
	cv_world_decide(&world);
	expect("10.244.2.1", "a2", CV_PATH_DIRECT);
	expect("10.244.3.1", "b1", CV_PATH_TUNNEL);
	expect("10.244.9.1", NULL, 0);
	expect("172.16.0.1", NULL, 0);
	expect_owner("10.244.2.1", "192.168.100.2");
	expect_owner("10.244.3.63", "192.168.200.2");
	expect_owner("10.244.3.64", NULL);
	expect_owner("172.16.0.1", NULL);
	/* BIRD makes the routes; guard and blackhole stay the agent's. */
	cv_world_assert_routes(&world, (const char *const[]){
					       "unreachable 10.244.0.0/16 metric 65001",
					       "blackhole 10.244.1.0/24 metric 65000",
					       NULL,
				       });
	assert_int_equal(cv_intent_peer_named(&world.intent, "b1")->prefixes, 1);
	assert_int_equal(cv_intent_peer_named(&world.intent, "b1")->tunnelled, 1);
	cv_world_end(&world);
}

static void test_nothing_learned_counts_for_the_agent(void **state)
{
	(void)state;
	begin(CV_IPIP_ALWAYS, CV_PROGRAMS_AGENT);
	cv_world_add(&world, cv_test_affinity("b1", "10.244.3.0/24"));
	cv_world_decide(&world);
	assert_true(has_way("10.244.3.0/24"));
	/* The same resources, by BIRD: declared is not announced. */
	world.programs = CV_PROGRAMS_BIRD;
	cv_world_decide(&world);
	assert_false(has_way("10.244.3.0/24"));
	expect("10.244.3.1", "b1", CV_PATH_TUNNEL);
	expect_owner("10.244.3.1", "192.168.200.2");
	/* While it is handed over the agent's are there. */
	world.is_handing_over = true;
	cv_world_decide(&world);
	assert_true(has_way("10.244.3.0/24"));
	cv_world_end(&world);
}

static void test_hand_over_makes_no_learned_route(void **state)
{
	(void)state;
	begin(CV_IPIP_ALWAYS, CV_PROGRAMS_BIRD);
	world.is_handing_over = true;
	learn("10.244.3.0/26", "192.168.200.2");
	cv_world_decide(&world);
	assert_false(has_way("10.244.3.0/26"));
	expect_owner("10.244.3.1", "192.168.200.2");
	cv_world_end(&world);
}

static void test_borrowed(void **state)
{
	(void)state;
	begin(CV_IPIP_ALWAYS, CV_PROGRAMS_BIRD);
	/* Of our block, and of what a2 announces. */
	learn("10.244.1.7/32", "192.168.200.2");
	learn("10.244.2.0/26", "192.168.100.2");
	learn("10.244.2.7/32", "192.168.200.2");
	cv_world_decide(&world);
	expect("10.244.1.7", "b1", CV_PATH_TUNNEL);
	expect("10.244.1.8", "a1", CV_PATH_LOCAL);
	expect("10.244.2.7", "b1", CV_PATH_TUNNEL);
	expect_owner("10.244.1.7", "192.168.200.2");
	expect_owner("10.244.1.8", NULL);
	expect_owner("10.244.2.7", "192.168.200.2");
	expect_owner("10.244.2.8", "192.168.100.2");
	cv_world_end(&world);
}

/* What was learned tells where a prefix is, also where it is declared to be elsewhere. */
static void test_moved(void **state)
{
	(void)state;
	begin(CV_IPIP_ALWAYS, CV_PROGRAMS_BIRD);
	cv_world_add(&world, cv_test_affinity("a2", "10.244.2.0/26"));
	cv_world_decide(&world);
	expect_owner("10.244.2.1", "192.168.100.2");
	learn("10.244.2.0/26", "192.168.200.2");
	cv_world_decide(&world);
	expect("10.244.2.1", "b1", CV_PATH_TUNNEL);
	expect_owner("10.244.2.1", "192.168.200.2");
	/* But what is ours by declaration is ours. */
	world.learned.count = 0;
	learn("10.244.1.0/24", "192.168.200.2");
	cv_world_decide(&world);
	expect("10.244.1.1", "a1", CV_PATH_LOCAL);
	expect_owner("10.244.1.1", NULL);
	cv_world_end(&world);
}

static void test_several_next_hops(void **state)
{
	(void)state;
	begin(CV_IPIP_ALWAYS, CV_PROGRAMS_BIRD);
	learn("10.244.7.0/26", "192.168.100.2");
	learn("10.244.7.0/26", "192.168.200.2");
	cv_world_decide(&world);
	assert_int_equal(cv_intent_peer_named(&world.intent, "a2")->prefixes, 1);
	assert_int_equal(cv_intent_peer_named(&world.intent, "b1")->prefixes, 1);
	/* One of both by declaration; the other one by the route's next hops. */
	assert_true(cv_owners_find(&world.intent.owners, cv_test_address("10.244.7.1")) != 0);
	/* As a2 declares: b1's is there beside it. */
	cv_world_add(&world, cv_test_affinity("a2", "10.244.7.0/26"));
	cv_world_decide(&world);
	assert_int_equal(cv_intent_peer_named(&world.intent, "a2")->prefixes, 1);
	assert_int_equal(cv_intent_peer_named(&world.intent, "b1")->prefixes, 1);
	cv_world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learned_is_as_declared),
		cmocka_unit_test(test_nothing_learned_counts_for_the_agent),
		cmocka_unit_test(test_hand_over_makes_no_learned_route),
		cmocka_unit_test(test_borrowed),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_several_next_hops),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
