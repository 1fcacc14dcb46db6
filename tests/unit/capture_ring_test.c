/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's capture rings: what goes in comes out, whole and in order, or is counted. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/capture.h"
#include "packets.h"

enum {
	SMALL = 1024, /* bytes of a ring */
	RECORDS = 200000,
	LONGEST = 300,
};

struct fixture {
	int wake;
	struct cv_capture_ring *ring;
	uint8_t packet[LONGEST];
};

static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	fixture->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fixture->ring = cv_capture_ring_create(SMALL, 65535, fixture->wake);
	assert_non_null(fixture->ring);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	cv_capture_ring_destroy(fixture->ring);
	close(fixture->wake);
	test_free(fixture);
	return 0;
}

/* Record number n: its length and bytes follow from n. No IPv4: all of it is the packet. */
static uint32_t length_of(uint32_t n)
{
	return n * 7919 % LONGEST;
}

static void put(struct fixture *fixture, uint32_t n)
{
	const struct cv_fp_capture about = {
		.tunnel = n,
		.hook = CV_FP_HOOK_ENGINE_OUT,
		.verdict = CV_FP_VERDICT_ENCAPSULATED,
	};
	uint32_t length = length_of(n), half = length / 2;
	const struct iovec pieces[] = {
		{fixture->packet, half},
		{fixture->packet + half, length - half},
	};

	memset(fixture->packet, (int)(n & 15), sizeof(fixture->packet));
	cv_capture_ring_put(fixture->ring, &about, pieces, 2);
}

static void check(const struct cv_fp_capture *record, uint32_t n)
{
	const uint8_t *bytes = (const uint8_t *)(record + 1);

	assert_int_equal(record->tunnel, n);
	assert_int_equal(record->length, length_of(n));
	assert_int_equal(record->captured, length_of(n));
	for (uint32_t i = 0; i < record->captured; i++)
		assert_int_equal(bytes[i], n & 15);
}

static void test_in_order(void **state)
{
	struct fixture *fixture = *state;

	assert_null(cv_capture_ring_peek(fixture->ring));
	for (uint32_t n = 0; n < 1000; n++) {
		put(fixture, n);
		if (n < 1)
			continue;
		/* One stays behind, so that the ring wraps with a record in it. */
		check(cv_capture_ring_peek(fixture->ring), n - 1);
		cv_capture_ring_next(fixture->ring);
	}
	check(cv_capture_ring_peek(fixture->ring), 999);
	cv_capture_ring_next(fixture->ring);
	assert_null(cv_capture_ring_peek(fixture->ring));
	cv_capture_ring_next(fixture->ring);
	assert_int_equal(cv_capture_ring_lost(fixture->ring), 0);
}

static void test_full(void **state)
{
	struct fixture *fixture = *state;
	const struct cv_fp_capture *record;
	uint32_t put_in = 0, taken = 0, last = 0;
	uint64_t lost;

	for (; put_in < 100; put_in++)
		put(fixture, put_in);
	lost = cv_capture_ring_lost(fixture->ring);
	assert_true(lost > 0 && lost < put_in);
	assert_int_equal(cv_capture_ring_lost(fixture->ring), 0);
	while ((record = cv_capture_ring_peek(fixture->ring))) {
		assert_true(!taken || record->tunnel > last);
		last = record->tunnel;
		check(record, last);
		cv_capture_ring_next(fixture->ring);
		taken++;
	}
	assert_int_equal(taken + lost, put_in);
	put(fixture, 5);
	check(cv_capture_ring_peek(fixture->ring), 5);
}

static void test_snap_and_padding(void **state)
{
	struct fixture *fixture = *state;
	const struct cv_fp_capture about = {.hook = CV_FP_HOOK_ENGINE_IN, .offset = 9};
	const struct header_of of = {.source = 1, .destination = 2};
	uint8_t frame[200] = {0};
	uint32_t length = write_ipv4(frame, &of, NULL, 40);
	const struct iovec piece = {frame, length + 6};
	const struct cv_fp_capture *record;

	cv_capture_ring_put(fixture->ring, &about, &piece, 1);
	record = cv_capture_ring_peek(fixture->ring);
	assert_int_equal(record->length, length);
	assert_int_equal(record->captured, length);
	assert_int_equal(record->offset, 0);
	assert_true(record->time_ns > 0);
	cv_capture_ring_next(fixture->ring);
	cv_capture_ring_snap(fixture->ring, 24);
	cv_capture_ring_put(fixture->ring, &about, &piece, 1);
	record = cv_capture_ring_peek(fixture->ring);
	assert_int_equal(record->length, length);
	assert_int_equal(record->captured, 24);
	assert_memory_equal(record + 1, frame, 24);
}

/* A reader who waits is woken once; one who does not, never. */
static void test_wakes(void **state)
{
	struct fixture *fixture = *state;
	eventfd_t times = 0;

	put(fixture, 1);
	put(fixture, 2);
	assert_int_equal(eventfd_read(fixture->wake, &times), 0);
	assert_int_equal(times, 1);
	put(fixture, 3);
	assert_int_not_equal(eventfd_read(fixture->wake, &times), 0);
	cv_capture_ring_wait(fixture->ring);
	put(fixture, 4);
	assert_int_equal(eventfd_read(fixture->wake, &times), 0);
	assert_int_equal(times, 1);
}

static void *write_all(void *argument)
{
	struct fixture *fixture = argument;

	for (uint32_t n = 1; n <= RECORDS; n++)
		put(fixture, n);
	return NULL;
}

/* The writer is never held up; all that the reader sees is right, and what it missed is counted. */
static void test_two_threads(void **state)
{
	struct fixture *fixture = *state;
	uint64_t taken = 0, lost = 0;
	uint32_t last = 0;
	pthread_t writer;

	assert_int_equal(pthread_create(&writer, NULL, write_all, fixture), 0);
	while (taken + lost < RECORDS) {
		const struct cv_fp_capture *record;

		cv_capture_ring_wait(fixture->ring);
		while ((record = cv_capture_ring_peek(fixture->ring))) {
			assert_true(record->tunnel > last);
			last = record->tunnel;
			check(record, last);
			cv_capture_ring_next(fixture->ring);
			taken++;
		}
		lost += cv_capture_ring_lost(fixture->ring);
	}
	pthread_join(writer, NULL);
	assert_int_equal(taken + lost, RECORDS);
	assert_true(taken > 0);
	assert_null(cv_capture_ring_peek(fixture->ring));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_snap_and_padding, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wakes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_threads, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
