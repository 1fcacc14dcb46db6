/* SPDX-License-Identifier: Apache-2.0 */
/* Where a resource stands, in the words of messages. One without a file is from standard input. */
#include "model/place.h"

#include <stdio.h>
#include <string.h>

enum {
	FILE_MAX = CV_PLACE_MAX - (int)sizeof(":4294967295")
};

static const char *file_of(const struct cv_resource *resource)
{
	return resource->origin.file ? resource->origin.file : "-";
}

const char *cv_place_text(const struct cv_resource *resource, char text[CV_PLACE_MAX])
{
	const char *file = file_of(resource), *cut = "";
	size_t length = strlen(file);

	if (length > FILE_MAX) {
		cut = "...";
		file += length - (FILE_MAX - strlen(cut));
	}
	snprintf(text, CV_PLACE_MAX, "%s%s:%u", cut, file, resource->origin.line);
	return text;
}

const char *cv_place_here(const struct cv_resource *resource, char text[CV_PLACE_NAME_MAX])
{
	char place[CV_PLACE_MAX];

	snprintf(text, CV_PLACE_NAME_MAX, "%s: %s %s", cv_place_text(resource, place),
		 cv_kind_name(resource->kind), resource->name);
	return text;
}

const char *cv_place_there(const struct cv_resource *resource, char text[CV_PLACE_NAME_MAX])
{
	char place[CV_PLACE_MAX];

	snprintf(text, CV_PLACE_NAME_MAX, "%s %s (%s)", cv_kind_name(resource->kind),
		 resource->name, cv_place_text(resource, place));
	return text;
}

bool cv_place_is_later(const struct cv_resource *a, const struct cv_resource *b)
{
	int order = strcmp(file_of(a), file_of(b));

	return order ? order > 0 : a->origin.line > b->origin.line;
}
