/* SPDX-License-Identifier: Apache-2.0 */
/* Diffs: some by heart, and many drawn ones that must turn the one text into the other. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/lines.h"

static char *diff(const char *before, const char *after)
{
	size_t length;
	char *text = NULL;
	FILE *file = open_memstream(&text, &length);

	assert_int_equal(cv_lines_diff(file, "a", before, "b", after), 0);
	fclose(file);
	return text;
}

static void is_as_diff_prints_it(void **state)
{
	static const struct {
		const char *before, *after, *diff;
	} cases[] = {
		{"", "", ""},
		{NULL, NULL, ""},
		{"1\n", "1\n", ""},
		{NULL, "1\n2\n", "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+1\n+2\n"},
		{"1\n2\n", NULL, "--- a\n+++ b\n@@ -1,2 +0,0 @@\n-1\n-2\n"},
		{"1\n2\n3\n", "1\nx\n3\n", "--- a\n+++ b\n@@ -1,3 +1,3 @@\n 1\n-2\n+x\n 3\n"},
		{"1\n2\n3\n4\n5\n", "1\n2\n3\n4\n",
		 "--- a\n+++ b\n@@ -2,4 +2,3 @@\n 2\n 3\n 4\n-5\n"},
		/* Seven quiet lines are two hunks, six are one. */
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "x\n2\n3\n4\n5\n6\n7\n8\ny\n",
		 "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n"
		 "@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+y\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n", "x\n2\n3\n4\n5\n6\n7\ny\n",
		 "--- a\n+++ b\n@@ -1,8 +1,8 @@\n-1\n+x\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+y\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = diff(cases[i].before, cases[i].after);

		assert_string_equal(text, cases[i].diff);
		free(text);
	}
}

enum {
	LINES = 40,
	TEXT_MAX = LINES * 2 + 1
};

static void draw(char text[TEXT_MAX])
{
	size_t count = (size_t)rand() % LINES, letters = 1 + (size_t)rand() % 4;
	char *p = text;

	for (size_t i = 0; i < count; i++) {
		*p++ = (char)('a' + (size_t)rand() % letters);
		*p++ = '\n';
	}
	*p = '\0';
}

/* Apply a diff of two-byte lines; every old line must be where the diff says. */
static void patch(const char *before, const char *text, char after[TEXT_MAX])
{
	size_t at = 0, length = 0, first, removed, added;

	while ((text = strstr(text, "@@ -"))) {
		unsigned int numbers[4];

		assert_int_equal(sscanf(text, "@@ -%u,%u +%u,%u @@\n", &numbers[0], &numbers[1],
					&numbers[2], &numbers[3]),
				 4);
		first = numbers[0] - (numbers[1] > 0);
		while (at < first) {
			memcpy(after + length, before + 2 * at++, 2);
			length += 2;
		}
		assert_int_equal(length / 2, numbers[2] - (numbers[3] > 0));
		removed = numbers[1];
		added = numbers[3];
		for (text = strchr(text, '\n') + 1; removed || added; text += 3) {
			if (*text != '+') {
				assert_memory_equal(text + 1, before + 2 * at++, 2);
				removed--;
			}
			if (*text != '-') {
				memcpy(after + length, text + 1, 2);
				length += 2;
				added--;
			}
		}
	}
	strcpy(after + length, before + 2 * at);
}

static void turns_the_one_into_the_other(void **state)
{
	char before[TEXT_MAX], after[TEXT_MAX], patched[2 * TEXT_MAX];

	(void)state;
	srand(4);
	for (unsigned int i = 0; i < 20000; i++) {
		char *text;

		draw(before);
		draw(after);
		text = diff(before, after);
		assert_int_equal(!*text, !strcmp(before, after));
		patch(before, text, patched);
		assert_string_equal(patched, after);
		free(text);
	}
}

/* No table of all pairs of 100,000 lines. */
static void large_texts_are_compared(void **state)
{
	enum {
		SIZE = 200000
	};
	char *before = malloc(SIZE + 1), *after = malloc(SIZE + 1), *text;

	(void)state;
	for (size_t i = 0; i < SIZE; i++) {
		before[i] = i % 2 ? '\n' : 'a';
		after[i] = i % 2 ? '\n' : 'b';
	}
	before[SIZE] = after[SIZE] = '\0';
	memcpy(after, "a\n", 2);
	text = diff(before, after);
	assert_ptr_equal(strstr(text, "--- a\n+++ b\n@@ -1,100000 +1,100000 @@\n a\n-a\n-a\n"),
			 text);
	free(text);
	free(before);
	free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_as_diff_prints_it),
		cmocka_unit_test(turns_the_one_into_the_other),
		cmocka_unit_test(large_texts_are_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
