/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of culvert knows of the command line, and how it says what went wrong. */
#ifndef CV_CLI_REPORT_H
#define CV_CLI_REPORT_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes, stable. */
enum {
	CV_CLI_DONE = 0,
	CV_CLI_FAILED = 1, /* refused, or failed */
	CV_CLI_USAGE = 2,  /* the command line makes no sense */
};

/* Options that some objects take alone, a set; cv_options_parse says which were given. */
enum cv_cli_option {
	CV_CLI_FILE = 1 << 0,	  /* -f */
	CV_CLI_OUTPUT = 1 << 1,	  /* -o */
	CV_CLI_DRY_RUN = 1 << 2,  /* --dry-run */
	CV_CLI_CAPTURE = 1 << 3,  /* -w, -c, --snap */
	CV_CLI_PLAN = 1 << 4,	  /* --pool, --mode, --no-nat, --block-length */
	CV_CLI_IMPORT = 1 << 5,	  /* --no-blocks */
	CV_CLI_WATCH = 1 << 6,	  /* -w, of path */
	CV_CLI_BGP = 1 << 7,	  /* --refused, --exported */
	CV_CLI_BLOCKS = 1 << 8,	  /* --blocks, of import and ipam */
	CV_CLI_IPAM = 1 << 9,	  /* --fix, --handle, --comment */
	CV_CLI_MIGRATE = 1 << 10, /* --datastore, --from-calico */
};

struct cv_cli {
	const char *run_dir;
	unsigned int given; /* set of enum cv_cli_option */
	const char **files; /* of -f */
	size_t file_count;
	const char *output; /* of -o, or NULL */
	bool dry_run;
	/* Of plan, or NULL. */
	const char *pool;	  /* --pool */
	const char *mode;	  /* --mode */
	const char *block_length; /* --block-length */
	bool no_nat;
	/* Of import; blocks also of ipam show. */
	bool blocks;
	bool no_blocks;
	/* Of ipam, or NULL. */
	bool fix;	     /* --fix */
	const char *handle;  /* --handle */
	const char *comment; /* --comment */
	/* Of migrate. */
	const char *datastore; /* --datastore, or NULL */
	bool from_calico;
	/* Of capture, or NULL. */
	const char *write;   /* -w */
	const char *packets; /* -c */
	const char *snap;    /* --snap */
	bool watch;	     /* of path */
	bool refused;	     /* of bgp; so is exported */
	bool exported;
	bool json;
	bool statistics;
	bool version;
	bool help;
	const char **words; /* the command line without options */
	size_t count;
};

/*
 * One line on standard error; with --json also {"error": {"code": …, "message": …}} on standard
 * output. Returns exit_code.
 */
int cv_report(const struct cv_cli *cli, int exit_code, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
