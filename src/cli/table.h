/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned columns on standard output. */
#ifndef CV_CLI_TABLE_H
#define CV_CLI_TABLE_H

#include <stddef.h>

struct cv_table {
	size_t columns; /* set by cv_table_init */
	char **cells;	/* row by row; owned */
	size_t count, capacity;
};

/* cv_table_fini frees what is added. */
void cv_table_init(struct cv_table *table, size_t columns);
void cv_table_fini(struct cv_table *table);

/* The same, with a row of headings: CV_TABLE_HEADINGS("NAME", "ADDRESS"). */
void cv_table_begin(struct cv_table *table, const char *const *headings, size_t count);
#define CV_TABLE_HEADINGS(...)                \
	((const char *const[]){__VA_ARGS__}), \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

/* Add the next cell, row by row, a copy; NULL or "": "-". Without memory the table stays short. */
void cv_table_add(struct cv_table *table, const char *text);
void cv_table_addf(struct cv_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Two spaces between columns, none at the end of a line. indent: what every line begins with. */
void cv_table_print(const struct cv_table *table, const char *indent);

#endif
