/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert endpoint`: words to requests, and what comes back. */
#include "cli/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/show.h"
#include "model/endpoint.h"

static const char usage[] =
	"Usage: culvert endpoint { add | change | replace } DEVICE [ ip ADDRESS ]...\n"
	"               [ bypass on|off|default ]\n"
	"       culvert endpoint del DEVICE\n"
	"       culvert [ -s ] [ -j ] endpoint [ show ] [ DEVICE ]\n"
	"       culvert [ -j ] endpoint default [ bypass on|off ]\n"
	"\n"
	"DEVICE is the host's end of a pod's or virtual machine's device, ADDRESS one behind it.\n"
	"See culvert(8).\n";

/* Of the control protocol. */
static const char *const requests[] = {
	[CV_ENDPOINT_COMMAND_ADD] = "endpoint.add",
	[CV_ENDPOINT_COMMAND_CHANGE] = "endpoint.change",
	[CV_ENDPOINT_COMMAND_REPLACE] = "endpoint.replace",
	[CV_ENDPOINT_COMMAND_DELETE] = "endpoint.del",
	[CV_ENDPOINT_COMMAND_SHOW] = "endpoint.show",
};

static int report_usage(const struct cv_cli *cli, const char *command, const struct cv_error *error)
{
	return cv_report(cli, CV_CLI_USAGE, "usage", "endpoint %s: %s", command, error->text);
}

static int print_default(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	return cv_show_endpoint_default(cli, result);
}

static int run_default(const struct cv_cli *cli, size_t used)
{
	bool given = false, bypass = false;
	struct cv_error error;

	if (cv_endpoint_parse_default_words(cli->count - used, cli->words + used, &given, &bypass,
					    &error))
		return report_usage(cli, "default", &error);
	if (!given)
		return cv_client_run(cli, "endpoint.default", json_object(), print_default, NULL);
	return cv_client_run(cli, "endpoint.default",
			     json_pack("{s:s}", "bypass", bypass ? "on" : "off"), NULL, NULL);
}

/* `show veth9` is a question after one endpoint: none is an answer, and a failure. */
static int print_endpoints(const struct cv_cli *cli, const json_t *result, void *data)
{
	const struct cv_endpoint_patch *patch = data;

	if ((patch->given & CV_ENDPOINT_DEV) &&
	    !json_array_size(json_object_get(result, "endpoints")))
		return cv_report(cli, CV_CLI_FAILED, "not-found",
				 "there is no such endpoint as %s; \"culvert endpoint show\" "
				 "lists them",
				 patch->config.dev);
	return cv_show_endpoints(cli, result);
}

static int run_words(const struct cv_cli *cli, enum cv_endpoint_command command, size_t used)
{
	bool is_show = command == CV_ENDPOINT_COMMAND_SHOW;
	struct cv_endpoint_patch patch;
	struct cv_error error;
	json_t *arguments;

	if (cv_endpoint_parse_words(command, cli->count - used, cli->words + used, &patch, &error))
		return report_usage(cli, used == 2 ? cli->words[1] : "show", &error);
	arguments = json_pack("{s:o}", "endpoint", cv_endpoint_patch_to_json(&patch));
	if (!is_show)
		return cv_client_run(cli, requests[command], arguments, NULL, NULL);
	if (cli->statistics)
		json_object_set_new(arguments, "counters", json_true());
	return cv_client_run(cli, requests[command], arguments, print_endpoints, &patch);
}

int cv_endpoint_main(const struct cv_cli *cli)
{
	enum cv_endpoint_command command = CV_ENDPOINT_COMMAND_SHOW;
	struct cv_error error;
	size_t used = cli->count > 1 ? 2 : 1;

	/* As in iproute2, help may be asked for at the end of a line. */
	if (cli->help || !strcmp(cli->words[cli->count - 1], "help"))
		command = CV_ENDPOINT_COMMAND_HELP;
	else if (used == 2 && cv_endpoint_parse_command(cli->words[1], &command, &error))
		return cv_report(cli, CV_CLI_USAGE, "usage", "endpoint: %s", error.text);
	switch (command) {
	case CV_ENDPOINT_COMMAND_HELP:
		fputs(usage, stdout);
		return CV_CLI_DONE;
	case CV_ENDPOINT_COMMAND_DEFAULT:
		return run_default(cli, used);
	default:
		return run_words(cli, command, used);
	}
}
