/* SPDX-License-Identifier: Apache-2.0 */
#include "store/resource_key.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	PLURAL_MAX = 64
};

/* "IPPool": "ippools"; "BlockAffinity": "blockaffinities". */
static void make_plural(enum cv_kind kind, char plural[PLURAL_MAX])
{
	const char *name = cv_kind_name(kind);
	size_t length = strlen(name);

	if (name[length - 1] == 'y')
		snprintf(plural, PLURAL_MAX, "%.*sies", (int)length - 1, name);
	else
		snprintf(plural, PLURAL_MAX, "%ss", name);
	for (char *p = plural; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* "projectcalico.org" of "projectcalico.org/v3": its length. */
static size_t group_length(enum cv_kind kind)
{
	return strcspn(cv_kind_api_version(kind), "/");
}

const char *cv_resource_key(enum cv_kind kind, const char *name, char buffer[CV_RESOURCE_KEY_MAX])
{
	char plural[PLURAL_MAX];

	make_plural(kind, plural);
	snprintf(buffer, CV_RESOURCE_KEY_MAX, CV_RESOURCE_KEYS "%.*s/%s/%.253s",
		 (int)group_length(kind), cv_kind_api_version(kind), plural, name);
	return buffer;
}

/* The next part of a key, which a "/" ends; false: there is none. */
static bool take_part(const char **key, const char **ret_part, size_t *ret_length)
{
	size_t length = strcspn(*key, "/");

	*ret_part = *key;
	*ret_length = length;
	if (!length || (*key)[length] != '/')
		return false;
	*key += length + 1;
	return true;
}

int cv_resource_key_parse(const char *key, enum cv_kind *ret_kind, const char **ret_name)
{
	size_t begin_length = strlen(CV_RESOURCE_KEYS), group_size, plural_size;
	const char *group, *plural, *rest = key + begin_length;

	if (strncmp(key, CV_RESOURCE_KEYS, begin_length) != 0 ||
	    !take_part(&rest, &group, &group_size) || !take_part(&rest, &plural, &plural_size) ||
	    !*rest)
		return -EINVAL;
	for (enum cv_kind kind = 0; kind < CV_KIND_MAX; kind++) {
		char own[PLURAL_MAX];

		make_plural(kind, own);
		if (strlen(own) != plural_size || memcmp(own, plural, plural_size) != 0 ||
		    group_length(kind) != group_size ||
		    memcmp(cv_kind_api_version(kind), group, group_size) != 0)
			continue;
		if (strchr(rest, '/'))
			return -ENOENT;
		*ret_kind = kind;
		*ret_name = rest;
		return 0;
	}
	return -ENOENT;
}
