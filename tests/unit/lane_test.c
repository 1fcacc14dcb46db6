/* SPDX-License-Identifier: Apache-2.0 */
/* Encapsulation, decapsulation and authorisation over a lane, in a world without a kernel. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "net/monitor.h"
#include "packets.h"
#include "wire/icmp.h"
#include "wire/ipip.h"
#include "world.h"

#define US    "192.168.100.1"
#define B1    "192.168.200.2"
#define B2    "192.168.200.3"
#define POD_A "10.244.1.2"
#define POD_B "10.244.2.2"

struct fixture {
	struct world *world;
	struct cv_live_tunnel *tunnel;
	uint8_t packet[WORLD_BYTES];
	uint32_t length;
};

static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	fixture->world = world_create();
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	world_destroy(fixture->world);
	test_free(fixture);
	return 0;
}

/* tun0 to B1 with the pods behind it; or, remote any, over the route's gateway. */
static struct fixture *with_tunnel(void **state, const char *remote)
{
	struct fixture *fixture = *state;
	struct world_route *route;

	fixture->tunnel = world_tunnel(fixture->world, WORLD_TUN0, remote, US);
	route = world_route(fixture->world, "10.244.2.0/24", RTN_UNICAST);
	world_hop(route, WORLD_TUN0, remote ? NULL : B1);
	return fixture;
}

static void inner(struct fixture *fixture, const char *from, const char *to, uint32_t payload,
		  uint16_t flags)
{
	const struct header_of of = {
		.source = world_addr(from),
		.destination = world_addr(to),
		.tos = 0xb8 | 2,
		.flags_offset = flags,
		.id = 77,
	};

	fixture->length = write_ipv4(fixture->packet, &of, NULL, payload);
}

static void send_inner(struct fixture *fixture)
{
	world_out(fixture->world, fixture->tunnel, NULL, fixture->packet, fixture->length);
}

static void receive(struct fixture *fixture, const char *from, uint8_t tos)
{
	uint8_t outer[WORLD_BYTES];
	uint32_t length = write_outer(outer, world_addr(from), world_addr(US), tos, fixture->packet,
				      fixture->length);

	world_in(fixture->world, NULL, outer, length);
}

static uint64_t dropped(const struct fixture *fixture, enum cv_drop reason)
{
	return world_drops(fixture->world, fixture->tunnel, reason);
}

static void test_encapsulates(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	const struct world_list *sent = &fixture->world->sent;
	struct cv_ipv4 outer = {0}, within = {0};

	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	assert_int_equal(sent->count, 1);
	assert_int_equal(sent->items[0].destination, world_addr(B1));
	assert_int_equal(
		cv_ipip_parse(sent->items[0].bytes, sent->items[0].length, &outer, &within),
		CV_DROP_NONE);
	assert_int_equal(outer.source, world_addr(US));
	assert_int_equal(outer.destination, world_addr(B1));
	assert_int_equal(outer.total_length, fixture->length + 20);
	assert_int_equal(outer.header_length, 20);
	assert_true(outer.dont_fragment);
	assert_int_equal(outer.tos, 0xb8 | 2);
	assert_int_equal(outer.ttl, 63);
	assert_memory_equal(sent->items[0].bytes + 20, fixture->packet, fixture->length);
	assert_int_equal(fixture->tunnel->lanes[0].counters.tx_packets, 1);
	assert_int_equal(fixture->tunnel->lanes[0].counters.tx_bytes, fixture->length);
}

static void test_refuses_inner_headers(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	inner(fixture, POD_A, POD_B, 100, 0);
	fixture->packet[10] ^= 1;
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_INNER_BAD_CHECKSUM), 1);
	inner(fixture, POD_A, POD_B, 100, 0);
	cv_ipv4_set_ttl(fixture->packet, 0);
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_INNER_TTL_ZERO), 1);
	fixture->packet[0] = 0x60;
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_INNER_NOT_IPV4), 1);
	fixture->length = 19;
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_INNER_TRUNCATED), 1);
	assert_int_equal(fixture->world->sent.count, 0);
}

static void test_loops(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	const struct header_of nested = {
		.source = world_addr(US),
		.destination = world_addr(POD_B),
		.protocol = CV_IPV4_PROTO_IPIP,
	};

	fixture->length = write_ipv4(fixture->packet, &nested, NULL, 40);
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_RECURSION), 1);
	inner(fixture, B1, POD_B, 100, 0);
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_SOURCE_IS_REMOTE), 1);

	/* The underlay through the overlay. */
	world_hop(world_route(fixture->world, "192.168.200.2/32", RTN_UNICAST), WORLD_TUN0, NULL);
	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_UNDERLAY_LOOP), 1);
	assert_int_equal(fixture->world->sent.count, 0);
}

static void test_next_hop_follows_routes(void **state)
{
	struct fixture *fixture = with_tunnel(state, NULL);
	struct world *world = fixture->world;
	unsigned int asked;

	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	asked = world->asked;
	send_inner(fixture);
	assert_int_equal(world->asked, asked);
	assert_int_equal(world->sent.count, 2);
	assert_int_equal(world->sent.items[1].destination, world_addr(B1));

	world_unroute(world, "10.244.2.0/24");
	world_hop(world_route(world, "10.244.2.0/24", RTN_UNICAST), WORLD_TUN0, B2);
	send_inner(fixture);
	assert_int_equal(world->sent.items[2].destination, world_addr(B2));

	world->now_ms += 1000;
	asked = world->asked;
	send_inner(fixture);
	assert_true(world->asked > asked);

	/* No gateway: the inner destination itself, as Linux. */
	world_unroute(world, "10.244.2.0/24");
	world_hop(world_route(world, "10.244.2.0/24", RTN_UNICAST), WORLD_TUN0, NULL);
	world_hop(world_route(world, "10.244.2.2/32", RTN_UNICAST), WORLD_TUN0, NULL);
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_UNDERLAY_LOOP), 1);
	world_unroute(world, "10.244.2.0/24");
	world_unroute(world, "10.244.2.2/32");
	world_unroute(world, "0.0.0.0/0");
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_NO_NEXT_HOP), 1);
	assert_int_equal(world->icmp.count, 1);
	assert_int_equal(world->icmp.items[0].bytes[0], CV_ICMP_DEST_UNREACHABLE);
	assert_int_equal(world->icmp.items[0].bytes[1], CV_ICMP_NET_UNREACHABLE);
	assert_int_equal(world->icmp.items[0].destination, world_addr(POD_A));
}

/* What flows have in common is asked once; each has one question of its own. */
static void test_questions_of_a_flow(void **state)
{
	struct fixture *fixture = with_tunnel(state, NULL);
	struct world *world = fixture->world;
	unsigned int asked = world->asked;

	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	assert_int_equal(world->asked, asked + 3);
	for (unsigned int i = 0; i < 100; i++) {
		char to[32];

		snprintf(to, sizeof(to), "10.244.2.%u", 10 + i);
		asked = world->asked;
		inner(fixture, POD_A, to, 100, 0);
		send_inner(fixture);
		assert_int_equal(world->asked, asked + 1);
		assert_int_equal(world->sent.items[i + 1].destination, world_addr(B1));
	}
	/* All of it is forgotten with any change, and after a second. */
	asked = world->asked;
	world->changes = CV_MONITOR_ROUTE;
	send_inner(fixture);
	assert_int_equal(world->asked, asked + 3);
	world->now_ms += 1000;
	send_inner(fixture);
	assert_int_equal(world->asked, asked + 6);
	assert_int_equal(world->sent.count, 103);
}

static void test_outer_route_and_local(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	fixture->world->address_count = 0;
	fixture->world->changes = ~0;
	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_NO_OUTER_ROUTE), 1);
	fixture->world->address_count = 2;
	fixture->world->changes = ~0;
	send_inner(fixture);
	assert_int_equal(fixture->world->sent.count, 1);
}

static void test_too_big_with_df(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	struct cv_icmp_error error;
	const struct world_list *icmp = &fixture->world->icmp;

	inner(fixture, POD_A, POD_B, 1460, CV_IPV4_DF);
	send_inner(fixture);
	assert_int_equal(fixture->world->sent.count, 1);
	inner(fixture, POD_A, POD_B, 1461, CV_IPV4_DF);
	send_inner(fixture);
	assert_int_equal(fixture->world->sent.count, 1);
	assert_int_equal(dropped(fixture, CV_DROP_TOO_BIG), 1);
	assert_int_equal(icmp->count, 1);
	assert_int_equal(icmp->items[0].destination, world_addr(POD_A));
	assert_int_equal(cv_icmp_parse_error(icmp->items[0].bytes, icmp->items[0].length, &error),
			 CV_DROP_NONE);
	assert_int_equal(error.type, CV_ICMP_DEST_UNREACHABLE);
	assert_int_equal(error.code, CV_ICMP_FRAGMENTATION_NEEDED);
	assert_int_equal(error.mtu, 1480);
	assert_memory_equal(icmp->items[0].bytes + 8, fixture->packet, error.quoted_length);
}

static void test_too_big_without_df(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	const struct world_list *sent = &fixture->world->sent;
	uint8_t whole[4000] = {0};
	uint32_t seen = 0;

	inner(fixture, POD_A, POD_B, 3500, 0);
	send_inner(fixture);
	assert_int_equal(sent->count, 3);
	for (unsigned int i = 0; i < sent->count; i++) {
		struct cv_ipv4 outer = {0}, fragment = {0};
		const uint8_t *bytes = sent->items[i].bytes;

		assert_int_equal(cv_ipip_parse(bytes, sent->items[i].length, &outer, &fragment),
				 CV_DROP_NONE);
		assert_true(outer.total_length <= 1500);
		assert_true(outer.dont_fragment);
		assert_false(cv_ipv4_is_fragment(&outer));
		memcpy(whole + fragment.fragment_offset, bytes + 40, fragment.payload_length);
		seen += fragment.payload_length;
		assert_int_equal(fragment.more_fragments, i + 1 < sent->count);
	}
	assert_int_equal(seen, 3500);
	assert_memory_equal(whole, fixture->packet + 20, 3500);
	assert_int_equal(world_events(fixture->world, fixture->tunnel, CV_EVENT_FRAGMENTED), 1);
}

static uint32_t told_mtu(struct fixture *fixture)
{
	const struct world_list *icmp = &fixture->world->icmp;
	struct cv_icmp_error error = {0};

	if (icmp->count)
		cv_icmp_parse_error(icmp->items[icmp->count - 1].bytes,
				    icmp->items[icmp->count - 1].length, &error);
	world_forget_outputs(fixture->world);
	return error.mtu;
}

/* What passes the stack by: the inner route's mtu, larger or smaller, or the device's. */
static void test_larger_than_the_device(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	struct world_route *route;
	unsigned int asked;

	fixture->tunnel->lanes[0].mtu = 1200;
	inner(fixture, POD_A, POD_B, 1180, CV_IPV4_DF);
	send_inner(fixture);
	asked = fixture->world->asked;
	send_inner(fixture);
	assert_int_equal(fixture->world->sent.count, 2);
	assert_int_equal(fixture->world->asked, asked);
	inner(fixture, POD_A, POD_B, 1181, CV_IPV4_DF);
	send_inner(fixture);
	assert_int_equal(told_mtu(fixture), 1200);
	asked = fixture->world->asked;
	send_inner(fixture);
	assert_int_equal(told_mtu(fixture), 1200);
	assert_int_equal(fixture->world->asked, asked);
	route = world_route(fixture->world, "10.244.2.0/25", RTN_UNICAST);
	world_hop(route, WORLD_TUN0, NULL);
	route->mtu = 1400;
	fixture->world->changes = CV_MONITOR_ROUTE;
	inner(fixture, POD_A, POD_B, 1380, CV_IPV4_DF);
	send_inner(fixture);
	assert_int_equal(fixture->world->sent.count, 1);
	inner(fixture, POD_A, POD_B, 1381, CV_IPV4_DF);
	send_inner(fixture);
	assert_int_equal(told_mtu(fixture), 1400);
	/* Never more than the path takes. */
	route->mtu = 9000;
	fixture->world->changes = CV_MONITOR_ROUTE;
	inner(fixture, POD_A, POD_B, 1461, CV_IPV4_DF);
	send_inner(fixture);
	assert_int_equal(told_mtu(fixture), 1480);
}

/* `ip route … mtu 10` is possible, and means no more than the least MTU of IPv4. */
static void test_senseless_mtu(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	struct world_route *route = world_route(fixture->world, "192.168.200.0/24", RTN_UNICAST);

	world_hop(route, WORLD_ETH0, "192.168.100.254");
	route->mtu = 10;
	inner(fixture, POD_A, POD_B, 100, CV_IPV4_DF);
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_TOO_BIG), 1);
	assert_int_equal(fixture->world->sent.count, 0);
	inner(fixture, POD_A, POD_B, 20, CV_IPV4_DF);
	send_inner(fixture);
	assert_int_equal(fixture->world->sent.count, 1);
	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	/* 24 bytes of payload each, 28 in the last one. */
	assert_int_equal(fixture->world->sent.count, 1 + 4);
}

static void test_kernel_refuses(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	inner(fixture, POD_A, POD_B, 100, 0);
	fixture->world->send_error = -EPERM;
	send_inner(fixture);
	fixture->world->send_error = -ENOBUFS;
	send_inner(fixture);
	fixture->world->send_error = -EHOSTUNREACH;
	send_inner(fixture);
	assert_int_equal(dropped(fixture, CV_DROP_SEND_FAILED), 1);
	assert_int_equal(dropped(fixture, CV_DROP_SEND_QUEUE_FULL), 1);
	assert_int_equal(dropped(fixture, CV_DROP_NO_OUTER_ROUTE), 1);
	assert_int_equal(fixture->tunnel->lanes[0].counters.tx_packets, 0);
}

/* Three fragments in one batch: what concerns one packet, and what concerns all of them. */
static void test_full_buffer_is_tried_once(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	inner(fixture, POD_A, POD_B, 3500, 0);
	fixture->world->send_error = -EPERM;
	send_inner(fixture);
	assert_int_equal(fixture->world->sends, 3);
	assert_int_equal(dropped(fixture, CV_DROP_SEND_FAILED), 3);
	fixture->world->send_error = -EAGAIN;
	send_inner(fixture);
	assert_int_equal(fixture->world->sends, 4);
	assert_int_equal(dropped(fixture, CV_DROP_SEND_QUEUE_FULL), 3);
	fixture->world->send_error = 0;
	send_inner(fixture);
	assert_int_equal(fixture->world->sent.count, 3);
}

static void test_decapsulates(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	const struct world_list *delivered = &fixture->world->delivered;

	inner(fixture, POD_B, POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(delivered->count, 1);
	assert_ptr_equal(delivered->items[0].tunnel, fixture->tunnel);
	assert_int_equal(delivered->items[0].length, fixture->length);
	assert_memory_equal(delivered->items[0].bytes, fixture->packet, fixture->length);

	/* CE from the underlay reaches the inner packet, checksum and all. */
	receive(fixture, B1, 3);
	assert_int_equal(delivered->count, 2);
	assert_int_equal(delivered->items[1].bytes[1], 0xb8 | 3);
	assert_true(cv_ipv4_checksum_ok(delivered->items[1].bytes, 20));
	assert_int_equal(fixture->tunnel->lanes[0].counters.rx_packets, 2);

	fixture->world->deliver_error = -EIO;
	receive(fixture, B1, 2);
	assert_int_equal(dropped(fixture, CV_DROP_DEVICE_DOWN), 1);
}

static void test_strangers(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	inner(fixture, POD_B, POD_A, 100, 0);
	receive(fixture, B2, 0);
	assert_int_equal(world_drops(fixture->world, NULL, CV_DROP_NO_TUNNEL), 1);
	inner(fixture, "172.16.0.1", POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(dropped(fixture, CV_DROP_SOURCE_NOT_ROUTED_BACK), 1);
	inner(fixture, US, POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(dropped(fixture, CV_DROP_SOURCE_OWN), 1);
	inner(fixture, "10.244.1.255", POD_A, 100, 0);
	receive(fixture, B1, 2);
	inner(fixture, "127.0.0.1", POD_A, 100, 0);
	receive(fixture, B1, 2);
	inner(fixture, "224.0.0.1", POD_A, 100, 0);
	receive(fixture, B1, 2);
	inner(fixture, "0.0.0.0", POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(dropped(fixture, CV_DROP_SOURCE_MARTIAN), 4);
	world_route(fixture->world, "10.244.2.9/32", RTN_BLACKHOLE);
	inner(fixture, "10.244.2.9", POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(dropped(fixture, CV_DROP_SOURCE_ROUTE_REFUSES), 1);
	assert_int_equal(fixture->world->delivered.count, 0);

	/* The peer itself, from its outer address. */
	inner(fixture, B1, POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(fixture->world->delivered.count, 1);

	fixture->tunnel->config.strict = false;
	inner(fixture, "172.16.0.1", POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(fixture->world->delivered.count, 2);
}

static void test_strangers_nbma(void **state)
{
	struct fixture *fixture = with_tunnel(state, NULL);
	struct world_route *both = world_route(fixture->world, "10.244.3.0/24", RTN_UNICAST);

	world_hop(both, WORLD_TUN0, B1);
	world_hop(both, WORLD_TUN0, B2);
	inner(fixture, POD_B, POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(fixture->world->delivered.count, 1);
	receive(fixture, B2, 2);
	assert_int_equal(dropped(fixture, CV_DROP_SOURCE_NOT_ROUTED_BACK), 1);
	receive(fixture, "192.168.200.9", 2);
	assert_int_equal(dropped(fixture, CV_DROP_NOT_A_PEER), 1);
	inner(fixture, "10.244.3.3", POD_A, 100, 0);
	receive(fixture, B1, 2);
	receive(fixture, B2, 2);
	assert_int_equal(fixture->world->delivered.count, 3);
	inner(fixture, B2, US, 100, 0);
	receive(fixture, B2, 2);
	assert_int_equal(fixture->world->delivered.count, 4);

	/* The route moves: what it allowed is refused at once. */
	world_unroute(fixture->world, "10.244.2.0/24");
	world_hop(world_route(fixture->world, "10.244.2.0/24", RTN_UNICAST), WORLD_TUN0, B2);
	inner(fixture, POD_B, POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(fixture->world->delivered.count, 4);
	receive(fixture, B2, 2);
	assert_int_equal(fixture->world->delivered.count, 5);
}

/* Who is no peer costs the kernel nothing, however many of them he is. */
static void test_strangers_are_cheap(void **state)
{
	struct fixture *fixture = with_tunnel(state, NULL);
	unsigned int asked;

	inner(fixture, POD_B, POD_A, 100, 0);
	receive(fixture, "192.168.200.9", 2);
	asked = fixture->world->asked;
	for (unsigned int i = 0; i < 100; i++) {
		char from[32], claims[32];

		snprintf(from, sizeof(from), "192.168.200.%u", 10 + i);
		snprintf(claims, sizeof(claims), "10.244.2.%u", 10 + i);
		inner(fixture, claims, POD_A, 100, 0);
		receive(fixture, from, 2);
	}
	assert_int_equal(fixture->world->asked, asked);
	assert_int_equal(dropped(fixture, CV_DROP_NOT_A_PEER), 101);
	/* Nor does an error that anybody can forge, for those who are. */
	inner(fixture, POD_B, POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(fixture->world->delivered.count, 1);
	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	asked = fixture->world->asked;
	cv_remotes_lower_mtu(fixture->world->shared.remotes, world_addr(B1), 1000, 1500,
			     fixture->world->now_ms, 600000);
	send_inner(fixture);
	inner(fixture, POD_B, POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(fixture->world->asked, asked);
	assert_int_equal(fixture->world->sent.count, 2);
	assert_int_equal(fixture->world->delivered.count, 2);
}

/* An outer packet that the host itself would refuse. */
static void test_arrival(void **state)
{
	struct fixture *fixture = with_tunnel(state, NULL);
	struct world *world = fixture->world;
	static const char *const martians[] = {US, "10.244.1.1", "127.0.0.1", "0.0.0.0",
					       "224.0.0.1"};

	fixture->tunnel->config.strict = false;
	for (unsigned int i = 0; i < sizeof(martians) / sizeof(martians[0]); i++) {
		inner(fixture, POD_B, POD_A, 100, 0);
		receive(fixture, martians[i], 2);
		assert_int_equal(dropped(fixture, CV_DROP_OUTER_SOURCE_REFUSED), i + 1);
	}
	receive(fixture, "192.168.200.77", 2);
	assert_int_equal(world->delivered.count, 1);

	/* A peer's address from where the peer is not; only once he is allowed, anyhow. */
	fixture->tunnel->config.strict = true;
	world->rp_filter = true;
	world->changes = ~0;
	receive(fixture, B1, 2);
	assert_int_equal(world->delivered.count, 2);
	world_hop(world_route(world, "192.168.200.2/32", RTN_UNICAST), WORLD_VETH, NULL);
	receive(fixture, B1, 2);
	assert_int_equal(world->delivered.count, 2);
	assert_int_equal(dropped(fixture, CV_DROP_OUTER_SOURCE_REFUSED), 6);
	receive(fixture, "192.168.200.77", 2);
	assert_int_equal(dropped(fixture, CV_DROP_NOT_A_PEER), 1);
	world->rp_filter = false;
	world->changes = ~0;
	receive(fixture, B1, 2);
	assert_int_equal(world->delivered.count, 3);
}

/* What is addressed to others is forwarded, also if a tunnel's local address is theirs now. */
static void test_outer_destination_is_ours(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	uint8_t outer[WORLD_BYTES];
	uint32_t length;

	inner(fixture, POD_B, POD_A, 100, 0);
	receive(fixture, B1, 2);
	assert_int_equal(fixture->world->delivered.count, 1);
	fixture->world->addresses[0].address = world_addr("192.168.100.77");
	fixture->world->changes = ~0;
	receive(fixture, B1, 2);
	assert_int_equal(fixture->world->delivered.count, 1);

	fixture->world->addresses[0].address = world_addr("127.0.0.1");
	fixture->world->changes = ~0;
	world_tunnel(fixture->world, WORLD_TUN1, B1, NULL);
	length = write_outer(outer, world_addr(B1), world_addr("127.0.0.1"), 2, fixture->packet,
			     fixture->length);
	world_in(fixture->world, NULL, outer, length);
	assert_int_equal(fixture->world->delivered.count, 1);
	for (unsigned int i = 1; i < CV_DROP_MAX; i++) {
		assert_int_equal(dropped(fixture, (enum cv_drop)i), 0);
		assert_int_equal(world_drops(fixture->world, NULL, (enum cv_drop)i), 0);
	}
}

static void test_ecn_table(void **state)
{
	/* RFC 6040, figure 4: -1 drops. Rows: inner; columns: outer; Not-ECT, ECT(1), ECT(0), CE.
	 */
	static const int table[4][4] = {
		{0, 0, 0, -1},
		{1, 1, 1, 3},
		{2, 1, 2, 3},
		{3, 3, 3, 3},
	};
	struct fixture *fixture = with_tunnel(state, B1);

	for (uint8_t in = 0; in < 4; in++) {
		for (uint8_t out = 0; out < 4; out++) {
			world_forget_outputs(fixture->world);
			inner(fixture, POD_B, POD_A, 100, 0);
			cv_ipv4_set_tos(fixture->packet, in);
			receive(fixture, B1, out);
			assert_int_equal(fixture->world->delivered.count, table[in][out] >= 0);
			if (table[in][out] >= 0)
				assert_int_equal(fixture->world->delivered.items[0].bytes[1],
						 table[in][out]);
		}
	}
	assert_int_equal(dropped(fixture, CV_DROP_ECN_CE_NOT_ECT), 1);
	assert_int_equal(world_events(fixture->world, fixture->tunnel, CV_EVENT_ECN_DANGEROUS), 4);
	assert_int_equal(world_events(fixture->world, fixture->tunnel, CV_EVENT_ECN_UNUSED), 1);
}

static void test_handed_over(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	uint8_t outer[1600];
	uint32_t length;

	inner(fixture, POD_B, POD_A, 1000, 0);
	length = write_outer(outer, world_addr(B1), world_addr(US), 2, fixture->packet,
			     fixture->length);
	world_out(fixture->world, fixture->tunnel, NULL, outer, length);
	assert_int_equal(world_events(fixture->world, fixture->tunnel, CV_EVENT_HANDED_OVER), 1);
	assert_int_equal(fixture->world->delivered.count, 1);

	/* As fragments, out of order. */
	for (int k = 1; k >= 0; k--) {
		const struct header_of of = {
			.source = world_addr(B1),
			.destination = world_addr(US),
			.protocol = CV_IPV4_PROTO_IPIP,
			.tos = 2,
			.id = 5,
			.flags_offset = (uint16_t)(k ? 512 / 8 : CV_IPV4_MF),
		};
		uint8_t fragment[1600];
		uint32_t size = k ? fixture->length - 512 : 512;

		length = write_ipv4(fragment, &of, fixture->packet + (k ? 512 : 0), size);
		world_out(fixture->world, fixture->tunnel, NULL, fragment, length);
	}
	assert_int_equal(fixture->world->delivered.count, 2);
	assert_memory_equal(fixture->world->delivered.items[1].bytes, fixture->packet,
			    fixture->length);
	assert_int_equal(world_events(fixture->world, fixture->tunnel, CV_EVENT_REASSEMBLED), 1);
}

static void test_tunnel_order(void **state)
{
	struct fixture *fixture = *state;
	struct cv_live *live = &fixture->world->live;
	struct cv_live_tunnel *any_any = world_tunnel(fixture->world, 20, NULL, NULL);
	struct cv_live_tunnel *any_local = world_tunnel(fixture->world, 21, NULL, US);
	struct cv_live_tunnel *remote_any = world_tunnel(fixture->world, 22, B1, NULL);
	struct cv_live_tunnel *both = world_tunnel(fixture->world, 23, B1, US);
	__be32 b1 = world_addr(B1), b2 = world_addr(B2), us = world_addr(US);

	assert_ptr_equal(cv_live_lookup(live, 0, b1, us, 2), both);
	assert_ptr_equal(cv_live_lookup(live, 0, b2, us, 2), any_local);
	assert_ptr_equal(cv_live_lookup(live, 0, b1, world_addr("10.244.1.1"), 2), remote_any);
	assert_ptr_equal(cv_live_lookup(live, 0, b2, world_addr("10.244.1.1"), 2), any_any);
	cv_live_remove(live, both);
	assert_ptr_equal(cv_live_lookup(live, 0, b1, us, 2), remote_any);
	cv_live_remove(live, remote_any);
	assert_ptr_equal(cv_live_lookup(live, 0, b1, us, 2), any_local);
	cv_live_remove(live, any_local);
	assert_ptr_equal(cv_live_lookup(live, 0, b1, us, 2), any_any);
	free(both);
	free(remote_any);
	free(any_local);
}

static void test_tunnel_bound_to_a_device(void **state)
{
	struct fixture *fixture = *state;
	struct cv_live *live = &fixture->world->live;
	struct cv_live_tunnel *bound = world_tunnel(fixture->world, 23, B1, US);
	struct cv_live_tunnel *other = world_tunnel(fixture->world, 22, B1, NULL);
	__be32 b1 = world_addr(B1), us = world_addr(US);

	memcpy(bound->config.dev, "eth9", 5);
	bound->lanes[0].dev_index = 9;
	assert_ptr_equal(cv_live_lookup(live, 0, b1, us, 9), bound);
	assert_ptr_equal(cv_live_lookup(live, 0, b1, us, WORLD_ETH0), other);
	assert_ptr_equal(cv_live_lookup(live, 0, b1, us, 0), bound);
}

#define LANE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LANE_TEST(test_encapsulates),
		LANE_TEST(test_refuses_inner_headers),
		LANE_TEST(test_loops),
		LANE_TEST(test_next_hop_follows_routes),
		LANE_TEST(test_questions_of_a_flow),
		LANE_TEST(test_outer_route_and_local),
		LANE_TEST(test_too_big_with_df),
		LANE_TEST(test_too_big_without_df),
		LANE_TEST(test_larger_than_the_device),
		LANE_TEST(test_senseless_mtu),
		LANE_TEST(test_kernel_refuses),
		LANE_TEST(test_full_buffer_is_tried_once),
		LANE_TEST(test_decapsulates),
		LANE_TEST(test_strangers),
		LANE_TEST(test_strangers_nbma),
		LANE_TEST(test_strangers_are_cheap),
		LANE_TEST(test_arrival),
		LANE_TEST(test_outer_destination_is_ours),
		LANE_TEST(test_ecn_table),
		LANE_TEST(test_handed_over),
		LANE_TEST(test_tunnel_order),
		LANE_TEST(test_tunnel_bound_to_a_device),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
