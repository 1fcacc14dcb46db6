/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of culvert knows of the command line, and how it says what went wrong. */
#ifndef CV_CLI_REPORT_H
#define CV_CLI_REPORT_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes, stable. */
enum {
	CV_CLI_DONE = 0,
	CV_CLI_FAILED = 1, /* refused, or failed */
	CV_CLI_USAGE = 2,  /* the command line makes no sense */
};

struct cv_cli {
	const char *run_dir;
	const char *file; /* of -f, or NULL */
	/* Of capture, or NULL. */
	const char *write;   /* -w */
	const char *packets; /* -c */
	const char *snap;    /* --snap */
	bool json;
	bool statistics;
	bool version;
	bool help;
	const char **words; /* the command line without options */
	size_t count;
};

/*
 * One line on standard error; with --json also {"error": {"code": …, "message": …}} on standard
 * output. Returns exit_code.
 */
int cv_report(const struct cv_cli *cli, int exit_code, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
