/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differential test: the same packets through the engine and through the fast path, compared.
 * Run by tests/packet/differential.t and differential.long.t; doc/architecture.md explains it.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compare.h"
#include "core.h"
#include "hooks.h"

enum {
	NODES_MAX = 4,
	EXIT_USAGE = 2
};

static const char usage[] =
	"Usage: differential [--seed N] [--count N | --seconds N] [--first N] [--cases FILE]\n"
	"                    [--show SPEC] [--ids N] NODE NODE...\n"
	"       differential --core OBJECT [--seed N] --count N [--first N]\n"
	"\n"
	"NODE is NAME:PATH:PATH:PATH:DIR, the namespaces of the far end of its eth0, of the far "
	"end\n"
	"of its pod0, its own, and its culvertd's run directory; the first one is the reference.\n"
	"SPEC is a packet as mismatches are printed: \"direction=1 inner.ttl=1\".\n"
	"\n";

static const struct option long_options[] = {
	{"seed", required_argument, NULL, 's'},	   {"count", required_argument, NULL, 'n'},
	{"seconds", required_argument, NULL, 't'}, {"first", required_argument, NULL, 'f'},
	{"cases", required_argument, NULL, 'c'},   {"show", required_argument, NULL, 'w'},
	{"core", required_argument, NULL, 'o'},	   {"ids", required_argument, NULL, 'i'},
	{"help", no_argument, NULL, 'h'},	   {NULL, 0, NULL, 0},
};

static int help(void)
{
	fputs(usage, stdout);
	compare_explain(stdout);
	return 0;
}

static unsigned long number(const char *text)
{
	return strtoul(text, NULL, 0);
}

int main(int argc, char **argv)
{
	struct run run = {.seed = (uint64_t)time(NULL), .first = 1};
	const char *cases = NULL, *show = NULL, *object = NULL;
	struct node *nodes[NODES_MAX];
	unsigned int count = 0, ids = 0;
	int option;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (option) {
		case 's':
			run.seed = number(optarg);
			break;
		case 'n':
			run.count = (unsigned int)number(optarg);
			break;
		case 't':
			run.seconds = (unsigned int)number(optarg);
			break;
		case 'f':
			run.first = (unsigned int)number(optarg);
			break;
		case 'c':
			cases = optarg;
			break;
		case 'w':
			show = optarg;
			break;
		case 'o':
			object = optarg;
			break;
		case 'i':
			ids = (unsigned int)number(optarg);
			break;
		case 'h':
			return help();
		default:
			return EXIT_USAGE;
		}
	}
	if (object) {
		core_random(&run, run.count, object);
		return run.failed != 0;
	}
	for (; optind < argc && count < NODES_MAX; optind++)
		nodes[count++] = node_open(argv[optind]);
	if (count < 2) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (show)
		hooks_show(nodes, count, show);
	if (cases)
		hooks_cases(&run, nodes, count, cases);
	if (run.count || run.seconds)
		hooks_random(&run, nodes, count);
	if (ids)
		hooks_ids(&run, nodes[1], ids);
	return run.failed != 0;
}
