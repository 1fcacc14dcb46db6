/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error lines. Invariant: the text is always one line of printable ASCII, so that it may
 * go to a terminal, a log or JSON as it is.
 */
#include "tunnel/error.h"

#include <stdarg.h>
#include <stdio.h>

#undef cv_error_set
int cv_error_set(struct cv_error *error, int err, const char *format, ...)
{
	va_list args;

	if (!error)
		return err;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	for (char *p = error->text; *p; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	return err;
}
