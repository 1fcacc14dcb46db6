/* SPDX-License-Identifier: Apache-2.0 */
/* Members of culvertd's answers, as they are printed: what is missing is 0, NULL or false. */
#ifndef CV_CLI_MEMBER_H
#define CV_CLI_MEMBER_H

#include <stdbool.h>
#include <jansson.h>

static inline long long cv_member_number(const json_t *json, const char *name)
{
	return (long long)json_integer_value(json_object_get(json, name));
}

/* "" is nothing, too. */
static inline const char *cv_member_text(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text && *text ? text : NULL;
}

static inline bool cv_member_is_true(const json_t *json, const char *name)
{
	return json_is_true(json_object_get(json, name));
}

#endif
