/* SPDX-License-Identifier: Apache-2.0 */
/* Clamping of TCP's maximum segment size over a lane, in a world without a kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "net/monitor.h"
#include "packets.h"
#include "wire/ipip.h"
#include "wire/tcp.h"
#include "world.h"

#define US    "192.168.100.1"
#define B1    "192.168.200.2"
#define B2    "192.168.200.3"
#define POD_A "10.244.1.2"
#define POD_B "10.244.2.2"

enum {
	SYN = CV_TCP_SYN,
	SYN_ACK = CV_TCP_SYN | CV_TCP_ACK,
	HEADERS = 20 + 28,   /* IPv4's; TCP's with its options */
	VALUE = 20 + 21 + 2, /* at an odd place */
};

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

/* ---- segments ---- */

static uint64_t pseudo_sum(const uint8_t *packet, uint32_t length)
{
	return cv_checksum_pseudo(cv_bytes_load32(packet + 12), cv_bytes_load32(packet + 16),
				  CV_IPV4_PROTO_TCP, length);
}

static bool has_right_checksum(const uint8_t *packet, uint32_t length)
{
	return !cv_checksum_fold(
		cv_checksum_add(packet + 20, length - 20, pseudo_sum(packet, length - 20)));
}

/* A segment that announces 1460. is_partial: its checksum is left to an offload. */
static void segment(struct fixture *fixture, const char *from, const char *to, uint8_t flags,
		    uint32_t data, bool is_partial)
{
	const struct header_of of = {
		.source = world_addr(from),
		.destination = world_addr(to),
		.protocol = CV_IPV4_PROTO_TCP,
		.flags_offset = CV_IPV4_DF,
	};
	uint8_t tcp[4096] = {0x10,
			     0,
			     0,
			     80,
			     0,
			     0,
			     0,
			     1,
			     0,
			     0,
			     0,
			     0,
			     28 / 4 << 4,
			     flags,
			     0xfa,
			     0,
			     0,
			     0,
			     0,
			     0,
			     CV_TCP_OPTION_NOP,
			     CV_TCP_OPTION_MSS,
			     4,
			     1460 >> 8,
			     1460 & 255,
			     3,
			     3,
			     7};
	uint64_t sum;
	__be16 check;

	fixture->length = write_ipv4(fixture->packet, &of, tcp, 28 + data);
	sum = pseudo_sum(fixture->packet, 28 + data);
	check = is_partial ? cv_checksum_fold_partial(sum)
			   : cv_checksum_fold(cv_checksum_add(tcp, 28 + data, sum));
	cv_bytes_store16(fixture->packet + 20 + CV_TCP_CHECKSUM, check);
}

static struct virtio_net_hdr partial(uint16_t start)
{
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = start,
		.csum_offset = CV_TCP_CHECKSUM,
	};
}

static uint16_t announced(const uint8_t *packet)
{
	return cv_ntohs(cv_bytes_load16(packet + VALUE));
}

/* Sends it; what the packet announces behind the outer header. 0: its checksum is wrong. */
static uint16_t sent_with(struct fixture *fixture, const struct virtio_net_hdr *vnet)
{
	const struct world_output *output = &fixture->world->sent.items[0];

	world_forget_outputs(fixture->world);
	world_out(fixture->world, fixture->tunnel, vnet, fixture->packet, fixture->length);
	assert_int_equal(fixture->world->sent.count, 1);
	assert_int_equal(output->length, fixture->length + 20);
	return has_right_checksum(output->bytes + 20, fixture->length)
		       ? announced(output->bytes + 20)
		       : 0;
}

static uint16_t sent(struct fixture *fixture, uint8_t flags)
{
	segment(fixture, POD_A, POD_B, flags, 0, false);
	return sent_with(fixture, NULL);
}

/* Receives it; what the packet announces when it is delivered, whose checksum may be partial. */
static uint16_t received_with(struct fixture *fixture, const char *from,
			      const struct virtio_net_hdr *vnet)
{
	const struct world_output *output = &fixture->world->delivered.items[0];
	uint8_t outer[WORLD_BYTES];
	uint32_t length = write_outer(outer, world_addr(from), world_addr(US), 0, fixture->packet,
				      fixture->length);

	world_forget_outputs(fixture->world);
	world_in(fixture->world, vnet, outer, length);
	assert_int_equal(fixture->world->delivered.count, 1);
	assert_int_equal(output->length, fixture->length);
	if (!vnet && !has_right_checksum(output->bytes, output->length))
		return 0;
	return announced(output->bytes);
}

static uint16_t received(struct fixture *fixture, const char *from, uint8_t flags)
{
	segment(fixture, POD_B, POD_A, flags, 0, false);
	return received_with(fixture, from, NULL);
}

static uint64_t clamped(const struct fixture *fixture)
{
	return world_events(fixture->world, fixture->tunnel, CV_EVENT_MSS_CLAMPED);
}

/* ---- tests ---- */

static void test_both_ways(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	assert_int_equal(sent(fixture, SYN), 1440);
	assert_int_equal(sent(fixture, SYN_ACK), 1440);
	assert_int_equal(received(fixture, B1, SYN), 1440);
	assert_int_equal(received(fixture, B1, SYN_ACK), 1440);
	assert_int_equal(clamped(fixture), 4);
	/* Who is no SYN announces nothing. */
	assert_int_equal(sent(fixture, CV_TCP_ACK), 1460);
	assert_int_equal(received(fixture, B1, CV_TCP_ACK), 1460);
	assert_int_equal(clamped(fixture), 4);
}

static void test_settings(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	fixture->tunnel->config.mssclamp = 1300;
	assert_int_equal(sent(fixture, SYN), 1300);
	assert_int_equal(received(fixture, B1, SYN), 1300);
	/* Never raised, and not touched. */
	fixture->tunnel->config.mssclamp = 1460;
	assert_int_equal(sent(fixture, SYN), 1460);
	fixture->tunnel->config.mssclamp = CV_TCP_MSS_OFF;
	assert_int_equal(sent(fixture, SYN), 1460);
	assert_int_equal(received(fixture, B1, SYN), 1460);
	assert_int_equal(clamped(fixture), 2);
}

static void test_device(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	fixture->tunnel->lanes[0].mtu = 1300;
	assert_int_equal(sent(fixture, SYN), 1260);
	assert_int_equal(received(fixture, B1, SYN), 1260);
	fixture->tunnel->lanes[0].mtu = 9000;
	assert_int_equal(sent(fixture, SYN), 1440);
	assert_int_equal(received(fixture, B1, SYN), 1440);
}

/* What is learned of a path holds for both ways at once, and costs no question. */
static void path_falls(struct fixture *fixture)
{
	unsigned int asked;

	assert_int_equal(sent(fixture, SYN), 1440);
	assert_int_equal(received(fixture, B1, SYN), 1440);
	asked = fixture->world->asked;
	cv_remotes_lower_mtu(fixture->world->shared.remotes, world_addr(B1), 1000, 1500,
			     fixture->world->now_ms, 600000);
	assert_int_equal(sent(fixture, SYN_ACK), 940);
	assert_int_equal(received(fixture, B1, SYN_ACK), 940);
	assert_int_equal(fixture->world->asked, asked);
}

static void test_path_falls(void **state)
{
	path_falls(with_tunnel(state, B1));
}

static void test_path_falls_nbma(void **state)
{
	path_falls(with_tunnel(state, NULL));
}

/* Each peer's own path, whoever is sent to. */
static void test_paths_of_peers(void **state)
{
	struct fixture *fixture = with_tunnel(state, NULL);
	struct world *world = fixture->world;
	struct world_route *far = world_route(world, B2 "/32", RTN_UNICAST);
	unsigned int asked;

	far->mtu = 1400;
	world_hop(far, WORLD_ETH0, "192.168.100.254");
	world_hop(world_route(world, "10.244.3.0/24", RTN_UNICAST), WORLD_TUN0, B2);
	segment(fixture, "10.244.3.2", POD_A, SYN, 0, false);
	assert_int_equal(received_with(fixture, B2, NULL), 1340);
	assert_int_equal(received(fixture, B1, SYN), 1440);
	asked = world->asked;
	segment(fixture, "10.244.3.2", POD_A, SYN, 0, false);
	assert_int_equal(received_with(fixture, B2, NULL), 1340);
	assert_int_equal(world->asked, asked);
	far->mtu = 1300;
	world->changes = CV_MONITOR_ROUTE;
	segment(fixture, "10.244.3.2", POD_A, SYN, 0, false);
	assert_int_equal(received_with(fixture, B2, NULL), 1240);
}

/* The way back leads into the tunnel itself: what the device takes is all that is known. */
static void test_no_way_back(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	world_hop(world_route(fixture->world, B1 "/32", RTN_UNICAST), WORLD_TUN0, NULL);
	fixture->tunnel->lanes[0].mtu = 1480;
	fixture->tunnel->config.strict = false;
	assert_int_equal(received(fixture, B1, SYN), 1440);
}

static void test_partial_checksums(void **state)
{
	struct virtio_net_hdr vnet = partial(20);
	struct fixture *fixture = with_tunnel(state, B1);
	const struct world_output *output = &fixture->world->delivered.items[0];

	/* On the way out they are filled before, … */
	segment(fixture, POD_A, POD_B, SYN, 100, true);
	assert_int_equal(sent_with(fixture, &vnet), 1440);
	/* … on the way in they stay what they are. */
	segment(fixture, POD_B, POD_A, SYN, 100, true);
	vnet = partial(40);
	assert_int_equal(received_with(fixture, B1, &vnet), 1440);
	assert_int_equal(output->vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_memory_equal(output->bytes + 20 + CV_TCP_CHECKSUM,
			    fixture->packet + 20 + CV_TCP_CHECKSUM, 2);
}

/* A SYN with more data than one packet takes (TCP Fast Open). */
static void test_super_packets(void **state)
{
	struct virtio_net_hdr vnet = partial(20);
	struct fixture *fixture = with_tunnel(state, B1);
	const struct world_list *list = &fixture->world->sent;

	vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	vnet.gso_size = 1000;
	vnet.hdr_len = HEADERS;
	segment(fixture, POD_A, POD_B, SYN, 2500, true);
	world_out(fixture->world, fixture->tunnel, &vnet, fixture->packet, fixture->length);
	assert_int_equal(list->count, 3);
	for (unsigned int i = 0; i < list->count; i++) {
		const uint8_t *packet = list->items[i].bytes + 20;

		assert_int_equal(announced(packet), 1440);
		assert_true(has_right_checksum(packet, list->items[i].length - 20));
	}
	assert_int_equal(clamped(fixture), 1);
}

static void set_fragment(struct fixture *fixture, uint16_t flags_offset)
{
	cv_ipv4_set_flags_offset(fixture->packet, flags_offset);
}

/* The first fragment has the header, if any has; others look as they like. */
static void test_fragments(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);
	const uint8_t *out;

	segment(fixture, POD_A, POD_B, SYN, 20, false);
	set_fragment(fixture, 100);
	world_out(fixture->world, fixture->tunnel, NULL, fixture->packet, fixture->length);
	assert_memory_equal(fixture->world->sent.items[0].bytes + 20, fixture->packet,
			    fixture->length);
	assert_int_equal(clamped(fixture), 0);
	world_forget_outputs(fixture->world);
	set_fragment(fixture, CV_IPV4_MF);
	world_out(fixture->world, fixture->tunnel, NULL, fixture->packet, fixture->length);
	out = fixture->world->sent.items[0].bytes + 20;
	assert_int_equal(announced(out), 1440);
	assert_true(has_right_checksum(out, fixture->length));
}

/* What is refused is quoted as it came. */
static void test_refused(void **state)
{
	struct fixture *fixture = with_tunnel(state, B1);

	segment(fixture, POD_A, POD_B, SYN, 1500, false);
	world_out(fixture->world, fixture->tunnel, NULL, fixture->packet, fixture->length);
	assert_int_equal(fixture->world->icmp.count, 1);
	assert_memory_equal(fixture->world->icmp.items[0].bytes + 8, fixture->packet, 100);
	assert_int_equal(clamped(fixture), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_ways),	TEST(test_settings),	      TEST(test_device),
		TEST(test_path_falls),	TEST(test_path_falls_nbma),   TEST(test_paths_of_peers),
		TEST(test_no_way_back), TEST(test_partial_checksums), TEST(test_super_packets),
		TEST(test_fragments),	TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
