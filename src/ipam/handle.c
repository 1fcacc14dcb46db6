/* SPDX-License-Identifier: Apache-2.0 */
/* Handles. A pod has one block in it, seldom two: a sorted list is enough. */
#include "ipam/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "ipam/member.h"
#include "model/json.h"

void cv_handle_fini(struct cv_handle *handle)
{
	free(handle->counts);
	free(handle->others);
	*handle = (struct cv_handle){0};
}

/* The place of a block, or where it would be. */
static size_t place_of(const struct cv_handle *handle, const char *text, bool *ret_is_there)
{
	size_t i = 0;

	while (i < handle->count && strcmp(handle->counts[i].text, text) < 0)
		i++;
	*ret_is_there = i < handle->count && !strcmp(handle->counts[i].text, text);
	return i;
}

static int set(struct cv_handle *handle, const char *text, uint32_t addresses)
{
	bool is_there;
	size_t i = place_of(handle, text, &is_there);
	struct cv_handle_count *counts = handle->counts;

	if (!addresses && is_there) {
		handle->count--;
		memmove(&counts[i], &counts[i + 1], (handle->count - i) * sizeof(*counts));
	}
	if (!addresses)
		return 0;
	if (!is_there) {
		counts = reallocarray(counts, handle->count + 1, sizeof(*counts));
		if (!counts)
			return -ENOMEM;
		handle->counts = counts;
		memmove(&counts[i + 1], &counts[i], (handle->count - i) * sizeof(*counts));
		handle->count++;
		counts[i] = (struct cv_handle_count){0};
		memcpy(counts[i].text, text, strlen(text) + 1);
		counts[i].is_ipv4 = !cv_prefix_parse(text, &counts[i].block);
	}
	counts[i].addresses = addresses;
	return 0;
}

int cv_handle_set(struct cv_handle *handle, const struct cv_prefix *block, uint32_t addresses)
{
	char text[CV_PREFIX_TEXT_MAX];

	return set(handle, cv_prefix_format(block, text), addresses);
}

uint32_t cv_handle_in(const struct cv_handle *handle, const struct cv_prefix *block)
{
	char text[CV_PREFIX_TEXT_MAX];
	bool is_there;
	size_t i = place_of(handle, cv_prefix_format(block, text), &is_there);

	return is_there ? handle->counts[i].addresses : 0;
}

bool cv_handle_is_empty(const struct cv_handle *handle)
{
	return !handle->count;
}

static int read_counts(json_t *counts, struct cv_handle *handle, struct cv_error *error)
{
	const char *text;
	json_t *value;
	int rc = 0;

	json_object_foreach(counts, text, value)
	{
		json_int_t addresses = json_integer_value(value);

		if (strlen(text) >= CV_HANDLE_CIDR_MAX || !json_is_integer(value) ||
		    addresses < 0 || addresses > INT32_MAX)
			return cv_error_set(error, -EUCLEAN,
					    "block: \"%.64s\" has no number of "
					    "addresses",
					    text);
		if (!rc)
			rc = set(handle, text, (uint32_t)addresses);
	}
	return rc;
}

int cv_handle_parse(const char *text, struct cv_handle *ret_handle, struct cv_error *error)
{
	static const char *const known[] = {"block", "deleted", NULL};
	struct cv_handle handle = {0};
	json_t *root, *counts;
	int rc = cv_member_load(text, &root, error);

	if (rc)
		return rc;
	counts = json_object_get(root, "block");
	if (counts && !json_is_null(counts) && !json_is_object(counts))
		rc = cv_error_set(error, -EUCLEAN, "block is no object");
	handle.is_deleted = json_is_true(json_object_get(root, "deleted"));
	if (!rc)
		rc = read_counts(counts, &handle, error);
	if (!rc)
		rc = cv_member_keep_others(root, known, &handle.others);
	json_decref(root);
	if (rc == -ENOMEM)
		cv_error_set(error, rc, "no memory");
	if (rc)
		cv_handle_fini(&handle);
	else
		*ret_handle = handle;
	return rc;
}

char *cv_handle_print(const struct cv_handle *handle)
{
	struct cv_text out = {0};

	cv_text_puts(&out, "{");
	cv_json_key(&out, "block");
	cv_text_puts(&out, "{");
	for (size_t i = 0; i < handle->count; i++) {
		cv_json_key(&out, handle->counts[i].text);
		cv_json_integer(&out, handle->counts[i].addresses);
	}
	cv_text_puts(&out, "}");
	cv_json_key(&out, "deleted");
	cv_text_puts(&out, handle->is_deleted ? "true" : "false");
	cv_text_puts(&out, handle->others ? handle->others : "");
	cv_text_puts(&out, "}");
	return cv_text_take(&out);
}
