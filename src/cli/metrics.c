/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert metrics`: what culvertd's metrics port says, without the port. */
#include "cli/metrics.h"

#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/show.h"

static int print_metrics(const struct cv_cli *cli, const json_t *result, void *data)
{
	const char *text = json_string_value(json_object_get(result, "text"));

	(void)data;
	if (!text)
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		fputs(text, stdout);
	return CV_CLI_DONE;
}

static const char usage[] = "Usage: culvert [ -j ] metrics\n"
			    "\n"
			    "Prints all that status has, and more, as Prometheus reads it. "
			    "`culvertd --metrics` serves it.\n"
			    "See culvert(8).\n";

int cv_metrics_main(const struct cv_cli *cli)
{
	if (cli->help || (cli->count == 2 && !strcmp(cli->words[1], "help"))) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count > 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "metrics: unknown word \"%.64s\"; leave it out", cli->words[1]);
	return cv_client_run(cli, "metrics", json_object(), print_metrics, NULL);
}
