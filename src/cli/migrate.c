/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert migrate`: has culvertd begin it, and follows it to its end. */
#include "cli/migrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/migrate_text.h"
#include "cli/show.h"
#include "net/absolute.h"

static const char usage[] =
	"Usage: culvert [ -j ] migrate [ --from-calico ] --datastore FILE [ --dry-run ]\n"
	"\n"
	"Copies this node's resources and addresses from its files into the etcd that FILE, a\n"
	"CalicoAPIConfig, names; every node does so once. --from-calico: copies Calico's, which "
	"are\n"
	"only read, of the same etcd; one node does so once. What etcd has already and is the "
	"same\n"
	"is fine; if anything differs, nothing is written. If it is interrupted, do it again.\n"
	"See culvert(8).\n";

enum {
	POLL_MS = 200
};

static void print_progress(const struct cv_cli *cli, const json_t *status)
{
	if (cli->json || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s: %lld of %lld ", json_string_value(json_object_get(status, "phase")),
		(long long)json_integer_value(json_object_get(status, "written")),
		(long long)json_integer_value(json_object_get(status, "total")));
}

/* Until it is over. result is taken over. 0 and the last one, or an exit code. */
static int follow(const struct cv_cli *cli, json_t *result, json_t **ret_result)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	struct cv_client_error error;
	bool has_progress = false;

	while (json_is_true(json_object_get(result, "running"))) {
		print_progress(cli, result);
		has_progress = true;
		json_decref(result);
		nanosleep(&pause, NULL);
		if (cv_client_call(cli, "migrate.status", json_object(), &result, &error))
			return cv_report(cli, CV_CLI_FAILED, error.code,
					 "%s; if culvertd has ended, do it again", error.why.text);
	}
	if (has_progress && !cli->json && isatty(STDERR_FILENO))
		fputc('\n', stderr);
	*ret_result = result;
	return CV_CLI_DONE;
}

static int print_end(const struct cv_cli *cli, const json_t *status)
{
	const char *problem = json_string_value(json_object_get(status, "problem"));
	bool is_refused = json_array_size(json_object_get(status, "conflicts"));

	if (!json_is_array(json_object_get(status, "conflicts")))
		return cv_show_no_sense(cli);
	if (cli->json) {
		cv_show_json(status);
		return problem || is_refused ? CV_CLI_FAILED : CV_CLI_DONE;
	}
	cv_migrate_text(status);
	if (problem)
		return cv_report(cli, CV_CLI_FAILED, "failed", "%s", problem);
	return is_refused ? CV_CLI_FAILED : CV_CLI_DONE;
}

static int migrate(const struct cv_cli *cli)
{
	char *datastore = cv_absolute_path(cli->datastore);
	struct cv_client_error error;
	json_t *arguments, *result;
	int code;

	if (!datastore)
		return cv_report(cli, CV_CLI_FAILED, "failed", "--datastore %.256s: %s",
				 cli->datastore, strerror(errno));
	arguments = json_pack("{s:s, s:s, s:b}", "from", cli->from_calico ? "calico" : "files",
			      "datastore", datastore, "dry_run", (int)cli->dry_run);
	free(datastore);
	if (cv_client_call(cli, "migrate", arguments, &result, &error))
		return cv_report(cli, CV_CLI_FAILED, error.code, "%s", error.why.text);
	code = follow(cli, result, &result);
	if (code)
		return code;
	code = print_end(cli, result);
	json_decref(result);
	return code;
}

int cv_migrate_main(const struct cv_cli *cli)
{
	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count > 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "migrate: unknown word \"%.64s\"; leave it out", cli->words[1]);
	if (!cli->datastore)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "migrate: into which etcd? Give --datastore FILE");
	return migrate(cli);
}
