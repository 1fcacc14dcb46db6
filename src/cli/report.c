/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of culvert: always one line on standard error. */
#include "cli/report.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "tunnel/error.h"

int cv_report(const struct cv_cli *cli, int exit_code, const char *code, const char *format, ...)
{
	char text[CV_ERROR_TEXT_MAX];
	struct cv_error error;
	va_list args;
	json_t *json;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cv_error_set(&error, 0, "%s", text);
	if (cli->json) {
		json = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", error.text);
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(json);
	}
	fprintf(stderr, "culvert: %s\n", error.text);
	return exit_code;
}
