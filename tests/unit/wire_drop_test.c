/* SPDX-License-Identifier: Apache-2.0 */
/* wire/drop.h: every reason has a name fit for programs and a line fit for people. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "wire/drop.h"

static void names_are_kebab_case(void **state)
{
	(void)state;
	for (int i = 0; i < CV_DROP_MAX; i++) {
		const char *name = cv_drop_name((enum cv_drop)i);
		size_t length = strlen(name);

		assert_true(length > 0 && length < 32);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-"), length);
		assert_true(name[0] != '-' && name[length - 1] != '-');
		assert_null(strstr(name, "--"));
	}
}

static void names_and_texts_are_unique(void **state)
{
	(void)state;
	for (int i = 0; i < CV_DROP_MAX; i++) {
		for (int j = 0; j < i; j++) {
			assert_string_not_equal(cv_drop_name((enum cv_drop)i),
						cv_drop_name((enum cv_drop)j));
			assert_string_not_equal(cv_drop_text((enum cv_drop)i),
						cv_drop_text((enum cv_drop)j));
		}
	}
}

static void texts_are_one_line(void **state)
{
	(void)state;
	for (int i = 0; i < CV_DROP_MAX; i++) {
		const char *text = cv_drop_text((enum cv_drop)i);

		assert_true(strlen(text) > 8 && strlen(text) <= 88);
		assert_null(strchr(text, '\n'));
	}
}

static void out_of_range(void **state)
{
	(void)state;
	assert_string_equal(cv_drop_name(CV_DROP_MAX), "unknown");
	assert_string_equal(cv_drop_text(CV_DROP_MAX), "unknown reason");
	assert_string_equal(cv_drop_name((enum cv_drop) - 1), "unknown");
	assert_int_equal(CV_DROP_NONE, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_kebab_case),
		cmocka_unit_test(names_and_texts_are_unique),
		cmocka_unit_test(texts_are_one_line),
		cmocka_unit_test(out_of_range),
	};

	return cmocka_run_group_tests_name("wire_drop", tests, NULL, NULL);
}
