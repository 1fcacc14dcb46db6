/* SPDX-License-Identifier: Apache-2.0 */
/* culvert(8): options, then an object, then what is to be done with it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/apply.h"
#include "cli/bgp.h"
#include "cli/capture.h"
#include "cli/client.h"
#include "cli/delete.h"
#include "cli/diff.h"
#include "cli/doctor.h"
#include "cli/endpoint.h"
#include "cli/get.h"
#include "cli/import.h"
#include "cli/ipam.h"
#include "cli/metrics.h"
#include "cli/migrate.h"
#include "cli/options.h"
#include "cli/path.h"
#include "cli/plan.h"
#include "cli/pods.h"
#include "cli/report.h"
#include "cli/show.h"
#include "cli/status.h"
#include "cli/trace.h"
#include "cli/tunnel.h"
#include "model/nearest.h"

static const char usage[] =
	"Usage: culvert [ OPTIONS ] OBJECT { COMMAND | help }\n"
	"\n"
	"  plan       a manifest for a new overlay: \"culvert plan help\"\n"
	"  import     a manifest of Kubernetes' nodes: \"culvert import help\"\n"
	"  apply      make resources as manifests say: \"culvert apply help\"\n"
	"  get        print resources: \"culvert get help\"\n"
	"  delete     delete resources: \"culvert delete help\"\n"
	"  diff       what apply would change: \"culvert diff help\"\n"
	"  status     how this node, its peers and culvertd are: \"culvert status help\"\n"
	"  trace      which way packets to an address go, and why: \"culvert trace help\"\n"
	"  path       MTU, round trip and state of the paths to others: \"culvert path help\"\n"
	"  bgp        sessions, and routes learned by BGP: \"culvert bgp help\"\n"
	"  ipam       addresses: who has which, and what is wrong: \"culvert ipam help\"\n"
	"  pods       containers of this node, and their addresses\n"
	"  migrate    from files, or from Calico, to etcd: \"culvert migrate help\"\n"
	"  doctor     what is wrong with this host, and what to do: \"culvert doctor help\"\n"
	"  metrics    all of that as Prometheus reads it\n"
	"\n"
	"  tunnel     IP-in-IP tunnels: \"culvert tunnel help\"\n"
	"  endpoint   pods and virtual machines: \"culvert endpoint help\"\n"
	"  capture    packets and what became of them: \"culvert capture help\"\n"
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

static int print_drops(const struct cv_cli *cli)
{
	int code;

	if (cli->help || (cli->count == 2 && !strcmp(cli->words[1], "help"))) {
		puts("Usage: culvert [ -j ] drops\n"
		     "\n"
		     "Explains every drop reason and event. See culvert(8).");
		return CV_CLI_DONE;
	}
	code = no_more_words(cli);
	return code ? code : cv_show_drops(cli);
}

/*
 * The first that begins with the word wins, as in iproute2: new ones come last, so that
 * abbreviations stay what they were.
 */
static const struct object {
	const char *name;
	int (*run)(const struct cv_cli *cli);
	unsigned int takes; /* set of enum cv_cli_option */
} objects[] = {
	{"tunnel", cv_tunnel_main, CV_CLI_FILE},
	{"tunl", cv_tunnel_main, CV_CLI_FILE},
	{"endpoint", cv_endpoint_main, 0},
	{"status", cv_status_main, 0},
	{"drops", print_drops, 0},
	{"capture", cv_capture_main, CV_CLI_CAPTURE},
	{"help", print_usage, 0},
	{"apply", cv_apply_main, CV_CLI_FILE | CV_CLI_DRY_RUN},
	{"get", cv_get_main, CV_CLI_OUTPUT},
	{"delete", cv_delete_main, CV_CLI_FILE | CV_CLI_DRY_RUN},
	{"diff", cv_diff_main, CV_CLI_FILE},
	{"plan", cv_plan_main, CV_CLI_PLAN},
	{"import", cv_import_main, CV_CLI_IMPORT | CV_CLI_BLOCKS},
	{"trace", cv_trace_main, 0},
	{"doctor", cv_doctor_main, 0},
	{"metrics", cv_metrics_main, 0},
	{"path", cv_path_main, CV_CLI_WATCH},
	{"bgp", cv_bgp_main, CV_CLI_BGP},
	{"ipam", cv_ipam_main, CV_CLI_IPAM | CV_CLI_BLOCKS},
	{"pods", cv_pods_main, 0},
	{"migrate", cv_migrate_main, CV_CLI_MIGRATE | CV_CLI_DRY_RUN},
};

static int run_object(const struct cv_cli *cli, const struct object *object)
{
	static const struct {
		enum cv_cli_option option;
		const char *text;
	} groups[] = {
		{CV_CLI_FILE, "-f is for tunnel, apply, delete and diff; leave it out"},
		{CV_CLI_OUTPUT, "-o is for get; leave it out, or write -j"},
		{CV_CLI_DRY_RUN, "--dry-run is for apply, delete and migrate; leave it out"},
		{CV_CLI_CAPTURE, "-w, -c and --snap are for capture; leave them out"},
		{CV_CLI_WATCH, "-w is for path and capture; leave it out"},
		{CV_CLI_PLAN, "--pool, --mode, --no-nat and --block-length are for plan; leave "
			      "them out"},
		{CV_CLI_IMPORT, "--no-blocks is for import; leave it out"},
		{CV_CLI_BLOCKS, "--blocks is for import and ipam show; leave it out"},
		{CV_CLI_BGP, "--refused and --exported are for bgp routes; leave them out"},
		{CV_CLI_IPAM, "--fix, --handle and --comment are for ipam; leave them out"},
		{CV_CLI_MIGRATE, "--datastore and --from-calico are for migrate; leave them out"},
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (cli->given & groups[i].option & ~object->takes)
			return cv_report(cli, CV_CLI_USAGE, "usage", "%s", groups[i].text);
	}
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
	struct cv_cli cli = {
		.words = calloc((size_t)argc + 1, sizeof(*cli.words)),
		.files = calloc((size_t)argc + 1, sizeof(*cli.files)),
	};
	int code;

	if (cli.words && cli.files)
		code = run(&cli, argc, argv);
	else
		code = cv_report(&cli, CV_CLI_FAILED, "failed", "out of memory");
	free(cli.words);
	free(cli.files);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) && !code) {
		fprintf(stderr, "culvert: cannot write the output: %s\n", strerror(errno));
		code = CV_CLI_FAILED;
	}
	return code;
}
