/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pods.h"

#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/ipam_text.h"
#include "cli/show.h"

static const char usage[] =
	"Usage: culvert [ -j ] pods\n"
	"\n"
	"Prints the containers of this node that culvert-cni has attached: their addresses, the\n"
	"host's end of their device, and whether their packets go past the host's stack.\n"
	"See culvert(8).\n";

static int print_pods(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (!json_is_array(json_object_get(result, "pods")))
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(json_object_get(result, "pods"));
	else
		cv_ipam_text_pods(result);
	return CV_CLI_DONE;
}

int cv_pods_main(const struct cv_cli *cli)
{
	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count > 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "pods: unknown word \"%.64s\"; leave it out", cli->words[1]);
	return cv_client_run(cli, "pods", json_object(), print_pods, NULL);
}
