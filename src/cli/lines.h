/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two texts, line by line. */
#ifndef CV_CLI_LINES_H
#define CV_CLI_LINES_H

#include <stdio.h>

/*
 * Write a unified diff (three lines of context; as `diff -u`, and `patch` takes it) of two texts,
 * if they differ, headed by two names. NULL is an empty text. 0 or -ENOMEM.
 */
int cv_lines_diff(FILE *file, const char *before_name, const char *before, const char *after_name,
		  const char *after);

#endif
