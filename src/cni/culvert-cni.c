/* SPDX-License-Identifier: Apache-2.0 */
/* culvert-cni(8): a runtime's plugin, without words; an operator's tool, with some. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/call.h"
#include "cni/install.h"
#include "cni/log.h"

static const char about[] =
	"culvert-cni " CV_VERSION ", the CNI plugin of Culvert: run by a container runtime, which "
	"sets CNI_COMMAND.\nTo install it for one: \"culvert-cni install\". See culvert-cni(8).\n";

static int print(json_t *json)
{
	char *text = json_dumps(json, JSON_INDENT(4));
	int rc;

	json_decref(json);
	if (!text)
		return 1;
	rc = puts(text) < 0 || fflush(stdout);
	free(text);
	return rc;
}

static int print_failure(const struct cv_cni_failure *failure, enum cv_cni_version version)
{
	print(cv_cni_failure_json(failure, cv_cni_version_name(version)));
	return 1;
}

/* What it was asked in; of the newest where nothing was said. */
static int print_versions(const char *text, size_t length)
{
	char *asked = cv_cni_config_version(text, length);
	json_t *answer = json_pack("{s:s, s:o}", "cniVersion",
				   asked ? asked : cv_cni_version_name(CV_CNI_NEWEST),
				   "supportedVersions", cv_cni_version_list());

	free(asked);
	return print(answer);
}

static int run_command(struct cv_cni_call *call, json_t **ret_result)
{
	static int (*const commands[])(struct cv_cni_call *, json_t **) = {
		[CV_CNI_ADD] = cv_cni_add,	 [CV_CNI_DEL] = cv_cni_delete,
		[CV_CNI_CHECK] = cv_cni_check,	 [CV_CNI_GC] = cv_cni_collect,
		[CV_CNI_STATUS] = cv_cni_status,
	};
	const struct cv_cni_environment *environment = call->environment;

	if (environment->container && environment->ifname)
		cv_attachment_name(call->config->network, environment->container,
				   environment->ifname, &call->names);
	return commands[environment->command](call, ret_result);
}

/* The exit status. */
static int run(const struct cv_cni_environment *environment, const char *text, size_t length)
{
	struct cv_cni_config config;
	struct cv_cni_log log;
	struct cv_cni_call call = {
		.log = &log,
		.environment = environment,
		.config = &config,
		.text = text,
		.length = length,
	};
	json_t *result = NULL;
	int code;

	cv_cni_log_begin(&log);
	code = cv_cni_config_parse(text, length, environment, &config, &call.failure);
	if (!code)
		code = run_command(&call, &result);
	cv_cni_log_end(&log, &call, code);
	if (code)
		code = print_failure(&call.failure, config.version);
	else if (result)
		code = print(result);
	cv_cni_config_fini(&config);
	return code;
}

static int plugin(void)
{
	struct cv_cni_environment environment;
	struct cv_cni_failure failure;
	size_t length = 0;
	char *text = NULL;
	int code = cv_cni_environment_read(&environment, &failure);

	if (code && !getenv("CNI_COMMAND"))
		fputs(about, stderr);
	if (!code && (environment.command != CV_CNI_VERSION || !isatty(STDIN_FILENO)))
		code = cv_cni_config_input(STDIN_FILENO, &text, &length, &failure);
	if (code)
		return print_failure(&failure, CV_CNI_NEWEST);
	if (environment.command == CV_CNI_VERSION)
		code = print_versions(text ? text : "", length);
	else
		code = run(&environment, text, length);
	free(text);
	return code;
}

int main(int argc, char **argv)
{
	return argc > 1 ? cv_cni_install_main(argc, argv) : plugin();
}
