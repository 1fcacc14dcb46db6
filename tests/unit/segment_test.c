/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segmenter against the oracle that builds every segment by hand, and what it must
 * refuse.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/segment.h"
#include "segment_oracle.h"

static uint8_t data[65536];
static uint8_t packet[65536];
static uint8_t before[65536];

/* A random super-packet in packet; returns its length. */
static uint32_t make_super(uint8_t protocol, uint32_t data_length)
{
	struct oracle_packet spec = {
		.ip =
			{
				.tos = (uint8_t)oracle_random(),
				.ttl = (uint8_t)oracle_random(),
				.protocol = protocol,
				.id = (uint16_t)oracle_random(),
				.flags_offset = oracle_below(2) ? ORACLE_DF : 0,
				.source = oracle_random(),
				.destination = oracle_random(),
				.payload_length = data_length,
			},
		.source_port = (uint16_t)oracle_random(),
		.destination_port = (uint16_t)oracle_random(),
		.sequence = oracle_random(),
		.acknowledgment = oracle_random(),
		.reserved = (uint8_t)oracle_below(16),
		.flags = (uint8_t)oracle_random(),
		.window = (uint16_t)oracle_random(),
		.urgent = (uint16_t)oracle_random(),
		.data = data,
	};
	uint32_t length;

	if (!oracle_below(3))
		spec.ip.options_length = oracle_random_options(spec.ip.options);
	if (protocol == ORACLE_TCP)
		spec.options_length = oracle_random_options(spec.options);
	/* Sequence number and identification come round in a quarter of the packets. */
	if (!oracle_below(4)) {
		spec.sequence = UINT32_MAX - oracle_below(data_length + 1);
		spec.ip.id = (uint16_t)(UINT16_MAX - oracle_below(20));
	}
	length = 20U + spec.ip.options_length + data_length +
		 (protocol == ORACLE_TCP ? 20U + spec.options_length : 8U);
	if (length > 65535)
		spec.ip.payload_length -= length - 65535;
	length = oracle_write(packet, &spec);
	oracle_seal_partial(packet, length);
	return length;
}

static struct virtio_net_hdr super_header(uint32_t size)
{
	struct virtio_net_hdr vnet = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)oracle_random(), /* nobody may believe it */
		.gso_size = (uint16_t)size,
		.csum_start = (uint16_t)oracle_ip_length(packet),
		.csum_offset = 16,
	};

	if (packet[9] == ORACLE_UDP) {
		vnet.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		vnet.csum_offset = 6;
	} else if (packet[oracle_ip_length(packet) + 13] & ORACLE_CWR) {
		vnet.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	}
	return vnet;
}

/* Every segment of packet is the oracle's, in header buffers of the exact size. */
static uint32_t assert_segments(const struct virtio_net_hdr *vnet, uint32_t length)
{
	static uint8_t expected[65536];
	struct cv_segmenter segmenter;
	struct cv_segment segment;
	struct cv_ipv4 ip;
	uint32_t count = 0;
	uint32_t expected_length;

	memcpy(before, packet, length);
	assert_int_equal(cv_ipv4_parse(packet, length, &ip), CV_DROP_NONE);
	assert_int_equal(cv_segment_init(&segmenter, vnet, packet, &ip), CV_DROP_NONE);
	while ((expected_length =
			oracle_segment(packet, length, vnet->gso_size, count, expected))) {
		uint8_t header[CV_SEGMENT_HEADER_MAX];

		assert_true(cv_segment_next(&segmenter, header, &segment));
		assert_in_range(segment.header_length, 28, CV_SEGMENT_HEADER_MAX);
		assert_int_equal(segment.header_length + segment.payload_length, expected_length);
		assert_memory_equal(header, expected, segment.header_length);
		assert_memory_equal(segment.payload, expected + segment.header_length,
				    segment.payload_length);
		count++;
	}
	assert_false(cv_segment_next(&segmenter, expected, &segment));
	assert_int_equal(cv_segment_total(&segmenter), count);
	assert_memory_equal(packet, before, length);
	return count;
}

static void random_supers(uint8_t protocol, int rounds)
{
	oracle_fill(data, sizeof(data));
	for (int i = 0; i < rounds; i++) {
		uint32_t size = 1 + oracle_below(oracle_below(3) ? 1500 : 65535);
		uint32_t limit = size < 64 ? 2000 : 65536;
		uint32_t length = make_super(protocol, oracle_below(limit));
		struct virtio_net_hdr vnet = super_header(size);

		assert_segments(&vnet, length);
	}
}

static void tcp_is_cut_as_by_hand(void **state)
{
	(void)state;
	random_supers(ORACLE_TCP, 400);
}

static void udp_is_cut_as_by_hand(void **state)
{
	(void)state;
	random_supers(ORACLE_UDP, 400);
}

/* Around whole multiples of the segment size, and no payload at all. */
static void sizes_at_the_edges(void **state)
{
	static const uint32_t lengths[] = {0, 1, 99, 100, 101, 199, 200, 201, 300};
	static const uint32_t counts[] = {1, 1, 1, 1, 2, 2, 2, 3, 3};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		for (int udp = 0; udp < 2; udp++) {
			uint32_t length = make_super(udp ? ORACLE_UDP : ORACLE_TCP, lengths[i]);
			struct virtio_net_hdr vnet = super_header(100);

			assert_int_equal(assert_segments(&vnet, length), counts[i]);
		}
	}
}

/* Whoever compares with an MTU wants the longest segment there is, not what gso_size says. */
static void longest_segment(void **state)
{
	(void)state;
	for (uint32_t payload = 1; payload < 250; payload++) {
		uint32_t length = make_super(ORACLE_UDP, payload);
		struct virtio_net_hdr vnet = super_header(100);
		struct cv_segmenter segmenter;
		struct cv_ipv4 ip;

		cv_ipv4_parse(packet, length, &ip);
		assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
		assert_int_equal(segmenter.segment_size, payload < 100 ? payload : 100);
		assert_int_equal(segmenter.header_length, length - payload);
	}
}

/* The most segments that there can be: one byte in each. */
static void most_segments(void **state)
{
	struct cv_segmenter segmenter;
	struct virtio_net_hdr vnet;
	struct cv_segment segment;
	uint8_t header[CV_SEGMENT_HEADER_MAX];
	struct oracle_packet spec = {.ip = {.protocol = ORACLE_UDP}, .data = data};
	struct cv_ipv4 ip;
	uint32_t count = 0;

	(void)state;
	spec.ip.payload_length = 65535 - 28;
	oracle_write(packet, &spec);
	vnet = super_header(1);
	assert_int_equal(cv_ipv4_parse(packet, 65535, &ip), CV_DROP_NONE);
	assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
	assert_int_equal(cv_segment_total(&segmenter), 65507);
	while (cv_segment_next(&segmenter, header, &segment)) {
		assert_int_equal(segment.payload_length, 1);
		count++;
	}
	assert_int_equal(count, 65507);
}

/* CWR first only, FIN and PSH last only, all others everywhere (RFC 3168, 6.1.2). */
static void flags_of_three_segments(void **state)
{
	static const uint8_t expected[3] = {
		ORACLE_CWR | ORACLE_ECE | ORACLE_ACK | ORACLE_URG,
		ORACLE_ECE | ORACLE_ACK | ORACLE_URG,
		ORACLE_ECE | ORACLE_ACK | ORACLE_URG | ORACLE_FIN | ORACLE_PSH,
	};
	struct oracle_packet spec = {
		.ip = {.protocol = ORACLE_TCP, .payload_length = 250, .id = 0xffff},
		.flags =
			ORACLE_CWR | ORACLE_ECE | ORACLE_ACK | ORACLE_URG | ORACLE_FIN | ORACLE_PSH,
		.sequence = 0xffffff80,
		.data = data,
	};
	struct cv_segmenter segmenter;
	struct virtio_net_hdr vnet;
	uint8_t header[CV_SEGMENT_HEADER_MAX];
	struct cv_segment segment;
	struct cv_ipv4 ip;

	(void)state;
	cv_ipv4_parse(packet, oracle_write(packet, &spec), &ip);
	vnet = super_header(100);
	assert_int_equal(vnet.gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
	assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(cv_segment_next(&segmenter, header, &segment));
		assert_int_equal(header[20 + 13], expected[i]);
		assert_int_equal(oracle_get16(header + 4), (0xffff + i) & 0xffff);
		assert_int_equal(oracle_get32(header + 24), 0xffffff80 + i * 100);
		assert_int_equal(oracle_get16(header + 2), i == 2 ? 90 : 140);
	}
}

/* A checksum of 0 means "none" in UDP, so 0xffff is sent (RFC 768); in TCP it stays 0. */
static void zero_checksum(void **state)
{
	(void)state;
	oracle_fill(data, sizeof(data));
	for (int udp = 0; udp < 2; udp++) {
		struct oracle_packet spec = {
			.ip = {.protocol = udp ? ORACLE_UDP : ORACLE_TCP, .payload_length = 100},
			.flags = ORACLE_ACK,
			.data = data,
		};
		uint32_t ip_length = 20;
		struct virtio_net_hdr vnet;
		struct cv_segmenter segmenter;
		struct cv_segment segment;
		struct cv_ipv4 ip;
		uint8_t header[CV_SEGMENT_HEADER_MAX];
		uint32_t check = ip_length + (udp ? 6 : 16);
		uint32_t length;

		/* Adding the checksum to two bytes of data makes the new one 0. */
		oracle_put16(data, 0);
		length = oracle_write(packet, &spec);
		oracle_put16(data, oracle_get16(packet + check));
		assert_int_equal(oracle_write(packet, &spec), length);
		assert_int_equal(oracle_get16(packet + check), udp ? 0xffff : 0);
		oracle_seal_partial(packet, length);

		vnet = super_header(100);
		cv_ipv4_parse(packet, length, &ip);
		assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
		assert_true(cv_segment_next(&segmenter, header, &segment));
		assert_int_equal(oracle_get16(header + check), udp ? 0xffff : 0);

		vnet.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
		assert_int_equal(oracle_get16(packet + check), udp ? 0xffff : 0);
	}
}

/* Without an offload nothing is touched, whatever the packet is: a fragment here. */
static void ordinary_packet_is_unchanged(void **state)
{
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_DATA_VALID, .gso_size = 17};
	struct oracle_ip spec = {
		.protocol = ORACLE_TCP,
		.flags_offset = ORACLE_MF,
		.options = {7, 4, 4, 0},
		.options_length = 4,
		.payload_length = 8,
	};
	struct cv_segmenter segmenter;
	struct cv_segment segment;
	uint8_t header[CV_SEGMENT_HEADER_MAX];
	struct cv_ipv4 ip;

	(void)state;
	oracle_fill(packet, 100);
	oracle_header(packet, &spec);
	memcpy(before, packet, 32);
	assert_int_equal(cv_ipv4_parse(packet, 100, &ip), CV_DROP_NONE);
	assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
	assert_int_equal(cv_segment_total(&segmenter), 1);
	assert_true(cv_segment_next(&segmenter, header, &segment));
	assert_int_equal(segment.header_length, 24);
	assert_int_equal(segment.payload_length, 8);
	assert_memory_equal(header, before, 24);
	assert_ptr_equal(segment.payload, packet + 24);
	assert_memory_equal(packet, before, 32);
	assert_false(cv_segment_next(&segmenter, header, &segment));
}

/* CHECKSUM_PARTIAL in packets of all lengths is filled as if there had been no offload. */
static void partial_checksum_is_filled(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		bool udp = i % 2;
		uint32_t length = make_super(udp ? ORACLE_UDP : ORACLE_TCP, i);
		struct virtio_net_hdr vnet = super_header(100);
		struct cv_segmenter segmenter;
		struct cv_ipv4 ip;

		vnet.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		memcpy(before, packet, length);
		oracle_seal_transport(before, length);
		cv_ipv4_parse(packet, length, &ip);
		assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
		assert_memory_equal(packet, before, length);
		assert_int_equal(cv_segment_total(&segmenter), 1);
	}
}

/* Handed over by the fast path: an outer packet, the field is the inner TCP's. */
static void partial_checksum_of_an_inner_packet(void **state)
{
	struct oracle_packet spec = {
		.ip = {.protocol = ORACLE_TCP, .payload_length = 101, .source = 1},
		.flags = ORACLE_ACK,
		.data = data,
	};
	struct oracle_ip outer = {.protocol = 4};
	struct virtio_net_hdr vnet = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 40, .csum_offset = 16};
	struct cv_segmenter segmenter;
	struct cv_ipv4 ip;
	uint32_t length = oracle_write(packet + 20, &spec);

	(void)state;
	outer.payload_length = length;
	oracle_header(packet, &outer);
	memcpy(before, packet, 20 + length);
	oracle_seal_partial(packet + 20, length);
	cv_ipv4_parse(packet, 20 + length, &ip);
	assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
	assert_memory_equal(packet, before, 20 + length);
}

/* As a kernel's own segmentation does: an LRO super-packet has no NEEDS_CSUM. */
static void super_without_needs_csum(void **state)
{
	uint32_t length = make_super(ORACLE_TCP, 5000);
	struct virtio_net_hdr vnet = super_header(1000);

	(void)state;
	vnet.flags = 0;
	vnet.csum_start = vnet.csum_offset = 0xffff;
	assert_int_equal(assert_segments(&vnet, length), 5);
}

/* ---- what must be refused ----------------------------------------------------------- */

/* Made of one good super-packet: TCP, 20 + 32 + 1000 bytes, 100 bytes in a segment. */
struct refusal {
	const char *name;
	uint8_t gso_type;
	uint16_t gso_size, csum_start, csum_offset;
	uint8_t at; /* this byte of the packet becomes that value; 0: none */
	uint8_t value;
};

/* clang-format off */
static const struct refusal refusals[] = {
	/* name, gso_type, gso_size, csum_start, csum_offset, at, value */
	{"gso_size 0",                0x01,   0,     20,     16,  0, 0},
	{"IPv6",                      0x04, 100,     20,     16,  0, 0},
	{"UFO",                       0x03, 100,     20,     16,  0, 0},
	{"unknown type",              0x21, 100,     20,     16,  0, 0},
	{"ECN alone",                 0x80, 100,     20,     16,  0, 0},
	{"USO in a TCP packet",       0x05, 100,     20,      6,  0, 0},
	{"TSO in a UDP packet",       0x01, 100,     20,     16,  9, ORACLE_UDP},
	{"USO with ECN",              0x85, 100,     20,      6,  9, ORACLE_UDP},
	{"data offset 4",             0x01, 100,     20,     16, 32, 0x40},
	{"data offset 0",             0x01, 100,     20,     16, 32, 0x00},
	{"first fragment",            0x01, 100,     20,     16,  6, 0x20},
	{"later fragment",            0x01, 100,     20,     16,  7, 0x01},
	{"another start",             0x01, 100,     24,     16,  0, 0},
	{"another field",             0x01, 100,     20,      6,  0, 0},
	{"start in the IPv4 header",  0x00,   0,     19,     16,  0, 0},
	{"field over the end",        0x00,   0,     20,   1031,  0, 0},
	{"start behind the end",      0x00,   0,   1052,      0,  0, 0},
	{"far behind the end",        0x00,   0, 0xffff, 0xffff,  0, 0},
	{"partial, first fragment",   0x00,   0,     20,     16,  6, 0x20},
	{"partial, later fragment",   0x00,   0,     20,     16,  7, 0x01},
};
/* clang-format on */

static uint32_t make_good_super(struct cv_ipv4 *ret_ip)
{
	struct oracle_packet spec = {
		.ip = {.protocol = ORACLE_TCP, .payload_length = 1000},
		.flags = ORACLE_ACK,
		.options_length = 12,
		.data = data,
	};
	uint32_t length = oracle_write(packet, &spec);

	assert_int_equal(length, 1052);
	assert_int_equal(cv_ipv4_parse(packet, length, ret_ip), CV_DROP_NONE);
	return length;
}

static void misfits_are_refused(void **state)
{
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
	struct cv_segmenter segmenter;
	struct cv_ipv4 ip;
	uint32_t length;

	(void)state;
	/* The table's neighbours are fine. */
	make_good_super(&ip);
	vnet.csum_start = 20;
	vnet.csum_offset = 1030;
	assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
	vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	vnet.gso_size = 100;
	vnet.csum_offset = 16;
	assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip), CV_DROP_NONE);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		const struct refusal *refusal = &refusals[i];
		enum cv_drop drop;

		length = make_good_super(&ip);
		vnet.gso_type = refusal->gso_type;
		vnet.gso_size = refusal->gso_size;
		vnet.csum_start = refusal->csum_start;
		vnet.csum_offset = refusal->csum_offset;
		if (refusal->at)
			packet[refusal->at] = refusal->value;
		assert_int_equal(cv_ipv4_parse(packet, length, &ip), CV_DROP_NONE);
		memcpy(before, packet, length);
		drop = cv_segment_init(&segmenter, &vnet, packet, &ip);
		if (drop != CV_DROP_BAD_OFFLOAD)
			fail_msg("%s: %s", refusal->name, cv_drop_name(drop));
		assert_memory_equal(packet, before, length);
	}
}

/* TCP and UDP headers that the packet ends within. */
static void short_transport_headers(void **state)
{
	(void)state;
	for (uint8_t payload = 0; payload < 60; payload++) {
		struct oracle_ip spec = {.protocol = ORACLE_TCP, .payload_length = payload};
		struct virtio_net_hdr vnet = {.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
					      .gso_size = 100};
		struct cv_segmenter segmenter;
		struct cv_ipv4 ip;

		oracle_header(packet, &spec);
		memset(packet + 20, 0, 60);
		packet[20 + 12] = 0xf0; /* 60 bytes */
		cv_ipv4_parse(packet, 80, &ip);
		assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip),
				 CV_DROP_BAD_OFFLOAD);
		packet[20 + 12] = 0x50; /* 20 bytes */
		assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip),
				 payload < 20 ? CV_DROP_BAD_OFFLOAD : CV_DROP_NONE);
		spec.protocol = ORACLE_UDP;
		oracle_header(packet, &spec);
		cv_ipv4_parse(packet, 80, &ip);
		vnet.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		assert_int_equal(cv_segment_init(&segmenter, &vnet, packet, &ip),
				 payload < 8 ? CV_DROP_BAD_OFFLOAD : CV_DROP_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_is_cut_as_by_hand),
		cmocka_unit_test(udp_is_cut_as_by_hand),
		cmocka_unit_test(sizes_at_the_edges),
		cmocka_unit_test(longest_segment),
		cmocka_unit_test(most_segments),
		cmocka_unit_test(flags_of_three_segments),
		cmocka_unit_test(zero_checksum),
		cmocka_unit_test(ordinary_packet_is_unchanged),
		cmocka_unit_test(partial_checksum_is_filled),
		cmocka_unit_test(partial_checksum_of_an_inner_packet),
		cmocka_unit_test(super_without_needs_csum),
		cmocka_unit_test(misfits_are_refused),
		cmocka_unit_test(short_transport_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
