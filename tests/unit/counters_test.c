/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters: every event has a name and a text of its own, every counter is added.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "engine/counters.h"

/* Names are for programs: kebab case, no two the same, none that a drop reason has. */
static void names_are_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < CV_EVENT_MAX; i++) {
		const char *name = cv_event_name((enum cv_event)i);

		assert_non_null(name);
		assert_true(islower((unsigned char)name[0]));
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"),
				 strlen(name));
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(name, cv_event_name((enum cv_event)k));
		for (unsigned int k = 0; k < CV_DROP_MAX; k++)
			assert_string_not_equal(name, cv_drop_name((enum cv_drop)k));
	}
	assert_string_equal(cv_event_name(CV_EVENT_ICMP_RELAYED), "icmp-relayed");
	assert_string_equal(cv_event_name(CV_EVENT_ECN_UNUSED), "ecn-unused");
	assert_string_equal(cv_event_name(CV_EVENT_HANDED_OVER), "handed-over");
}

static void texts_are_texts(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < CV_EVENT_MAX; i++) {
		const char *text = cv_event_text((enum cv_event)i);

		assert_non_null(text);
		assert_true(strlen(text) > strlen("unknown event"));
		assert_null(strchr(text, '\n'));
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(text, cv_event_text((enum cv_event)k));
	}
}

static void out_of_range(void **state)
{
	(void)state;
	assert_string_equal(cv_event_name(CV_EVENT_MAX), "unknown");
	assert_string_equal(cv_event_text(CV_EVENT_MAX), "unknown event");
	assert_string_equal(cv_event_name((enum cv_event) - 1), "unknown");
	assert_string_equal(cv_event_text((enum cv_event) - 1), "unknown event");
}

/* Every counter has a value of its own, so that none is forgotten or taken for another. */
static void every_counter_is_added(void **state)
{
	enum {
		COUNTERS = sizeof(struct cv_counters) / sizeof(uint64_t)
	};
	uint64_t sum[COUNTERS], from[COUNTERS];
	struct cv_counters sum_counters, from_counters;

	(void)state;
	for (uint64_t i = 0; i < COUNTERS; i++) {
		sum[i] = (i + 1) << 40;
		from[i] = (i + 1) * (i + 1);
	}
	memcpy(&sum_counters, sum, sizeof(sum));
	memcpy(&from_counters, from, sizeof(from));
	cv_counters_add(&sum_counters, &from_counters);
	memcpy(sum, &sum_counters, sizeof(sum));
	for (uint64_t i = 0; i < COUNTERS; i++)
		assert_int_equal(sum[i], ((i + 1) << 40) + (i + 1) * (i + 1));
	assert_memory_equal(&from_counters, from, sizeof(from));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_names),
		cmocka_unit_test(texts_are_texts),
		cmocka_unit_test(out_of_range),
		cmocka_unit_test(every_counter_is_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
