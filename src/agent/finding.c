/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Findings: JSON from the start, as they only ever travel. Texts go through cv_error_set, as they
 * quote strangers (names of nft chains, of devices).
 */
#include "agent/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "tunnel/error.h"

int cv_findings_init(struct cv_findings *ret_findings)
{
	json_t *list = json_array();

	if (!list)
		return -ENOMEM;
	*ret_findings = (struct cv_findings){.list = list, .check = ""};
	return 0;
}

void cv_findings_fini(struct cv_findings *findings)
{
	json_decref(findings->list);
	findings->list = NULL;
}

void cv_finding_add(struct cv_findings *findings, enum cv_finding_level level, const char *remedy,
		    const char *format, ...)
{
	static const char *const names[] = {
		[CV_FINDING_OK] = "ok",
		[CV_FINDING_WARNING] = "warning",
		[CV_FINDING_ERROR] = "error",
	};
	char words[CV_ERROR_TEXT_MAX];
	struct cv_error text, clean_remedy;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	(void)cv_error_set(&text, 0, "%s", words);
	(void)cv_error_set(&clean_remedy, 0, "%s", remedy ? remedy : "");
	json_array_append_new(findings->list,
			      json_pack("{s:s, s:s, s:s, s:s?}", "check", findings->check, "level",
					names[level], "text", text.text, "remedy",
					remedy ? clean_remedy.text : NULL));
	findings->troubles += level != CV_FINDING_OK;
}

const char *cv_remedy(char buffer[CV_REMEDY_MAX], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(buffer, CV_REMEDY_MAX, format, arguments);
	va_end(arguments);
	return buffer;
}
