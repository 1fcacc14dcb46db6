/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert apply`: manifests to culvertd, what became of each resource, and what this node is now.
 */
#include "cli/apply.h"

#include <stdio.h>
#include <string.h>

#include "cli/change.h"
#include "cli/client.h"
#include "cli/show.h"

static const char usage[] =
	"Usage: culvert [ -j ] apply [ --dry-run ] -f FILE|DIRECTORY|- [ -f ... ]\n"
	"\n"
	"Makes resources as manifests say, all of them or none. -f may be given several times.\n"
	"A directory: its *.yaml, *.yml and *.json. --dry-run: say what would be, change nothing.\n"
	"See culvert(8), and culvert-resources(5) for what a manifest may have.\n";

static void print_next(const json_t *next)
{
	const json_t *line;
	size_t i;

	if (json_array_size(next) == 1) {
		printf("; next: %s\n", json_string_value(json_array_get(next, 0)));
		return;
	}
	puts(json_array_size(next) ? "; next:" : "");
	json_array_foreach(next, i, line)
	{
		printf("  %s\n", json_string_value(line));
	}
}

/* "applied; this node is a1 (192.168.100.1/24, first-found: eth0); 2 other nodes" */
static void print_summary(const json_t *summary)
{
	const char *node = json_string_value(json_object_get(summary, "node"));
	const char *address = json_string_value(json_object_get(summary, "address"));
	const char *how = json_string_value(json_object_get(summary, "how"));
	long long others = json_integer_value(json_object_get(summary, "others"));

	printf("applied; this node is %s", node);
	if (address)
		printf(" (%s%s%s)", address, how && *how ? ", " : "", how ? how : "");
	else
		printf(" (no address)"); /* why, is what comes next */
	if (others)
		printf("; %lld other node%s", others, others == 1 ? "" : "s");
	else
		printf("; no other nodes known");
	print_next(json_object_get(summary, "next"));
}

static int print_applied(const struct cv_cli *cli, const json_t *result, void *data)
{
	const json_t *summary = json_object_get(result, "summary");
	int code = cv_change_print(cli, result);

	(void)data;
	if (!code && !cli->json && !cli->dry_run &&
	    json_is_string(json_object_get(summary, "node")))
		print_summary(summary);
	return code;
}

int cv_apply_main(const struct cv_cli *cli)
{
	json_t *arguments;
	int code;

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count > 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "apply: unknown word \"%.64s\"; files are given by -f: culvert "
				 "apply -f %.64s",
				 cli->words[1], cli->words[1]);
	if (!cli->file_count)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "apply: of what? Write culvert apply -f FILE");
	code = cv_change_read_files(cli, &arguments);
	if (code)
		return code;
	if (cli->dry_run)
		json_object_set_new(arguments, "dry_run", json_true());
	return cv_client_run(cli, "apply", arguments, print_applied, NULL);
}
