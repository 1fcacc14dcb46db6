/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CNI_ARGS, as the reference's types.LoadArgs reads it: pairs "KEY=VALUE" with ';' between them; a
 * key that nobody knows is an error, unless IgnoreUnknown says otherwise.
 */
#include "cni/arguments.h"

#include <string.h>
#include <strings.h>

struct known {
	const char *key;
	const char **value; /* NULL: known, and of no use here */
};

static bool is_true(const char *value)
{
	static const char *const words[] = {"1", "true"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcasecmp(value, words[i]))
			return true;
	}
	return false;
}

static bool take(const struct known *known, size_t count, const char *key, const char *value)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(known[i].key, key))
			continue;
		if (known[i].value)
			*known[i].value = *value ? value : NULL;
		return true;
	}
	return false;
}

int cv_cni_arguments_parse(const char *text, struct cv_cni_arguments *ret_arguments,
			   struct cv_cni_failure *failure)
{
	struct cv_cni_arguments *a = ret_arguments;
	const char *ignore = NULL, *unknown = NULL;
	const struct known known[] = {
		{"IgnoreUnknown", &ignore},
		{"IP", &a->ip},
		{"MAC", &a->mac},
		{"K8S_POD_NAME", &a->pod},
		{"K8S_POD_NAMESPACE", &a->name_space},
		{"K8S_POD_INFRA_CONTAINER_ID", NULL},
		{"K8S_POD_UID", NULL},
	};
	char *rest;

	*a = (struct cv_cni_arguments){.ip = NULL};
	if (!text || !*text)
		return 0;
	if (strlen(text) >= sizeof(a->text))
		return cv_cni_fail(failure, CV_CNI_ENVIRONMENT, "CNI_ARGS is longer than %d bytes",
				   CV_CNI_ARGUMENTS_MAX - 1);
	memcpy(a->text, text, strlen(text) + 1);
	rest = a->text;
	for (char *pair; (pair = strsep(&rest, ";"));) {
		char *value = strchr(pair, '=');

		if (!*pair)
			continue;
		if (!value || value == pair || strchr(value + 1, '='))
			return cv_cni_fail(failure, CV_CNI_ENVIRONMENT,
					   "CNI_ARGS: \"%.128s\" is no KEY=VALUE", pair);
		*value++ = '\0';
		if (!take(known, sizeof(known) / sizeof(known[0]), pair, value))
			unknown = pair;
	}
	a->ignore_unknown = ignore && is_true(ignore);
	if (unknown && !a->ignore_unknown)
		return cv_cni_fail(failure, CV_CNI_ENVIRONMENT,
				   "CNI_ARGS: unknown key %.128s; leave it out, or say "
				   "IgnoreUnknown=1",
				   unknown);
	return 0;
}
