/* SPDX-License-Identifier: Apache-2.0 */
/* Tables. All cells are kept until the end: columns are as wide as their widest cell. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cv_table_init(struct cv_table *table, size_t columns)
{
	*table = (struct cv_table){.columns = columns};
}

void cv_table_fini(struct cv_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct cv_table){.columns = table->columns};
}

/* Takes text over. */
static void append(struct cv_table *table, char *text)
{
	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 64;
		char **cells = realloc(table->cells, capacity * sizeof(*cells));

		if (!cells) {
			free(text);
			return;
		}
		table->cells = cells;
		table->capacity = capacity;
	}
	table->cells[table->count++] = text;
}

void cv_table_add(struct cv_table *table, const char *text)
{
	append(table, strdup(text && *text ? text : "-"));
}

void cv_table_addf(struct cv_table *table, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	append(table, text);
}

void cv_table_begin(struct cv_table *table, const char *const *headings, size_t count)
{
	cv_table_init(table, count);
	for (size_t i = 0; i < count; i++)
		cv_table_add(table, headings[i]);
}

static const char *cell(const struct cv_table *table, size_t i)
{
	return table->cells[i] ? table->cells[i] : "?";
}

/* In characters: node names and files may be UTF-8. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

void cv_table_print(const struct cv_table *table, const char *indent)
{
	size_t *widths = calloc(table->columns, sizeof(*widths));

	for (size_t i = 0; widths && i < table->count; i++) {
		size_t *width = &widths[i % table->columns];

		if (width_of(cell(table, i)) > *width)
			*width = width_of(cell(table, i));
	}
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns;
		size_t width = width_of(cell(table, i));
		bool is_last = column == table->columns - 1 || i == table->count - 1;

		printf("%s%s", column ? "" : indent, cell(table, i));
		if (is_last)
			putchar('\n');
		else
			printf("%*s", (int)(widths ? widths[column] - width + 2 : 2), "");
	}
	free(widths);
}
