/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert bgp`: who programs routes, sessions, what was learned and refused. */
#include "cli/bgp.h"

#include <stdio.h>
#include <string.h>

#include "cli/bgp_text.h"
#include "cli/client.h"
#include "cli/show.h"

static const char usage[] =
	"Usage: culvert [ -j ] bgp [ status ]\n"
	"       culvert [ -j ] bgp peers\n"
	"       culvert [ -j ] bgp routes [ --refused | --exported ] [ PREFIX ]\n"
	"       culvert [ -j ] bgp restart\n"
	"\n"
	"status: who programs the routes to other nodes, how BIRD is, what is wrong. peers: every "
	"session,\n"
	"and why it is down. routes: what was learned and which way it goes; --refused: what was "
	"not taken, and\n"
	"why; --exported: what this node announces; PREFIX or an address: only these. restart: "
	"BIRD, gracefully,\n"
	"for a new version of it. See culvert(8).\n";

static bool has_list(const json_t *result, const char *name)
{
	return json_is_array(json_object_get(result, name));
}

static int print_status(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (!json_is_boolean(json_object_get(result, "wanted")))
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		cv_bgp_text_status(result);
	return CV_CLI_DONE;
}

static int print_peers(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (!has_list(result, "peers"))
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		cv_bgp_text_peers(result);
	return CV_CLI_DONE;
}

static int print_restart(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (cli->json)
		cv_show_json(result);
	return CV_CLI_DONE;
}

/* ---- commands ---------------------------------------------------------------------------- */

static int no_more_words(const struct cv_cli *cli)
{
	if (cli->refused || cli->exported)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "--refused and --exported are for bgp routes; leave them out");
	if (cli->count <= 2)
		return CV_CLI_DONE;
	return cv_report(cli, CV_CLI_USAGE, "usage", "bgp %s: unknown word \"%.64s\"; leave it out",
			 cli->words[1], cli->words[2]);
}

static int status(const struct cv_cli *cli)
{
	int code = no_more_words(cli);

	return code ? code : cv_client_run(cli, "bgp.status", json_object(), print_status, NULL);
}

static int peers(const struct cv_cli *cli)
{
	int code = no_more_words(cli);

	return code ? code : cv_client_run(cli, "bgp.peers", json_object(), print_peers, NULL);
}

static int restart(const struct cv_cli *cli)
{
	int code = no_more_words(cli);

	return code ? code : cv_client_run(cli, "bgp.restart", json_object(), print_restart, NULL);
}

static int print_routes(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (!has_list(result, "routes"))
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		cv_bgp_text_routes(result);
	return CV_CLI_DONE;
}

/* What BIRD must be asked for first comes as a second line. */
static int routes(const struct cv_cli *cli)
{
	const char *which = cli->refused ? "refused" : cli->exported ? "exported" : "learned";
	json_t *arguments;

	if (cli->refused && cli->exported)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "bgp routes: --refused or --exported; not both");
	if (cli->count > 3)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "bgp routes: unknown word \"%.64s\"; one prefix at a time",
				 cli->words[3]);
	arguments = json_pack("{s:s}", "which", which);
	if (cli->count == 3)
		json_object_set_new(arguments, "prefix", json_string(cli->words[2]));
	return cv_client_run_more(cli, "bgp.routes", arguments, print_routes, NULL);
}

/* The first that begins with the word wins. */
static const struct {
	const char *name;
	int (*run)(const struct cv_cli *cli);
} commands[] = {
	{"status", status}, {"show", status},	  {"peers", peers},
	{"routes", routes}, {"restart", restart},
};

int cv_bgp_main(const struct cv_cli *cli)
{
	const char *word = cli->count > 1 ? cli->words[1] : "status";

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	for (size_t i = 0; *word && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strncmp(commands[i].name, word, strlen(word)))
			return commands[i].run(cli);
	}
	return cv_report(cli, CV_CLI_USAGE, "usage",
			 "bgp: unknown command \"%.64s\"; status, peers, routes or restart", word);
}
