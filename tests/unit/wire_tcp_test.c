/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/tcp.h against a walk through the options that is written from RFC 9293, 3.1 and 3.2, and
 * checksums that are summed up anew. Segments are allocated to the byte, so that the sanitizers see
 * every access too many.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wire/tcp.h"
#include "wire_oracle.h"

enum {
	SYN = 0x02,
	SYN_ACK = 0x12,
	ROUNDS = 200000,
};

#define NOP	    1
#define MSS(n)	    2, 4, (n) >> 8, (n)&255
#define SACK	    4, 2
#define STAMP	    8, 10, 1, 2, 3, 4, 0, 0, 0, 0
#define WINDOW	    3, 3, 7
#define OPTION(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* ---- a segment, and what is true of it ---- */

struct segment {
	uint8_t *bytes; /* of exactly length */
	uint32_t length;
};

/* With a pseudo header, whatever it was. */
static uint16_t segment_sum(const uint8_t *bytes, uint32_t length)
{
	return oracle_sum(bytes, length, 0x1234);
}

static bool has_right_checksum(const struct segment *segment)
{
	return segment_sum(segment->bytes, segment->length) == 0xffff;
}

/* With these options, filled up with END, and a right checksum. data: bytes behind the header. */
static struct segment make(uint8_t flags, const uint8_t *options, uint32_t length, uint32_t data)
{
	uint32_t header = 20 + (length + 3) / 4 * 4;
	struct segment segment = {malloc(header + data), header + data};

	assert_non_null(segment.bytes);
	oracle_fill(segment.bytes, segment.length);
	segment.bytes[12] = (uint8_t)(header / 4 << 4);
	segment.bytes[13] = flags;
	memset(segment.bytes + 20, 0, header - 20);
	if (length)
		memcpy(segment.bytes + 20, options, length);
	oracle_put16(segment.bytes + 16, 0);
	oracle_put16(segment.bytes + 16, (uint16_t)~segment_sum(segment.bytes, segment.length));
	return segment;
}

/* Clamps; true if nothing but the value at offset and the checksum has changed. */
static bool clamps_to(struct segment *segment, uint16_t limit, uint32_t offset, uint16_t want)
{
	uint8_t before[2048];
	bool clamped, same;

	memcpy(before, segment->bytes, segment->length);
	clamped = cv_tcp_clamp_mss(segment->bytes, segment->length, limit, false);
	oracle_put16(before + offset, want);
	memcpy(before + 16, segment->bytes + 16, 2);
	same = !memcmp(before, segment->bytes, segment->length);
	return clamped && same && has_right_checksum(segment);
}

/* Clamps; true if nothing has changed. */
static bool stays(struct segment *segment, uint16_t limit)
{
	uint8_t before[2048];

	memcpy(before, segment->bytes, segment->length);
	return !cv_tcp_clamp_mss(segment->bytes, segment->length, limit, false) &&
	       !memcmp(before, segment->bytes, segment->length);
}

/* ---- the cases ---- */

static void lowers_and_never_raises(void **state)
{
	static const uint8_t flags[] = {SYN, SYN_ACK, SYN | 0xc0, SYN | CV_TCP_PSH};

	(void)state;
	for (unsigned int i = 0; i < sizeof(flags); i++) {
		struct segment segment = make(flags[i], OPTION(MSS(1460)), 0);

		assert_true(stays(&segment, 1461));
		assert_true(stays(&segment, 1460));
		assert_true(clamps_to(&segment, 1459, 22, 1459));
		assert_true(clamps_to(&segment, 88, 22, 88));
		assert_true(stays(&segment, 88));
		free(segment.bytes);
	}
}

static void leaves_others_alone(void **state)
{
	(void)state;
	for (unsigned int flags = 0; flags < 256; flags++) {
		struct segment segment = make((uint8_t)flags, OPTION(MSS(1460)), 10);

		if (!(flags & CV_TCP_SYN))
			assert_true(stays(&segment, 500));
		else
			assert_true(clamps_to(&segment, 500, 22, 500));
		free(segment.bytes);
	}
}

struct list {
	const uint8_t *options;
	uint32_t length;
	uint32_t at; /* of the value in the segment; 0: nothing to be lowered */
};

static void finds_it_among_others(void **state)
{
	const struct list lists[] = {
		{OPTION(MSS(1460), SACK, STAMP, NOP, WINDOW), 22},
		{OPTION(NOP, MSS(1460)), 23},
		{OPTION(NOP, NOP, MSS(1460)), 24},
		{OPTION(WINDOW, MSS(1460), NOP), 25},
		{OPTION(STAMP, SACK, MSS(1460)), 34},
		{OPTION(STAMP, STAMP, STAMP, SACK, MSS(1460)), 54},
		{OPTION(STAMP, STAMP, STAMP, WINDOW, MSS(1460)), 55},
		{OPTION(STAMP, STAMP, STAMP, STAMP), 0},
		{OPTION(254, 36, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, MSS(1460)),
		 58},
		{OPTION(NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP,
			NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP, NOP,
			NOP, NOP, NOP, NOP, NOP, NOP, MSS(1460)),
		 58},
		/* The first of several. */
		{OPTION(MSS(1460), MSS(1461)), 22},
		/* Within another option's value it is none. */
		{OPTION(254, 6, MSS(1460), NOP, NOP), 0},
		/* Nothing is behind the end. */
		{OPTION(0, MSS(1460)), 0},
		{OPTION(NOP, 0, MSS(1460)), 0},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct segment segment = make(SYN, lists[i].options, lists[i].length, i);

		if (lists[i].at)
			assert_true(clamps_to(&segment, 1222, lists[i].at, 1222));
		assert_true(stays(&segment, 1222));
		free(segment.bytes);
	}
}

static void stops_where_options_make_no_sense(void **state)
{
	const struct list lists[] = {
		{OPTION(254, 0, MSS(1460)), 0},		/* a length that leads nowhere */
		{OPTION(254, 1, MSS(1460)), 0},		/* one that leads into itself */
		{OPTION(254, 255, MSS(1460)), 0},	/* one that leads out of the header */
		{OPTION(2, 3, 5, MSS(1460)), 25},	/* of another length it is another option */
		{OPTION(2, 0, 5, 6, MSS(1460)), 0},	/* … */
		{OPTION(2, 5, 5, 6, 7, MSS(1460)), 27}, /* … */
		{OPTION(NOP, NOP, NOP, 2), 0},		/* cut behind the kind, */
		{OPTION(NOP, NOP, 2, 4), 0},		/* behind the length, */
		{OPTION(NOP, 2, 4, 5), 0},		/* in the value */
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct segment segment = make(SYN, lists[i].options, lists[i].length, 0);

		if (lists[i].at)
			assert_true(clamps_to(&segment, 600, lists[i].at, 600));
		assert_true(stays(&segment, 600));
		free(segment.bytes);
	}
}

/* Cut anywhere: what is there in part is left alone, and nothing behind it is read. */
static void leaves_what_is_short(void **state)
{
	(void)state;
	for (uint32_t length = 0; length < 24; length++) {
		struct segment segment = make(SYN, OPTION(MSS(1460)), 0);
		uint8_t *cut = malloc(length + !length);

		assert_non_null(cut);
		memcpy(cut, segment.bytes, length);
		assert_int_equal(cv_tcp_syn_header(cut, length), 0);
		assert_false(cv_tcp_clamp_mss(cut, length, 500, false));
		assert_memory_equal(cut, segment.bytes, length);
		free(cut);
		free(segment.bytes);
	}
}

static void leaves_false_lengths(void **state)
{
	(void)state;
	for (unsigned int words = 0; words < 16; words++) {
		struct segment segment = make(SYN, OPTION(MSS(1460), NOP, NOP, NOP, NOP), 0);

		segment.bytes[12] = (uint8_t)(words << 4);
		assert_int_equal(cv_tcp_clamp_mss(segment.bytes, segment.length, 500, false),
				 words == 6 || words == 7);
		free(segment.bytes);
	}
}

/* The value changes, the field does not: what is summed up later is right then. */
static void leaves_a_partial_checksum(void **state)
{
	struct segment segment = make(SYN, OPTION(NOP, MSS(1460)), 0);

	(void)state;
	oracle_put16(segment.bytes + 16, 0x1234);
	assert_true(cv_tcp_clamp_mss(segment.bytes, segment.length, 536, true));
	assert_int_equal(oracle_get16(segment.bytes + 16), 0x1234);
	assert_int_equal(oracle_get16(segment.bytes + 23), 536);
	free(segment.bytes);
}

static void keeps_a_wrong_checksum_wrong(void **state)
{
	struct segment segment = make(SYN, OPTION(MSS(1460)), 0);

	(void)state;
	segment.bytes[17] ^= 1;
	assert_true(cv_tcp_clamp_mss(segment.bytes, segment.length, 536, false));
	assert_false(has_right_checksum(&segment));
	segment.bytes[17] ^= 1;
	free(segment.bytes);
}

/* ---- random ones, against a walk by the RFC's words ---- */

/* RFC 9293, 3.1: options to the end of the list or of the header; the value's place, or 0. */
static uint32_t oracle_find(const uint8_t *bytes, uint32_t length)
{
	uint32_t header, at = 20;

	if (length < 20 || !(bytes[13] & SYN))
		return 0;
	header = (bytes[12] >> 4) * 4U;
	while (header >= 20 && header <= length && at < header) {
		if (bytes[at] == 0)
			return 0;
		if (bytes[at] == 1) {
			at += 1;
			continue;
		}
		if (at + 1 >= header || bytes[at + 1] < 2)
			return 0;
		if (bytes[at] == 2 && bytes[at + 1] == 4 && at + 4 <= header)
			return at + 2;
		at += bytes[at + 1];
	}
	return 0;
}

static void draw_options(uint8_t *options, uint32_t length)
{
	static const uint8_t kinds[] = {0, 1, 1, 1, 2, 2, 2, 3, 4, 5, 8, 30, 254};
	static const uint8_t lengths[] = {0, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 8, 10, 40, 255};
	uint32_t at = 0;

	oracle_fill(options, length);
	while (at < length) {
		options[at] = kinds[oracle_below(sizeof(kinds))];
		if (oracle_below(40) && !options[at])
			options[at] = 1;
		if (options[at] > 1 && at + 1 < length) {
			options[at + 1] = lengths[oracle_below(sizeof(lengths))];
			if (options[at] == 2 && oracle_below(8))
				options[at + 1] = 4;
			at += options[at + 1] < 2 ? 2 : options[at + 1];
		} else {
			at++;
		}
	}
}

static void random_segments(void **state)
{
	unsigned int lowered = 0;

	(void)state;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t room = oracle_below(11) * 4;
		uint16_t limit = (uint16_t)(88 + oracle_below(oracle_below(2) ? 1500 : 65400));
		struct segment segment;
		uint8_t options[40];
		uint32_t at;

		draw_options(options, room);
		segment = make(oracle_below(9) ? SYN : (uint8_t)oracle_random(), options, room,
			       oracle_below(30));
		at = oracle_find(segment.bytes, segment.length);
		if (at && oracle_get16(segment.bytes + at) > limit) {
			assert_true(clamps_to(&segment, limit, at, limit));
			lowered++;
		} else {
			assert_true(stays(&segment, limit));
		}
		free(segment.bytes);
	}
	assert_true(lowered > ROUNDS / 10);
}

/* ---- settings ---- */

static void limits(void **state)
{
	(void)state;
	assert_int_equal(cv_tcp_mss_limit(CV_TCP_MSS_AUTO, 1480), 1440);
	assert_int_equal(cv_tcp_mss_limit(CV_TCP_MSS_AUTO, 128), 88);
	assert_int_equal(cv_tcp_mss_limit(CV_TCP_MSS_AUTO, 127), 88);
	assert_int_equal(cv_tcp_mss_limit(CV_TCP_MSS_AUTO, 0), 88);
	assert_int_equal(cv_tcp_mss_limit(CV_TCP_MSS_AUTO, 65535), 65495);
	assert_int_equal(cv_tcp_mss_limit(CV_TCP_MSS_AUTO, 1U << 31), 65495);
	assert_int_equal(cv_tcp_mss_limit(1300, 576), 1300);
	assert_int_equal(cv_tcp_mss_limit(CV_TCP_MSS_OFF, 576), 65535);
}

static void settings(void **state)
{
	(void)state;
	for (uint32_t setting = 0; setting < 70000; setting++)
		assert_int_equal(cv_tcp_mss_valid(setting),
				 setting == 0 || setting == 65535 ||
					 (setting >= 88 && setting <= 65495));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lowers_and_never_raises),
		cmocka_unit_test(leaves_others_alone),
		cmocka_unit_test(finds_it_among_others),
		cmocka_unit_test(stops_where_options_make_no_sense),
		cmocka_unit_test(leaves_what_is_short),
		cmocka_unit_test(leaves_false_lengths),
		cmocka_unit_test(leaves_a_partial_checksum),
		cmocka_unit_test(keeps_a_wrong_checksum_wrong),
		cmocka_unit_test(random_segments),
		cmocka_unit_test(limits),
		cmocka_unit_test(settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
