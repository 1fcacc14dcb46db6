/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings of others in JSON. The kernel takes nearly any byte in a device's name, and file systems
 * in a file's; one of them must not cost a client its answer.
 */
#include "agent/json_text.h"

#include <stdlib.h>
#include <string.h>

json_t *cv_json_text(const char *text)
{
	json_t *json = text ? json_string(text) : NULL;
	char *copy;

	if (json || !text)
		return json ? json : json_null();
	copy = strdup(text);
	for (char *p = copy; p && *p; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	json = copy ? json_string(copy) : NULL;
	free(copy);
	return json ? json : json_null();
}

json_t *cv_json_text_or_null(const char *text)
{
	return cv_json_text(text && *text ? text : NULL);
}
