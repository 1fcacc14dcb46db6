/* SPDX-License-Identifier: Apache-2.0 */
/* culvert(8): options, then an object, then what is to be done with it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/capture.h"
#include "cli/client.h"
#include "cli/endpoint.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/show.h"
#include "cli/tunnel.h"
#include "model/nearest.h"

static const char usage[] =
	"Usage: culvert [ OPTIONS ] OBJECT { COMMAND | help }\n"
	"\n"
	"  tunnel     IP-in-IP tunnels: \"culvert tunnel help\"\n"
	"  endpoint   pods and virtual machines: \"culvert endpoint help\"\n"
	"  capture    packets and what became of them: \"culvert capture help\"\n"
	"  status     how culvertd is\n"
	"  drops      why packets are dropped, explained\n"
	"\n"
	"  -j, --json         output for programs\n"
	"  -s, --statistics   counters\n"
	"  --run-dir DIR      which culvertd (default: $CULVERT_RUN_DIR, or /run/culvert)\n"
	"  -V, --version      print the version\n"
	"\n"
	"Exit codes: 0 done, 1 refused or failed, 2 usage. See culvert(8).\n";

static int print_usage(const struct cv_cli *cli)
{
	(void)cli;
	fputs(usage, stdout);
	return CV_CLI_DONE;
}

static int no_more_words(const struct cv_cli *cli)
{
	if (cli->count < 2)
		return CV_CLI_DONE;
	return cv_report(cli, CV_CLI_USAGE, "usage", "%s: unknown word \"%.64s\"; leave it out",
			 cli->words[0], cli->words[1]);
}

static int show_status(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	return cv_show_status(cli, result);
}

static int print_status(const struct cv_cli *cli)
{
	int code = no_more_words(cli);

	return code ? code : cv_client_run(cli, "status", json_object(), show_status, NULL);
}

static int print_drops(const struct cv_cli *cli)
{
	int code = no_more_words(cli);

	return code ? code : cv_show_drops(cli);
}

/* The first that begins with the word wins, as in iproute2. */
static const struct object {
	const char *name;
	int (*run)(const struct cv_cli *cli);
	bool takes_file;    /* -f */
	bool takes_packets; /* -w, -c, --snap */
} objects[] = {
	{.name = "tunnel", .run = cv_tunnel_main, .takes_file = true},
	{.name = "tunl", .run = cv_tunnel_main, .takes_file = true},
	{.name = "endpoint", .run = cv_endpoint_main},
	{.name = "status", .run = print_status},
	{.name = "drops", .run = print_drops},
	{.name = "capture", .run = cv_capture_main, .takes_packets = true},
	{.name = "help", .run = print_usage},
};

static int run_object(const struct cv_cli *cli, const struct object *object)
{
	if (cli->file && !object->takes_file)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "-f is for tunnel; write culvert tunnel -f FILE");
	if ((cli->write || cli->packets || cli->snap) && !object->takes_packets)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "-w, -c and --snap are for capture; leave them out");
	return object->run(cli);
}

static int run_words(const struct cv_cli *cli)
{
	const char *word = cli->words[0];
	struct cv_nearest nearest;

	cv_nearest_init(&nearest, word);
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++) {
		if (*word && !strncmp(objects[i].name, word, strlen(word)))
			return run_object(cli, &objects[i]);
		cv_nearest_offer(&nearest, objects[i].name);
	}
	if (nearest.best)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "unknown object \"%.64s\"; did you mean %s?", word, nearest.best);
	return cv_report(cli, CV_CLI_USAGE, "usage",
			 "unknown object \"%.64s\"; try \"culvert help\"", word);
}

static int run(struct cv_cli *cli, int argc, char **argv)
{
	struct cv_error error;

	if (cv_options_parse(cli, argc, argv, &error))
		return cv_report(cli, CV_CLI_USAGE, "usage", "%s", error.text);
	if (cli->version) {
		puts("culvert " CV_VERSION);
		return CV_CLI_DONE;
	}
	if (cli->help && cli->count == 0)
		return print_usage(cli);
	if (cli->count == 0)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "what is to be done? Try \"culvert help\"");
	return run_words(cli);
}

int main(int argc, char **argv)
{
	struct cv_cli cli = {.words = calloc((size_t)argc + 1, sizeof(*cli.words))};
	int code;

	if (!cli.words)
		return cv_report(&cli, CV_CLI_FAILED, "failed", "out of memory");
	code = run(&cli, argc, argv);
	free(cli.words);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) && !code) {
		fprintf(stderr, "culvert: cannot write the output: %s\n", strerror(errno));
		code = CV_CLI_FAILED;
	}
	return code;
}
