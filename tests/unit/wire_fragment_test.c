/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragmentation in wire/ipv4.h against two oracles that share no code with it: the
 * recursive procedure of RFC 791, 3.2 ("an example fragmentation procedure"), which cuts
 * one fragment off and starts again with the rest, and a reassembler that is one
 * large buffer with a mark for every byte.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wire/ipv4.h"
#include "wire_oracle.h"

struct packet {
	uint8_t *bytes; /* allocated to the byte */
	uint32_t header_length, length;
};

static struct packet packet_make(const struct oracle_ip *ip)
{
	struct packet packet = {.length = 20U + ip->options_length + ip->payload_length};

	packet.bytes = malloc(packet.length);
	assert_non_null(packet.bytes);
	packet.header_length = oracle_header(packet.bytes, ip);
	oracle_fill(packet.bytes + packet.header_length, ip->payload_length);
	return packet;
}

/* ---- the fragmenter's oracle ------------------------------------------------------- */

/* Only the options with the copied bit, end-padded to a multiple of 4. */
static uint8_t copied_options(const uint8_t *options, uint32_t length, uint8_t *ret_options)
{
	uint32_t in = 0, out = 0;

	memset(ret_options, 0, 40);
	while (in < length && options[in] != 0) {
		uint32_t size = options[in] == 1 ? 1 : options[in + 1];

		if (options[in] & 0x80) {
			memcpy(ret_options + out, options + in, size);
			out += size;
		}
		in += size;
	}
	while (out % 4)
		out++;
	return (uint8_t)out;
}

/* Cuts the first fragment off packet; returns what remains, or bytes NULL. */
static struct packet cut_one(struct packet packet, uint32_t mtu, struct packet *ret_first)
{
	uint32_t blocks = (mtu - packet.header_length) / 8;
	uint16_t field = oracle_get16(packet.bytes + 6);
	uint8_t options[40];
	struct packet rest = {0};
	uint32_t data;

	if (packet.length <= mtu) {
		*ret_first = packet;
		return rest;
	}
	ret_first->header_length = packet.header_length;
	ret_first->length = packet.header_length + blocks * 8;
	ret_first->bytes = malloc(ret_first->length);
	assert_non_null(ret_first->bytes);
	memcpy(ret_first->bytes, packet.bytes, ret_first->length);
	oracle_put16(ret_first->bytes + 2, ret_first->length);
	oracle_put16(ret_first->bytes + 6, field | 0x2000U);
	oracle_seal(ret_first->bytes, ret_first->header_length);

	data = packet.length - ret_first->length;
	rest.header_length =
		20U + copied_options(packet.bytes + 20, packet.header_length - 20, options);
	rest.length = rest.header_length + data;
	rest.bytes = malloc(rest.length);
	assert_non_null(rest.bytes);
	memcpy(rest.bytes, packet.bytes, 20);
	rest.bytes[0] = (uint8_t)(0x40 | rest.header_length / 4);
	memcpy(rest.bytes + 20, options, rest.header_length - 20);
	memcpy(rest.bytes + rest.header_length, packet.bytes + ret_first->length, data);
	oracle_put16(rest.bytes + 2, rest.length);
	/* MF of the rest is what it was before; the offset moves on. */
	oracle_put16(rest.bytes + 6, field + blocks);
	oracle_seal(rest.bytes, rest.header_length);
	free(packet.bytes);
	return rest;
}

/* ---- what is to be tested, in the same form ------------------------------------------ */

static struct packet make_fragment(struct packet packet, const struct cv_ipv4_fragment_plan *plan,
				   uint32_t k)
{
	struct cv_ipv4_fragment slice = cv_ipv4_fragment_get(plan, k);
	struct packet fragment;
	uint8_t header[60];

	memset(header, 0xee, sizeof(header));
	fragment.header_length = cv_ipv4_fragment_header(packet.bytes, plan, k, header);
	assert_int_equal(fragment.header_length, slice.header_length);
	for (uint32_t i = slice.header_length; i < sizeof(header); i++)
		assert_int_equal(header[i], 0xee);
	assert_true(slice.offset + slice.length <= packet.length - packet.header_length);
	fragment.length = fragment.header_length + slice.length;
	fragment.bytes = malloc(fragment.length);
	assert_non_null(fragment.bytes);
	memcpy(fragment.bytes, header, fragment.header_length);
	memcpy(fragment.bytes + fragment.header_length,
	       packet.bytes + packet.header_length + slice.offset, slice.length);
	return fragment;
}

static struct cv_ipv4_fragment_plan make_plan(struct packet packet, uint32_t mtu)
{
	struct cv_ipv4_fragment_plan plan = {0};
	struct cv_ipv4 ip = {0};

	assert_int_equal(cv_ipv4_parse(packet.bytes, packet.length, &ip), CV_DROP_NONE);
	assert_int_equal(cv_ipv4_plan_fragments(packet.bytes, &ip, mtu, &plan), CV_DROP_NONE);
	assert_int_equal(cv_ipv4_fragment_count(&plan), plan.count);
	return plan;
}

/* Every fragment of the plan, byte by byte what the recursive procedure makes. */
static void compare(const struct oracle_ip *said, uint32_t mtu)
{
	struct packet packet = packet_make(said);
	struct cv_ipv4_fragment_plan plan = make_plan(packet, mtu);
	struct packet rest = packet_make(said);
	uint32_t k = 0;

	memcpy(rest.bytes, packet.bytes, packet.length);
	while (rest.bytes) {
		struct packet expected, fragment;

		assert_true(k < plan.count);
		rest = cut_one(rest, mtu, &expected);
		fragment = make_fragment(packet, &plan, k++);
		assert_int_equal(fragment.length, expected.length);
		assert_true(fragment.length <= mtu);
		assert_memory_equal(fragment.bytes, expected.bytes, expected.length);
		free(expected.bytes);
		free(fragment.bytes);
	}
	assert_int_equal(k, plan.count);
	free(packet.bytes);
}

/* ---- tests -------------------------------------------------------------------------- */

static void what_fits_is_left_alone(void **state)
{
	const struct oracle_ip said = {.payload_length = 1480, .flags_offset = 0x4000};
	struct packet packet = packet_make(&said);
	struct cv_ipv4_fragment_plan plan = make_plan(packet, 1500);
	struct packet fragment = make_fragment(packet, &plan, 0);

	(void)state;
	assert_int_equal(plan.count, 1);
	assert_int_equal(fragment.length, packet.length);
	assert_memory_equal(fragment.bytes, packet.bytes, packet.length);
	free(fragment.bytes);
	free(packet.bytes);
}

static void each_length_around_the_mtu(void **state)
{
	(void)state;
	for (uint32_t mtu = 28; mtu < 120; mtu++) {
		for (uint32_t length = 0; length < 300; length++) {
			const struct oracle_ip said = {
				.payload_length = length,
				.ttl = 9,
				.protocol = 17,
				.id = (uint16_t)(mtu * length),
				.source = 0x0af40102,
				.destination = 0x0af40202,
			};

			compare(&said, mtu);
		}
	}
}

/* A source route (copied), a timestamp (not), a security option (copied), padding. */
static const uint8_t options[] = {
	131, 7, 4, 10, 0, 0, 1, 68, 8, 5, 0, 1, 2, 3, 4, 1, 1, 130, 11, 1,
	2,   3, 4, 5,  6, 7, 8, 9,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   0,	0,
};

static void options_with_the_copied_bit_alone(void **state)
{
	struct oracle_ip said = {.payload_length = 4000, .options_length = 40, .ttl = 64};
	struct packet packet, second;
	struct cv_ipv4_fragment_plan plan = {0};

	(void)state;
	memcpy(said.options, options, sizeof(options));
	packet = packet_make(&said);
	plan = make_plan(packet, 1500);
	assert_int_equal(plan.header_length, 60);
	/* 7 + 11 bytes of options and 2 of padding. */
	assert_int_equal(plan.later_header_length, 40);
	second = make_fragment(packet, &plan, 1);
	assert_memory_equal(second.bytes + 20, options, 7);
	assert_memory_equal(second.bytes + 27, options + 17, 11);
	assert_memory_equal(second.bytes + 38, "\0", 2);
	free(second.bytes);
	free(packet.bytes);
	for (uint32_t mtu = 68; mtu < 600; mtu += 7)
		compare(&said, mtu);
}

/* Random well-formed options until no more fit. */
static void random_options(struct oracle_ip *said)
{
	uint8_t length = (uint8_t)(4 * oracle_below(11));
	uint32_t at = 0;

	said->options_length = length;
	memset(said->options, 0, sizeof(said->options));
	while (at < length && oracle_below(8)) {
		uint32_t size = 2 + oracle_below(12);

		if (oracle_below(3) == 0 || at + size > length) {
			said->options[at++] = 1;
			continue;
		}
		said->options[at] = (uint8_t)(2 + oracle_below(254));
		said->options[at + 1] = (uint8_t)size;
		oracle_fill(said->options + at + 2, size - 2);
		at += size;
	}
}

static struct oracle_ip random_datagram(void)
{
	struct oracle_ip said = {
		.tos = (uint8_t)oracle_random(),
		.ttl = (uint8_t)oracle_random(),
		.protocol = (uint8_t)oracle_random(),
		.id = (uint16_t)oracle_random(),
		.source = oracle_random(),
		.destination = oracle_random(),
		.payload_length = oracle_below(oracle_below(20) ? 4000 : 65000),
	};

	/* The reserved bit is kept as it is. */
	said.flags_offset = oracle_below(2) ? 0x8000 : 0;
	random_options(&said);
	/* One in three is a fragment already, in the middle or at the end. */
	if (oracle_below(3) == 0) {
		uint32_t room = (65535 - said.payload_length) / 8;

		said.flags_offset |= (uint16_t)oracle_below(room + 1);
		if (oracle_below(2)) {
			said.flags_offset |= 0x2000;
			said.payload_length &= ~7U;
		}
	}
	return said;
}

static void random_datagrams(void **state)
{
	(void)state;
	for (int turn = 0; turn < 4000; turn++) {
		struct oracle_ip said = random_datagram();

		compare(&said, 68 + oracle_below(1500));
	}
}

/* Puts fragments, last first, into one buffer; nothing may be missing or come twice. */
static void fragments_reassemble(void **state)
{
	static uint8_t whole[65536], seen[65536];

	(void)state;
	for (int turn = 0; turn < 1000; turn++) {
		struct oracle_ip said = random_datagram();
		struct packet packet = packet_make(&said);
		struct cv_ipv4_fragment_plan plan = make_plan(packet, 68 + oracle_below(1500));
		uint32_t base = said.flags_offset % 8192U * 8;
		bool more = said.flags_offset & 0x2000;

		memset(seen, 0, sizeof(seen));
		for (uint32_t k = plan.count; k-- > 0;) {
			struct packet piece = make_fragment(packet, &plan, k);
			uint32_t field = oracle_get16(piece.bytes + 6);
			uint32_t at = field % 8192 * 8 - base;
			uint32_t length = piece.length - piece.header_length;

			assert_int_equal((field & 0x2000) != 0, k + 1 < plan.count || more);
			assert_true(length % 8 == 0 || k + 1 == plan.count);
			assert_true(at + length <= said.payload_length);
			for (uint32_t i = 0; i < length; i++) {
				assert_int_equal(seen[at + i]++, 0);
				whole[at + i] = piece.bytes[piece.header_length + i];
			}
			free(piece.bytes);
		}
		for (uint32_t i = 0; i < said.payload_length; i++)
			assert_int_equal(seen[i], 1);
		assert_memory_equal(whole, packet.bytes + packet.header_length,
				    said.payload_length);
		free(packet.bytes);
	}
}

static void expect_refusal(const struct oracle_ip *said, uint32_t mtu, enum cv_drop reason)
{
	struct packet packet = packet_make(said);
	struct cv_ipv4_fragment_plan plan, before;
	struct cv_ipv4 ip = {0};

	memset(&plan, 0xa5, sizeof(plan));
	memcpy(&before, &plan, sizeof(plan));
	assert_int_equal(cv_ipv4_parse(packet.bytes, packet.length, &ip), CV_DROP_NONE);
	assert_int_equal(cv_ipv4_plan_fragments(packet.bytes, &ip, mtu, &plan), reason);
	assert_memory_equal(&plan, &before, sizeof(plan));
	free(packet.bytes);
}

static void refusals(void **state)
{
	struct oracle_ip said = {.payload_length = 1000, .flags_offset = 0x4000};

	(void)state;
	expect_refusal(&said, 1019, CV_DROP_TOO_BIG);
	said.flags_offset = 0;
	/* No room for one block of 8 beside the header. */
	expect_refusal(&said, 27, CV_DROP_FRAGMENT_NOT_ALLOWED);
	expect_refusal(&said, 0, CV_DROP_FRAGMENT_NOT_ALLOWED);
	compare(&said, 28);
	/* The end would lie beyond what an offset can say. */
	said.flags_offset = 8191;
	expect_refusal(&said, 500, CV_DROP_FRAGMENT_NOT_ALLOWED);
	said.flags_offset = (65535 - 1000) / 8;
	compare(&said, 500);
}

static void malformed_options(void **state)
{
	static const uint8_t bad[][8] = {
		{0x82, 0},		     /* length 0 */
		{0x82, 1},		     /* length 1 */
		{0x82, 9, 0, 0, 0, 0, 0, 0}, /* beyond the header */
		{7, 255, 4},		     /* the same, not to be copied */
		{1, 1, 1, 1, 1, 1, 1, 0x82}, /* no room for its length */
	};
	struct oracle_ip said = {.payload_length = 1000, .options_length = 8};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(said.options, bad[i], 8);
		expect_refusal(&said, 500, CV_DROP_FRAGMENT_NOT_ALLOWED);
		/* Where nothing is to be cut, options are nobody's business. */
		compare(&said, 1028);
	}
}

static void the_largest_datagram(void **state)
{
	const struct oracle_ip said = {.payload_length = 65515};

	(void)state;
	compare(&said, 28);
	compare(&said, 1480);
	compare(&said, 65534);
	compare(&said, 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_left_alone),
		cmocka_unit_test(each_length_around_the_mtu),
		cmocka_unit_test(options_with_the_copied_bit_alone),
		cmocka_unit_test(random_datagrams),
		cmocka_unit_test(fragments_reassemble),
		cmocka_unit_test(refusals),
		cmocka_unit_test(malformed_options),
		cmocka_unit_test(the_largest_datagram),
	};

	return cmocka_run_group_tests_name("wire_fragment", tests, NULL, NULL);
}
