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
#include "agent/purge.h"
#include "engine/engine.h"
#include "tunnel/holder.h"

enum {
	EXIT_USAGE = 2
};

static const char usage[] =
	"Usage: culvertd [--run-dir DIR] [--config DIR] [--workers N]\n"
	"                [--fastpath auto|off] [--foreground]\n"
	"       culvertd --purge [--run-dir DIR]\n"
	"       culvertd --version | --help\n"
	"\n"
	"  --run-dir DIR  control socket and state (default " CV_CONTROL_RUN_DIR ")\n"
	"  --config DIR   resources (default /etc/culvert); nothing is read from it yet\n"
	"  --workers N    threads that carry packets (default: one for each CPU, at most 8)\n"
	"  --fastpath off the engine carries everything (default: auto)\n"
	"  --foreground   stay in the foreground, which it always does\n"
	"  --purge        remove what daemons of DIR have left: devices, processes, files\n"
	"\n"
	"See culvertd(8).\n";

static const struct option long_options[] = {
	{"run-dir", required_argument, NULL, 'r'},
	{"config", required_argument, NULL, 'c'},
	{"workers", required_argument, NULL, 'w'},
	{"fastpath", required_argument, NULL, 'F'},
	{"foreground", no_argument, NULL, 'f'},
	{"version", no_argument, NULL, 'V'},
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

static int complain(const char *what, const char *word)
{
	fprintf(stderr, "culvertd: %s%s; try \"culvertd --help\"\n", what, word);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct cv_daemon_options options = {.run_dir = CV_CONTROL_RUN_DIR};
	bool purge = false;
	int option;

	/* How tunnel/carrier.c starts it; for nobody else, so it is not among the options. */
	if (argc == 3 && !strcmp(argv[1], CV_HOLDER_OPTION))
		return cv_holder_run(argv[2]);
	/* One line for a wrong option, which getopt's own words are not always. */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":Vh", long_options, NULL)) != -1) {
		switch (option) {
		case 'r':
			options.run_dir = optarg;
			break;
		case 'c':
			options.config_dir = optarg;
			break;
		case 'w':
			if (parse_workers(optarg, &options.workers))
				return complain("--workers takes a number from 0 to 8, not ",
						optarg);
			break;
		case 'F':
			if (parse_fastpath(optarg, &options.no_fastpath))
				return complain("--fastpath takes auto or off, not ", optarg);
			break;
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
		default:
			return complain("unknown option ", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return complain("unknown word ", argv[optind]);
	if (purge && (options.config_dir || options.workers || options.no_fastpath))
		return complain("--purge goes with --run-dir only", "");
	return purge ? cv_purge_run(options.run_dir) : cv_daemon_run(&options);
}
