/* SPDX-License-Identifier: Apache-2.0 */
/* Which columns resources of a kind have in `culvert get`. */
#ifndef CV_CLI_COLUMNS_H
#define CV_CLI_COLUMNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/table.h"

/* Make a table for resources of a kind ("IPPool"), with its headings. cv_table_fini frees. */
void cv_columns_begin(const char *kind, bool wide, struct cv_table *ret_table);

/*
 * Add a row. name: what the first column has. where: "FILE:LINE", for the last column of a wide
 * table. Fields that are not given show their defaults.
 */
void cv_columns_add(struct cv_table *table, const char *kind, bool wide, const char *name,
		    json_t *resource, const char *where);

#endif
