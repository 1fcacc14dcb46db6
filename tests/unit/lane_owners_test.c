/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may send when resources declare owners: whatever way the route back leads, and what stays
 * refused. In a world without a kernel:
 *
 *     us ── tun0, NBMA ── B1, owner of 10.244.2.0/24 (but of 10.244.2.128/25, B2's)
 *                      ── B2, owner of 10.244.3.0/24
 *                      ── B3, owner of nothing
 *                      ── STRANGER
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/monitor.h"
#include "packets.h"
#include "world.h"

#define US	 "192.168.100.1"
#define B1	 "192.168.200.2"
#define B2	 "192.168.200.3"
#define B3	 "192.168.100.7"
#define STRANGER "192.168.200.9"
#define ROUTER	 "192.168.100.254"
#define POD_A	 "10.244.1.2"
#define POD_B	 "10.244.2.2"
#define POD_B2	 "10.244.3.2"

struct fixture {
	struct world *world;
	struct cv_live_tunnel *tunnel;
};

static struct cv_owned_prefix owned(const char *first, uint8_t length, const char *owner)
{
	uint32_t from = cv_ntohl(world_addr(first));

	return (struct cv_owned_prefix){
		.first = from,
		.last = from | (uint32_t)((1ULL << (32 - length)) - 1),
		.length = length,
		.owner = world_addr(owner),
	};
}

/* As cv_engine_tunnel_set_owners does it. */
static void put(struct fixture *fixture, const struct cv_owners *owners)
{
	struct cv_live_owners next;

	assert_int_equal(cv_live_owners_init(&next, owners, 1), 0);
	cv_live_owners_swap(fixture->tunnel, &next);
	cv_live_owners_fini(&next);
	cv_router_forget(fixture->world->lane->router);
}

static void declare(struct fixture *fixture, const char *of_pod_b)
{
	const struct cv_owned_prefix prefixes[] = {
		owned("10.244.1.0", 24, NULL),	   owned("10.244.2.0", 24, of_pod_b),
		owned("10.244.2.128", 25, B2),	   owned("10.244.3.0", 24, B2),
		owned("10.244.4.0", 24, STRANGER),
	};
	const __be32 peers[] = {world_addr(B1), world_addr(B2), world_addr(B3)};
	struct cv_owners owners;

	assert_int_equal(cv_owners_make(prefixes, 5, peers, 3, &owners), 0);
	put(fixture, &owners);
	cv_owners_fini(&owners);
}

static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	fixture->world = world_create();
	fixture->tunnel = world_tunnel(fixture->world, WORLD_TUN0, NULL, US);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, NULL);
	world_destroy(fixture->world);
	test_free(fixture);
	return 0;
}

static void receive(struct fixture *fixture, const char *from, const char *source)
{
	uint8_t inner[256], outer[512];
	const struct header_of of = {
		.source = world_addr(source),
		.destination = world_addr(POD_A),
	};
	uint32_t length = write_ipv4(inner, &of, NULL, 64);

	length = write_outer(outer, world_addr(from), world_addr(US), 0, inner, length);
	world_in(fixture->world, NULL, outer, length);
}

static const char *fate(struct fixture *fixture, const char *from, const char *source)
{
	const struct cv_counters *counters = &fixture->tunnel->lanes[0].counters;
	struct cv_counters before = *counters;
	unsigned int delivered = fixture->world->delivered.count;

	receive(fixture, from, source);
	if (fixture->world->delivered.count == delivered + 1)
		return "delivered";
	for (unsigned int i = 0; i < CV_DROP_MAX; i++) {
		if (counters->drops[i] == before.drops[i] + 1)
			return cv_drop_name((enum cv_drop)i);
	}
	return "lost";
}

#define DELIVERED  "delivered"
#define NOT_A_PEER cv_drop_name(CV_DROP_NOT_A_PEER)
#define REFUSES	   cv_drop_name(CV_DROP_SOURCE_ROUTE_REFUSES)
#define NOT_BACK   cv_drop_name(CV_DROP_SOURCE_NOT_ROUTED_BACK)
#define OWN	   cv_drop_name(CV_DROP_SOURCE_OWN)

/* The route back to POD_B: type, device and gateway (NULL: none). */
static void route_back(struct fixture *fixture, uint8_t type, int oif, const char *gateway)
{
	struct world_route *route = world_route(fixture->world, "10.244.2.0/24", type);

	if (oif)
		world_hop(route, oif, gateway);
}

/* By tunnel, direct, by the underlay's router (of its own, and by default): the owner may. */
static void test_an_owner_may_whatever_the_way(void **state)
{
	static const struct {
		int oif;
		const char *gateway;
	} ways[] = {
		{WORLD_TUN0, B1},   {WORLD_ETH0, B1},	{WORLD_ETH0, ROUTER}, {WORLD_TUN0, B2},
		{WORLD_ETH0, NULL}, {WORLD_TUN0, NULL}, {WORLD_VETH, NULL},
	};
	struct fixture *fixture = *state;

	declare(fixture, B1);
	assert_string_equal(fate(fixture, B1, POD_B), DELIVERED); /* by the default route */
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		route_back(fixture, RTN_UNICAST, ways[i].oif, ways[i].gateway);
		assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
		world_unroute(fixture->world, "10.244.2.0/24");
	}
}

/* Without owners, only by the tunnel: as ever. */
static void test_without_owners_the_tunnel_only(void **state)
{
	struct fixture *fixture = *state;

	route_back(fixture, RTN_UNICAST, WORLD_ETH0, B1);
	assert_string_equal(fate(fixture, B1, POD_B), NOT_A_PEER);
	world_unroute(fixture->world, "10.244.2.0/24");
	route_back(fixture, RTN_UNICAST, WORLD_TUN0, B1);
	assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
	/* Their end is as if they had never been. */
	declare(fixture, B1);
	world_unroute(fixture->world, "10.244.2.0/24");
	route_back(fixture, RTN_UNICAST, WORLD_ETH0, B1);
	assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
	put(fixture, NULL);
	assert_string_equal(fate(fixture, B1, POD_B), NOT_A_PEER);
}

static void test_routes_still_refuse(void **state)
{
	static const uint8_t types[] = {RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_LOCAL};
	struct fixture *fixture = *state;

	declare(fixture, B1);
	for (size_t i = 0; i < sizeof(types); i++) {
		route_back(fixture, types[i], 0, NULL);
		assert_string_equal(fate(fixture, B1, POD_B), REFUSES);
		world_unroute(fixture->world, "10.244.2.0/24");
		assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
	}
	world_unroute(fixture->world, "0.0.0.0/0");
	assert_string_equal(fate(fixture, B1, POD_B), REFUSES); /* no route at all */
	assert_string_equal(fate(fixture, B1, "10.244.1.1"), OWN);
}

/* The outer destination of a packet to POD_B that is in the device; 0: it is dropped. */
static __be32 sent_to(struct fixture *fixture)
{
	struct world_list *sent = &fixture->world->sent;
	const struct header_of of = {
		.source = world_addr(POD_A),
		.destination = world_addr(POD_B),
	};
	uint8_t inner[256];
	uint32_t length = write_ipv4(inner, &of, NULL, 64);

	world_forget_outputs(fixture->world);
	world_out(fixture->world, fixture->tunnel, NULL, inner, length);
	return sent->count ? sent->items[0].destination : 0;
}

/* Routing sends its like another way since a moment ago: it is the owner's all the same. */
static void test_what_is_in_the_device_goes_to_the_owner(void **state)
{
	struct fixture *fixture = *state;

	route_back(fixture, RTN_UNICAST, WORLD_ETH0, ROUTER);
	assert_int_not_equal(sent_to(fixture), world_addr(B1));
	declare(fixture, B1);
	assert_int_equal(sent_to(fixture), world_addr(B1));
	world_unroute(fixture->world, "10.244.2.0/24");
	/* A gateway through the device is the kernel's choice, and stands. */
	route_back(fixture, RTN_UNICAST, WORLD_TUN0, B2);
	assert_int_equal(sent_to(fixture), world_addr(B2));
}

/* A known node in another's name. */
static void test_spoofed_sources_are_dropped(void **state)
{
	struct fixture *fixture = *state;

	declare(fixture, B1);
	route_back(fixture, RTN_UNICAST, WORLD_ETH0, ROUTER);
	assert_string_equal(fate(fixture, B2, POD_B), NOT_BACK);
	assert_string_equal(fate(fixture, B3, POD_B), NOT_BACK);
	assert_string_equal(fate(fixture, B1, POD_B2), NOT_BACK);
	/* The longest prefix owns. */
	assert_string_equal(fate(fixture, B1, "10.244.2.200"), NOT_BACK);
	assert_string_equal(fate(fixture, B2, "10.244.2.200"), DELIVERED);
	/* Nobody's, and this node's own block: its route back leads to a pod of ours. */
	assert_string_equal(fate(fixture, B1, "203.0.113.7"), NOT_BACK);
	assert_string_equal(fate(fixture, B1, "10.244.1.9"), NOT_BACK);
	/* Not even where the tunnel leads to its owner. */
	world_unroute(fixture->world, "10.244.2.0/24");
	route_back(fixture, RTN_UNICAST, WORLD_TUN0, B1);
	assert_string_equal(fate(fixture, B2, POD_B), NOT_BACK);
}

/* What routes say counts for who is no owner: a gateway, through the tunnel or directly. */
static void test_next_hops_need_not_own(void **state)
{
	struct fixture *fixture = *state;

	declare(fixture, B1);
	route_back(fixture, RTN_UNICAST, WORLD_ETH0, B3);
	assert_string_equal(fate(fixture, B3, POD_B), DELIVERED);
	assert_string_equal(fate(fixture, B2, POD_B), NOT_BACK);
	world_unroute(fixture->world, "10.244.2.0/24");
	route_back(fixture, RTN_UNICAST, WORLD_TUN0, B3);
	assert_string_equal(fate(fixture, B3, POD_B), DELIVERED);
	/* One of several. */
	world_hop(world_route(fixture->world, "10.244.9.0/24", RTN_UNICAST), WORLD_ETH0, ROUTER);
	assert_string_equal(fate(fixture, B2, "10.244.9.1"), NOT_BACK);
	world_unroute(fixture->world, "10.244.9.0/24");
	{
		struct world_route *route =
			world_route(fixture->world, "10.244.9.0/24", RTN_UNICAST);

		world_hop(route, WORLD_ETH0, ROUTER);
		world_hop(route, WORLD_ETH0, B2);
	}
	assert_string_equal(fate(fixture, B2, "10.244.9.1"), DELIVERED);
	assert_string_equal(fate(fixture, B1, "10.244.9.1"), NOT_BACK);
}

static void test_strangers_stay_strangers(void **state)
{
	struct fixture *fixture = *state;

	declare(fixture, B1);
	assert_string_equal(fate(fixture, STRANGER, POD_B), NOT_A_PEER);
	/* Owner of something, but no peer; the router is none either. */
	assert_string_equal(fate(fixture, STRANGER, "10.244.4.1"), NOT_A_PEER);
	route_back(fixture, RTN_UNICAST, WORLD_ETH0, ROUTER);
	assert_string_equal(fate(fixture, ROUTER, POD_B), NOT_A_PEER);
	assert_string_equal(fate(fixture, STRANGER, STRANGER), NOT_A_PEER);
	/* A gateway through the tunnel (a route that BGP brought) is a peer beside them. */
	world_hop(world_route(fixture->world, "10.244.4.0/24", RTN_UNICAST), WORLD_TUN0, STRANGER);
	assert_string_equal(fate(fixture, STRANGER, "10.244.4.1"), DELIVERED);
	assert_string_equal(fate(fixture, STRANGER, STRANGER), DELIVERED);
	assert_string_equal(fate(fixture, STRANGER, POD_B), NOT_BACK);
}

/* From its own outer address, without a question. */
static void test_peers_may_send_from_their_own_address(void **state)
{
	struct fixture *fixture = *state;
	unsigned int asked;

	assert_string_equal(fate(fixture, B3, B3), NOT_A_PEER);
	declare(fixture, B1);
	assert_string_equal(fate(fixture, B3, B3), DELIVERED);
	assert_string_equal(fate(fixture, B1, B1), DELIVERED);
	assert_string_equal(fate(fixture, B1, B2), NOT_BACK);
	asked = fixture->world->asked;
	assert_int_equal(cv_router_judge(fixture->world->lane->router, fixture->tunnel,
					 world_addr(B1),
					 &(const struct cv_flow){.source = world_addr(B1)}),
			 CV_DROP_NONE);
	assert_int_equal(fixture->world->asked, asked);
}

static void test_new_owners_count_at_once(void **state)
{
	struct fixture *fixture = *state;

	declare(fixture, B1);
	route_back(fixture, RTN_UNICAST, WORLD_ETH0, ROUTER);
	assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
	assert_string_equal(fate(fixture, B2, POD_B), NOT_BACK);
	declare(fixture, B2);
	assert_string_equal(fate(fixture, B1, POD_B), NOT_BACK);
	assert_string_equal(fate(fixture, B2, POD_B), DELIVERED);
}

/* A tunnel to one remote has one peer, whatever is declared. */
static void test_a_fixed_remote_stays_alone(void **state)
{
	struct fixture *fixture = *state;
	struct cv_engine_tunnel config = fixture->tunnel->config;

	declare(fixture, B1);
	config.remote = world_addr(B1);
	assert_int_equal(cv_live_change(&fixture->world->live, fixture->tunnel, &config), 0);
	cv_router_forget(fixture->world->lane->router);
	route_back(fixture, RTN_UNICAST, WORLD_ETH0, B1);
	assert_string_equal(fate(fixture, B1, POD_B), NOT_BACK);
	world_unroute(fixture->world, "10.244.2.0/24");
	route_back(fixture, RTN_UNICAST, WORLD_TUN0, NULL);
	assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
}

/* Errors of the way to a declared peer are believed: quoted, as relay.c reads them. */
static void test_declared_peers_are_peers(void **state)
{
	struct fixture *fixture = *state;
	struct cv_router *router = fixture->world->lane->router;

	assert_false(cv_router_is_peer(router, fixture->tunnel, world_addr(B3)));
	assert_false(cv_router_is_declared(fixture->tunnel, world_addr(B3)));
	declare(fixture, B1);
	assert_true(cv_router_is_peer(router, fixture->tunnel, world_addr(B3)));
	assert_true(cv_router_is_declared(fixture->tunnel, world_addr(B3)));
	assert_false(cv_router_is_peer(router, fixture->tunnel, world_addr(STRANGER)));
	assert_false(cv_router_is_peer(router, fixture->tunnel, 0));
}

/* ---- naively ------------------------------------------------------------------------ */

static uint32_t seed = 1;

static unsigned int any(unsigned int count)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % count;
}

/* The rule in the words of router.h, on one route back. */
static bool may(const struct world_route *route, const char *from, const char *owner,
		bool is_declared)
{
	bool by_hop = false;

	if (!route || route->type != RTN_UNICAST)
		return false;
	for (unsigned int i = 0; i < route->count; i++)
		by_hop |= route->hops[i].gateway == world_addr(from) &&
			  (is_declared || route->hops[i].oif == WORLD_TUN0);
	return by_hop || (is_declared && owner && world_addr(owner) == world_addr(from));
}

/* ---- counting ---------------------------------------------------------------------- */

static void count(const struct fixture *fixture, const char *address,
		  struct cv_peer_counters *ret_counters)
{
	memset(ret_counters, 0, sizeof(*ret_counters));
	ret_counters->address = world_addr(address);
	cv_live_add_peers(fixture->tunnel, ret_counters, 1);
}

static void assert_counts(const struct fixture *fixture, const char *address, uint64_t rx,
			  uint64_t tx)
{
	struct cv_peer_counters counters;

	count(fixture, address, &counters);
	assert_int_equal(counters.rx_packets, rx);
	assert_int_equal(counters.rx_bytes, rx * 84);
	assert_int_equal(counters.tx_packets, tx);
	assert_int_equal(counters.tx_bytes, tx * 84);
}

/* 20 + 64 bytes, as receive() has them. */
static void send_out(struct fixture *fixture)
{
	uint8_t inner[256];
	const struct header_of of = {
		.source = world_addr(POD_A),
		.destination = world_addr(POD_B),
	};
	uint32_t length = write_ipv4(inner, &of, NULL, 64);

	world_out(fixture->world, fixture->tunnel, NULL, inner, length);
}

static void test_each_peer_is_counted(void **state)
{
	struct fixture *fixture = *state;
	const struct cv_counters *all = &fixture->tunnel->lanes[0].counters;

	route_back(fixture, RTN_UNICAST, WORLD_TUN0, B2);
	declare(fixture, B1);
	assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
	assert_string_equal(fate(fixture, B2, "10.244.3.2"), DELIVERED);
	assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
	assert_string_equal(fate(fixture, B1, "10.244.3.2"), NOT_BACK);
	assert_string_equal(fate(fixture, STRANGER, "10.244.4.2"), NOT_A_PEER);
	send_out(fixture);
	assert_counts(fixture, B1, 2, 0);
	assert_counts(fixture, B2, 1, 1);
	assert_counts(fixture, B3, 0, 0);
	assert_counts(fixture, STRANGER, 0, 0);
	assert_int_equal(all->rx_packets, 3);
	assert_int_equal(all->tx_packets, 1);
	assert_int_equal(all->tx_bytes, 84);
}

static void put_peers(struct fixture *fixture, const char *const *names, size_t n)
{
	__be32 peers[4];
	struct cv_owners owners;

	for (size_t i = 0; i < n; i++)
		peers[i] = world_addr(names[i]);
	assert_int_equal(cv_owners_make(NULL, 0, peers, n, &owners), 0);
	put(fixture, &owners);
	cv_owners_fini(&owners);
}

static void test_who_stays_counts_on(void **state)
{
	static const char *const without_b1[] = {STRANGER, B2}, *const with_b1[] = {B1, B2, B3};
	struct fixture *fixture = *state;

	declare(fixture, B1);
	receive(fixture, B1, POD_B);
	receive(fixture, B2, "10.244.3.2");
	put_peers(fixture, without_b1, 2);
	assert_counts(fixture, B1, 0, 0);
	assert_counts(fixture, B2, 1, 0);
	/* Who is not declared is in no list, but does no harm either. */
	route_back(fixture, RTN_UNICAST, WORLD_TUN0, B1);
	send_out(fixture);
	put_peers(fixture, with_b1, 3);
	assert_counts(fixture, B1, 0, 0);
	send_out(fixture);
	assert_counts(fixture, B1, 0, 1);
	assert_counts(fixture, B2, 1, 0);
	put(fixture, NULL);
	assert_counts(fixture, B2, 0, 0);
	send_out(fixture);
	declare(fixture, B1);
	assert_counts(fixture, B1, 0, 0);
	assert_counts(fixture, B2, 0, 0);
	assert_int_equal(fixture->tunnel->lanes[0].counters.tx_packets, 3);
}

/* From an address that a peer had before, it is the peer's. */
static void test_former_addresses_count(void **state)
{
	const struct cv_owned_prefix prefix = owned("10.244.2.0", 24, B1);
	const __be32 peers[] = {world_addr(B1)};
	struct fixture *fixture = *state;
	struct cv_owners owners;

	assert_int_equal(cv_owners_make(&prefix, 1, peers, 1, &owners), 0);
	assert_int_equal(cv_owners_add_former(&owners, world_addr(B3), world_addr(B1)), 0);
	put(fixture, &owners);
	cv_owners_fini(&owners);
	assert_string_equal(fate(fixture, B3, POD_B), DELIVERED);
	assert_string_equal(fate(fixture, B1, POD_B), DELIVERED);
	assert_counts(fixture, B1, 2, 0);
	assert_counts(fixture, B3, 0, 0);
}

static void test_agrees_with_the_rule(void **state)
{
	static const char *const hosts[] = {B1, B2, B3, STRANGER, ROUTER};
	static const uint8_t types[] = {RTN_UNICAST, RTN_UNICAST, RTN_UNICAST, RTN_BLACKHOLE,
					RTN_UNREACHABLE};
	static const int devices[] = {WORLD_TUN0, WORLD_ETH0, WORLD_VETH};
	struct fixture *fixture = *state;
	unsigned int delivered = 0;

	for (unsigned int round = 0; round < 2000; round++) {
		const char *owner = any(4) ? hosts[any(5)] : NULL;
		const char *from = hosts[any(5)];
		struct world_route *route =
			world_route(fixture->world, "10.244.2.0/24", types[any(5)]);
		bool expected;

		declare(fixture, owner);
		if (!any(8))
			put(fixture, NULL);
		for (unsigned int hops = route->type == RTN_UNICAST ? 1 + any(3) : 0; hops; hops--)
			world_hop(route, devices[any(3)], any(5) ? hosts[any(5)] : NULL);
		expected = may(route, from, owner,
			       cv_owners_has_peer(&fixture->tunnel->owners, world_addr(from)));
		if (expected != !strcmp(fate(fixture, from, POD_B), DELIVERED))
			fail_msg("round %u: %s, owner %s: expected %d", round, from,
				 owner ? owner : "none", expected);
		delivered += expected;
		world_forget_outputs(fixture->world);
		world_unroute(fixture->world, "10.244.2.0/24");
	}
	assert_in_range(delivered, 200, 1800);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_owner_may_whatever_the_way), TEST(without_owners_the_tunnel_only),
		TEST(routes_still_refuse),	     TEST(what_is_in_the_device_goes_to_the_owner),
		TEST(spoofed_sources_are_dropped),   TEST(next_hops_need_not_own),
		TEST(strangers_stay_strangers),	     TEST(peers_may_send_from_their_own_address),
		TEST(new_owners_count_at_once),	     TEST(each_peer_is_counted),
		TEST(who_stays_counts_on),	     TEST(former_addresses_count),
		TEST(a_fixed_remote_stays_alone),    TEST(declared_peers_are_peers),
		TEST(agrees_with_the_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
