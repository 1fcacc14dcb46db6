/* SPDX-License-Identifier: Apache-2.0 */
/* The log. Invariant: one call, one write, one line of printable ASCII: sd-daemon(3) has the form
 * for the journal. */
#include "agent/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool to_journal;

void cv_log_init(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	/* It is inherited by programs whose stderr goes elsewhere: systemd.exec(5) says to compare.
	 */
	to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
		     !fstat(2, &st) && st.st_dev == device && st.st_ino == inode;
}

static const char *level_name(int priority)
{
	if (priority <= LOG_ERR)
		return "error: ";
	return priority == LOG_WARNING ? "warning: " : "";
}

void cv_log_text(int priority, const char *text)
{
	char line[1024];
	int n;

	if (to_journal)
		n = snprintf(line, sizeof(line) - 1, "<%d>%s", priority, text);
	else
		n = snprintf(line, sizeof(line) - 1, "culvertd: %s%s", level_name(priority), text);
	if (n < 0)
		return;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	for (char *p = line; p < line + n; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	line[n++] = '\n';
	fwrite(line, 1, (size_t)n, stderr); /* unbuffered */
}

void cv_log(int priority, const char *format, ...)
{
	char text[960];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cv_log_text(priority, text);
}
