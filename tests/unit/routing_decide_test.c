/* SPDX-License-Identifier: Apache-2.0 */
/* routing/decide: paths and why, routes, the pool device. Who may send and NAT: routing_wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide_world.h"
#include "netns.h"
#include "resources.h"

static struct cv_decide_world world;

/* a1 and a2 in one subnet, b1 in another, each with a block of 10.244.0.0/16. */
static void add_three_nodes(enum cv_ipip_mode mode)
{
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", mode));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", "10.244.1.0"));
	cv_world_add(&world, cv_test_node("a2", "192.168.100.2/24", "10.244.2.0"));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", "10.244.3.0"));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.1.0/24"));
	cv_world_add(&world, cv_test_affinity("a2", "10.244.2.0/24"));
	cv_world_add(&world, cv_test_affinity("b1", "10.244.3.0/24"));
}

static void expect(const char *address, enum cv_path path, enum cv_path_reason reason)
{
	const struct cv_decision *decision =
		cv_intent_decision(&world.intent, cv_test_address(address));

	if (!decision)
		fail_msg("nothing is decided about %s", address);
	else if (decision->path != path || decision->reason != reason)
		fail_msg("%s: %s (%s), but wanted is %s (%s)", address,
			 cv_path_name(decision->path), cv_path_reason_text(decision->reason),
			 cv_path_name(path), cv_path_reason_text(reason));
}

/* ---- paths --------------------------------------------------------------------------- */

#define NEVER  CV_IPIP_NEVER
#define ALWAYS CV_IPIP_ALWAYS
#define CROSS  CV_IPIP_CROSS_SUBNET

static void test_paths(void **state)
{
	/* 192.168.100.99 is reached by a gateway, though on the subnet; .98 is unreachable. */
	static const struct {
		enum cv_ipip_mode mode;
		const char *ours, *its;
		enum cv_path path;
		enum cv_path_reason reason;
	} cases[] = {
		{ALWAYS, "192.168.100.1/24", "192.168.100.2/24", CV_PATH_TUNNEL, CV_REASON_ALWAYS},
		{ALWAYS, "192.168.100.1/24", "192.168.200.2/24", CV_PATH_TUNNEL, CV_REASON_ALWAYS},
		{ALWAYS, "192.168.100.1/32", "192.168.200.2", CV_PATH_TUNNEL, CV_REASON_ALWAYS},
		{NEVER, "192.168.100.1/24", "192.168.100.2/24", CV_PATH_UNDERLAY, CV_REASON_NEVER},
		{NEVER, "192.168.100.1/24", "192.168.200.2/24", CV_PATH_UNDERLAY, CV_REASON_NEVER},
		{CROSS, "192.168.100.1/24", "192.168.100.2/24", CV_PATH_DIRECT,
		 CV_REASON_SAME_SUBNET},
		/* Without a prefix, ours is the device's. */
		{CROSS, "192.168.100.1", "192.168.100.2/24", CV_PATH_DIRECT, CV_REASON_SAME_SUBNET},
		/* Different prefixes, each with the other in it. */
		{CROSS, "192.168.100.1/16", "192.168.100.2/25", CV_PATH_DIRECT,
		 CV_REASON_SAME_SUBNET},
		{CROSS, "192.168.100.1/24", "192.168.200.2/24", CV_PATH_TUNNEL,
		 CV_REASON_OTHER_SUBNET},
		{CROSS, "192.168.100.1/25", "192.168.100.200/24", CV_PATH_TUNNEL,
		 CV_REASON_OTHER_SUBNET},
		{CROSS, "192.168.100.1/24", "192.168.100.200/25", CV_PATH_TUNNEL,
		 CV_REASON_OTHER_SUBNET_BACK},
		{CROSS, "192.168.100.1/32", "192.168.100.2/24", CV_PATH_TUNNEL,
		 CV_REASON_NO_PREFIX},
		{CROSS, "192.168.100.1/24", "192.168.100.2/32", CV_PATH_TUNNEL,
		 CV_REASON_NO_PREFIX},
		{CROSS, "192.168.100.1/24", "192.168.100.2", CV_PATH_TUNNEL, CV_REASON_NO_PREFIX},
		{CROSS, "192.168.100.1/24", "192.168.100.99/24", CV_PATH_TUNNEL,
		 CV_REASON_NOT_ON_LINK},
		{CROSS, "192.168.100.1/24", "192.168.100.98/24", CV_PATH_TUNNEL,
		 CV_REASON_NOT_ON_LINK},
		/* Both publish one that has the other, but the kernel knows better. */
		{CROSS, "192.168.100.1/16", "192.168.200.2/16", CV_PATH_TUNNEL,
		 CV_REASON_NOT_ON_LINK},
		{CROSS, "192.168.100.1/24", NULL, CV_PATH_NONE, CV_REASON_NO_ADDRESS},
		/* Of no device. */
		{CROSS, "192.168.100.3/24", "192.168.100.2/24", CV_PATH_NONE, CV_REASON_NO_SELF},
		{ALWAYS, "192.168.100.3/24", "192.168.100.2/24", CV_PATH_NONE, CV_REASON_NO_SELF},
		{NEVER, "192.168.100.3/24", "192.168.100.2/24", CV_PATH_NONE, CV_REASON_NO_SELF},
	};

	(void)state;
	cv_world_begin(&world);
	cv_sh("ip route add 192.168.100.99 via 192.168.100.254 && "
	      "ip route add unreachable 192.168.100.98");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cv_peer_intent *peer;

		cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", cases[i].mode));
		cv_world_add(&world, cv_test_node("a1", cases[i].ours, NULL));
		cv_world_add(&world, cv_test_node("x1", cases[i].its, NULL));
		cv_world_add(&world, cv_test_affinity("x1", "10.244.2.0/24"));
		cv_world_decide(&world);
		expect("10.244.2.7", cases[i].path, cases[i].reason);
		assert_int_equal(world.intent.peer_count, cases[i].its != NULL);
		peer = cv_intent_peer_named(&world.intent, "x1");
		if (peer) {
			assert_int_equal(peer->prefixes, 1);
			assert_int_equal(peer->tunnelled, cases[i].path == CV_PATH_TUNNEL);
			assert_int_equal(peer->direct, cases[i].path == CV_PATH_DIRECT);
			assert_int_equal(peer->underlay, cases[i].path == CV_PATH_UNDERLAY);
			assert_int_equal(peer->reason, cases[i].reason);
			assert_ptr_equal(peer, cv_intent_peer(&world.intent, peer->address));
		}
		cv_world_clear(&world);
	}
	cv_world_end(&world);
}

static void test_prefixes_of_nobody(void **state)
{
	(void)state;
	cv_world_begin(&world);
	add_three_nodes(ALWAYS);
	cv_world_add(&world, cv_test_affinity("gone", "10.244.9.0/24"));
	cv_world_add(&world, cv_test_affinity("b1", "10.99.0.0/24"));
	cv_world_add(&world, cv_test_affinity("a2", "10.244.8.0/24"))->affinity.state =
		CV_AFFINITY_PENDING;
	cv_world_decide(&world);
	expect("10.244.9.1", CV_PATH_NONE, CV_REASON_NO_NODE);
	expect("10.99.0.1", CV_PATH_NONE, CV_REASON_NO_POOL);
	expect("10.244.1.1", CV_PATH_LOCAL, CV_REASON_LOCAL);
	assert_null(cv_intent_decision(&world.intent, cv_test_address("10.244.8.1")));
	assert_null(cv_intent_decision(&world.intent, cv_test_address("10.244.77.1")));
	assert_null(cv_intent_decision(&world.intent, cv_test_address("192.168.100.2")));
	assert_null(cv_intent_peer(&world.intent, 0));
	assert_null(cv_intent_peer_named(&world.intent, "a1"));
	assert_null(cv_intent_peer_named(&world.intent, "gone"));
	cv_world_end(&world);
}

/* ---- routes --------------------------------------------------------------------------- */

static void test_routes_of_modes(void **state)
{
	static const char *const cross[] = {
		"unreachable 10.244.0.0/16 metric 65001",
		"blackhole 10.244.1.0/24 metric 65000",
		"10.244.2.0/24 via 192.168.100.2 dev 202 metric 64",
		"10.244.3.0/24 via 192.168.200.2 dev pool metric 64 onlink",
		NULL,
	};
	static const char *const always[] = {
		"unreachable 10.244.0.0/16 metric 65001",
		"blackhole 10.244.1.0/24 metric 65000",
		"10.244.2.0/24 via 192.168.100.2 dev pool metric 64 onlink",
		"10.244.3.0/24 via 192.168.200.2 dev pool metric 64 onlink",
		NULL,
	};
	static const char *const never[] = {"blackhole 10.244.1.0/24 metric 65000", NULL};

	(void)state;
	cv_world_begin(&world);
	add_three_nodes(CROSS);
	cv_world_decide(&world);
	cv_world_assert_routes(&world, cross);
	assert_true(world.intent.has_device);
	assert_int_equal(world.intent.tunnel_address, cv_test_address("10.244.1.0"));
	assert_false(world.intent.tunnel_address_chosen);
	assert_int_equal(world.intent.protocol, 84);
	assert_int_equal(world.intent.warnings.count, 0);

	world.resources[0]->pool.ipip_mode = ALWAYS;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, always);

	world.resources[0]->pool.ipip_mode = NEVER;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, never);
	assert_false(world.intent.has_device);
	assert_int_equal(world.intent.tunnel_address, 0);

	/* The device lingers for what others still send. */
	world.keep_device = true;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, never);
	assert_true(world.intent.has_device);
	assert_int_equal(world.intent.tunnel_address, cv_test_address("10.244.1.0"));
	assert_int_equal(world.intent.mtu, 1480);

	/* … but not once there is no pool at all. */
	cv_world_clear(&world);
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_decide(&world);
	assert_false(world.intent.has_device);
	assert_int_equal(world.intent.route_count, 0);
	cv_world_end(&world);
}

/* A pool that contains the underlay: the guard leaves out nodes, gateways and published prefixes.
 */
static void test_guard_has_holes(void **state)
{
	static const char *const lines[] = {
		"unreachable 10.244.0.0/17 metric 65001",
		"10.244.2.0/24 via 192.168.200.2 dev pool metric 64 onlink",
		"unreachable 10.244.128.0/18 metric 65001",
		"unreachable 10.244.192.0/19 metric 65001",
		"unreachable 10.244.224.0/20 metric 65001",
		"unreachable 10.244.240.0/21 metric 65001",
		"unreachable 10.244.248.0/22 metric 65001",
		"unreachable 10.244.252.0/23 metric 65001",
		"unreachable 10.244.254.0/24 metric 65001",
		"unreachable 192.168.0.0/18 metric 65001",
		"blackhole 192.168.1.0/24 metric 65000",
		"unreachable 192.168.64.0/19 metric 65001",
		"unreachable 192.168.96.0/22 metric 65001",
		"unreachable 192.168.101.0/24 metric 65001",
		"unreachable 192.168.102.0/23 metric 65001",
		"unreachable 192.168.104.0/21 metric 65001",
		"unreachable 192.168.112.0/20 metric 65001",
		"unreachable 192.168.128.0/18 metric 65001",
		"unreachable 192.168.192.0/21 metric 65001",
		"unreachable 192.168.201.0/24 metric 65001",
		"unreachable 192.168.202.0/23 metric 65001",
		"unreachable 192.168.204.0/22 metric 65001",
		"unreachable 192.168.208.0/20 metric 65001",
		"unreachable 192.168.224.0/19 metric 65001",
		NULL,
	};

	(void)state;
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("seed", "192.168.0.0/16", CROSS));
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", ALWAYS));
	/* A Never pool has no guard. */
	cv_world_add(&world, cv_test_pool("never", "10.7.0.0/16", NEVER));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", NULL));
	cv_world_add(&world, cv_test_affinity("a1", "192.168.1.0/24"));
	cv_world_add(&world, cv_test_affinity("b1", "10.244.2.0/24"));
	cv_world_add(&world, cv_test_reservation("kept", "10.244.255.0/24"));
	cv_world_decide(&world);
	cv_world_assert_routes(&world, lines);
	assert_true(cv_world_warns(&world, "IPPool seed contains the underlay's addresses, Node "));
	assert_false(cv_world_warns(&world, "IPPool pool contains"));
	cv_world_end(&world);
}

/* A lone pool, that may contain nodes that are not known yet, cuts nobody off. */
static void test_lone_pool(void **state)
{
	static const char *const none[] = {NULL};

	(void)state;
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("seed", "192.168.0.0/16", CROSS));
	cv_world_decide(&world);
	cv_world_assert_routes(&world, none);
	assert_int_equal(world.intent.self.address, cv_test_address("192.168.100.1"));
	assert_true(cv_world_warns(&world, "this node owns no block"));
	cv_world_end(&world);
}

static void test_tunnel_addresses(void **state)
{
	static const char *const lines[] = {
		/* In no pool: by the tunnel. */
		"10.99.0.4 via 192.168.200.4",
		"unreachable 10.244.0.0/16 metric 65001",
		"blackhole 10.244.1.0/24 metric 65000",
		/* Borrowed from our block, and from another's. */
		"10.244.1.9/32 via 192.168.200.3 dev pool metric 64 onlink",
		"10.244.2.0/24 via 192.168.100.2 dev 202 metric 64",
		"10.244.2.9/32 via 192.168.200.5 dev pool metric 64 onlink",
		/* In nobody's block: as the pool says. */
		"10.244.9.2/32 via 192.168.100.3 dev 202 metric 64",
		NULL,
	};
	const char *all[8];

	(void)state;
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CROSS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", "10.244.1.0"));
	cv_world_add(&world, cv_test_node("a2", "192.168.100.2/24", "10.244.2.0"));
	cv_world_add(&world, cv_test_node("a3", "192.168.100.3/24", "10.244.9.2"));
	cv_world_add(&world, cv_test_node("b3", "192.168.200.3/24", "10.244.1.9"));
	cv_world_add(&world, cv_test_node("b4", "192.168.200.4/24", "10.99.0.4"));
	cv_world_add(&world, cv_test_node("b5", "192.168.200.5/24", "10.244.2.9"));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.1.0/24"));
	cv_world_add(&world, cv_test_affinity("a2", "10.244.2.0/24"));
	cv_world_decide(&world);
	memcpy(all, lines, sizeof(lines));
	all[0] = "10.99.0.4/32 via 192.168.200.4 dev pool metric 64 onlink";
	cv_world_assert_routes(&world, all);
	assert_int_equal(cv_owners_find(&world.intent.owners, cv_test_address("10.244.1.9")),
			 cv_test_address("192.168.200.3"));
	assert_int_equal(cv_owners_find(&world.intent.owners, cv_test_address("10.244.1.8")), 0);
	assert_int_equal(cv_owners_find(&world.intent.owners, cv_test_address("10.244.2.9")),
			 cv_test_address("192.168.200.5"));
	cv_world_end(&world);
}

static void test_workloads(void **state)
{
	static const char *const lines[] = {
		"unreachable 10.244.0.0/16 metric 65001",
		"blackhole 10.244.1.0/24 metric 65000",
		"10.244.1.16/28 dev 205 metric 64",
		"10.244.2.0/24 via 192.168.100.2 dev 202 metric 64",
		/* One of ours in another's block, and one of its in ours. */
		"10.244.2.7/32 dev 205 metric 64",
		"10.244.3.0/24 via 192.168.200.2 dev pool metric 64 onlink",
		NULL,
	};
	static const char *const moved[] = {
		"unreachable 10.244.0.0/16 metric 65001",
		"blackhole 10.244.1.0/24 metric 65000",
		"10.244.1.77/32 via 192.168.200.2 dev pool metric 64 onlink",
		"10.244.2.0/24 via 192.168.100.2 dev 202 metric 64",
		"10.244.3.0/24 via 192.168.200.2 dev pool metric 64 onlink",
		"10.244.7.7/32 via 192.168.200.2 dev pool metric 64 onlink",
		NULL,
	};

	(void)state;
	cv_world_begin(&world);
	cv_made_device(&world.host, 205, "br0", 1500, "");
	cv_made_device(&world.host, 206, "tap6", 1500, "")->flags = 0;
	add_three_nodes(CROSS);
	cv_world_add(&world, cv_test_workload("there", "a1", "br0", "10.244.1.16/28 10.244.2.7"));
	cv_world_add(&world, cv_test_workload("down", "a1", "tap6", "10.244.1.40"));
	cv_world_add(&world, cv_test_workload("absent", "a1", "tap7", "10.244.1.41"));
	cv_world_add(&world, cv_test_workload("routed", "a1", "", "10.244.1.42"));
	cv_world_decide(&world);
	cv_world_assert_routes(&world, lines);
	expect("10.244.2.7", CV_PATH_LOCAL, CV_REASON_LOCAL);
	expect("10.244.2.8", CV_PATH_DIRECT, CV_REASON_SAME_SUBNET);
	assert_true(cv_world_warns(&world, "Workload absent: this node has no device tap7"));
	assert_false(cv_world_warns(&world, "Workload down"));
	assert_false(cv_world_warns(&world, "Workload routed"));
	/* Nobody else may send from it. */
	assert_int_equal(cv_owners_find(&world.intent.owners, cv_test_address("10.244.2.7")), 0);
	assert_int_equal(cv_owners_find(&world.intent.owners, cv_test_address("10.244.2.8")),
			 cv_test_address("192.168.100.2"));

	cv_world_clear(&world);
	add_three_nodes(CROSS);
	cv_world_add(&world, cv_test_workload("away", "b1", "br0", "10.244.1.77 10.244.7.7"));
	cv_world_decide(&world);
	cv_world_assert_routes(&world, moved);
	expect("10.244.1.77", CV_PATH_TUNNEL, CV_REASON_OTHER_SUBNET);
	assert_int_equal(cv_owners_find(&world.intent.owners, cv_test_address("10.244.1.77")),
			 cv_test_address("192.168.200.2"));
	assert_int_equal(cv_owners_find(&world.intent.owners, cv_test_address("10.244.1.78")), 0);
	cv_world_end(&world);
}

/* A Workload that is all of our block: one route, not two, and no answer but "local". */
static void test_workload_of_a_whole_block(void **state)
{
	static const char *const lines[] = {
		"unreachable 10.244.0.0/16 metric 65001",
		"10.244.1.0/24 dev 205 metric 64",
		"blackhole 10.244.1.0/24 metric 65000",
		NULL,
	};

	(void)state;
	cv_world_begin(&world);
	cv_made_device(&world.host, 205, "br0", 1500, "10.244.1.1/24");
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CROSS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.1.0/24"));
	cv_world_add(&world, cv_test_workload("all", "a1", "br0", "10.244.1.0/24"));
	cv_world_decide(&world);
	cv_world_assert_routes(&world, lines);
	expect("10.244.1.5", CV_PATH_LOCAL, CV_REASON_LOCAL);
	cv_world_end(&world);
}

static void test_tunnel_resources(void **state)
{
	static const char *const lines[] = {"172.20.0.0/16 dev 207 metric 64", NULL};
	static const char *const none[] = {NULL};
	struct cv_fact_interface *device;
	struct cv_tunnel_resource *tunnel;

	(void)state;
	cv_world_begin(&world);
	device = cv_made_device(&world.host, 207, "tun7", 1480, "");
	device->is_ours = true;
	tunnel = cv_world_add(&world, cv_test_tunnel("tun7", "192.168.100.1", "192.0.2.7"))->tunnel;
	tunnel->routes = calloc(1, sizeof(*tunnel->routes));
	assert_non_null(tunnel->routes);
	tunnel->routes[tunnel->route_count++] = cv_test_prefix("172.20.0.0/16");
	cv_world_decide(&world);
	cv_world_assert_routes(&world, lines);
	device->flags = 0;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, none);
	device->flags = 1;
	tunnel->node = strdup("b1");
	cv_world_decide(&world);
	cv_world_assert_routes(&world, none);
	cv_world_end(&world);
}

/* ---- the pool device -------------------------------------------------------------------- */

static void test_ipip_disabled(void **state)
{
	static const char *const lines[] = {
		"unreachable 10.244.0.0/16 metric 65001",
		"blackhole 10.244.1.0/24 metric 65000",
		"10.244.2.0/24 via 192.168.100.2 dev 202 metric 64",
		NULL,
	};
	struct cv_resource *felix;

	(void)state;
	cv_world_begin(&world);
	add_three_nodes(CROSS);
	felix = cv_world_add(&world, cv_test_felix("default", NULL));
	felix->felix->has_ipip_enabled = true;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, lines);
	assert_false(world.intent.has_device);
	expect("10.244.2.1", CV_PATH_DIRECT, CV_REASON_SAME_SUBNET);
	expect("10.244.3.1", CV_PATH_NONE, CV_REASON_IPIP_DISABLED);
	world.resources[0]->pool.ipip_mode = ALWAYS;
	cv_world_decide(&world);
	expect("10.244.2.1", CV_PATH_NONE, CV_REASON_IPIP_DISABLED);
	/* This node's own word counts more. */
	felix = cv_world_add(&world, cv_test_felix("node.a1", NULL));
	felix->felix->has_ipip_enabled = felix->felix->ipip_enabled = true;
	cv_world_decide(&world);
	assert_true(world.intent.has_device);
	expect("10.244.3.1", CV_PATH_TUNNEL, CV_REASON_ALWAYS);
	cv_world_end(&world);
}

static void test_chosen_tunnel_address(void **state)
{
	struct cv_resource *pool;

	(void)state;
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("never", "10.1.0.0/16", NEVER));
	cv_world_add(&world, cv_test_pool("nat", "10.2.0.0/16", ALWAYS))->pool.allowed_uses =
		CV_USE_WORKLOAD;
	pool = cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_affinity("a1", "10.1.0.0/24"));
	cv_world_add(&world, cv_test_affinity("a1", "10.2.0.0/24"));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.6.0/24"));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.5.0/24"));
	cv_world_decide(&world);
	assert_int_equal(world.intent.tunnel_address, cv_test_address("10.244.5.0"));
	assert_true(world.intent.tunnel_address_chosen);
	assert_false(cv_world_warns(&world, "the pool device has no address"));
	pool->pool.allowed_uses = CV_USE_WORKLOAD;
	cv_world_decide(&world);
	assert_int_equal(world.intent.tunnel_address, 0);
	assert_false(world.intent.tunnel_address_chosen);
	assert_true(world.intent.has_device);
	assert_true(cv_world_warns(&world, "the pool device has no address"));
	cv_world_end(&world);
}

static void expect_mtu(uint32_t mtu, const char *how)
{
	cv_world_decide(&world);
	assert_string_equal(world.intent.mtu_how, how);
	assert_int_equal(world.intent.mtu, mtu);
}

static void test_mtu(void **state)
{
	struct cv_felix_configuration *felix;
	struct cv_fact_interface *eth0;

	(void)state;
	cv_world_begin(&world);
	add_three_nodes(CROSS);
	felix = cv_world_add(&world, cv_test_felix("default", NULL))->felix;
	cv_made_device(&world.host, 210, "eth10", 1400, "");
	cv_made_device(&world.host, 211, "eth11", 1300, "")->flags = 0;
	cv_made_device(&world.host, 212, "eth12", 1200, "")->is_ours = true;
	cv_made_device(&world.host, 213, "bond0", 9000, "");
	eth0 = &world.host.interfaces[1];
	expect_mtu(1480, "eth0's 1500 less 20");
	eth0->mtu = 9000;
	expect_mtu(8980, "eth0's 9000 less 20");
	felix->mtu_iface_pattern = strdup("^eth.*");
	expect_mtu(1380, "eth10's 1400 less 20");
	free(felix->mtu_iface_pattern);
	felix->mtu_iface_pattern = strdup("nothing");
	expect_mtu(8980, "eth0's 9000 less 20");
	free(felix->mtu_iface_pattern);
	felix->mtu_iface_pattern = strdup("^bond");
	expect_mtu(8980, "bond0's 9000 less 20");
	eth0->mtu = 100000;
	free(felix->mtu_iface_pattern);
	felix->mtu_iface_pattern = NULL;
	expect_mtu(65515, "eth0's 65535 less 20");
	eth0->mtu = 80;
	expect_mtu(0, "");
	felix->ipip_mtu = 1234;
	expect_mtu(1234, "FelixConfiguration ipipMTU");
	cv_world_end(&world);
}

static void know_paths(uint32_t to_a2, uint32_t to_b1, int result)
{
	const struct cv_fact_path paths[] = {
		{cv_test_address("192.168.200.2"), to_b1},
		{cv_test_address("192.168.100.2"), to_a2},
	};

	assert_int_equal(cv_facts_set_paths(&world.host.facts, paths, 2), result);
}

static void expect_route_mtus(uint32_t to_a2, uint32_t to_b1)
{
	const uint32_t want[] = {to_a2, to_b1};
	const char *const blocks[] = {"10.244.2.0", "10.244.3.0"};

	cv_world_decide(&world);
	for (size_t i = 0; i < world.intent.route_count; i++) {
		const struct cv_table_route *route = &world.intent.routes[i];
		uint32_t mtu = 0;

		for (size_t j = 0; j < 2; j++) {
			if (route->prefix.address == cv_test_address(blocks[j]))
				mtu = want[j];
		}
		assert_int_equal(route->mtu, mtu);
	}
}

/* The device has the smallest of the ways to others, routes to those with a larger one theirs. */
static void test_mtu_of_paths(void **state)
{
	struct cv_felix_configuration *felix;

	(void)state;
	cv_world_begin(&world);
	add_three_nodes(ALWAYS);
	felix = cv_world_add(&world, cv_test_felix("default", NULL))->felix;
	cv_made_device(&world.host, 213, "bond0", 4000, "");
	know_paths(1500, 1500, 1);
	know_paths(1500, 1500, 0);
	expect_mtu(1480, "eth0's 1500 less 20");
	expect_route_mtus(0, 0);
	know_paths(1400, 1500, 1);
	expect_mtu(1380, "the narrowest path's 1400 less 20");
	expect_route_mtus(0, 1480);
	know_paths(9000, 1500, 1);
	expect_mtu(1480, "eth0's 1500 less 20");
	expect_route_mtus(8980, 0);
	know_paths(9000, 8000, 1);
	expect_mtu(7980, "the narrowest path's 8000 less 20");
	expect_route_mtus(8980, 0);
	felix->mtu_iface_pattern = strdup("^bond");
	expect_mtu(3980, "bond0's 4000 less 20");
	expect_route_mtus(0, 0);
	know_paths(9000, 1500, 1);
	expect_mtu(1480, "eth0's 1500 less 20");
	expect_route_mtus(3980, 0);
	free(felix->mtu_iface_pattern);
	felix->mtu_iface_pattern = NULL;
	world.host.facts.mtu_by_hand = true;
	expect_route_mtus(0, 0);
	world.host.facts.mtu_by_hand = false;
	/* One that has no route is no peer now. */
	know_paths(9000, 0, 1);
	expect_mtu(8980, "the narrowest path's 9000 less 20");
	expect_route_mtus(0, 0);
	know_paths(9000, 1500, 1);
	felix->ipip_mtu = 1234;
	expect_mtu(1234, "FelixConfiguration ipipMTU");
	expect_route_mtus(0, 0);
	know_paths(0, 0, 1);
	free(world.host.facts.wider);
	cv_world_end(&world);
}

/* ---- many ------------------------------------------------------------------------------- */

static void test_metrics_of_many_peers(void **state)
{
	char name[16], address[32], block[32];
	uint32_t metrics[300] = {0};
	size_t different = 0;

	(void)state;
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.0.0.0/8", ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(address, sizeof(address), "172.16.%d.%d/16", i / 200, i % 200 + 1);
		cv_world_add(&world, cv_test_node(name, address, NULL));
		for (int k = 0; k < 2; k++) {
			snprintf(block, sizeof(block), "10.%d.%d.0/24", k, i % 250);
			if (i < 250)
				cv_world_add(&world, cv_test_affinity(name, block));
		}
		if (i == 255) { /* 256 peers: the pretty number */
			cv_world_decide(&world);
			for (size_t j = 0; j < world.intent.route_count; j++)
				assert_true(world.intent.routes[j].metric == 64 ||
					    world.intent.routes[j].metric == CV_METRIC_GUARD);
		}
	}
	cv_world_decide(&world);
	for (size_t j = 0; j < world.intent.route_count; j++) {
		const struct cv_table_route *route = &world.intent.routes[j];
		uint32_t number = ntohl(route->gateway) - 0xac100001;
		size_t peer = number / 256 * 200 + number % 256;

		if (!route->gateway)
			continue;
		assert_in_range(route->metric, 64, 64 + 1023);
		assert_in_range(peer, 0, 249);
		/* All of one peer's have one number: its next hop is shared. */
		assert_true(!metrics[peer] || metrics[peer] == route->metric);
		different += !metrics[peer];
		metrics[peer] = route->metric;
	}
	assert_int_equal(different, 250);
	different = 0;
	for (size_t i = 0; i < 250; i++) {
		bool is_first = true;

		for (size_t k = 0; k < i; k++)
			is_first = is_first && metrics[k] != metrics[i];
		different += is_first;
	}
	assert_in_range(different, 150, 250);
	cv_world_end(&world);
}

/* Nested claims of one node, and single addresses of others within: against a walk over all. */
static void add_random_claims(void)
{
	static const char *const names[] = {"a1", "a2", "b1"};
	char text[32], name[16];

	cv_world_add(&world, cv_test_pool("pool", "10.0.0.0/8", CROSS));
	for (size_t i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "192.168.%d.%zu/24", i == 2 ? 200 : 100, i + 1);
		cv_world_add(&world, cv_test_node(names[i], text, NULL));
	}
	for (int i = 0; i < 200; i++) {
		size_t owner = (size_t)rand() % 3;
		int length = 17 + rand() % 9;
		uint32_t bits = 0x0a000000 | (uint32_t)owner << 16 | ((uint32_t)rand() & 0xffff);
		struct cv_prefix prefix = cv_prefix_of(htonl(bits), (uint8_t)length);
		bool is_new = true;

		for (size_t k = 0; k < world.count; k++)
			is_new = is_new &&
				 (world.resources[k]->kind != CV_KIND_BLOCK_AFFINITY ||
				  cv_prefix_compare(&world.resources[k]->affinity.cidr, &prefix));
		if (is_new)
			cv_world_add(&world, cv_test_affinity(names[owner],
							      cv_prefix_format(&prefix, text)));
		/* Even addresses only, each of its own thirty-two: never twice. */
		snprintf(text, sizeof(text), "10.%d.%d.%d", rand() % 3, i, 2 * (rand() % 16));
		snprintf(name, sizeof(name), "w%d", i);
		cv_world_add(&world, cv_test_workload(name, names[rand() % 3], "", text));
	}
}

static const struct cv_decision *naive(__be32 address)
{
	const struct cv_decision *best = NULL;

	for (size_t i = 0; i < world.intent.decision_count; i++) {
		const struct cv_decision *decision = &world.intent.decisions[i];

		if (cv_prefix_has(&decision->claim.prefix, address) &&
		    (!best || decision->claim.prefix.length > best->claim.prefix.length))
			best = decision;
	}
	return best;
}

static void test_look_up_against_a_walk(void **state)
{
	size_t found = 0;

	(void)state;
	srand(4);
	cv_world_begin(&world);
	add_random_claims();
	cv_world_decide(&world);
	for (uint32_t i = 0; i < 60000; i++) {
		__be32 address = htonl(0x0a000000 + (uint32_t)rand() % 0x38000);
		const struct cv_decision *want = naive(address);
		const struct cv_decision *got = cv_intent_decision(&world.intent, address);
		__be32 owner =
			want && want->path != CV_PATH_LOCAL ? want->claim.node->node.address : 0;

		found += want != NULL;
		assert_ptr_equal(got, want);
		assert_int_equal(cv_owners_find(&world.intent.owners, address), owner);
	}
	assert_in_range(found, 10000, 59999);
	cv_world_end(&world);
}

static void print_intent(char *text, size_t size)
{
	char route[128];
	FILE *out = fmemopen(text, size, "w");

	assert_non_null(out);
	for (size_t i = 0; i < world.intent.route_count; i++)
		fprintf(out, "%s\n", cv_world_route_text(&world.intent.routes[i], route));
	for (size_t i = 0; i < world.intent.decision_count; i++)
		fprintf(out, "%s %s\n", world.intent.decisions[i].claim.resource->name,
			cv_path_name(world.intent.decisions[i].path));
	for (size_t i = 0; i < world.intent.peer_count; i++)
		fprintf(out, "%s %u\n", world.intent.peers[i].node->name,
			world.intent.peers[i].prefixes);
	for (size_t i = 0; i < world.intent.warnings.count; i++)
		fprintf(out, "%s\n", world.intent.warnings.texts[i]);
	fprintf(out, "%x\n", world.intent.tunnel_address);
	fclose(out);
}

static void test_order_of_resources_does_not_matter(void **state)
{
	static char first[1 << 17], again[1 << 17];
	struct cv_owners owners;

	(void)state;
	srand(5);
	cv_world_begin(&world);
	add_random_claims();
	cv_world_decide(&world);
	print_intent(first, sizeof(first));
	assert_in_range(strlen(first), 1000, sizeof(first) - 2);
	assert_int_equal(cv_owners_copy(&world.intent.owners, &owners), 0);
	for (int round = 0; round < 5; round++) {
		for (size_t i = world.count - 1; i > 0; i--) {
			size_t k = (size_t)rand() % (i + 1);
			struct cv_resource *other = world.resources[k];

			world.resources[k] = world.resources[i];
			world.resources[i] = other;
		}
		cv_world_decide(&world);
		print_intent(again, sizeof(again));
		assert_string_equal(again, first);
		assert_true(cv_owners_equal(&owners, &world.intent.owners));
	}
	cv_owners_fini(&owners);
	cv_world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_prefixes_of_nobody),
		cmocka_unit_test(test_routes_of_modes),
		cmocka_unit_test(test_guard_has_holes),
		cmocka_unit_test(test_lone_pool),
		cmocka_unit_test(test_tunnel_addresses),
		cmocka_unit_test(test_workloads),
		cmocka_unit_test(test_workload_of_a_whole_block),
		cmocka_unit_test(test_tunnel_resources),
		cmocka_unit_test(test_ipip_disabled),
		cmocka_unit_test(test_chosen_tunnel_address),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_mtu_of_paths),
		cmocka_unit_test(test_metrics_of_many_peers),
		cmocka_unit_test(test_look_up_against_a_walk),
		cmocka_unit_test(test_order_of_resources_does_not_matter),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
