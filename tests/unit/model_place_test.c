/* SPDX-License-Identifier: Apache-2.0 */
/* Where resources stand, in the words of messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "model/place.h"
#include "resources.h"

static void test_says_file_and_line(void **state)
{
	struct cv_resource *node = cv_test_node("a1", "192.0.2.1/24", NULL);
	char text[CV_PLACE_NAME_MAX];

	(void)state;
	cv_test_place(node, "overlay.yaml", 12);
	assert_string_equal(cv_place_text(node, text), "overlay.yaml:12");
	assert_string_equal(cv_place_here(node, text), "overlay.yaml:12: Node a1");
	assert_string_equal(cv_place_there(node, text), "Node a1 (overlay.yaml:12)");
	cv_resource_put(node);
}

/* What tells it from its neighbours is at the end of a long name. */
static void test_keeps_the_end(void **state)
{
	struct cv_resource *node = cv_test_node("a1", "192.0.2.1/24", NULL);
	char file[CV_PLACE_MAX * 2], text[CV_PLACE_MAX];

	(void)state;
	for (size_t length = strlen("x.yaml"); length < sizeof(file); length++) {
		const char *end = "x.yaml:4294967295";
		bool is_cut = length + strlen(":4294967295") >= CV_PLACE_MAX;

		memset(file, '/', sizeof(file));
		memcpy(file + length - strlen("x.yaml"), "x.yaml", sizeof("x.yaml"));
		cv_test_place(node, file, 4294967295U);
		cv_place_text(node, text);
		assert_string_equal(text + strlen(text) - strlen(end), end);
		assert_int_equal(!strncmp(text, "...", 3), is_cut);
	}
	cv_resource_put(node);
}

static void test_orders(void **state)
{
	struct cv_resource *a = cv_test_node("a1", "192.0.2.1/24", NULL);
	struct cv_resource *b = cv_test_node("b1", "192.0.2.2/24", NULL);

	(void)state;
	cv_test_place(a, "a.yaml", 12);
	cv_test_place(b, "b.yaml", 1);
	assert_true(cv_place_is_later(b, a));
	assert_false(cv_place_is_later(a, b));
	cv_test_place(b, "a.yaml", 11);
	assert_true(cv_place_is_later(a, b));
	assert_false(cv_place_is_later(a, a));
	cv_resource_put(a);
	cv_resource_put(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_says_file_and_line),
		cmocka_unit_test(test_keeps_the_end),
		cmocka_unit_test(test_orders),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
