/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SPEC.md, "Section 2", "Parameters": which command needs what. CNI_PATH is needed by those alone
 * that delegate, so who does asks for it.
 */
#include "cni/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "model/attachment.h"

enum {
	CONTAINER = 1 << 0,
	NETNS = 1 << 1,
	IFNAME = 1 << 2,
};

static const struct {
	const char *name;
	unsigned int needs;
} commands[] = {
	[CV_CNI_ADD] = {"ADD", CONTAINER | NETNS | IFNAME},
	[CV_CNI_DEL] = {"DEL", CONTAINER | IFNAME},
	[CV_CNI_CHECK] = {"CHECK", CONTAINER | NETNS | IFNAME},
	[CV_CNI_GC] = {"GC", 0},
	[CV_CNI_STATUS] = {"STATUS", 0},
	[CV_CNI_VERSION] = {"VERSION", 0},
};

const char *cv_cni_command_name(enum cv_cni_command command)
{
	return commands[command].name;
}

/* NULL if it is empty, too. */
static const char *get(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static int find_command(const char *name, enum cv_cni_command *ret_command,
			struct cv_cni_failure *failure)
{
	if (!name)
		return cv_cni_fail(failure, CV_CNI_ENVIRONMENT,
				   "required environment variables [CNI_COMMAND] missing");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(commands[i].name, name)) {
			*ret_command = (enum cv_cni_command)i;
			return 0;
		}
	}
	return cv_cni_fail(failure, CV_CNI_ENVIRONMENT, "unknown CNI_COMMAND: %.64s", name);
}

static int check_missing(const struct cv_cni_environment *e, struct cv_cni_failure *failure)
{
	const struct {
		unsigned int bit;
		const char *name, *value;
	} variables[] = {
		{CONTAINER, "CNI_CONTAINERID", e->container},
		{NETNS, "CNI_NETNS", e->netns},
		{IFNAME, "CNI_IFNAME", e->ifname},
	};
	char missing[64] = "";

	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		size_t length = strlen(missing);

		if (!(commands[e->command].needs & variables[i].bit) || variables[i].value)
			continue;
		snprintf(missing + length, sizeof(missing) - length, "%s%s", length ? "," : "",
			 variables[i].name);
	}
	if (*missing)
		return cv_cni_fail(failure, CV_CNI_ENVIRONMENT,
				   "required environment variables [%s] missing", missing);
	return 0;
}

static int check_values(const struct cv_cni_environment *e, struct cv_cni_failure *failure)
{
	if (e->container && !cv_attachment_name_is_valid(e->container)) {
		cv_cni_fail(failure, CV_CNI_ENVIRONMENT, "invalid CNI_CONTAINERID");
		return cv_cni_details(failure,
				      "\"%.128s\" must begin with a letter or digit, and have "
				      "letters, digits, '_', '.' and '-' alone",
				      e->container);
	}
	if (e->ifname && !cv_attachment_interface_is_valid(e->ifname)) {
		cv_cni_fail(failure, CV_CNI_ENVIRONMENT, "invalid CNI_IFNAME");
		return cv_cni_details(failure,
				      "\"%.64s\" must have 1 to 15 bytes (UTF-8), no '/', ':' or "
				      "white space, and not be . or ..",
				      e->ifname);
	}
	return 0;
}

int cv_cni_environment_read(struct cv_cni_environment *ret_environment,
			    struct cv_cni_failure *failure)
{
	struct cv_cni_environment *e = ret_environment;
	const char *override = get("CNI_NETNS_OVERRIDE");
	int code;

	*e = (struct cv_cni_environment){
		.container = get("CNI_CONTAINERID"),
		.netns = get("CNI_NETNS"),
		.ifname = get("CNI_IFNAME"),
		.path = get("CNI_PATH"),
		.netns_override =
			override && (!strcmp(override, "1") || !strcasecmp(override, "true")),
	};
	code = find_command(get("CNI_COMMAND"), &e->command, failure);
	if (code || e->command == CV_CNI_VERSION)
		return code;
	code = check_missing(e, failure);
	if (!code)
		code = check_values(e, failure);
	/* What was refused at the ADD must not keep the DEL from removing. */
	if (!code && e->command != CV_CNI_DEL)
		code = cv_cni_arguments_parse(get("CNI_ARGS"), &e->arguments, failure);
	return code;
}
