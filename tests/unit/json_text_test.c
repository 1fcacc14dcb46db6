/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void takes_utf_8_as_it_is(void **state)
{
	static const char *const texts[] = {"", "eth0", "W\xc3\xa4lder", "\xf0\x9f\x90\xa7",
					    "a\tb\"c"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *json = cv_json_text(texts[i]);

		assert_string_equal(json_string_value(json), texts[i]);
		json_decref(json);
	}
}

static void makes_utf_8_of_bytes(void **state)
{
	static const char *const texts[][2] = {
		{"eth\xff", "eth?"},
		{"W\xe4lder.yaml", "W?lder.yaml"},
		{"cut off \xc3", "cut off ?"},
		/* All or nothing: what cannot be told apart from the rest goes, too. */
		{"\xc3\xa4 and \xe4", "?? and ?"},
		{"\xed\xa0\x80", "???"}, /* half of a surrogate pair */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *json = cv_json_text(texts[i][0]);

		assert_string_equal(json_string_value(json), texts[i][1]);
		json_decref(json);
	}
}

static void says_null_for_nothing(void **state)
{
	json_t *null = cv_json_text(NULL), *text = cv_json_text_or_null("a");

	(void)state;
	assert_true(json_is_null(null));
	assert_true(json_is_null(cv_json_text_or_null(NULL)));
	assert_true(json_is_null(cv_json_text_or_null("")));
	assert_string_equal(json_string_value(text), "a");
	json_decref(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_utf_8_as_it_is),
		cmocka_unit_test(makes_utf_8_of_bytes),
		cmocka_unit_test(says_null_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
