/* SPDX-License-Identifier: Apache-2.0 */
/* Calico's selectors: what matches, what is refused and where. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/selector.h"
#include "resources.h"

/* Labels of the one node asked: zone=east, role=gateway, empty=, quote="a'b". */
static struct cv_resource *node;

static int set_up(void **state)
{
	(void)state;
	node = cv_test_node("a1", NULL, NULL);
	cv_test_label(node, "zone", "east");
	cv_test_label(node, "role", "gateway");
	cv_test_label(node, "empty", "");
	cv_test_label(node, "quote", "a'b");
	cv_test_label(node, "projectcalico.org/rack-1_x", "r7");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cv_resource_put(node);
	return 0;
}

static bool matches(const char *text)
{
	struct cv_error error = {.text = ""};
	struct cv_selector *selector;
	bool answer;

	if (cv_selector_create(text, &selector, &error))
		fail_msg("%s: %s", text, error.text);
	answer = cv_selector_matches(selector, node);
	cv_selector_destroy(selector);
	return answer;
}

static void test_matches(void **state)
{
	static const struct {
		const char *text;
		bool answer;
	} cases[] = {
		{"", true},
		{" \t", true},
		{"all()", true},
		{" all( ) ", true},
		{"global()", true},
		{"!all()", false},
		{"!!global()", true},
		{"has(zone)", true},
		{"has( zone )", true},
		{"has(nothing)", false},
		{"!has(nothing)", true},
		{"! has(zone)", false},
		{"!! ! has(zone)", false},
		{"has(empty)", true},
		{"has(projectcalico.org/rack-1_x)", true},
		{"zone == 'east'", true},
		{"zone==\"east\"", true},
		{"zone == 'east '", false},
		{"zone == 'eas'", false},
		{"zone == ''", false},
		{"empty == ''", true},
		{"nothing == ''", false},
		{"zone != 'east'", false},
		{"zone != 'west'", true},
		{"nothing != 'west'", true},
		{"!zone == 'west'", true},
		{"!zone != 'west'", false},
		{"quote == \"a'b\"", true},
		{"zone in {'west', 'east'}", true},
		{"zone in{'west','east',}", true},
		{"zone in {'west'}", false},
		{"zone in {}", false},
		{"nothing in {''}", false},
		{"zone not in {'west', 'east'}", false},
		{"zone not in {'west'}", true},
		{"zone notin {}", true},
		{"nothing not in {'west'}", true},
		{"!zone in {'east'}", false},
		{"zone contains 'as'", true},
		{"zone contains ''", true},
		{"zone contains 'sa'", false},
		{"nothing contains ''", false},
		{"zone starts with 'ea'", true},
		{"zone startswith 'east'", true},
		{"zone starts \t with 'eastern'", false},
		{"nothing starts with ''", false},
		{"zone ends with 'st'", true},
		{"zone endswith 'far-east'", false},
		{"zone ends with ''", true},
		{"nothing ends with ''", false},
		{"zone == 'east' && role == 'gateway'", true},
		{"zone == 'east'&&role == 'client'", false},
		{"zone == 'west' || role == 'gateway'", true},
		{"zone == 'west' || role == 'client'", false},
		/* && binds closer than ||. */
		{"all() || all() && !all()", true},
		{"(all() || all()) && !all()", false},
		{"!all() && all() || all()", true},
		{"!all() && (all() || all())", false},
		{"!(has(zone) && has(nothing))", true},
		{"!(!has(zone) || has(nothing))", true},
		{"((((zone == 'east'))))", true},
		{"has(a) || has(b) || has(c) || has(zone)", true},
		{"has(zone) && has(role) && has(empty) && has(d)", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (matches(cases[i].text) != cases[i].answer)
			fail_msg("%s: not %d", cases[i].text, cases[i].answer);
	}
}

/* Labels named like words of the grammar. */
static void test_words_are_labels(void **state)
{
	static const char *const names[] = {"has", "all", "global", "in", "not", "contains"};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cv_test_label(node, names[i], "x");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(text, sizeof(text), "%s == 'x' && has(%s)", names[i], names[i]);
		assert_true(matches(text));
		snprintf(text, sizeof(text), "%s in {'x'} && !%s not in {'x'}", names[i], names[i]);
		assert_true(matches(text));
	}
}

#define OPERATORS "==, !=, in, not in, contains, starts with or ends with"

static void test_refuses(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"zone", "column 5: expected " OPERATORS ", but the selector ends there"},
		{"zone ", "column 6: expected " OPERATORS ", but the selector ends there"},
		{"zone = 'x'", "column 6: expected " OPERATORS ", but found \"= 'x'\""},
		{"zone role", "column 6: expected " OPERATORS ", but found \"role\""},
		{"zone starts 'x'", "column 6: expected " OPERATORS ", but found \"starts 'x'\""},
		{"zone == east", "column 9: expected a string in quotes, but found \"east\""},
		{"zone contains east",
		 "column 15: expected a string in quotes, but found \"east\""},
		{"zone !=", "column 8: expected a string in quotes, but the selector ends there"},
		{"zone == 'east",
		 "column 9: the string that begins here has no end; close it with '"},
		{"zone == \"east'",
		 "column 9: the string that begins here has no end; close it with \""},
		{"'zone' == 'x'",
		 "column 1: expected a label's name without quotes, but found \"'zone' == 'x'\""},
		{"zone in 'x'", "column 9: expected a set like {'a', 'b'}, but found \"'x'\""},
		{"zone in {'x'", "column 13: expected a string in quotes, \",\" or \"}\", but the "
				 "selector ends there"},
		{"zone in {x}", "column 10: expected a string in quotes, \",\" or \"}\", but found "
				"\"x}\""},
		{"zone in {'x' 'y'}", "column 14: expected a string in quotes, \",\" or \"}\", but "
				      "found \"'y'}\""},
		{"(all()", "column 7: expected &&, || or \")\", but the selector ends there"},
		{"all())", "column 6: expected &&, || or the end, but found \")\""},
		{"()", "column 2: expected a label's name, but found \")\""},
		{"!", "column 2: expected a label's name, but the selector ends there"},
		{"all(x)", "column 5: expected \")\", but found \"x)\""},
		{"global(", "column 8: expected \")\", but the selector ends there"},
		{"has()", "column 5: expected a label's name, but found \")\""},
		{"has(a", "column 6: expected \")\", but the selector ends there"},
		{"all ()", "column 5: expected " OPERATORS ", but found \"()\""},
		{"all() &", "column 7: expected &&, || or the end, but found \"&\""},
		{"all() &&", "column 9: expected a label's name, but the selector ends there"},
		{"all() || %", "column 10: expected a label's name, but found \"%\""},
		{"all() all()", "column 7: expected &&, || or the end, but found \"all()\""},
		{"zone == 'a' && && all()",
		 "column 16: expected a label's name, but found \"&& all()\""},
		{"%", "column 1: expected a label's name, but found \"%\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cv_selector *selector = NULL;
		struct cv_error error = {.text = ""};

		assert_int_equal(cv_selector_create(cases[i].text, &selector, &error), -EINVAL);
		assert_null(selector);
		assert_string_equal(error.text, cases[i].error);
	}
}

/* Parentheses are bounded, all else is not. */
static void test_depth(void **state)
{
	static char text[400000];
	struct cv_selector *selector;
	struct cv_error error;
	char *p = text;

	(void)state;
	memset(text, '(', 64);
	strcpy(text + 64, "all()");
	memset(text + 69, ')', 64);
	assert_true(matches(text));
	memset(text, '(', 65);
	strcpy(text + 65, "all()");
	memset(text + 70, ')', 65);
	assert_int_equal(cv_selector_create(text, &selector, &error), -EINVAL);
	assert_string_equal(error.text, "column 65: more than 64 parentheses inside of each other; "
					"write the selector flatter");
	memset(text, '!', 100001);
	strcpy(text + 100001, "all()");
	assert_false(matches(text));
	for (int i = 0; i < 10000; i++)
		p = stpcpy(p, "all() && all() || ");
	strcpy(p, "all()");
	assert_true(matches(text));
}

#define SELECTOR_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SELECTOR_TEST(test_matches),
		SELECTOR_TEST(test_words_are_labels),
		SELECTOR_TEST(test_refuses),
		SELECTOR_TEST(test_depth),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
