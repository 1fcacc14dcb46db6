/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The coalescer: rule by rule with two segments, its limits, and random streams with
 * everything that a network does to them, judged by coalesce_trace.h.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "coalesce_trace.h"

static struct trace trace;
static uint8_t data[65536];
static uint8_t bytes[65536];
static const struct virtio_net_hdr no_offload;

static void give(void *tag, const struct virtio_net_hdr *vnet, const struct oracle_packet *spec)
{
	uint32_t length = oracle_write(bytes, spec);

	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		oracle_seal_partial(bytes, length);
	trace_add(&trace, tag, vnet, bytes, length);
}

static void assert_trace_ends_well(void)
{
	const char *error = trace_end(&trace);

	if (error)
		fail_msg("%s", error);
}

static int set_up(void **state)
{
	(void)state;
	oracle_fill(data, sizeof(data));
	return 0;
}

/* ---- two segments ------------------------------------------------------------------- */

static const uint8_t timestamps[12] = {1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2};

/* One segment of a flow in mid-stream. */
static struct oracle_packet make_spec(void)
{
	struct oracle_packet spec = {
		.ip =
			{
				.ttl = 63,
				.protocol = ORACLE_TCP,
				.id = 0xffff,
				.flags_offset = ORACLE_DF,
				.source = 0x0af40102,
				.destination = 0x0af40202,
				.payload_length = 100,
			},
		.source_port = 40000,
		.destination_port = 80,
		.sequence = 0xffffffc0,
		.acknowledgment = 1000,
		.flags = ORACLE_ACK,
		.window = 500,
		.options_length = 12,
		.data = data,
	};

	memcpy(spec.options, timestamps, sizeof(timestamps));
	return spec;
}

/* The segment that follows it in all respects. */
static struct oracle_packet make_next(const struct oracle_packet *spec)
{
	struct oracle_packet next = *spec;

	next.sequence += spec->ip.payload_length;
	next.data += spec->ip.payload_length;
	next.ip.id++;
	return next;
}

struct pair {
	struct oracle_packet first, second;
	struct virtio_net_hdr first_vnet, second_vnet;
	int *first_tag, *second_tag;
	uint8_t flip_first, flip_second; /* XORed to the last byte behind the checksum's back */
};

static int tags[2];

/* How many packets come out of two. */
static unsigned int run_pair(void (*change)(struct pair *pair))
{
	struct pair pair = {.first = make_spec(), .first_tag = &tags[0], .second_tag = &tags[0]};
	unsigned int count;
	uint32_t length;

	pair.second = make_next(&pair.first);
	change(&pair);
	trace_begin(&trace);
	length = oracle_write(bytes, &pair.first);
	bytes[length - 1] ^= pair.flip_first;
	trace_add(&trace, pair.first_tag, &pair.first_vnet, bytes, length);
	length = oracle_write(bytes, &pair.second);
	bytes[length - 1] ^= pair.flip_second;
	trace_add(&trace, pair.second_tag, &pair.second_vnet, bytes, length);
	cv_coalesce_flush(trace.coalescer);
	count = trace.out_count;
	assert_trace_ends_well();
	return count;
}

#define PAIR_RULE(name, statement)                       \
	static void rule_##name(struct pair *pair)       \
	{                                                \
		struct oracle_packet *a = &pair->first;  \
		struct oracle_packet *b = &pair->second; \
                                                         \
		(void)a;                                 \
		(void)b;                                 \
		statement;                               \
	}

/* clang-format off */
/* Merged. Sequence number and identification come round between the two as it is. */
#define JOINING(X)                                                                               \
	X(as_it_is, (void)0)                                                                     \
	X(psh_on_the_second, b->flags |= ORACLE_PSH)                                             \
	X(fin_on_the_second, b->flags |= ORACLE_FIN)                                             \
	X(smaller_second, b->ip.payload_length = 1)                                              \
	X(constant_id_with_df, b->ip.id = a->ip.id)                                              \
	X(counting_id_without_df, a->ip.flags_offset = b->ip.flags_offset = 0)                   \
	X(ece_on_both, a->flags |= ORACLE_ECE; b->flags |= ORACLE_ECE)                           \
	X(cwr_on_the_first, a->flags |= ORACLE_CWR)                                              \
	X(no_options, a->options_length = b->options_length = 0)                                 \
	X(longest_options, a->options_length = b->options_length = 40)                           \
	X(ce_on_both, a->ip.tos = b->ip.tos = 3)                                                 \
	X(odd_lengths, a->ip.payload_length = 99; b->sequence--; b->ip.payload_length = 99)      \
	X(data_valid, pair->first_vnet.flags = pair->second_vnet.flags = 2 /* DATA_VALID */)

/* Not merged, and not held back either. */
#define PARTING(X)                                                                               \
	X(tag, pair->second_tag = &tags[1])                                                      \
	X(source, b->ip.source++)                                                                \
	X(destination, b->ip.destination++)                                                      \
	X(source_port, b->source_port++)                                                         \
	X(destination_port, b->destination_port++)                                               \
	X(dscp, b->ip.tos = 4)                                                                   \
	X(ecn, b->ip.tos = 3)                                                                    \
	X(ttl, b->ip.ttl--)                                                                      \
	X(df, b->ip.flags_offset = 0)                                                            \
	X(reserved_flag, b->ip.flags_offset |= 0x8000)                                           \
	X(id_gap, b->ip.id++)                                                                    \
	X(id_back, b->ip.id -= 2)                                                                \
	X(constant_id_without_df, a->ip.flags_offset = b->ip.flags_offset = 0;                     \
	  b->ip.id = a->ip.id)                                                                   \
	X(first_has_ip_options, a->ip.options_length = 4)                                        \
	X(second_has_ip_options, b->ip.options_length = 4)                                       \
	X(both_have_ip_options, a->ip.options_length = b->ip.options_length = 4)                 \
	X(first_fragment, b->ip.flags_offset = ORACLE_MF)                                        \
	X(later_fragment, b->ip.flags_offset = 1)                                                \
	X(sequence_gap, b->sequence++)                                                           \
	X(sequence_overlap, b->sequence--)                                                       \
	X(retransmission, b->sequence = a->sequence)                                             \
	X(acknowledgment, b->acknowledgment++)                                                   \
	X(window, b->window++)                                                                   \
	X(urgent, b->urgent++)                                                                   \
	X(reserved_bits, b->reserved = 1)                                                        \
	X(larger_second, b->ip.payload_length++)                                                 \
	X(pure_ack_first, a->ip.payload_length = 0; b->sequence = a->sequence)                   \
	X(pure_ack_second, b->ip.payload_length = 0)                                             \
	X(psh_on_the_first, a->flags |= ORACLE_PSH)                                              \
	X(fin_on_the_first, a->flags |= ORACLE_FIN)                                              \
	X(cwr_on_the_second, b->flags |= ORACLE_CWR)                                             \
	X(cwr_on_both, a->flags |= ORACLE_CWR; b->flags |= ORACLE_CWR)                           \
	X(ece_on_the_second, b->flags |= ORACLE_ECE)                                             \
	X(syn, a->flags |= ORACLE_SYN; b->flags |= ORACLE_SYN)                                   \
	X(rst, a->flags |= ORACLE_RST; b->flags |= ORACLE_RST)                                   \
	X(urg, a->flags |= ORACLE_URG; b->flags |= ORACLE_URG)                                   \
	X(no_ack, a->flags = b->flags = 0)                                                       \
	X(option_bytes, b->options[11]++)                                                        \
	X(option_length, b->options_length = 16)                                                 \
	X(bad_checksum_first, pair->flip_first = 1)                                              \
	X(bad_checksum_second, pair->flip_second = 0x80)                                         \
	X(bad_checksum_both, pair->flip_first = pair->flip_second = 1)                           \
	X(bad_checksum_data_valid, pair->flip_second = 1;                                        \
	  pair->second_vnet.flags = VIRTIO_NET_HDR_F_DATA_VALID)                                 \
	X(super_first, pair->first_vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;                     \
	  pair->first_vnet.gso_size = 10)                                                        \
	X(super_second, pair->second_vnet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;                   \
	  pair->second_vnet.gso_size = 10)                                                       \
	X(udp, a->ip.protocol = b->ip.protocol = ORACLE_UDP)                                     \
	X(foreign_checksum_field, pair->second_vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;         \
	  pair->second_vnet.csum_start = 20; pair->second_vnet.csum_offset = 6)                  \
	X(foreign_checksum_start, pair->second_vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;         \
	  pair->second_vnet.csum_start = 40; pair->second_vnet.csum_offset = 16)
/* clang-format on */

JOINING(PAIR_RULE)
PARTING(PAIR_RULE)

struct rule {
	const char *name;
	void (*change)(struct pair *pair);
};

#define RULE_ENTRY(name, statement) {#name, rule_##name},
static const struct rule joining[] = {JOINING(RULE_ENTRY)};
static const struct rule parting[] = {PARTING(RULE_ENTRY)};

static void what_joins(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(joining) / sizeof(*joining); i++)
		if (run_pair(joining[i].change) != 1)
			fail_msg("not merged: %s", joining[i].name);
}

static void what_does_not_join(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(parting) / sizeof(*parting); i++)
		if (run_pair(parting[i].change) != 2)
			fail_msg("merged: %s", parting[i].name);
}

/* A checksum that the kernel has still to fill stands for data that it has itself. */
static void needs_csum_joins(void **state)
{
	struct virtio_net_hdr partial = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 20, .csum_offset = 16};

	(void)state;
	for (int which = 0; which < 4; which++) {
		struct oracle_packet spec = make_spec();

		trace_begin(&trace);
		give(tags, which & 1 ? &partial : &no_offload, &spec);
		spec = make_next(&spec);
		give(tags, which & 2 ? &partial : &no_offload, &spec);
		cv_coalesce_flush(trace.coalescer);
		assert_int_equal(trace.out_count, 1);
		assert_trace_ends_well();
	}
}

/* An identification that stood still may not begin to count, nor the other way round. */
static void id_keeps_its_way(void **state)
{
	static const uint16_t ways[][3] = {{5, 5, 6}, {5, 6, 6}, {5, 6, 5}, {5, 5, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct oracle_packet spec = make_spec();

		trace_begin(&trace);
		for (int k = 0; k < 3; k++) {
			spec.ip.id = ways[i][k];
			give(tags, &no_offload, &spec);
			spec = make_next(&spec);
		}
		cv_coalesce_flush(trace.coalescer);
		assert_int_equal(trace.out_count, 2);
		assert_int_equal(trace.out[0].packets, 2);
		assert_trace_ends_well();
	}
}

/* ---- what comes out when ------------------------------------------------------------ */

/* Nothing waits longer than it must: these end a super-packet without a flush. */
static void ends_without_flush(void **state)
{
	(void)state;
	for (int which = 0; which < 3; which++) {
		struct oracle_packet spec = make_spec();

		trace_begin(&trace);
		give(tags, &no_offload, &spec);
		spec = make_next(&spec);
		give(tags, &no_offload, &spec);
		assert_int_equal(trace.out_count, 0);
		spec = make_next(&spec);
		if (which == 0)
			spec.flags |= ORACLE_PSH;
		else if (which == 1)
			spec.flags |= ORACLE_FIN;
		else
			spec.ip.payload_length--;
		give(tags, &no_offload, &spec);
		assert_int_equal(trace.out_count, 1);
		assert_int_equal(trace.out[0].packets, 3);
		assert_trace_ends_well();
	}
}

/* Lone packets with PSH, pure acknowledgments and other protocols are not held at all. */
static void passes_at_once(void **state)
{
	struct oracle_packet spec = make_spec();

	(void)state;
	trace_begin(&trace);
	spec.flags |= ORACLE_PSH;
	give(tags, &no_offload, &spec);
	assert_int_equal(trace.out_count, 1);
	spec.flags = ORACLE_ACK;
	spec.ip.payload_length = 0;
	give(tags, &no_offload, &spec);
	assert_int_equal(trace.out_count, 2);
	spec.ip.protocol = 1;
	give(tags, &no_offload, &spec);
	assert_int_equal(trace.out_count, 3);
	assert_trace_ends_well();
}

static void bytes_limit(void **state)
{
	struct oracle_packet spec = make_spec();

	(void)state;
	spec.ip.payload_length = 1428;
	trace_begin(&trace);
	for (int i = 0; i < 46; i++) {
		give(tags, &no_offload, &spec);
		spec = make_next(&spec);
		spec.data = data;
	}
	/* 52 + 45 * 1428 = 64312; one more would be 65740. */
	assert_int_equal(trace.out_count, 1);
	assert_int_equal(trace.out[0].packets, 45);
	assert_trace_ends_well();
}

/* Exactly 65535 bytes is allowed: 52 + 3 * 21827 + 2. */
static void bytes_limit_to_the_byte(void **state)
{
	(void)state;
	for (uint32_t last = 2; last < 4; last++) {
		struct oracle_packet spec = make_spec();

		spec.ip.payload_length = 21827;
		trace_begin(&trace);
		for (int i = 0; i < 4; i++) {
			if (i == 3)
				spec.ip.payload_length = last;
			give(tags, &no_offload, &spec);
			spec = make_next(&spec);
			spec.data = data;
		}
		cv_coalesce_flush(trace.coalescer);
		assert_int_equal(trace.out[0].packets, last == 2 ? 4 : 3);
		assert_int_equal(trace.out[0].length, last == 2 ? 65535 : 65533);
		assert_trace_ends_well();
	}
}

static void pieces_limit(void **state)
{
	struct oracle_packet spec = make_spec();

	(void)state;
	trace_begin(&trace);
	for (int i = 0; i < CV_COALESCE_PIECES + 1; i++) {
		give(tags, &no_offload, &spec);
		spec = make_next(&spec);
	}
	assert_int_equal(trace.out_count, 1);
	assert_int_equal(trace.out[0].packets, CV_COALESCE_PIECES);
	assert_trace_ends_well();
}

/* One flow too many pushes out the oldest; a flush hands out the oldest first. */
static void flows_limit(void **state)
{
	struct oracle_packet spec = make_spec();

	(void)state;
	trace_begin(&trace);
	for (unsigned int i = 0; i < CV_COALESCE_FLOWS; i++) {
		spec.source_port = (uint16_t)i;
		give(tags, &no_offload, &spec);
	}
	assert_int_equal(trace.out_count, 0);
	spec.source_port = CV_COALESCE_FLOWS;
	give(tags, &no_offload, &spec);
	assert_int_equal(trace.out_count, 1);
	/* One in the middle ends and begins again: now it is the youngest. */
	spec.source_port = 7;
	give(tags, &no_offload, &spec);
	assert_int_equal(trace.out_count, 2);
	cv_coalesce_flush(trace.coalescer);
	assert_int_equal(trace.out_count, CV_COALESCE_FLOWS + 2);
	assert_int_equal(oracle_get16(trace.out[0].bytes + 20), 0);
	assert_int_equal(oracle_get16(trace.out[1].bytes + 20), 7);
	for (unsigned int i = 2; i < trace.out_count; i++) {
		unsigned int port = i < 8 ? i - 1 : i;

		if (i == trace.out_count - 1)
			port = 7;
		assert_int_equal(oracle_get16(trace.out[i].bytes + 20), port);
	}
	assert_trace_ends_well();
}

/* A later fragment may be of any flow of its addresses: these go first, others stay. */
static void fragment_pushes_out_its_addresses(void **state)
{
	struct oracle_packet spec = make_spec();
	struct oracle_packet other = make_spec();

	(void)state;
	other.ip.source++;
	trace_begin(&trace);
	give(tags, &no_offload, &other);
	give(tags, &no_offload, &spec);
	spec.source_port++;
	give(tags, &no_offload, &spec);
	give(tags + 1, &no_offload, &spec);
	assert_int_equal(trace.out_count, 0);
	spec.ip.flags_offset = 10;
	give(tags, &no_offload, &spec);
	assert_int_equal(trace.out_count, 3);
	assert_int_equal(oracle_get16(trace.out[2].bytes + 6), 10);
	assert_trace_ends_well();
}

/* The whole point: a window of full segments becomes one packet. */
static void bulk_becomes_one(void **state)
{
	struct oracle_packet spec = make_spec();

	(void)state;
	spec.ip.payload_length = 1368;
	trace_begin(&trace);
	for (int i = 0; i < 44; i++) {
		if (i == 43)
			spec.flags |= ORACLE_PSH;
		give(tags, &no_offload, &spec);
		spec = make_next(&spec);
	}
	assert_int_equal(trace.out_count, 1);
	assert_int_equal(trace.out[0].packets, 44);
	assert_int_equal(trace.out[0].vnet.gso_size, 1368);
	assert_int_equal(trace.out[0].vnet.hdr_len, 52);
	assert_int_equal(trace.out[0].length, 52 + 44 * 1368);
	assert_int_equal(trace.out[0].bytes[33], ORACLE_ACK | ORACLE_PSH);
	assert_ptr_equal(trace.out[0].tag, tags);
	assert_trace_ends_well();
}

/* ---- random streams ----------------------------------------------------------------- */

enum {
	STREAMS = 24
};

static struct oracle_packet streams[STREAMS];

static void begin_streams(void)
{
	for (int i = 0; i < STREAMS; i++) {
		streams[i] = make_spec();
		streams[i].ip.source += oracle_below(6); /* some share their addresses */
		streams[i].source_port = (uint16_t)(1000 + i);
		streams[i].ip.id = (uint16_t)oracle_random();
		streams[i].sequence = oracle_random();
		streams[i].ip.flags_offset = i % 3 ? ORACLE_DF : 0;
		streams[i].options_length = i % 4 ? 12 : 0;
		streams[i].ip.payload_length = i % 2 ? 1360 : 1 + oracle_below(400);
	}
}

/* What a sender, a router or bad luck does to one segment of a stream, for good. */
static void disturb_stream(struct oracle_packet *spec)
{
	switch (oracle_below(10)) {
	case 0:
		spec->acknowledgment += 1000;
		break;
	case 1:
		spec->window++;
		break;
	case 2:
		spec->options[7]++;
		break;
	case 3:
		spec->ip.ttl ^= 1;
		break;
	case 4:
		spec->ip.tos ^= 3;
		break;
	case 5:
		spec->ip.id++;
		break;
	case 6:
		spec->sequence += spec->ip.payload_length;
		break;
	case 7:
		spec->sequence -= spec->ip.payload_length;
		break;
	case 8:
		spec->flags ^= ORACLE_ECE;
		break;
	default:
		spec->ip.flags_offset ^= ORACLE_DF;
	}
}

/* The same for one packet; bytes behind the checksums' back in *ret_flip. */
static void disturb_packet(struct oracle_packet *spec, struct virtio_net_hdr *vnet,
			   uint8_t *ret_flip)
{
	switch (oracle_below(10)) {
	case 0:
		spec->flags |= (uint8_t)oracle_random();
		break;
	case 1:
		spec->flags |= ORACLE_PSH;
		break;
	case 2:
		spec->ip.payload_length = 0;
		break;
	case 3:
		spec->ip.payload_length = 1 + oracle_below(spec->ip.payload_length);
		break;
	case 4:
		*ret_flip = (uint8_t)(1U << oracle_below(8));
		break;
	case 5:
		spec->ip.options_length = 8;
		break;
	case 6:
		spec->ip.flags_offset = (uint16_t)(oracle_below(2) ? ORACLE_MF : oracle_below(99));
		break;
	case 7:
		spec->ip.protocol = ORACLE_UDP;
		break;
	case 8:
		vnet->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		vnet->gso_size = 10;
		break;
	default:
		vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet->csum_start = 20;
		vnet->csum_offset = 16;
	}
}

/* Gives the next segment of a stream; every one in percent hundred is disturbed. */
static void give_next(struct oracle_packet *stream, uint32_t percent)
{
	struct virtio_net_hdr vnet = no_offload;
	struct oracle_packet spec;
	uint8_t flip = 0;
	uint32_t length;

	if (oracle_below(100) < percent)
		disturb_stream(stream);
	spec = *stream;
	spec.data = data + oracle_below(60000);
	if (oracle_below(100) < percent)
		disturb_packet(&spec, &vnet, &flip);
	length = oracle_write(bytes, &spec);
	if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		oracle_seal_partial(bytes, length);
	bytes[length - 1] ^= flip;
	if (length > 40) /* never the IPv4 header: that one is the caller's to check */
		trace_add(&trace, &tags[stream->source_port & 1], &vnet, bytes, length);
	stream->sequence += spec.ip.payload_length;
	/* Every eighth stream has an identification that stands still. */
	if (stream->source_port % 8)
		stream->ip.id++;
}

/* Bursts of segments from random streams, with flushes in between. */
static void run_streams(uint32_t percent, unsigned int *ret_in, unsigned int *ret_out)
{
	begin_streams();
	trace_begin(&trace);
	while (trace.in_count < TRACE_MAX - 40) {
		struct oracle_packet *stream = &streams[oracle_below(STREAMS)];

		for (uint32_t burst = 1 + oracle_below(40); burst; burst--)
			give_next(stream, percent);
		if (!oracle_below(20))
			cv_coalesce_flush(trace.coalescer);
		if (!oracle_below(20))
			trace_check(&trace);
	}
	*ret_in = trace.in_count;
	cv_coalesce_flush(trace.coalescer);
	*ret_out = trace.out_count;
	assert_trace_ends_well();
}

static void random_streams(void **state)
{
	static const uint32_t percents[] = {0, 2, 10, 50};
	unsigned int in = 0;
	unsigned int out = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		run_streams(percents[round % 4], &in, &out);
		/* It would be easy to be right by never merging. */
		if (round % 4 == 0)
			assert_in_range(out, 1, in / 5);
	}
}

static void nothing_given(void **state)
{
	(void)state;
	trace_begin(&trace);
	cv_coalesce_flush(trace.coalescer);
	assert_int_equal(trace.out_count, 0);
	assert_trace_ends_well();
	cv_coalesce_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_joins),
		cmocka_unit_test(what_does_not_join),
		cmocka_unit_test(needs_csum_joins),
		cmocka_unit_test(id_keeps_its_way),
		cmocka_unit_test(ends_without_flush),
		cmocka_unit_test(passes_at_once),
		cmocka_unit_test(bytes_limit),
		cmocka_unit_test(bytes_limit_to_the_byte),
		cmocka_unit_test(pieces_limit),
		cmocka_unit_test(flows_limit),
		cmocka_unit_test(fragment_pushes_out_its_addresses),
		cmocka_unit_test(bulk_becomes_one),
		cmocka_unit_test(random_streams),
		cmocka_unit_test(nothing_given),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
