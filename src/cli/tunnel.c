/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert tunnel`: words to requests. */
#include "cli/tunnel.h"

#include <stdio.h>
#include <string.h>

#include "cli/batch.h"
#include "cli/client.h"
#include "cli/show.h"
#include "model/tunnel.h"

static const char usage[] =
	"Usage: culvert tunnel { add | change | replace } NAME [ mode ipip ]\n"
	"               [ remote ADDRESS|any ] [ local ADDRESS|any ] [ dev DEVICE|any ]\n"
	"               [ ttl 1..255|inherit ] [ tos TOS|inherit ] [ [no]pmtudisc ]\n"
	"               [ [no]strict ] [ ecn normal|compat ] [ mssclamp auto|off|88..65495 ]\n"
	"       culvert tunnel del NAME\n"
	"       culvert [ -s ] [ -j ] tunnel [ show ] [ NAME ]\n"
	"       culvert tunnel save [ NAME ]\n"
	"       culvert tunnel -f FILE|-\n"
	"\n"
	"The words are those of `ip tunnel`, and have its defaults. See culvert(8).\n";

struct call {
	const char *request;					      /* of the control protocol */
	int (*print)(const struct cv_cli *cli, const json_t *result); /* NULL: nothing */
};

static const struct call calls[] = {
	[CV_TUNNEL_COMMAND_ADD] = {"tunnel.add", NULL},
	[CV_TUNNEL_COMMAND_CHANGE] = {"tunnel.change", NULL},
	[CV_TUNNEL_COMMAND_REPLACE] = {"tunnel.replace", NULL},
	[CV_TUNNEL_COMMAND_DELETE] = {"tunnel.del", NULL},
	[CV_TUNNEL_COMMAND_SHOW] = {"tunnel.show", cv_show_tunnels},
	[CV_TUNNEL_COMMAND_SAVE] = {"tunnel.show", cv_show_commands},
};

/* What was asked. */
struct question {
	const struct call *call;
	const struct cv_tunnel_patch *patch;
};

/* `show tun9` is a question after one tunnel: none is an answer, and a failure. */
static int print_tunnels(const struct cv_cli *cli, const json_t *result, void *data)
{
	const struct question *question = data;
	const struct cv_tunnel_patch *patch = question->patch;

	if ((patch->given & CV_TUNNEL_NAME) && !json_array_size(json_object_get(result, "tunnels")))
		return cv_report(
			cli, CV_CLI_FAILED, "not-found",
			"there is no such tunnel as %s; \"culvert tunnel show\" lists them",
			patch->config.name);
	return question->call->print(cli, result);
}

static int call(const struct cv_cli *cli, enum cv_tunnel_command command,
		const struct cv_tunnel_patch *patch)
{
	json_t *arguments = json_pack("{s:o}", "tunnel", cv_tunnel_patch_to_json(patch));
	struct question question = {.call = &calls[command], .patch = patch};

	if (command == CV_TUNNEL_COMMAND_SHOW && cli->statistics)
		json_object_set_new(arguments, "counters", json_true());
	return cv_client_run(cli, question.call->request, arguments,
			     question.call->print ? print_tunnels : NULL, &question);
}

int cv_tunnel_main(const struct cv_cli *cli)
{
	enum cv_tunnel_command command = CV_TUNNEL_COMMAND_SHOW;
	struct cv_tunnel_patch patch;
	struct cv_error error;
	size_t used = 1;

	if (cli->help) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->file_count > 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "-f twice; for tunnel, give one file of commands");
	if (cli->file_count && cli->count > 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "\"%.64s\" beside -f; the commands are in the file",
				 cli->words[1]);
	if (cli->file_count)
		return cv_batch_run(cli);
	if (cli->count > 1) {
		if (cv_tunnel_parse_command(cli->words[1], &command, &error))
			return cv_report(cli, CV_CLI_USAGE, "usage", "tunnel: %s", error.text);
		used = 2;
	}
	/* As in iproute2, help may be asked for at the end of a line. */
	if (command == CV_TUNNEL_COMMAND_HELP || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cv_tunnel_parse_words(command, cli->count - used, cli->words + used, &patch, &error))
		return cv_report(cli, CV_CLI_USAGE, "usage", "tunnel %s: %s",
				 used == 2 ? cli->words[1] : "show", error.text);
	return call(cli, command, &patch);
}
