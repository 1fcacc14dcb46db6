/* SPDX-License-Identifier: Apache-2.0 */
/* What a lane shows to those who capture: every verdict, with the packet it is about. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/relay.h"
#include "packets.h"
#include "wire/icmp.h"
#include "world.h"

#define US    "192.168.100.1"
#define B1    "192.168.200.2"
#define POD_A "10.244.1.2"
#define POD_B "10.244.2.2"

struct fixture {
	struct world *world;
	struct cv_live_tunnel *tunnel;
	struct cv_capture_ring *ring;
	int wake;
	uint8_t packet[WORLD_BYTES];
	uint32_t length;
};

static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	fixture->world = world_create();
	fixture->tunnel = world_tunnel(fixture->world, WORLD_TUN0, B1, US);
	world_hop(world_route(fixture->world, "10.244.2.0/24", RTN_UNICAST), WORLD_TUN0, NULL);
	fixture->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fixture->ring = cv_capture_ring_create(1 << 20, 65535, fixture->wake);
	cv_lane_capture(fixture->world->lane, fixture->ring);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	world_destroy(fixture->world);
	cv_capture_ring_destroy(fixture->ring);
	close(fixture->wake);
	test_free(fixture);
	return 0;
}

static void inner(struct fixture *fixture, const char *from, const char *to, uint32_t payload,
		  uint16_t flags)
{
	const struct header_of of = {
		.source = world_addr(from),
		.destination = world_addr(to),
		.tos = 1, /* ECT(1), which an outer CE turns into CE */
		.flags_offset = flags,
		.id = 77,
	};

	fixture->length = write_ipv4(fixture->packet, &of, NULL, payload);
}

static void send_inner(struct fixture *fixture)
{
	world_out(fixture->world, fixture->tunnel, NULL, fixture->packet, fixture->length);
}

/* The next record is about these bytes. */
static void shown(struct fixture *fixture, enum cv_fp_hook hook, enum cv_fp_verdict verdict,
		  enum cv_drop reason, const void *packet, uint32_t length)
{
	const struct cv_fp_capture *record = cv_capture_ring_peek(fixture->ring);

	assert_non_null(record);
	assert_int_equal(record->hook, hook);
	assert_int_equal(record->verdict, verdict);
	assert_int_equal(record->drop, reason);
	assert_int_equal(record->ifindex, 0);
	assert_int_equal(record->length, length);
	assert_int_equal(record->captured, length);
	assert_memory_equal(record + 1, packet, length);
	cv_capture_ring_next(fixture->ring);
}

static uint32_t next_tunnel(struct fixture *fixture)
{
	const struct cv_fp_capture *record = cv_capture_ring_peek(fixture->ring);

	return record ? record->tunnel : UINT32_MAX;
}

static void no_more(struct fixture *fixture)
{
	assert_null(cv_capture_ring_peek(fixture->ring));
	assert_int_equal(cv_capture_ring_lost(fixture->ring), 0);
}

static void test_sent(void **state)
{
	struct fixture *fixture = *state;
	const struct world_list *sent = &fixture->world->sent;

	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	assert_int_equal(next_tunnel(fixture), WORLD_TUN0);
	shown(fixture, CV_FP_HOOK_ENGINE_OUT, CV_FP_VERDICT_ENCAPSULATED, CV_DROP_NONE,
	      sent->items[0].bytes, sent->items[0].length);
	inner(fixture, POD_A, POD_B, 3500, 0);
	send_inner(fixture);
	assert_int_equal(sent->count, 4);
	for (unsigned int i = 1; i < sent->count; i++)
		shown(fixture, CV_FP_HOOK_ENGINE_OUT, CV_FP_VERDICT_ENCAPSULATED, CV_DROP_NONE,
		      sent->items[i].bytes, sent->items[i].length);
	no_more(fixture);
}

static void test_dropped_out(void **state)
{
	struct fixture *fixture = *state;

	inner(fixture, POD_A, POD_B, 1461, CV_IPV4_DF);
	send_inner(fixture);
	shown(fixture, CV_FP_HOOK_ENGINE_OUT, CV_FP_VERDICT_DROPPED, CV_DROP_TOO_BIG,
	      fixture->packet, fixture->length);
	inner(fixture, POD_A, POD_B, 100, 0);
	fixture->world->send_error = -EPERM;
	send_inner(fixture);
	assert_int_equal(next_tunnel(fixture), WORLD_TUN0);
	shown(fixture, CV_FP_HOOK_ENGINE_OUT, CV_FP_VERDICT_DROPPED, CV_DROP_SEND_FAILED,
	      fixture->packet, fixture->length);
	fixture->packet[10] ^= 1;
	send_inner(fixture);
	shown(fixture, CV_FP_HOOK_ENGINE_OUT, CV_FP_VERDICT_DROPPED, CV_DROP_INNER_BAD_CHECKSUM,
	      fixture->packet, fixture->length);
	no_more(fixture);
}

/* As it arrived: what decapsulation changes (here ECN) is not to be seen. */
static void test_delivered(void **state)
{
	struct fixture *fixture = *state;
	uint8_t outer[WORLD_BYTES];
	uint32_t length;

	inner(fixture, POD_B, POD_A, 100, 0);
	length = write_outer(outer, world_addr(B1), world_addr(US), 3, fixture->packet,
			     fixture->length);
	world_in(fixture->world, NULL, outer, length);
	assert_int_equal(fixture->world->delivered.items[0].bytes[1], 3);
	assert_int_equal(next_tunnel(fixture), WORLD_TUN0);
	shown(fixture, CV_FP_HOOK_ENGINE_IN, CV_FP_VERDICT_TO_DEVICE, CV_DROP_NONE, outer, length);
	fixture->world->deliver_error = -EIO;
	length = write_outer(outer, world_addr(B1), world_addr(US), 0, fixture->packet,
			     fixture->length);
	world_in(fixture->world, NULL, outer, length);
	shown(fixture, CV_FP_HOOK_ENGINE_IN, CV_FP_VERDICT_TO_DEVICE, CV_DROP_NONE, outer, length);
	shown(fixture, CV_FP_HOOK_TUNNEL_IN, CV_FP_VERDICT_DROPPED, CV_DROP_DEVICE_DOWN,
	      fixture->packet, fixture->length);
	no_more(fixture);
}

static void test_dropped_in(void **state)
{
	struct fixture *fixture = *state;
	uint8_t outer[WORLD_BYTES];
	uint32_t length;

	inner(fixture, POD_B, POD_A, 100, 0);
	length = write_outer(outer, world_addr("192.168.200.9"), world_addr(US), 0, fixture->packet,
			     fixture->length);
	world_in(fixture->world, NULL, outer, length);
	assert_int_equal(next_tunnel(fixture), 0);
	shown(fixture, CV_FP_HOOK_ENGINE_IN, CV_FP_VERDICT_DROPPED, CV_DROP_NO_TUNNEL, outer,
	      length);
	inner(fixture, "10.9.9.9", POD_A, 100, 0);
	length = write_outer(outer, world_addr(B1), world_addr(US), 0, fixture->packet,
			     fixture->length);
	world_in(fixture->world, NULL, outer, length);
	assert_int_equal(next_tunnel(fixture), WORLD_TUN0);
	shown(fixture, CV_FP_HOOK_ENGINE_IN, CV_FP_VERDICT_DROPPED, CV_DROP_SOURCE_NOT_ROUTED_BACK,
	      outer, length);
	no_more(fixture);
}

/* Of fragments the datagram that they make. */
static void test_reassembled(void **state)
{
	struct fixture *fixture = *state;
	const struct header_of first = {
		.source = world_addr(B1),
		.destination = world_addr(US),
		.protocol = CV_IPV4_PROTO_IPIP,
		.flags_offset = CV_IPV4_MF,
		.id = 5,
	};
	struct header_of last = first;
	uint8_t piece[WORLD_BYTES], whole[WORLD_BYTES];
	uint32_t length;

	last.flags_offset = 64 / 8;
	inner(fixture, POD_B, POD_A, 100, 0);
	length = write_ipv4(piece, &first, fixture->packet, 64);
	world_in(fixture->world, NULL, piece, length);
	no_more(fixture);
	length = write_ipv4(piece, &last, fixture->packet + 64, fixture->length - 64);
	world_in(fixture->world, NULL, piece, length);
	last.flags_offset = 0;
	length = write_ipv4(whole, &last, fixture->packet, fixture->length);
	shown(fixture, CV_FP_HOOK_ENGINE_IN, CV_FP_VERDICT_TO_DEVICE, CV_DROP_NONE, whole, length);
	no_more(fixture);
}

/* Of an ICMP error what it quotes. */
static void test_foreign_icmp(void **state)
{
	struct fixture *fixture = *state;
	struct cv_raw_error error = {
		.type = CV_ICMP_DEST_UNREACHABLE,
		.code = 1,
		.offender = world_addr("192.168.100.254"),
	};

	inner(fixture, POD_A, POD_B, 8, 0);
	error.quoted = fixture->length;
	memcpy(error.quote, fixture->packet, fixture->length);
	cv_relay_error(fixture->world->lane, &error);
	shown(fixture, CV_FP_HOOK_ENGINE_IN, CV_FP_VERDICT_DROPPED, CV_DROP_ICMP_NOT_OURS,
	      fixture->packet, fixture->length);
	no_more(fixture);
}

static void test_super_packet_and_end(void **state)
{
	struct fixture *fixture = *state;
	const struct header_of of = {
		.source = world_addr(POD_A),
		.destination = world_addr(POD_B),
		.protocol = CV_IPV4_PROTO_TCP,
		.flags_offset = CV_IPV4_DF,
	};
	const struct virtio_net_hdr vnet = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 40,
		.gso_size = 3000,
		.csum_start = 20,
		.csum_offset = 16,
	};
	uint8_t tcp[9000 + 20] = {[12] = 5 << 4, [13] = 0x10};
	const struct cv_fp_capture *record;

	fixture->length = write_ipv4(fixture->packet, &of, tcp, sizeof(tcp));
	world_out(fixture->world, fixture->tunnel, &vnet, fixture->packet, fixture->length);
	record = cv_capture_ring_peek(fixture->ring);
	assert_non_null(record);
	assert_int_equal(record->gso_size, 3000);
	shown(fixture, CV_FP_HOOK_ENGINE_OUT, CV_FP_VERDICT_DROPPED, CV_DROP_TOO_BIG,
	      fixture->packet, fixture->length);
	cv_lane_capture(fixture->world->lane, NULL);
	inner(fixture, POD_A, POD_B, 100, 0);
	send_inner(fixture);
	assert_int_equal(fixture->world->sent.count, 1);
	no_more(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dropped_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_delivered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dropped_in, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reassembled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_foreign_icmp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_super_packet_and_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
