/* SPDX-License-Identifier: Apache-2.0 */
/* Durations: what is one, what is none, and that what is printed parses again. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "model/duration.h"

static void parses(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} good[] = {
		{"0", 0},	    {"0s", 0},
		{"15s", 15000},	    {"10m", 600000},
		{"300ms", 300},	    {"1h2m3s4ms", 3723004},
		{"1.5s", 1500},	    {"0.001s", 1},
		{"1.25h", 4500000}, {"90m", 5400000},
		{"0001s", 1000},    {"1193h", 4294800000U},
		{"1m0.5s", 60500},  {"4294967295ms", UINT32_MAX},
	};
	uint32_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ms = 1;
		if (!cv_duration_parse(good[i].text, &ms) || ms != good[i].ms)
			fail_msg("%s: %u", good[i].text, ms);
	}
}

static void refuses(void **state)
{
	static const char *const bad[] = {
		"",    "s",	"15",		"1 s",	 "1s ",	    " 1s",   "-1s",	     "+1s",
		"1S",  "1sec",	"1d",		"1us",	 "1s1m",    "1s1s",  "1ms1s",	     "1.s",
		".5s", "1..5s", "1.5.5s",	"0.5ms", "0.0001s", "1194h", "4294967296ms", "1mss",
		"1hm", "0m0",	"99999999999s", "1e3s",	 "1,5s",    "1m ",
	};
	uint32_t ms = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (cv_duration_parse(bad[i], &ms) || ms != 42)
			fail_msg("\"%s\" is taken for %u ms", bad[i], ms);
	}
}

static void prints_what_parses_again(void **state)
{
	static const uint32_t known[] = {0, 1, 999, 1000, 60000, 3600000, 3723004, UINT32_MAX};
	char text[CV_DURATION_TEXT_MAX];
	uint32_t ms, value;

	(void)state;
	assert_string_equal(cv_duration_format(0, text), "0s");
	assert_string_equal(cv_duration_format(90000, text), "1m30s");
	assert_string_equal(cv_duration_format(3723004, text), "1h2m3s4ms");
	srand(1);
	for (size_t i = 0; i < 10000; i++) {
		value = i < sizeof(known) / sizeof(known[0]) ? known[i]
							     : (uint32_t)rand() * (uint32_t)i;
		assert_true(cv_duration_parse(cv_duration_format(value, text), &ms));
		assert_int_equal(ms, value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(prints_what_parses_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
