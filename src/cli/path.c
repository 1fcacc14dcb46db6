/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert path`: what is known of the paths to remote ends; and, with -w, as it changes. */
#include "cli/path.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/path_text.h"
#include "cli/show.h"

static const char usage[] =
	"Usage: culvert [ -js ] path [ PEER ] [ -w ]\n"
	"\n"
	"Prints for each remote end of tunnels what its path takes (MTU: bytes of outer packets; "
	"INNER: of\n"
	"inner ones), how that is known, whether it answers, round trips and loss.\n"
	"PEER: a remote's address, a Node's name or a tunnel's device. -w: changes, as they come. "
	"See culvert(8).\n";

static json_t *arguments_of(const char *peer)
{
	return peer ? json_pack("{s:s}", "peer", peer) : json_object();
}

static bool has_sense(const json_t *result)
{
	return json_is_array(json_object_get(result, "paths"));
}

static int print_paths(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (!has_sense(result))
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		cv_path_text_print(result, cli->statistics);
	return CV_CLI_DONE;
}

/* ---- watching -------------------------------------------------------------------------- */

struct watch {
	const struct cv_cli *cli;
	const char *peer;
	json_t *paths; /* by their keys, as they were at the last look; NULL: there was none */
};

/* What is told of one: a line, or an object on a line, with the time. */
static void tell(const struct watch *watch, json_t *before, json_t *after, json_t *changes)
{
	const time_t now = time(NULL);
	struct tm tm;
	char stamp[40], *text;
	json_t *json;

	localtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), watch->cli->json ? "%Y-%m-%dT%H:%M:%S%z" : "%F %T", &tm);
	if (watch->cli->json) {
		json = json_copy(after ? after : before);
		json_object_set_new(json, "time", json_string(stamp));
		json_object_set(json, "changes", changes);
		json_dumpf(json, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(json);
	} else {
		text = cv_path_text_change(before, after, changes);
		printf("%s %s\n", stamp, text ? text : "?");
		free(text);
	}
}

static void compare(struct watch *watch, const json_t *list)
{
	json_t *paths = cv_path_text_index(list), *path, *changes;
	const char *key;

	json_object_foreach(watch->paths, key, path)
	{
		json_t *after = json_object_get(paths, key);

		changes = cv_path_text_changes(path, after);
		if (json_array_size(changes))
			tell(watch, path, after, changes);
		json_decref(changes);
	}
	json_object_foreach(paths, key, path)
	{
		if (json_object_get(watch->paths, key))
			continue;
		/* At the first look nothing has changed. */
		changes = watch->paths ? cv_path_text_changes(NULL, path) : json_array();
		tell(watch, NULL, path, changes);
		json_decref(changes);
	}
	json_decref(watch->paths);
	watch->paths = paths;
}

/* A peer that was there, and is not there any more, is a change like others. */
static int look(struct watch *watch)
{
	struct cv_client_error error;
	json_t *result;

	if (cv_client_call(watch->cli, "path", arguments_of(watch->peer), &result, &error)) {
		if (!watch->paths || strcmp(error.code, "not-found"))
			return cv_report(watch->cli, CV_CLI_FAILED, error.code, "%s",
					 error.why.text);
		compare(watch, NULL);
		return CV_CLI_DONE;
	}
	if (!has_sense(result)) {
		json_decref(result);
		return cv_show_no_sense(watch->cli);
	}
	if (!watch->paths && !watch->cli->json) {
		cv_path_text_print(result, watch->cli->statistics);
		watch->paths = cv_path_text_index(json_object_get(result, "paths"));
	} else {
		compare(watch, json_object_get(result, "paths"));
	}
	json_decref(result);
	return CV_CLI_DONE;
}

/* Until somebody interrupts it, which is how it ends well. */
static int watch_paths(const struct cv_cli *cli, const char *peer)
{
	static const struct timespec a_second = {.tv_sec = 1};
	struct watch watch = {.cli = cli, .peer = peer};
	sigset_t signals;
	int code;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	do {
		code = look(&watch);
		if (fflush(stdout))
			code = CV_CLI_FAILED;
	} while (!code && sigtimedwait(&signals, NULL, &a_second) < 0);
	json_decref(watch.paths);
	return code;
}

int cv_path_main(const struct cv_cli *cli)
{
	const char *peer = cli->count > 1 ? cli->words[1] : NULL;

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count > 2)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "path: unknown word \"%.64s\"; one peer at a time", cli->words[2]);
	if (cli->watch)
		return watch_paths(cli, peer);
	return cv_client_run(cli, "path", arguments_of(peer), print_paths, NULL);
}
