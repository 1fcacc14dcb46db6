/* SPDX-License-Identifier: Apache-2.0 */
/* path/liveness.h against the same sums done the slow way, over the whole history. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "path/liveness.h"

enum {
	HISTORY = 2000,
	LOST = -1
};

static int64_t history[HISTORY];
static size_t history_count;

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* The last samples that were answered, sorted; how many of the last were lost. */
static size_t oracle_last(int64_t *sorted, size_t *ret_lost, size_t *ret_total)
{
	size_t from = history_count > CV_LIVENESS_SAMPLES ? history_count - CV_LIVENESS_SAMPLES : 0;
	size_t count = 0;

	for (size_t i = from; i < history_count; i++) {
		if (history[i] != LOST)
			sorted[count++] = history[i];
	}
	*ret_total = history_count - from;
	*ret_lost = *ret_total - count;
	qsort(sorted, count, sizeof(*sorted), by_value);
	return count;
}

static void compare(const struct cv_liveness *liveness)
{
	int64_t sorted[CV_LIVENESS_SAMPLES];
	size_t lost, total, count = oracle_last(sorted, &lost, &total);

	for (unsigned int percent = 1; percent <= 100; percent++) {
		size_t rank = 1;

		while (rank < count && rank * 100 < count * percent)
			rank++;
		assert_int_equal(cv_liveness_rtt_us(liveness, percent),
				 count ? sorted[rank - 1] : 0);
	}
	assert_int_equal(cv_liveness_loss(liveness), total ? lost * 1000 / total : 0);
}

static void percentiles_and_loss_are_of_the_last_samples(void **state)
{
	struct cv_liveness liveness = {.state = CV_LIVENESS_UNKNOWN};

	(void)state;
	srandom(1);
	history_count = 0;
	compare(&liveness);
	while (history_count < HISTORY) {
		/* Stretches of much loss, of some, of none. */
		bool is_lost = random() % 100 < (long)(history_count / 200 % 3) * 45;
		int64_t rtt_us = is_lost ? LOST : random() % 100000;

		history[history_count++] = rtt_us;
		if (is_lost)
			cv_liveness_lost(&liveness, 3, history_count);
		else
			cv_liveness_answered(&liveness, (uint32_t)rtt_us, history_count);
		compare(&liveness);
	}
	assert_int_equal(liveness.sent, HISTORY);
}

static void down_after_losses_in_a_row_up_at_once(void **state)
{
	struct cv_liveness liveness = {.state = CV_LIVENESS_UNKNOWN};

	(void)state;
	assert_false(cv_liveness_lost(&liveness, 3, 10));
	assert_false(cv_liveness_lost(&liveness, 3, 20));
	assert_int_equal(liveness.state, CV_LIVENESS_UNKNOWN);
	assert_true(cv_liveness_lost(&liveness, 3, 30));
	assert_int_equal(liveness.state, CV_LIVENESS_DOWN);
	assert_int_equal(liveness.since_ms, 30);
	assert_false(cv_liveness_lost(&liveness, 3, 40));
	assert_int_equal(liveness.since_ms, 30);
	assert_true(cv_liveness_answered(&liveness, 500, 50));
	assert_int_equal(liveness.state, CV_LIVENESS_UP);
	assert_int_equal(liveness.since_ms, 50);
	assert_false(cv_liveness_answered(&liveness, 500, 60));
	/* Two losses, an answer, two losses: not three in a row. */
	for (int i = 0; i < 2; i++) {
		assert_false(cv_liveness_lost(&liveness, 3, 70));
		assert_false(cv_liveness_lost(&liveness, 3, 70));
		assert_false(cv_liveness_answered(&liveness, 500, 70));
	}
	assert_int_equal(liveness.state, CV_LIVENESS_UP);
	assert_int_equal(liveness.answered, 4);
	assert_int_equal(liveness.sent, 12);
}

/* RFC 6298, section 2, in floating point. */
static void timeout_is_rfc_6298(void **state)
{
	struct cv_liveness liveness = {.state = CV_LIVENESS_UNKNOWN};
	double srtt = 0, rttvar = 0;

	(void)state;
	srandom(2);
	assert_int_equal(cv_liveness_timeout_ms(&liveness, 10, 3000), 3000);
	for (int i = 0; i < 500; i++) {
		uint32_t rtt_us = (uint32_t)(20000 + random() % 30000 + (i / 100 % 2) * 400000);
		double away = srtt > rtt_us ? srtt - rtt_us : rtt_us - srtt, rto;

		cv_liveness_answered(&liveness, rtt_us, 1);
		rttvar = i ? 0.75 * rttvar + 0.25 * away : rtt_us / 2.0;
		srtt = i ? 0.875 * srtt + 0.125 * rtt_us : rtt_us;
		rto = (srtt + (4 * rttvar > 1000 ? 4 * rttvar : 1000)) / 1000;
		assert_in_range(cv_liveness_timeout_ms(&liveness, 1, 100000), (uint32_t)rto - 1,
				(uint32_t)rto + 2);
		assert_int_equal(cv_liveness_timeout_ms(&liveness, 5000, 9000), 5000);
		assert_int_equal(cv_liveness_timeout_ms(&liveness, 1, 30), 30);
	}
}

static void a_steady_path_keeps_the_clocks_granularity(void **state)
{
	struct cv_liveness liveness = {.state = CV_LIVENESS_UNKNOWN};

	(void)state;
	for (int i = 0; i < 200; i++)
		cv_liveness_answered(&liveness, 100, 1);
	assert_int_equal(liveness.srtt_us, 100);
	assert_int_equal(cv_liveness_timeout_ms(&liveness, 0, 1000), 2);
}

static void extremes(void **state)
{
	struct cv_liveness liveness = {.state = CV_LIVENESS_UNKNOWN};

	(void)state;
	for (int i = 0; i < 100; i++)
		cv_liveness_answered(&liveness, i % 2 ? 0 : UINT32_MAX, 1);
	assert_int_equal(cv_liveness_loss(&liveness), 0);
	assert_int_equal(cv_liveness_rtt_us(&liveness, 1), 0);
	assert_int_equal(cv_liveness_rtt_us(&liveness, 100), UINT32_MAX - 1);
	assert_in_range(cv_liveness_timeout_ms(&liveness, 0, UINT32_MAX), 2000000, UINT32_MAX);
	assert_true(cv_liveness_lost(&liveness, 0, 5)); /* as if it were 1 */
	assert_string_equal(cv_liveness_name(CV_LIVENESS_UNKNOWN), "unknown");
	assert_string_equal(cv_liveness_name(CV_LIVENESS_UP), "up");
	assert_string_equal(cv_liveness_name(CV_LIVENESS_DOWN), "down");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_and_loss_are_of_the_last_samples),
		cmocka_unit_test(down_after_losses_in_a_row_up_at_once),
		cmocka_unit_test(timeout_is_rfc_6298),
		cmocka_unit_test(a_steady_path_keeps_the_clocks_granularity),
		cmocka_unit_test(extremes),
	};

	return cmocka_run_group_tests_name("path_liveness", tests, NULL, NULL);
}
