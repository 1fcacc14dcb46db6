/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/icmp.h: parse, build, permission to answer, path MTU. What becomes of errors
 * from within the tunnel is in wire_relay_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wire/icmp.h"
#include "wire_oracle.h"

/* ---- parsing --------------------------------------------------------------------- */

/* An error of length bytes with a random quote; rest as on the wire. */
static void message(uint8_t *bytes, uint32_t length, uint8_t type, uint8_t code, uint32_t rest)
{
	oracle_fill(bytes, length);
	bytes[0] = type;
	bytes[1] = code;
	oracle_put16(bytes + 2, 0);
	oracle_put32(bytes + 4, rest);
	oracle_put16(bytes + 2, oracle_checksum(bytes, length));
}

static enum cv_drop parse(const uint8_t *bytes, uint32_t length, struct cv_icmp_error *ret_error)
{
	uint8_t *copy = malloc(length + !length);
	struct cv_icmp_error before;
	enum cv_drop drop;

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	memset(ret_error, 0xa5, sizeof(*ret_error));
	memcpy(&before, ret_error, sizeof(before));
	drop = cv_icmp_parse_error(copy, length, ret_error);
	if (drop)
		assert_memory_equal(ret_error, &before, sizeof(before));
	free(copy);
	return drop;
}

static bool is_error_type(unsigned int type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static void every_type_and_code(void **state)
{
	uint8_t bytes[36];
	struct cv_icmp_error error;

	(void)state;
	for (unsigned int type = 0; type < 256; type++) {
		assert_int_equal(cv_icmp_is_error((uint8_t)type), is_error_type(type));
		for (unsigned int code = 0; code < 256; code++) {
			/* Pointer 0x2a, length 0 words, MTU 1400. */
			message(bytes, sizeof(bytes), (uint8_t)type, (uint8_t)code, 0x2a000578);
			if (!is_error_type(type)) {
				assert_int_equal(parse(bytes, sizeof(bytes), &error),
						 CV_DROP_ICMP_NOT_OURS);
				continue;
			}
			assert_int_equal(parse(bytes, sizeof(bytes), &error), CV_DROP_NONE);
			assert_int_equal(error.type, type);
			assert_int_equal(error.code, code);
			assert_int_equal(error.mtu, type == 3 && code == 4 ? 1400 : 0);
			assert_int_equal(error.pointer, type == 12 && code == 0 ? 0x2a : 0);
			assert_int_equal(error.quoted_offset, 8);
			assert_int_equal(error.quoted_length, 28);
		}
	}
}

static void too_short_or_damaged(void **state)
{
	uint8_t bytes[64];
	struct cv_icmp_error error;

	(void)state;
	for (uint32_t length = 8; length <= sizeof(bytes); length++) {
		message(bytes, length, 11, 0, 0);
		for (uint32_t cut = 0; cut < 8; cut++)
			assert_int_equal(parse(bytes, cut, &error), CV_DROP_TRUNCATED);
		assert_int_equal(parse(bytes, length, &error), CV_DROP_NONE);
		assert_int_equal(error.quoted_length, length - 8);
		bytes[length - 1] ^= 1;
		assert_int_equal(parse(bytes, length, &error), CV_DROP_BAD_CHECKSUM);
	}
}

/* RFC 4884: the quote's length in 32-bit words, for three of the five types. */
static void extensions_are_not_quote(void **state)
{
	static const uint8_t types[] = {3, 4, 5, 11, 12};
	uint8_t bytes[8 + 140];
	struct cv_icmp_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		for (unsigned int words = 0; words < 256; words++) {
			bool has_length = types[i] != 4 && types[i] != 5;
			uint32_t expected = 140;

			if (has_length && words && words * 4 < 140)
				expected = words * 4;
			message(bytes, sizeof(bytes), types[i], 0, words << 16);
			assert_int_equal(parse(bytes, sizeof(bytes), &error), CV_DROP_NONE);
			assert_int_equal(error.quoted_length, expected);
		}
	}
}

/* ---- building --------------------------------------------------------------------- */

static uint32_t datagram(uint8_t *bytes, uint8_t options, uint32_t payload_length)
{
	struct oracle_ip ip = {
		.ttl = 63,
		.protocol = 17,
		.source = 0x0af40102,
		.destination = 0x0af40202,
		.options_length = (uint8_t)(options * 4),
		.payload_length = payload_length,
	};
	uint32_t header;

	memset(ip.options, 1, sizeof(ip.options));
	header = oracle_header(bytes, &ip);
	oracle_fill(bytes + header, payload_length);
	return header + payload_length;
}

/* Builds into exactly capacity bytes and compares with what it must be. */
static void check_build(const uint8_t *quoted, uint32_t length, uint32_t capacity,
			uint32_t expected)
{
	uint8_t *out = malloc(capacity + !capacity), *copy = malloc(length);
	uint8_t header[8] = {3, 4, 0, 0, 0, 0, 0x05, 0xc8};

	assert_non_null(out);
	assert_non_null(copy);
	memset(out, 0xee, capacity);
	memcpy(copy, quoted, length);
	assert_int_equal(cv_icmp_build_error(out, capacity, 3, 4, 1480, copy, length), expected);
	if (expected) {
		memcpy(header + 2, out + 2, 2);
		assert_memory_equal(out, header, 8);
		assert_memory_equal(out + 8, quoted, expected - 8);
		assert_int_equal(oracle_sum(out, expected, 0), 0xffff);
	}
	for (uint32_t i = expected; i < capacity; i++)
		assert_int_equal(out[i], 0xee);
	free(copy);
	free(out);
}

/* RFC 1812, 4.3.2.3: as much as 576 bytes hold, and never more than the datagram. */
static void as_much_as_576_bytes_hold(void **state)
{
	uint8_t bytes[2000];

	(void)state;
	for (uint32_t payload = 0; payload < 1900; payload++) {
		uint32_t length = datagram(bytes, 0, payload);
		uint32_t expected = length + 8 < 556 ? length + 8 : 556;

		check_build(bytes, length, 2000, expected);
	}
}

static void never_more_than_capacity(void **state)
{
	uint8_t bytes[700];

	(void)state;
	for (uint8_t options = 0; options <= 10; options += 5) {
		for (uint32_t payload = 0; payload < 600; payload += 4) {
			uint32_t length = datagram(bytes, options, payload);
			/* RFC 792: the header and 64 bits, where there are so many. */
			uint32_t least = 8 + 20 + options * 4U + (payload < 8 ? payload : 8);
			uint32_t most = length + 8 < 556 ? length + 8 : 556;

			for (uint32_t capacity = 0; capacity < 640; capacity += 3) {
				uint32_t fits = capacity < most ? capacity : most;

				check_build(bytes, length, capacity, capacity < least ? 0 : fits);
			}
		}
	}
}

static void trailing_bytes_are_not_quoted(void **state)
{
	uint8_t bytes[100];

	(void)state;
	datagram(bytes, 0, 30);
	check_build(bytes, 80, 600, 58);
	/* A datagram that is not all there is quoted as far as it is. */
	check_build(bytes, 40, 600, 48);
}

static void only_datagrams_are_quoted(void **state)
{
	uint8_t bytes[64], out[600];

	(void)state;
	datagram(bytes, 0, 30);
	assert_int_equal(cv_icmp_build_error(out, 600, 3, 1, 0, bytes, 19), 0);
	assert_int_equal(cv_icmp_build_error(out, 600, 3, 1, 0, bytes, 50), 58);
	bytes[0] = 0x65;
	assert_int_equal(cv_icmp_build_error(out, 600, 3, 1, 0, bytes, 50), 0);
}

static void what_is_built_parses(void **state)
{
	uint8_t bytes[600], out[600];

	(void)state;
	for (unsigned int type = 0; type < 13; type++) {
		for (unsigned int code = 0; code < 16; code++) {
			uint32_t length = datagram(bytes, 0, oracle_below(560));
			struct cv_icmp_error error;
			uint32_t written;

			if (!is_error_type(type))
				continue;
			written = cv_icmp_build_error(out, sizeof(out), (uint8_t)type,
						      (uint8_t)code, 123, bytes, length);
			assert_int_equal(parse(out, written, &error), CV_DROP_NONE);
			assert_int_equal(error.type, type);
			assert_int_equal(error.code, code);
			assert_int_equal(error.mtu, type == 3 && code == 4 ? 123 : 0);
			assert_int_equal(error.pointer, type == 12 && code == 0 ? 123 : 0);
			assert_int_equal(error.quoted_length, written - 8);
			/* What a type does not use is zero (RFC 792). */
			if (type != 12 && !(type == 3 && code == 4))
				assert_memory_equal(out + 4, "\0\0\0\0", 4);
		}
	}
}

/* ---- permission -------------------------------------------------------------------- */

static bool may_answer(uint32_t source, uint32_t destination, uint16_t field)
{
	const struct oracle_ip said = {
		.protocol = 17,
		.source = source,
		.destination = destination,
		.flags_offset = field,
	};
	struct cv_ipv4 ip = {0};
	uint8_t bytes[20];

	oracle_header(bytes, &said);
	assert_int_equal(cv_ipv4_parse(bytes, 20, &ip), CV_DROP_NONE);
	return cv_icmp_may_answer(&ip, "", 0);
}

static void rfc_1122_3_2_2_addresses_and_fragments(void **state)
{
	(void)state;
	assert_true(may_answer(0x0af40102, 0x0af40202, 0));
	assert_true(may_answer(0x0af40102, 0x0af40202, 0x4000));
	/* A first fragment may, a later one may not. */
	assert_true(may_answer(0x0af40102, 0x0af40202, 0x2000));
	assert_false(may_answer(0x0af40102, 0x0af40202, 0x2001));
	assert_false(may_answer(0x0af40102, 0x0af40202, 0x0001));
	/* Destinations that are not one host. */
	assert_false(may_answer(0x0af40102, 0xe0000001, 0));
	assert_false(may_answer(0x0af40102, 0xefffffff, 0));
	assert_false(may_answer(0x0af40102, 0xffffffff, 0));
	/* Sources that are not one host: zero, loopback, multicast, broadcast, class E. */
	assert_false(may_answer(0x00000000, 0x0af40202, 0));
	assert_false(may_answer(0x00000001, 0x0af40202, 0));
	assert_false(may_answer(0x7f000001, 0x0af40202, 0));
	assert_false(may_answer(0xe0000001, 0x0af40202, 0));
	assert_false(may_answer(0xf0000001, 0x0af40202, 0));
	assert_false(may_answer(0xffffffff, 0x0af40202, 0));
}

static void rfc_1122_3_2_2_never_about_an_icmp_error(void **state)
{
	static const uint8_t queries[] = {0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43};
	struct cv_ipv4 ip = {0};

	(void)state;
	ip.source = cv_htonl(0x0af40102);
	ip.destination = cv_htonl(0x0af40202);
	ip.protocol = 1;
	for (unsigned int type = 0; type < 256; type++) {
		uint8_t byte = (uint8_t)type;
		bool query = memchr(queries, (int)type, sizeof(queries)) != NULL;

		assert_int_equal(cv_icmp_may_answer(&ip, &byte, 1), query);
		/* There it is only a number. */
		ip.protocol = 17;
		assert_true(cv_icmp_may_answer(&ip, &byte, 1));
		ip.protocol = 1;
	}
	assert_false(cv_icmp_may_answer(&ip, "", 0));
}

/* ---- the path MTU ------------------------------------------------------------------- */

/* RFC 1191, 7, table 7-1: the first column. */
static const uint32_t plateaus[] = {65535, 32000, 17914, 8166, 4352, 2002,
				    1492,  1006,  508,	 296,  68};

static uint32_t plateau_below(uint32_t total_length)
{
	for (size_t i = 0; i < sizeof(plateaus) / sizeof(plateaus[0]); i++)
		if (plateaus[i] < total_length)
			return plateaus[i];
	return 68;
}

static void rfc_1191_7_plateaus(void **state)
{
	(void)state;
	for (uint32_t length = 0; length < 66000; length++)
		assert_int_equal(cv_icmp_plateau(length), plateau_below(length));
}

static uint32_t path_mtu(uint32_t reported, uint32_t total_length, uint32_t current_mtu)
{
	const struct cv_ipv4 quoted = {.header_length = 20, .total_length = total_length};

	return cv_icmp_path_mtu(reported, &quoted, current_mtu);
}

static void rfc_1191_5_path_mtu(void **state)
{
	(void)state;
	/* Believed, when it is possible; never a raise, never below 68. */
	for (uint32_t reported = 68; reported < 2000; reported++)
		assert_int_equal(path_mtu(reported, 1500, 1500), reported < 1500 ? reported : 1500);
	/* None, or an impossible one: the next plateau below what was too big. */
	for (uint32_t reported = 0; reported < 68; reported++) {
		assert_int_equal(path_mtu(reported, 1499, 1500), 1492);
		assert_int_equal(path_mtu(reported, 1400, 1500), 1006);
		assert_int_equal(path_mtu(reported, 100, 1500), 68);
		assert_int_equal(path_mtu(reported, 60, 1500), 68);
		/* Not less than the estimate: it must be 4.2BSD's, 20 too long. */
		assert_int_equal(path_mtu(reported, 1500, 1500), 1006);
		assert_int_equal(path_mtu(reported, 1520, 1500), 1492);
		assert_int_equal(path_mtu(reported, 20, 10), 68);
	}
	/* A guess is no raise, either. */
	assert_int_equal(path_mtu(0, 1600, 1400), 1400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_and_code),
		cmocka_unit_test(too_short_or_damaged),
		cmocka_unit_test(extensions_are_not_quote),
		cmocka_unit_test(as_much_as_576_bytes_hold),
		cmocka_unit_test(never_more_than_capacity),
		cmocka_unit_test(trailing_bytes_are_not_quoted),
		cmocka_unit_test(only_datagrams_are_quoted),
		cmocka_unit_test(what_is_built_parses),
		cmocka_unit_test(rfc_1122_3_2_2_addresses_and_fragments),
		cmocka_unit_test(rfc_1122_3_2_2_never_about_an_icmp_error),
		cmocka_unit_test(rfc_1191_7_plateaus),
		cmocka_unit_test(rfc_1191_5_path_mtu),
	};

	return cmocka_run_group_tests_name("wire_icmp", tests, NULL, NULL);
}
