/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/ipv4.h without fragmentation (wire_fragment_test.c): parsing with every length
 * there is, the setters against a new checksum, the address predicates against a list.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wire/ipv4.h"
#include "wire_oracle.h"

/* Parses a copy that is allocated to the byte, so that reading beyond it is seen. */
static enum cv_drop parse(const uint8_t *packet, uint32_t captured, struct cv_ipv4 *ret_ip)
{
	uint8_t *copy = malloc(captured + !captured);
	enum cv_drop drop;

	assert_non_null(copy);
	memcpy(copy, packet, captured);
	drop = cv_ipv4_parse(copy, captured, ret_ip);
	free(copy);
	return drop;
}

/* Expects a reason, and that the out-parameter was left alone. */
static void expect_refusal(const uint8_t *packet, uint32_t captured, enum cv_drop reason)
{
	struct cv_ipv4 ip, before;

	memset(&ip, 0xa5, sizeof(ip));
	memcpy(&before, &ip, sizeof(ip));
	assert_int_equal(parse(packet, captured, &ip), reason);
	assert_memory_equal(&ip, &before, sizeof(ip));
}

static void every_field(void **state)
{
	const struct oracle_ip said = {
		.tos = 0xb9,
		.ttl = 63,
		.protocol = 4,
		.id = 0xbeef,
		.flags_offset = 0x2000 | 185,
		.source = 0xc0a86401,
		.destination = 0xc0a8c802,
		.options = {1, 1, 1, 0},
		.options_length = 4,
		.payload_length = 16,
	};
	uint8_t packet[40] = {0};
	struct cv_ipv4 ip = {0};

	(void)state;
	assert_int_equal(oracle_header(packet, &said), 24);
	assert_int_equal(parse(packet, 40, &ip), CV_DROP_NONE);
	assert_int_equal(ip.header_length, 24);
	assert_int_equal(ip.total_length, 40);
	assert_int_equal(ip.payload_length, 16);
	assert_int_equal(cv_ntohl(ip.source), 0xc0a86401);
	assert_int_equal(cv_ntohl(ip.destination), 0xc0a8c802);
	assert_int_equal(cv_ntohs(ip.id), 0xbeef);
	assert_int_equal(ip.fragment_offset, 1480);
	assert_false(ip.dont_fragment);
	assert_true(ip.more_fragments);
	assert_int_equal(ip.tos, 0xb9);
	assert_int_equal(ip.ttl, 63);
	assert_int_equal(ip.protocol, 4);
}

static void every_flag_and_offset(void **state)
{
	uint8_t packet[20];

	(void)state;
	for (uint32_t field = 0; field < 65536; field++) {
		const struct oracle_ip said = {.flags_offset = (uint16_t)field};
		struct cv_ipv4 ip = {0};
		bool df = field & 0x4000;
		bool fragment = field & 0x2000 || field % 8192;

		oracle_header(packet, &said);
		assert_int_equal(cv_ipv4_parse(packet, 20, &ip), CV_DROP_NONE);
		assert_int_equal(ip.fragment_offset, field % 8192 * 8);
		assert_int_equal(ip.dont_fragment, df);
		assert_int_equal(ip.more_fragments, (field & 0x2000) != 0);
		assert_int_equal(cv_ipv4_is_fragment(&ip), fragment);
		assert_int_equal(cv_ipv4_is_atomic(&ip), df && !fragment);
	}
}

/* Each IHL with each total length around it and each number of captured bytes. */
static void every_combination_of_lengths(void **state)
{
	uint8_t packet[100] = {0};

	(void)state;
	for (uint32_t ihl = 0; ihl < 16; ihl++) {
		for (uint32_t total = 0; total < 90; total++) {
			for (uint32_t captured = 0; captured <= 100; captured++) {
				enum cv_drop expected = CV_DROP_NONE;
				struct cv_ipv4 ip = {0};

				packet[0] = (uint8_t)(0x40 | ihl);
				oracle_put16(packet + 2, total);
				if (captured < 20)
					expected = CV_DROP_TRUNCATED;
				else if (ihl < 5 || ihl * 4 > total)
					expected = CV_DROP_BAD_HEADER_LENGTH;
				else if (total > captured)
					expected = CV_DROP_TRUNCATED;
				if (expected) {
					expect_refusal(packet, captured, expected);
					continue;
				}
				assert_int_equal(parse(packet, captured, &ip), CV_DROP_NONE);
				assert_int_equal(ip.header_length, ihl * 4);
				assert_int_equal(ip.total_length, total);
				assert_int_equal(ip.payload_length, total - ihl * 4);
			}
		}
	}
}

static void other_versions(void **state)
{
	uint8_t packet[64] = {0};

	(void)state;
	oracle_put16(packet + 2, sizeof(packet));
	for (unsigned int version = 0; version < 16; version++) {
		packet[0] = (uint8_t)(version << 4 | 5);
		if (version != 4)
			expect_refusal(packet, sizeof(packet), CV_DROP_BAD_VERSION);
	}
}

/* What ICMP quotes: the header is whole, the datagram is not. */
static void a_quoted_header(void **state)
{
	const struct oracle_ip said = {
		.options_length = 8,
		.payload_length = 60000,
		.protocol = 17,
	};
	uint8_t packet[28];
	struct cv_ipv4 ip = {0};

	(void)state;
	oracle_header(packet, &said);
	assert_int_equal(cv_ipv4_parse_header(packet, 28, &ip), CV_DROP_NONE);
	assert_int_equal(ip.total_length, 60028);
	assert_int_equal(ip.payload_length, 60000);
	assert_int_equal(ip.header_length, 28);
	for (uint32_t captured = 0; captured < 28; captured++)
		assert_int_equal(cv_ipv4_parse_header(packet, captured, &ip), CV_DROP_TRUNCATED);
	expect_refusal(packet, 28, CV_DROP_TRUNCATED);
}

static void checksum_covers_the_options(void **state)
{
	(void)state;
	for (uint32_t length = 20; length <= 60; length += 4) {
		for (int turn = 0; turn < 200; turn++) {
			uint8_t header[60];
			uint32_t at = oracle_below(length);

			oracle_fill(header, length);
			header[0] = (uint8_t)(0x40 | length / 4);
			cv_ipv4_set_checksum(header, length);
			assert_int_equal(oracle_sum(header, length, 0), 0xffff);
			assert_true(cv_ipv4_checksum_ok(header, length));
			header[at] ^= (uint8_t)(1U << oracle_below(8));
			assert_false(cv_ipv4_checksum_ok(header, length));
		}
	}
}

/* Does to a header, the slow way, what one of the setters does. */
static void set_slowly(uint8_t *header, int setter, uint32_t value)
{
	switch (setter) {
	case 0:
		header[1] = (uint8_t)value;
		break;
	case 1:
		header[8] = (uint8_t)value;
		break;
	case 2:
		oracle_put16(header + 2, value & 0xffff);
		break;
	case 3:
		oracle_put16(header + 4, value & 0xffff);
		break;
	case 4:
		oracle_put16(header + 6, value & 0xffff);
		break;
	case 5:
		oracle_put32(header + 12, value);
		break;
	default:
		oracle_put32(header + 16, value);
	}
	oracle_seal(header, (header[0] & 0xfU) * 4);
}

static void set(uint8_t *header, int setter, uint32_t value)
{
	switch (setter) {
	case 0:
		cv_ipv4_set_tos(header, (uint8_t)value);
		break;
	case 1:
		cv_ipv4_set_ttl(header, (uint8_t)value);
		break;
	case 2:
		cv_ipv4_set_total_length(header, (uint16_t)value);
		break;
	case 3:
		cv_ipv4_set_id(header, cv_htons((uint16_t)value));
		break;
	case 4:
		cv_ipv4_set_flags_offset(header, (uint16_t)value);
		break;
	case 5:
		cv_ipv4_set_source(header, cv_htonl(value));
		break;
	default:
		cv_ipv4_set_destination(header, cv_htonl(value));
	}
}

static void setters_keep_the_checksum_right(void **state)
{
	(void)state;
	for (int turn = 0; turn < 70000; turn++) {
		/* At an odd address, too. */
		uint8_t area[61], *header = area + turn % 2, slow[60];
		uint32_t length = 20 + 4 * oracle_below(11);
		uint32_t value = turn % 5 == 0 ? 0 : turn % 5 == 1 ? 0xffffffff : oracle_random();

		oracle_fill(header, length);
		header[0] = (uint8_t)(0x40 | length / 4);
		oracle_seal(header, length);
		memcpy(slow, header, length);
		set_slowly(slow, turn % 7, value);
		set(header, turn % 7, value);
		assert_memory_equal(header, slow, length);
	}
}

/* A damaged header must not be repaired by a change to it (RFC 1624). */
static void setters_keep_a_wrong_checksum_wrong(void **state)
{
	(void)state;
	for (int turn = 0; turn < 7000; turn++) {
		uint8_t header[20];

		oracle_fill(header, sizeof(header));
		header[0] = 0x45;
		oracle_seal(header, sizeof(header));
		header[10 + turn % 2] ^= (uint8_t)(1 + oracle_below(255));
		set(header, turn % 7, oracle_random());
		assert_false(cv_ipv4_checksum_ok(header, sizeof(header)));
	}
}

static void build_and_parse_agree(void **state)
{
	(void)state;
	for (int turn = 0; turn < 5000; turn++) {
		struct oracle_ip said = {
			.tos = (uint8_t)oracle_random(),
			.ttl = (uint8_t)oracle_random(),
			.protocol = (uint8_t)oracle_random(),
			.id = (uint16_t)oracle_random(),
			.flags_offset = oracle_random() & 0x7fff,
			.source = oracle_random(),
			.destination = oracle_random(),
			.payload_length = oracle_below(65516),
		};
		uint8_t expected[20];
		struct cv_ipv4_header built;
		struct cv_ipv4 ip = {0};

		oracle_header(expected, &said);
		assert_int_equal(cv_ipv4_parse_header(expected, 20, &ip), CV_DROP_NONE);
		cv_ipv4_build(&built, &ip);
		assert_memory_equal(&built, expected, 20);
	}
}

/* The address blocks, as a list of ranges of the first byte. */
static void addresses(void **state)
{
	(void)state;
	for (uint32_t first = 0; first < 256; first++) {
		static const uint32_t rests[] = {0, 1, 0x010203, 0xfffffe, 0xffffff};

		for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
			uint32_t number = first << 24 | rests[i];
			__be32 address = cv_htonl(number);
			bool multicast = first >= 224 && first <= 239;
			bool martian = first == 0 || first == 127 || multicast || first >= 240;

			assert_int_equal(cv_ipv4_is_unspecified(address), number == 0);
			assert_int_equal(cv_ipv4_is_loopback(address), first == 127);
			assert_int_equal(cv_ipv4_is_multicast(address), multicast);
			assert_int_equal(cv_ipv4_is_limited_broadcast(address),
					 number == 0xffffffff);
			assert_int_equal(cv_ipv4_is_martian_source(address), martian);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field),
		cmocka_unit_test(every_flag_and_offset),
		cmocka_unit_test(every_combination_of_lengths),
		cmocka_unit_test(other_versions),
		cmocka_unit_test(a_quoted_header),
		cmocka_unit_test(checksum_covers_the_options),
		cmocka_unit_test(setters_keep_the_checksum_right),
		cmocka_unit_test(setters_keep_a_wrong_checksum_wrong),
		cmocka_unit_test(build_and_parse_agree),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests_name("wire_ipv4", tests, NULL, NULL);
}
