/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/failure.h"

#include <stdarg.h>
#include <stdio.h>

int cv_cni_fail(struct cv_cni_failure *failure, int code, const char *format, ...)
{
	char text[CV_ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	failure->code = code;
	cv_error_set(&failure->msg, 0, "%s", text);
	failure->details.text[0] = '\0';
	return code;
}

int cv_cni_details(struct cv_cni_failure *failure, const char *format, ...)
{
	char text[CV_ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cv_error_set(&failure->details, 0, "%s", text);
	return failure->code;
}

json_t *cv_cni_failure_json(const struct cv_cni_failure *failure, const char *version)
{
	json_t *object = json_pack("{s:s, s:i, s:s}", "cniVersion", version, "code", failure->code,
				   "msg", failure->msg.text);

	if (object && *failure->details.text)
		json_object_set_new(object, "details", json_string(failure->details.text));
	return object;
}
