/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unified diff by the longest common subsequence of lines.
 *
 * What both texts begin and end with is set aside first; of the rest a table says how long the
 * common subsequence from each pair of lines on is. Where that table would be large, the rest
 * counts as different altogether: right, if not short.
 */
#include "cli/lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONTEXT = 3,
	TABLE_MAX = 16 << 20, /* entries, 4 bytes each */
};

struct line {
	const char *text;
	size_t length;
};

struct lines {
	struct line *items;
	size_t count;
};

/* How a line of either text, or of both, is printed. */
struct edit {
	char sign; /* ' ', '-', '+' */
	const struct line *line;
};

struct script {
	struct edit *edits; /* room for the lines of both texts */
	size_t count;
};

/* Where the line at p ends: at its newline, or with the text. */
static const char *end_of_line(const char *p, const char *end)
{
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	return newline ? newline : end;
}

/* By the text's end, known once: what looks for it from each line on may take the square of it. */
static int split(const char *text, struct lines *ret)
{
	const char *end = text + strlen(text);
	size_t count = 0;

	*ret = (struct lines){.items = NULL};
	for (const char *p = text; p < end; p = end_of_line(p, end) + 1)
		count++;
	ret->items = calloc(count + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	for (const char *p = text; p < end; p = end_of_line(p, end) + 1)
		ret->items[ret->count++] =
			(struct line){.text = p, .length = (size_t)(end_of_line(p, end) - p)};
	return 0;
}

static bool are_equal(const struct line *a, const struct line *b)
{
	return a->length == b->length && !memcmp(a->text, b->text, a->length);
}

static void add(struct script *script, char sign, const struct line *line)
{
	script->edits[script->count++] = (struct edit){.sign = sign, .line = line};
}

static void replace_all(struct script *script, const struct line *a, size_t m, const struct line *b,
			size_t n)
{
	for (size_t i = 0; i < m; i++)
		add(script, '-', &a[i]);
	for (size_t i = 0; i < n; i++)
		add(script, '+', &b[i]);
}

/* at(i, k): how many lines a[i…] and b[k…] have in common, in their order. */
static int compare(struct script *script, const struct line *a, size_t m, const struct line *b,
		   size_t n)
{
	size_t width = n + 1, i = 0, k = 0;
	uint32_t *table;

	if (m && n > TABLE_MAX / m) {
		replace_all(script, a, m, b, n);
		return 0;
	}
	table = calloc((m + 1) * width, sizeof(*table));
	if (!table)
		return -ENOMEM;
	for (size_t x = m; x-- > 0;) {
		for (size_t y = n; y-- > 0;) {
			uint32_t down = table[(x + 1) * width + y];
			uint32_t right = table[x * width + y + 1];

			table[x * width + y] = are_equal(&a[x], &b[y])
						       ? table[(x + 1) * width + y + 1] + 1
					       : down > right ? down
							      : right;
		}
	}
	while (i < m && k < n) {
		if (are_equal(&a[i], &b[k])) {
			add(script, ' ', &a[i]);
			i++;
			k++;
		} else if (table[(i + 1) * width + k] >= table[i * width + k + 1]) {
			add(script, '-', &a[i++]);
		} else {
			add(script, '+', &b[k++]);
		}
	}
	replace_all(script, a + i, m - i, b + k, n - k);
	free(table);
	return 0;
}

static int make_script(const struct lines *a, const struct lines *b, struct script *script)
{
	size_t least = a->count < b->count ? a->count : b->count;
	size_t head = 0, tail = 0;
	int rc;

	while (head < least && are_equal(&a->items[head], &b->items[head]))
		head++;
	while (tail < least - head &&
	       are_equal(&a->items[a->count - tail - 1], &b->items[b->count - tail - 1]))
		tail++;
	for (size_t i = 0; i < head; i++)
		add(script, ' ', &a->items[i]);
	rc = compare(script, a->items + head, a->count - head - tail, b->items + head,
		     b->count - head - tail);
	for (size_t i = a->count - tail; i < a->count && !rc; i++)
		add(script, ' ', &a->items[i]);
	return rc;
}

/* From the first change at or behind `from`: where its hunk begins and ends. False: there is none.
 */
static bool find_hunk(const struct script *script, size_t from, size_t *ret_first, size_t *ret_end)
{
	size_t first = from, quiet = 0, end;

	while (first < script->count && script->edits[first].sign == ' ')
		first++;
	if (first == script->count)
		return false;
	for (end = first; end < script->count && quiet <= 2 * CONTEXT; end++)
		quiet = script->edits[end].sign == ' ' ? quiet + 1 : 0;
	if (quiet > CONTEXT)
		end -= quiet - CONTEXT;
	*ret_first = first - from > CONTEXT ? first - CONTEXT : from;
	*ret_end = end;
	return true;
}

/* "@@ -1,3 +1,4 @@": an empty range is counted from the line before it. */
static void print_hunk(FILE *file, const struct script *script, size_t first, size_t end)
{
	size_t before = 0, after = 0, removed = 0, added = 0;

	for (size_t i = 0; i < end; i++) {
		bool in_hunk = i >= first;

		*(in_hunk ? &removed : &before) += script->edits[i].sign != '+';
		*(in_hunk ? &added : &after) += script->edits[i].sign != '-';
	}
	fprintf(file, "@@ -%zu,%zu +%zu,%zu @@\n", before + (removed > 0), removed,
		after + (added > 0), added);
	for (size_t i = first; i < end; i++)
		fprintf(file, "%c%.*s\n", script->edits[i].sign, (int)script->edits[i].line->length,
			script->edits[i].line->text);
}

int cv_lines_diff(FILE *file, const char *before_name, const char *before, const char *after_name,
		  const char *after)
{
	struct lines a = {.items = NULL}, b = {.items = NULL};
	struct script script = {.edits = NULL};
	size_t first, end = 0;
	bool is_first = true;
	int rc = split(before ? before : "", &a);

	if (!rc)
		rc = split(after ? after : "", &b);
	if (!rc) {
		script.edits = calloc(a.count + b.count + 1, sizeof(*script.edits));
		rc = script.edits ? make_script(&a, &b, &script) : -ENOMEM;
	}
	while (!rc && find_hunk(&script, end, &first, &end)) {
		if (is_first)
			fprintf(file, "--- %s\n+++ %s\n", before_name, after_name);
		is_first = false;
		print_hunk(file, &script, first, end);
	}
	free(script.edits);
	free(a.items);
	free(b.items);
	return rc;
}
