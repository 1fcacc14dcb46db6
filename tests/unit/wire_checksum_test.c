/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/checksum.h against a sum that is added bit by bit (wire_oracle.h). Areas are
 * allocated to the byte, so that the sanitizers see every read too many.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wire/checksum.h"
#include "wire_oracle.h"

/* A checksum as the wire has it, as a number. */
static uint16_t number(__be16 check)
{
	return cv_ntohs(check);
}

static void rfc_1071_example(void **state)
{
	const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	__u64 sum = cv_checksum_add(bytes, sizeof(bytes), 0);

	(void)state;
	assert_int_equal(number(cv_checksum_fold_partial(sum)), 0xddf2);
	assert_int_equal(number(cv_checksum_fold(sum)), 0x220d);
}

static void nothing_sums_to_zero(void **state)
{
	(void)state;
	assert_int_equal(cv_checksum_add("", 0, 0), 0);
	assert_int_equal(cv_checksum_add("", 0, 12345), 12345);
	assert_int_equal(number(cv_checksum_fold(0)), 0xffff);
	assert_int_equal(number(cv_checksum_fold_partial(0)), 0);
}

/* Fills with random bytes, or with one value: 0xff makes all the carries. */
static void fill(uint8_t *bytes, size_t length, int kind)
{
	if (kind == 0)
		oracle_fill(bytes, length);
	else
		memset(bytes, kind == 1 ? 0xff : 0x00, length);
}

static void every_length_and_alignment(void **state)
{
	(void)state;
	for (uint32_t length = 0; length <= 300; length++) {
		for (uint32_t skip = 0; skip < 9; skip++) {
			uint8_t *area = malloc(skip + length + !(skip + length));

			assert_non_null(area);
			for (int kind = 0; kind < 3; kind++) {
				fill(area, skip + length, kind);
				assert_int_equal(number(cv_checksum_fold(
							 cv_checksum_add(area + skip, length, 0))),
						 oracle_checksum(area + skip, length));
			}
			free(area);
		}
	}
}

static void large_areas(void **state)
{
	static const uint32_t lengths[] = {1459, 1460, 1500, 9000, 65507, 65515, 65535};
	uint8_t *area = malloc(65535);

	(void)state;
	assert_non_null(area);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (int kind = 0; kind < 3; kind++) {
			/* At the end of the area, to be seen reading beyond it. */
			uint8_t *at = area + 65535 - lengths[i];

			fill(at, lengths[i], kind);
			assert_int_equal(
				number(cv_checksum_fold(cv_checksum_add(at, lengths[i], 0))),
				oracle_checksum(at, lengths[i]));
		}
	}
	free(area);
}

/* Many sums in one, the accumulator full: no carry may be lost. */
static void carries_survive(void **state)
{
	static const uint64_t before[] = {0, 1, 0xffff, 0xffffffff, UINT64_MAX - 1, UINT64_MAX};
	uint8_t area[131];

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		for (uint32_t length = 0; length <= sizeof(area); length++) {
			uint8_t first[8];
			uint16_t sum;

			fill(area, length, (int)(length % 2));
			memcpy(first, &before[i], sizeof(first));
			sum = oracle_sum(area, length, oracle_sum(first, sizeof(first), 0));
			assert_int_equal(
				number(cv_checksum_fold(cv_checksum_add(area, length, before[i]))),
				(uint16_t)~sum);
		}
	}
}

static void pieces_sum_to_the_whole(void **state)
{
	uint8_t area[203];

	(void)state;
	oracle_fill(area, sizeof(area));
	for (uint32_t cut = 0; cut <= sizeof(area); cut++) {
		__u64 first = cv_checksum_add(area, cut, 0);
		__u64 second = cv_checksum_add(area + cut, (__u32)sizeof(area) - cut, 0);

		/* A piece at an odd offset has its bytes the other way round. */
		if (cut % 2)
			second = cv_checksum_shift(second);
		assert_int_equal(number(cv_checksum_fold(cv_checksum_combine(first, second))),
				 oracle_checksum(area, sizeof(area)));
		if (cut % 2 == 0)
			assert_int_equal(number(cv_checksum_fold(cv_checksum_add(
						 area + cut, (__u32)sizeof(area) - cut, first))),
					 oracle_checksum(area, sizeof(area)));
	}
}

static void pseudo_header(void **state)
{
	(void)state;
	for (int turn = 0; turn < 2000; turn++) {
		uint8_t pseudo[12];
		uint8_t protocol = (uint8_t)oracle_random();
		uint32_t length = turn ? oracle_below(65536) : 65535;
		__be32 source, destination;

		oracle_fill(pseudo, 8);
		memcpy(&source, pseudo, 4);
		memcpy(&destination, pseudo + 4, 4);
		pseudo[8] = 0;
		pseudo[9] = protocol;
		oracle_put16(pseudo + 10, length);
		assert_int_equal(number(cv_checksum_fold(cv_checksum_pseudo(source, destination,
									    protocol, length))),
				 oracle_checksum(pseudo, sizeof(pseudo)));
	}
}

/* The example of RFC 1624, 4, where equation 2 of RFC 1141 would give 0xffff. */
static void rfc_1624_example(void **state)
{
	(void)state;
	assert_int_equal(
		number(cv_checksum_update16(cv_htons(0xdd2f), cv_htons(0x5555), cv_htons(0x3285))),
		0x0000);
}

/* A header with random words changes one; the update must give what a new sum gives. */
static void updates_agree_with_a_new_sum(void **state)
{
	(void)state;
	for (int turn = 0; turn < 50000; turn++) {
		uint8_t header[20];
		uint32_t at = oracle_below(9) * 2;
		__be16 check, old16, new16;
		__be32 old32, new32;

		oracle_fill(header, sizeof(header));
		header[0] = 0x45; /* a header is never all zero */
		if (at == 10 || at == 0)
			at = 12;
		oracle_seal(header, sizeof(header));
		memcpy(&check, header + 10, 2);
		memcpy(&old16, header + at, 2);
		oracle_put16(header + at, turn % 3 ? oracle_random() : (turn % 2 ? 0xffff : 0));
		memcpy(&new16, header + at, 2);
		oracle_seal(header, sizeof(header));
		assert_memory_equal(header + 10,
				    &(__be16){cv_checksum_update16(check, old16, new16)}, 2);

		memcpy(&check, header + 10, 2);
		memcpy(&old32, header + 12, 4);
		oracle_put32(header + 12, turn % 3 ? oracle_random() : (turn % 2 ? 0xffffffff : 0));
		memcpy(&new32, header + 12, 4);
		oracle_seal(header, sizeof(header));
		assert_memory_equal(header + 10,
				    &(__be16){cv_checksum_update32(check, old32, new32)}, 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_1071_example),
		cmocka_unit_test(nothing_sums_to_zero),
		cmocka_unit_test(every_length_and_alignment),
		cmocka_unit_test(large_areas),
		cmocka_unit_test(carries_survive),
		cmocka_unit_test(pieces_sum_to_the_whole),
		cmocka_unit_test(pseudo_header),
		cmocka_unit_test(rfc_1624_example),
		cmocka_unit_test(updates_agree_with_a_new_sum),
	};

	return cmocka_run_group_tests_name("wire_checksum", tests, NULL, NULL);
}
