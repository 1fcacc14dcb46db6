/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert ipam`: words to requests, and what comes back. */
#include "cli/ipam.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/ipam_text.h"
#include "cli/show.h"
#include "net/prefix.h"

static const char usage[] =
	"Usage: culvert [ -j ] ipam [ show ] [ --blocks ] [ ADDRESS ]\n"
	"       culvert [ -j ] ipam check [ --fix ]\n"
	"       culvert [ -j ] ipam release { ADDRESS | --handle HANDLE }\n"
	"       culvert [ -j ] ipam reserve ADDRESS [ --comment TEXT ]\n"
	"\n"
	"show: pools, and how much of them is used; --blocks: block by block; ADDRESS: who has "
	"it.\n"
	"check: addresses without their container, containers without their address, blocks of\n"
	"nodes that are gone; exit code 1 if there are any. --fix mends what was seen wrong at "
	"two\n"
	"looks that are 10 s apart. release: an address that nobody uses. reserve: one that no "
	"pod\n"
	"is to get. See culvert(8).\n";

static int wrong_option(const struct cv_cli *cli, const char *option, const char *command)
{
	return cv_report(cli, CV_CLI_USAGE, "usage", "%s is for ipam %s; leave it out", option,
			 command);
}

/* Options of other commands than this one. */
static int check_options(const struct cv_cli *cli, const char *command)
{
	if (cli->blocks && strcmp(command, "show") != 0)
		return wrong_option(cli, "--blocks", "show");
	if (cli->fix && strcmp(command, "check") != 0)
		return wrong_option(cli, "--fix", "check");
	if (cli->handle && strcmp(command, "release") != 0)
		return wrong_option(cli, "--handle", "release");
	if (cli->comment && strcmp(command, "reserve") != 0)
		return wrong_option(cli, "--comment", "reserve");
	return CV_CLI_DONE;
}

/* At most one word behind the command, an address; NULL: none. Used: words with the command. */
static int read_address(const struct cv_cli *cli, const char *command, size_t used,
			const char **ret_address)
{
	struct cv_prefix prefix;

	*ret_address = NULL;
	if (cli->count > used + 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "ipam %s: unknown word \"%.64s\"; one address at a time", command,
				 cli->words[used + 1]);
	if (cli->count <= used)
		return CV_CLI_DONE;
	if (cv_prefix_parse(cli->words[used], &prefix) != -ENODATA || !prefix.address)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "ipam %s: \"%.64s\" is no address; write it like 10.244.1.5",
				 command, cli->words[used]);
	*ret_address = cli->words[used];
	return CV_CLI_DONE;
}

/* ---- what comes back --------------------------------------------------------------------- */

static int print_show(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (!json_is_object(json_object_get(result, "address")) &&
	    !json_is_array(json_object_get(result, "pools")))
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		cv_ipam_text_show(result);
	return CV_CLI_DONE;
}

static int print_check(const struct cv_cli *cli, const json_t *result, void *data)
{
	const char *problem = json_string_value(json_object_get(result, "problem"));
	size_t wrong;

	(void)data;
	if (!json_is_array(json_object_get(result, "findings")))
		return cv_show_no_sense(cli);
	wrong = cv_ipam_text_wrong(result);
	if (cli->json)
		cv_show_json(result);
	else
		cv_ipam_text_check(result, cli->fix);
	if (problem && !cli->json)
		return cv_report(cli, CV_CLI_FAILED, "failed", "not all could be mended: %s",
				 problem);
	return wrong || problem ? CV_CLI_FAILED : CV_CLI_DONE;
}

static int print_release(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (!json_is_integer(json_object_get(result, "released")))
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		cv_ipam_text_release(result);
	return CV_CLI_DONE;
}

static int print_reserve(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	if (!json_is_string(json_object_get(result, "handle")))
		return cv_show_no_sense(cli);
	if (cli->json)
		cv_show_json(result);
	else
		cv_ipam_text_reserve(result);
	return CV_CLI_DONE;
}

/* ---- commands ---------------------------------------------------------------------------- */

static int show(const struct cv_cli *cli, size_t used)
{
	const char *address;
	json_t *arguments;
	int code = read_address(cli, "show", used, &address);

	if (code)
		return code;
	arguments = json_pack("{s:b}", "blocks", (int)cli->blocks);
	if (address)
		json_object_set_new(arguments, "address", json_string(address));
	return cv_client_run_more(cli, "ipam.show", arguments, print_show, NULL);
}

static int check(const struct cv_cli *cli, size_t used)
{
	if (cli->count > used)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "ipam check: unknown word \"%.64s\"; leave it out",
				 cli->words[used]);
	return cv_client_run_more(cli, "ipam.check", json_pack("{s:b}", "fix", (int)cli->fix),
				  print_check, NULL);
}

static int release(const struct cv_cli *cli, size_t used)
{
	const char *address;
	int code = read_address(cli, "release", used, &address);

	if (code)
		return code;
	if (!address == !cli->handle)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "ipam release: what? Give an address, or --handle HANDLE");
	return cv_client_run_more(cli, "ipam.release",
				  address ? json_pack("{s:s}", "address", address)
					  : json_pack("{s:s}", "handle", cli->handle),
				  print_release, NULL);
}

static int reserve(const struct cv_cli *cli, size_t used)
{
	const char *address;
	json_t *arguments;
	int code = read_address(cli, "reserve", used, &address);

	if (code)
		return code;
	if (!address)
		return cv_report(cli, CV_CLI_USAGE, "usage", "ipam reserve: give an address");
	arguments = json_pack("{s:s}", "address", address);
	/* NULL: no UTF-8, which the request is then refused for. */
	if (cli->comment && json_object_set_new(arguments, "comment", json_string(cli->comment))) {
		json_decref(arguments);
		arguments = NULL;
	}
	return cv_client_run_more(cli, "ipam.reserve", arguments, print_reserve, NULL);
}

/* The first that begins with the word wins. */
static const struct {
	const char *name;
	int (*run)(const struct cv_cli *cli, size_t used);
} commands[] = {
	{"show", show},
	{"check", check},
	{"release", release},
	{"reserve", reserve},
};

/* `culvert ipam 10.244.1.5` is a question, too. */
static bool is_word_of_show(const char *word)
{
	return *word >= '0' && *word <= '9';
}

int cv_ipam_main(const struct cv_cli *cli)
{
	bool is_show = cli->count < 2 || is_word_of_show(cli->words[1]);
	const char *word = is_show ? "show" : cli->words[1];
	size_t used = is_show ? 1 : 2;

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	for (size_t i = 0; *word && i < sizeof(commands) / sizeof(commands[0]); i++) {
		int code;

		if (strncmp(commands[i].name, word, strlen(word)) != 0)
			continue;
		code = check_options(cli, commands[i].name);
		return code ? code : commands[i].run(cli, used);
	}
	return cv_report(cli, CV_CLI_USAGE, "usage",
			 "ipam: unknown command \"%.64s\"; show, check, release or reserve", word);
}
