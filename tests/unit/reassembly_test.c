/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reassembly: by hand for each rule, and at random against reassembly_oracle.h.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>

#include "reassembly_oracle.h"

static struct cv_reassembly *reassembly;
static uint8_t payload[65536];
static uint8_t whole[CV_REASSEMBLY_BYTES];
static uint32_t whole_length;
static struct cv_reassembly_lost lost;
static enum cv_drop reason;
static uint64_t now_ms;

static int set_up(void **state)
{
	(void)state;
	reassembly = cv_reassembly_create();
	oracle_fill(payload, sizeof(payload));
	whole_length = 0;
	lost = (struct cv_reassembly_lost){0};
	reason = CV_DROP_NONE;
	now_ms = 1000;
	return reassembly ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	cv_reassembly_destroy(reassembly);
	return 0;
}

static const struct oracle_ip plain = {
	.ttl = 64, .protocol = 4, .id = 7, .source = 0xc0a86401, .destination = 0xc0a8c802};

/* Gives payload[offset..offset+length-1] as a fragment with the fields of *like. */
static enum cv_reassembly_result give_like(const struct oracle_ip *like, uint32_t offset,
					   uint32_t length, bool more)
{
	static uint8_t packet[65536];
	struct oracle_ip ip = *like;
	struct cv_ipv4 parsed;
	uint32_t header;

	ip.flags_offset |= (uint16_t)(offset / 8 | (more ? CV_IPV4_MF : 0));
	ip.payload_length = length;
	header = oracle_header(packet, &ip);
	memcpy(packet + header, payload + offset, length);
	assert_int_equal(cv_ipv4_parse(packet, header + length, &parsed), CV_DROP_NONE);
	return cv_reassembly_add(reassembly, packet, &parsed, now_ms, whole, &whole_length, &reason,
				 &lost);
}

static enum cv_reassembly_result give(uint32_t offset, uint32_t length, bool more)
{
	return give_like(&plain, offset, length, more);
}

/* The whole that stands in the buffer has this header and all of the payload. */
static void assert_whole(const struct oracle_ip *like, uint32_t length)
{
	struct oracle_ip ip = *like;
	uint8_t header[60];
	uint32_t header_length;

	ip.payload_length = length;
	header_length = oracle_header(header, &ip);
	assert_int_equal(whole_length, header_length + length);
	assert_memory_equal(whole, header, header_length);
	assert_memory_equal(whole + header_length, payload, length);
}

#define assert_waits(call)     assert_int_equal(call, CV_REASSEMBLY_WAIT)
#define assert_completes(call) assert_int_equal(call, CV_REASSEMBLY_COMPLETE)
#define assert_drops(call, why)                                   \
	do {                                                      \
		assert_int_equal(call, CV_REASSEMBLY_DROP);       \
		assert_int_equal(reason, CV_DROP_FRAGMENT_##why); \
	} while (0)

/* All 24 orders of four fragments, the last of an odd length. */
static void every_order(void **state)
{
	static const uint32_t offsets[] = {0, 8, 1480, 2960};
	static const uint32_t lengths[] = {8, 1472, 1480, 333};

	(void)state;
	for (int order = 0; order < 256; order++) {
		int taken = 0;
		int given = 0;

		for (int i = 0; i < 4; i++)
			taken |= 1 << (order >> 2 * i & 3);
		if (taken != 15)
			continue;
		for (int i = 0; i < 4; i++) {
			int which = order >> 2 * i & 3;

			assert_int_equal(give(offsets[which], lengths[which], which < 3),
					 ++given < 4 ? CV_REASSEMBLY_WAIT : CV_REASSEMBLY_COMPLETE);
		}
		assert_whole(&plain, 2960 + 333);
	}
	assert_int_equal(lost.expired, 0);
}

/* The header is the first fragment's, with its options, TTL and DF, and none else's. */
static void header_of_the_first(void **state)
{
	struct oracle_ip first = plain;
	struct oracle_ip later = plain;

	(void)state;
	first.ttl = 9;
	first.tos = 0x48;
	first.options_length = 8;
	memcpy(first.options, "\x94\x04\x00\x00\x01\x01\x01\x00", 8);
	later.tos = 0x20;
	later.flags_offset = CV_IPV4_DF;
	assert_waits(give_like(&later, 800, 100, false));
	assert_completes(give_like(&first, 0, 800, true));
	assert_whole(&first, 900);

	first.flags_offset = CV_IPV4_DF | CV_IPV4_RESERVED;
	assert_waits(give_like(&plain, 800, 100, false));
	assert_completes(give_like(&first, 0, 800, true));
	assert_whole(&first, 900);
}

/* Source, destination, identification and protocol: RFC 791, 3.2. */
static void fragments_of_others_do_not_mix(void **state)
{
	struct oracle_ip others[4] = {plain, plain, plain, plain};

	(void)state;
	others[0].source++;
	others[1].destination++;
	others[2].id++;
	others[3].protocol++;
	assert_waits(give(0, 8, true));
	for (int i = 0; i < 4; i++)
		assert_waits(give_like(&others[i], 8, 8, false));
	for (int i = 0; i < 4; i++) {
		assert_completes(give_like(&others[i], 0, 8, true));
		assert_whole(&others[i], 16);
	}
	assert_completes(give(8, 8, false));
}

static void exact_copies_are_ignored(void **state)
{
	(void)state;
	assert_waits(give(0, 64, true));
	assert_waits(give(0, 64, true));
	assert_waits(give(128, 61, false));
	assert_waits(give(128, 61, false));
	assert_waits(give(8, 16, true)); /* a part, the same bytes */
	assert_completes(give(64, 64, true));
	assert_whole(&plain, 189);
}

/* The copy's ECN mark counts no more than its bytes. */
static void copies_have_no_ecn(void **state)
{
	struct oracle_ip marked = plain;

	(void)state;
	marked.tos = 3;
	assert_waits(give(0, 64, true));
	assert_waits(give_like(&marked, 0, 64, true));
	assert_completes(give(64, 64, false));
	assert_whole(&plain, 128);
}

struct piece {
	uint32_t offset, length;
	bool more, is_forged;
};

/* The last piece must drop all; a length of 0 says that there are but two. */
static const struct piece overlaps[][3] = {
	{{0, 64, true, false}, {56, 64, true, false}, {0}},   /* over the end */
	{{64, 64, true, false}, {0, 72, true, false}, {0}},   /* over the beginning */
	{{64, 8, true, false}, {0, 128, true, false}, {0}},   /* around */
	{{0, 64, true, false}, {0, 64, true, true}, {0}},     /* a copy with other bytes */
	{{0, 64, true, false}, {24, 8, true, true}, {0}},     /* inside, other bytes */
	{{0, 64, true, false}, {24, 4, false, false}, {0}},   /* teardrop */
	{{0, 64, true, false}, {48, 16, false, false}, {0}},  /* "more" first, then "last" */
	{{64, 16, false, false}, {64, 16, true, false}, {0}}, /* "last", then "more" */
	{{64, 16, false, false}, {80, 8, true, false}, {0}},  /* behind the last */
	{{64, 16, false, false}, {88, 8, false, false}, {0}}, /* another last */
	{{64, 16, false, false}, {32, 8, false, false}, {0}}, /* an earlier last */
	{{64, 16, true, false}, {32, 8, false, false}, {0}},  /* a last before what is there */
	{{0, 8, true, false}, {512, 8, true, false}, {0, 16, true, false}},  /* far apart */
	{{504, 8, true, false}, {504, 16, true, false}, {0}},		     /* one word is free */
	{{504, 16, true, false}, {0, 8, true, false}, {512, 8, true, true}}, /* word border */
};

static void overlaps_drop_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(overlaps) / sizeof(*overlaps); i++) {
		const struct piece *pieces = overlaps[i];
		int count = pieces[2].length ? 3 : 2;
		enum cv_reassembly_result result = CV_REASSEMBLY_WAIT;

		tear_down(state);
		set_up(state);
		for (int k = 0; k < count; k++) {
			if (k)
				assert_int_equal(result, CV_REASSEMBLY_WAIT);
			payload[pieces[k].offset] ^= pieces[k].is_forged;
			result = give(pieces[k].offset, pieces[k].length, pieces[k].more);
			payload[pieces[k].offset] ^= pieces[k].is_forged;
		}
		if (result != CV_REASSEMBLY_DROP || reason != CV_DROP_FRAGMENT_OVERLAP)
			fail_msg("overlap %zu", i);
		/* It is gone: the same key begins from nothing. */
		assert_waits(give(0, 8, true));
		assert_completes(give(8, 8, false));
	}
}

/* Bytes that have not come are no copy, even where they are what the buffer holds. */
static void copy_of_nothing(void **state)
{
	(void)state;
	memset(payload + 504, 0, 16);
	assert_waits(give(512, 8, true));
	assert_drops(give(504, 16, true), OVERLAP);
	assert_waits(give(504, 8, true));
	assert_drops(give(504, 16, true), OVERLAP);
}

static void impossible_fragments(void **state)
{
	struct oracle_ip options = plain;

	(void)state;
	assert_drops(give(0, 0, true), INVALID);
	assert_drops(give(8, 0, false), INVALID);
	assert_drops(give(8, 9, true), INVALID);
	assert_drops(give(65512, 4, false), INVALID);
	assert_drops(give(65528, 8, true), INVALID);
	assert_drops(give(65528, 1, false), INVALID);

	/* They take their datagram with them. */
	assert_waits(give(0, 8, true));
	assert_drops(give(16, 7, true), INVALID);
	assert_waits(give(8, 8, false));
	assert_completes(give(0, 8, true));

	/* 65535 bytes are possible, but not with options on top. */
	assert_waits(give(65512, 3, false));
	for (uint32_t at = 0; at < 65512 - 8; at += 8)
		assert_waits(give(at, 8, true));
	assert_completes(give(65504, 8, true));
	assert_whole(&plain, 65515);
	options.options_length = 4;
	assert_waits(give(65512, 3, false));
	assert_drops(give_like(&options, 0, 8, true), INVALID);
	assert_waits(give_like(&options, 0, 8, true));
	assert_drops(give(65512, 3, false), INVALID);
	assert_int_equal(lost.expired, 0);
}

/* RFC 3168, 5.3, by the ECN fields of the first and the later fragment. */
static void ecn_of_the_whole(void **state)
{
	enum {
		DROP = 4
	};
	static const uint8_t table[4][4] = {
		{0, 0, 0, DROP},
		{1, 1, 1, 3},
		{2, 2, 2, 3},
		{DROP, 3, 3, 3},
	};

	(void)state;
	for (uint8_t first = 0; first < 4; first++) {
		for (uint8_t later = 0; later < 4; later++) {
			struct oracle_ip a = plain;
			struct oracle_ip b = plain;

			a.tos = 0xb8 | first;
			b.tos = 0xb8 | later;
			assert_waits(give_like(&b, 8, 8, false));
			if (table[first][later] == DROP) {
				assert_drops(give_like(&a, 0, 8, true), OVERLAP);
				continue;
			}
			assert_completes(give_like(&a, 0, 8, true));
			a.tos = 0xb8 | table[first][later];
			assert_whole(&a, 16);
		}
	}
}

static void time_runs_out(void **state)
{
	struct oracle_ip other = plain;

	(void)state;
	assert_waits(give(0, 8, true));
	now_ms += CV_REASSEMBLY_TIMEOUT_MS - 1;
	assert_completes(give(8, 8, false));
	assert_int_equal(lost.expired, 0);

	/* A later fragment does not prolong it. */
	assert_waits(give(0, 8, true));
	now_ms += CV_REASSEMBLY_TIMEOUT_MS - 1;
	assert_waits(give(8, 8, true));
	now_ms++;
	assert_waits(give(16, 8, false));
	assert_int_equal(lost.expired, 1);
	assert_waits(give(0, 8, true));
	assert_completes(give(8, 8, true));

	/* Several at once, noticed by whatever comes next. */
	for (other.id = 100; other.id < 110; other.id++)
		assert_waits(give_like(&other, 0, 8, true));
	now_ms += CV_REASSEMBLY_TIMEOUT_MS;
	assert_waits(give(0, 8, true));
	assert_int_equal(lost.expired, 11);
}

/* Threads look at the clock before they wait for the lock. */
static void clock_of_another_thread(void **state)
{
	(void)state;
	assert_waits(give(0, 8, true));
	now_ms--;
	assert_completes(give(8, 8, false));
	assert_int_equal(lost.expired, 0);
}

static void oldest_is_pushed_out(void **state)
{
	struct oracle_ip ip = plain;

	(void)state;
	for (ip.id = 0; ip.id < CV_REASSEMBLY_DATAGRAMS; ip.id++)
		assert_waits(give_like(&ip, 0, 8, true));
	assert_int_equal(lost.evicted, 0);
	assert_waits(give_like(&ip, 0, 8, true));
	assert_int_equal(lost.evicted, 1);
	for (ip.id = 1; ip.id <= CV_REASSEMBLY_DATAGRAMS; ip.id++)
		assert_completes(give_like(&ip, 8, 8, false));
	ip.id = 0;
	assert_waits(give_like(&ip, 8, 8, false));
	assert_int_equal(lost.evicted, 1);

	/* What cannot be a fragment pushes out nobody. */
	for (ip.id = 1; ip.id < CV_REASSEMBLY_DATAGRAMS; ip.id++)
		assert_waits(give_like(&ip, 0, 8, true));
	assert_drops(give_like(&ip, 0, 7, true), INVALID);
	assert_int_equal(lost.evicted, 1);
	assert_int_equal(lost.expired, 0);
}

/* ---- at random ---------------------------------------------------------------------- */

static struct paper paper;
static struct paper_verdict verdict;

static void assert_as_on_paper(const struct paper_fragment *fragment)
{
	const char *error = paper_compare(&paper, reassembly, fragment, now_ms, &verdict);

	if (error)
		fail_msg("%s", error);
}

static void begin_paper(void)
{
	for (int i = 0; i < PAPER_MAX; i++)
		paper.datagrams[i].is_used = false;
	paper.serial = 0;
}

/* Fragments of a few small datagrams that are in each other's way all the time. */
static void hostile_fragments(void **state)
{
	uint32_t completes = 0;
	uint32_t drops = 0;

	(void)state;
	begin_paper();
	for (int i = 0; i < 60000; i++) {
		uint32_t units = 1 + oracle_below(3);
		uint32_t at = oracle_below(7);
		struct paper_fragment fragment = {.ip = plain};

		fragment.ip.id = (uint16_t)oracle_below(oracle_below(9) ? 3 : 100);
		fragment.ip.payload_length = units * 8;
		fragment.ip.tos = (uint8_t)(oracle_below(20) ? 2 : oracle_below(4));
		fragment.ip.flags_offset = (uint16_t)at;
		if (oracle_below(3))
			fragment.ip.flags_offset |= CV_IPV4_MF;
		else
			fragment.ip.payload_length -= oracle_below(8);
		if (!oracle_below(50))
			fragment.ip.payload_length = oracle_below(30);
		fragment.payload = payload + (at * 8 + (oracle_below(30) ? 0 : 1));
		now_ms += oracle_below(100) ? 0 : oracle_below(9000);
		assert_as_on_paper(&fragment);
		completes += verdict.result == CV_REASSEMBLY_COMPLETE;
		drops += verdict.result == CV_REASSEMBLY_DROP;
	}
	/* The mixture is meant to bring all three about. */
	assert_in_range(completes, 1000, 59000);
	assert_in_range(drops, 1000, 59000);
}

struct cut {
	struct oracle_ip ip;
	uint32_t length, at;
};

static void make_cut(struct cut *cut, uint16_t id)
{
	cut->ip = plain;
	cut->ip.id = id;
	cut->ip.options_length = (uint8_t)(oracle_below(11) * 4);
	oracle_fill(cut->ip.options, cut->ip.options_length);
	cut->length = 1 + oracle_below(oracle_below(4) ? 5000 : 65475);
	cut->at = 0;
}

/* Gives the next fragment of a datagram; sometimes twice. Returns false after the last. */
static bool give_next(struct cut *cut)
{
	uint32_t size = 8 * (1 + oracle_below(200));
	struct paper_fragment fragment = {.ip = cut->ip, .payload = payload + cut->at};
	bool is_last = cut->at + size >= cut->length;

	fragment.ip.payload_length = is_last ? cut->length - cut->at : size;
	fragment.ip.flags_offset = (uint16_t)(cut->at / 8 | (is_last ? 0 : CV_IPV4_MF));
	if (cut->at)
		fragment.ip.options_length = 0;
	if (!is_last && !oracle_below(4))
		assert_as_on_paper(&fragment);
	assert_as_on_paper(&fragment);
	cut->at += size;
	if (is_last) {
		assert_int_equal(verdict.result, CV_REASSEMBLY_COMPLETE);
		assert_int_equal(verdict.length, 20U + cut->ip.options_length + cut->length);
		assert_memory_equal(verdict.whole + verdict.length - cut->length, payload,
				    cut->length);
	}
	return !is_last;
}

/* Honest datagrams of all sizes, many at a time: every one must come out whole. */
static void interleaved_datagrams(void **state)
{
	static struct cut cuts[CV_REASSEMBLY_DATAGRAMS];
	uint16_t id = 0;

	(void)state;
	begin_paper();
	for (size_t i = 0; i < CV_REASSEMBLY_DATAGRAMS; i++)
		make_cut(&cuts[i], id++);
	while (id < 400) {
		struct cut *cut = &cuts[oracle_below(CV_REASSEMBLY_DATAGRAMS)];

		if (!give_next(cut))
			make_cut(cut, id++);
	}
}

/* ---- several threads ---------------------------------------------------------------- */

enum {
	THREADS = 4,
	THREAD_DATAGRAMS = 400
};

static void *thread_main(void *argument)
{
	struct cv_reassembly *shared = reassembly;
	struct oracle_ip ip = plain;
	uint32_t done = 0;

	ip.source = (uint32_t)(uintptr_t)argument;
	for (unsigned int i = 0; i < THREAD_DATAGRAMS; i++) {
		uint8_t packet[20 + 64], buffer[CV_REASSEMBLY_BYTES];
		struct cv_reassembly_lost gone = {0};
		uint32_t length;
		enum cv_drop why;

		ip.id = (uint16_t)i;
		for (uint16_t part = 0; part < 3; part++) {
			struct cv_ipv4 parsed;

			ip.payload_length = 64;
			ip.flags_offset = (uint16_t)(part * 8 | (part < 2 ? CV_IPV4_MF : 0));
			oracle_header(packet, &ip);
			memset(packet + 20, (int)(ip.source + part), 64);
			cv_ipv4_parse(packet, sizeof(packet), &parsed);
			if (cv_reassembly_add(shared, packet, &parsed, 1, buffer, &length, &why,
					      &gone) == CV_REASSEMBLY_COMPLETE)
				done += length == 20 + 192 && buffer[20] == (uint8_t)ip.source &&
					buffer[20 + 191] == (uint8_t)(ip.source + 2);
		}
	}
	return (void *)(uintptr_t)done;
}

static void threads_share_it(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_main, (void *)i), 0);
	for (int i = 0; i < THREADS; i++) {
		void *done;

		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_int_equal((uintptr_t)done, THREAD_DATAGRAMS);
	}
}

static void destroy_of_null(void **state)
{
	(void)state;
	cv_reassembly_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(header_of_the_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(fragments_of_others_do_not_mix, set_up, tear_down),
		cmocka_unit_test_setup_teardown(exact_copies_are_ignored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copies_have_no_ecn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(overlaps_drop_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(copy_of_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(impossible_fragments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ecn_of_the_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(time_runs_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(clock_of_another_thread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(oldest_is_pushed_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hostile_fragments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interleaved_datagrams, set_up, tear_down),
		cmocka_unit_test_setup_teardown(threads_share_it, set_up, tear_down),
		cmocka_unit_test(destroy_of_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
