/* SPDX-License-Identifier: Apache-2.0 */
/* culvertd(8): its command line. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "agent/daemon.h"
#include "agent/daemon_pods.h"
#include "agent/metrics_server.h"
#include "agent/node.h"
#include "agent/purge.h"
#include "engine/engine.h"
#include "store/datastore.h"
#include "tunnel/holder.h"

enum {
	EXIT_USAGE = 2
};

static const char usage[] =
	"Usage: culvertd [--run-dir DIR] [--config DIR] [--state-dir DIR] [--workers N]\n"
	"                [--fastpath auto|off] [--probing on|off] [--foreground] [--node NAME]\n"
	"                [--address-detection METHOD] [--pool-device NAME]\n"
	"                [--bgp supervised|external|off] [--bird PROGRAM]\n"
	"                [--bird-socket PATH] [--metrics ADDRESS:PORT] [--datastore FILE]\n"
	"       culvertd --purge [--run-dir DIR]\n"
	"       culvertd --version | --help\n"
	"\n"
	"  --run-dir DIR  control socket and state (default " CV_CONTROL_RUN_DIR ")\n"
	"  --config DIR   resources, YAML or JSON files (default /etc/culvert)\n"
	"  --state-dir DIR\n"
	"                 addresses and pods of this node (default " CV_DAEMON_STATE_DIR "; with\n"
	"                 another --run-dir, its " CV_DAEMON_STATE "/)\n"
	"  --datastore FILE\n"
	"                 a CalicoAPIConfig: keep resources and addresses in etcd (default:\n"
	"                 DIR/" CV_DATASTORE_FILE " of --config, if it is there)\n"
	"  --node NAME    which Node this host is (default: its host name)\n"
	"  --address-detection METHOD\n"
	"                 how to find the address of a Node that has none: first-found (default),\n"
	"                 interface=REGEX, skip-interface=REGEX, can-reach=ADDRESS, cidr=CIDR\n"
	"  --pool-device NAME\n"
	"                 the device that carries the pools (default " CV_NODE_POOL_DEVICE ")\n"
	"  --metrics ADDRESS:PORT\n"
	"                 serve metrics at this loopback address (default: nowhere)\n"
	"  --workers N    threads that carry packets (default: one for each CPU, at most 8)\n"
	"  --fastpath off the engine carries everything (default: auto)\n"
	"  --probing off  send no path probes, whatever PathConfiguration says (default: on)\n"
	"  --bgp WORD     supervised: run a BIRD where a BGPConfiguration asks for it (default);\n"
	"                 external: somebody else runs it, with DIR/bird/culvert.conf included;\n"
	"                 off: no BGP, whatever BGPConfiguration says\n"
	"  --bird PROGRAM BIRD 2 to be run (default: bird of the PATH, or /usr/sbin/bird)\n"
	"  --bird-socket PATH\n"
	"                 of an external BIRD (default " CV_BGP_EXTERNAL_SOCKET ")\n"
	"  --foreground   stay in the foreground, which it always does\n"
	"  --purge        remove what daemons of DIR have left: devices, processes, files\n"
	"\n"
	"See culvertd(8).\n";

static const struct option long_options[] = {
	{"run-dir", required_argument, NULL, 'r'},
	{"config", required_argument, NULL, 'c'},
	{"state-dir", required_argument, NULL, 'S'},
	{"workers", required_argument, NULL, 'w'},
	{"fastpath", required_argument, NULL, 'F'},
	{"probing", required_argument, NULL, 'P'},
	{"bgp", required_argument, NULL, 'B'},
	{"bird", required_argument, NULL, 'b'},
	{"bird-socket", required_argument, NULL, 's'},
	{"foreground", no_argument, NULL, 'f'},
	{"version", no_argument, NULL, 'V'},
	{"metrics", required_argument, NULL, 'm'},
	{"node", required_argument, NULL, 'n'},
	{"datastore", required_argument, NULL, 'D'},
	{"address-detection", required_argument, NULL, 'a'},
	{"pool-device", required_argument, NULL, 'd'},
	{"purge", no_argument, NULL, 'p'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int parse_workers(const char *text, unsigned int *ret_workers)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number > CV_ENGINE_WORKERS_MAX)
		return -EINVAL;
	*ret_workers = (unsigned int)number;
	return 0;
}

static int parse_fastpath(const char *text, bool *ret_no_fastpath)
{
	*ret_no_fastpath = !strcmp(text, "off");
	return *ret_no_fastpath || !strcmp(text, "auto") ? 0 : -EINVAL;
}

static int parse_bgp(const char *text, enum cv_bgp_mode *ret_mode)
{
	for (enum cv_bgp_mode mode = CV_BGP_SUPERVISED; mode <= CV_BGP_OFF; mode++) {
		if (!strcmp(text, cv_bgp_mode_name(mode))) {
			*ret_mode = mode;
			return 0;
		}
	}
	return -EINVAL;
}

static int complain(const char *what, const char *word)
{
	fprintf(stderr, "culvertd: %s%s; try \"culvertd --help\"\n", what, word);
	return EXIT_USAGE;
}

static bool has_options(const struct cv_daemon_options *options)
{
	return options->config_dir || options->state_dir || options->workers ||
	       options->no_fastpath || options->no_probing || options->node_name ||
	       options->detect || options->pool_device || options->metrics || options->bgp ||
	       options->bird || options->bird_socket || options->datastore;
}

/* 0, or the exit code. */
static int take_option(struct cv_daemon_options *options, int option, char *value)
{
	struct cv_error error;

	switch (option) {
	case 'r':
		options->run_dir = value;
		return 0;
	case 'c':
		options->config_dir = value;
		return 0;
	case 'S':
		options->state_dir = value;
		return *value ? 0 : complain("--state-dir takes a directory", "");
	case 'w':
		if (parse_workers(value, &options->workers))
			return complain("--workers takes a number from 0 to 8, not ", value);
		return 0;
	case 'F':
		if (parse_fastpath(value, &options->no_fastpath))
			return complain("--fastpath takes auto or off, not ", value);
		return 0;
	case 'P':
		options->no_probing = !strcmp(value, "off");
		return options->no_probing || !strcmp(value, "on")
			       ? 0
			       : complain("--probing takes on or off, not ", value);
	case 'B':
		return parse_bgp(value, &options->bgp)
			       ? complain("--bgp takes supervised, external or off, not ", value)
			       : 0;
	case 'b':
		options->bird = value;
		return 0;
	case 's':
		options->bird_socket = value;
		return 0;
	case 'n':
		options->node_name = value;
		return *value && strlen(value) < CV_NODE_NAME_MAX
			       ? 0
			       : complain("--node takes a name of at most 63 characters, not ",
					  value);
	case 'a':
		options->detect = value;
		return 0;
	case 'D':
		options->datastore = value;
		return 0;
	case 'd':
		options->pool_device = value;
		if (cv_tunnel_check_name(value, "--pool-device", &error))
			return complain(error.text, "");
		return 0;
	case 'm':
		options->metrics = value;
		if (cv_metrics_server_check(value, &error))
			return complain(error.text, "");
		return 0;
	default:
		return 0;
	}
}

int main(int argc, char **argv)
{
	struct cv_daemon_options options = {.run_dir = CV_CONTROL_RUN_DIR};
	bool purge = false;
	int option, code;

	/* How tunnel/carrier.c starts it; for nobody else, so it is not among the options. */
	if (argc == 3 && !strcmp(argv[1], CV_HOLDER_OPTION))
		return cv_holder_run(argv[2]);
	/* One line for a wrong option, which getopt's own words are not always. */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":Vh", long_options, NULL)) != -1) {
		switch (option) {
		case 'f':
			break;
		case 'p':
			purge = true;
			break;
		case 'V':
			puts("culvertd " CV_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case ':':
			return complain("a value is missing behind ", argv[optind - 1]);
		case '?':
			return complain("unknown option ", argv[optind - 1]);
		default:
			code = take_option(&options, option, optarg);
			if (code)
				return code;
		}
	}
	if (optind < argc)
		return complain("unknown word ", argv[optind]);
	if (purge && has_options(&options))
		return complain("--purge goes with --run-dir only", "");
	return purge ? cv_purge_run(options.run_dir) : cv_daemon_run(&options);
}
