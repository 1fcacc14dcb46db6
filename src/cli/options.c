/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options by one table. As iproute2 does, one dash or two are the same, and any abbreviation is
 * taken that begins like an option, the first of the table winning; letters may be joined (-js).
 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/control.h"
#include "model/nearest.h"

static void set_json(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->json = true;
}

static void set_statistics(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->statistics = true;
}

static void set_version(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->version = true;
}

static void set_help(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->help = true;
}

static void set_file(struct cv_cli *cli, const char *value)
{
	cli->files[cli->file_count++] = value;
}

static void set_output(struct cv_cli *cli, const char *value)
{
	cli->output = value;
}

static void set_dry_run(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->dry_run = true;
}

static void set_pool(struct cv_cli *cli, const char *value)
{
	cli->pool = value;
}

static void set_mode(struct cv_cli *cli, const char *value)
{
	cli->mode = value;
}

static void set_block_length(struct cv_cli *cli, const char *value)
{
	cli->block_length = value;
}

static void set_no_nat(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->no_nat = true;
}

static void set_blocks(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->blocks = true;
}

static void set_no_blocks(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->no_blocks = true;
}

static void set_write(struct cv_cli *cli, const char *value)
{
	cli->write = value;
}

static void set_watch(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->watch = true;
}

static void set_packets(struct cv_cli *cli, const char *value)
{
	cli->packets = value;
}

static void set_snap(struct cv_cli *cli, const char *value)
{
	cli->snap = value;
}

static void set_refused(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->refused = true;
}

static void set_exported(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->exported = true;
}

static void set_fix(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->fix = true;
}

static void set_handle(struct cv_cli *cli, const char *value)
{
	cli->handle = value;
}

static void set_comment(struct cv_cli *cli, const char *value)
{
	cli->comment = value;
}

static void set_datastore(struct cv_cli *cli, const char *value)
{
	cli->datastore = value;
}

static void set_from_calico(struct cv_cli *cli, const char *value)
{
	(void)value;
	cli->from_calico = true;
}

static void set_run_dir(struct cv_cli *cli, const char *value)
{
	cli->run_dir = value;
}

struct option {
	const char *name;
	const char *value; /* what must follow, or NULL */
	void (*set)(struct cv_cli *cli, const char *value);
	enum cv_cli_option group; /* 0: every object takes it */
	const char *object;	  /* only behind this word; NULL: anywhere */
};

static const struct option options[] = {
	{"json", NULL, set_json, 0, NULL},
	{"statistics", NULL, set_statistics, 0, NULL},
	{"stats", NULL, set_statistics, 0, NULL},
	{"Version", NULL, set_version, 0, NULL},
	{"version", NULL, set_version, 0, NULL},
	{"help", NULL, set_help, 0, NULL},
	{"file", "FILE", set_file, CV_CLI_FILE, NULL},
	{"run-dir", "DIR", set_run_dir, 0, NULL},
	{"watch", NULL, set_watch, CV_CLI_WATCH, "path"},
	{"write", "FILE", set_write, CV_CLI_CAPTURE, NULL},
	{"count", "COUNT", set_packets, CV_CLI_CAPTURE, NULL},
	{"snap", "BYTES", set_snap, CV_CLI_CAPTURE, NULL},
	{"output", "wide|yaml|json", set_output, CV_CLI_OUTPUT, NULL},
	{"dry-run", NULL, set_dry_run, CV_CLI_DRY_RUN, NULL},
	{"pool", "CIDR", set_pool, CV_CLI_PLAN, NULL},
	{"mode", "CrossSubnet|Always|Never", set_mode, CV_CLI_PLAN, NULL},
	{"block-length", "LENGTH", set_block_length, CV_CLI_PLAN, NULL},
	{"no-nat", NULL, set_no_nat, CV_CLI_PLAN, NULL},
	{"blocks", NULL, set_blocks, CV_CLI_BLOCKS, NULL},
	{"no-blocks", NULL, set_no_blocks, CV_CLI_IMPORT, NULL},
	{"refused", NULL, set_refused, CV_CLI_BGP, NULL},
	{"exported", NULL, set_exported, CV_CLI_BGP, NULL},
	{"fix", NULL, set_fix, CV_CLI_IPAM, NULL},
	{"handle", "HANDLE", set_handle, CV_CLI_IPAM, NULL},
	{"comment", "TEXT", set_comment, CV_CLI_IPAM, NULL},
	{"datastore", "FILE", set_datastore, CV_CLI_MIGRATE, NULL},
	{"from-calico", NULL, set_from_calico, CV_CLI_MIGRATE, NULL},
};

enum {
	OPTIONS = sizeof(options) / sizeof(options[0])
};

/* -w is one thing to path, and another to capture. */
static bool is_for(const struct cv_cli *cli, const struct option *option)
{
	const char *word = cli->count ? cli->words[0] : "";

	return !option->object || (*word && !strncmp(option->object, word, strlen(word)));
}

static const struct option *find_option(const struct cv_cli *cli, const char *name, size_t length)
{
	for (size_t i = 0; length && i < OPTIONS; i++) {
		if (!strncmp(options[i].name, name, length) && is_for(cli, &options[i]))
			return &options[i];
	}
	return NULL;
}

static int unknown_option(const char *text, const char *name, struct cv_error *error)
{
	struct cv_nearest nearest;

	cv_nearest_init(&nearest, name);
	for (size_t i = 0; i < OPTIONS; i++)
		cv_nearest_offer(&nearest, options[i].name);
	if (nearest.best)
		return cv_error_set(error, -EINVAL, "unknown option \"%.64s\"; did you mean --%s?",
				    text, nearest.best);
	return cv_error_set(error, -EINVAL, "unknown option \"%.64s\"; try \"culvert help\"", text);
}

/* -js: every letter an option without a value. */
static bool parse_letters(struct cv_cli *cli, const char *text)
{
	if (text[0] != '-' || strlen(text) < 3 || strspn(text + 1, "jsVhw") != strlen(text + 1))
		return false;
	for (const char *p = text + 1; *p; p++) {
		if (find_option(cli, p, 1)->value)
			return false;
	}
	for (const char *p = text + 1; *p; p++) {
		const struct option *option = find_option(cli, p, 1);

		option->set(cli, NULL);
		cli->given |= option->group;
	}
	return true;
}

/* Returns how many words were used, or -EINVAL. */
static int parse_option(struct cv_cli *cli, int left, char **argv, struct cv_error *error)
{
	const char *text = argv[0];
	const char *name = text + 1 + (text[1] == '-');
	size_t length = strcspn(name, "=");
	const struct option *option = find_option(cli, name, length);
	const char *value = name[length] ? name + length + 1 : NULL;
	int used = 1;

	if (!option && parse_letters(cli, text))
		return 1;
	if (!option)
		return unknown_option(text, name, error);
	if (!option->value && value)
		return cv_error_set(error, -EINVAL,
				    "option --%s takes no value; leave \"=%.64s\" out",
				    option->name, value);
	if (option->value && !value) {
		if (left < 2)
			return cv_error_set(error, -EINVAL,
					    "option --%s: its value is missing; write --%s %s",
					    option->name, option->name, option->value);
		value = argv[1];
		used = 2;
	}
	option->set(cli, value);
	cli->given |= option->group;
	return used;
}

int cv_options_parse(struct cv_cli *cli, int argc, char **argv, struct cv_error *error)
{
	const char *run_dir = getenv("CULVERT_RUN_DIR");
	int rc = 0;

	cli->run_dir = run_dir && *run_dir ? run_dir : CV_CONTROL_RUN_DIR;
	for (int i = 1; i < argc;) {
		int used = 1;

		if (argv[i][0] != '-' || !argv[i][1]) {
			cli->words[cli->count++] = argv[i];
		} else {
			struct cv_error why;

			used = parse_option(cli, argc - i, &argv[i], &why);
			/* Go on: --json may follow. */
			if (used < 0 && !rc)
				rc = cv_error_set(error, used, "%s", why.text);
			if (used < 0)
				used = 1;
		}
		i += used;
	}
	return rc;
}
