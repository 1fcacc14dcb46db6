/* SPDX-License-Identifier: Apache-2.0 */
/* Members of documents. What we do not know was written by somebody who does: it is kept. */
#include "ipam/member.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/json.h"

int cv_member_load(const char *text, json_t **ret_root, struct cv_error *error)
{
	json_error_t json_error;
	json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &json_error);

	if (!root && json_error_code(&json_error) == json_error_out_of_memory)
		return cv_error_set(error, -ENOMEM, "no memory");
	if (!root)
		return cv_error_set(error, -EUCLEAN, "no JSON: %s", json_error.text);
	if (!json_is_object(root)) {
		json_decref(root);
		return cv_error_set(error, -EUCLEAN, "no JSON object");
	}
	*ret_root = root;
	return 0;
}

static bool is_among(const char *name, const char *const *known)
{
	for (; *known; known++)
		if (!strcmp(name, *known))
			return true;
	return false;
}

int cv_member_keep_others(const json_t *root, const char *const *known, char **ret_text)
{
	struct cv_text out = {0};
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)root, name, value)
	{
		char *text;

		if (is_among(name, known))
			continue;
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		if (!text) {
			cv_text_fini(&out);
			return -ENOMEM;
		}
		cv_text_puts(&out, ",");
		cv_json_string(&out, name);
		cv_text_puts(&out, ":");
		cv_text_puts(&out, text);
		free(text);
	}
	*ret_text = NULL;
	if (!out.length && !out.has_failed)
		return 0;
	*ret_text = cv_text_take(&out);
	return *ret_text ? 0 : -ENOMEM;
}
