/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert trace`: which way a packet goes, decision by decision. */
#include "cli/trace.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/show.h"

static const char usage[] =
	"Usage: culvert [ -j ] trace [ from ADDRESS ] [ dev DEVICE ] [ to ] ADDRESS\n"
	"\n"
	"Prints which way a packet goes to ADDRESS, and why, step by step. from: its source, if it "
	"is\n"
	"not this host's own; dev: the device that it comes in by. See culvert(8).\n";

struct question {
	const char *from, *device, *to;
};

static int add_word(const struct cv_cli *cli, const char *word, const char **ret_value)
{
	if (*ret_value)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "trace: \"%.64s\" is one too many; there is \"%.64s\" already",
				 word, *ret_value);
	*ret_value = word;
	return CV_CLI_DONE;
}

static int read_words(const struct cv_cli *cli, struct question *ret)
{
	const struct {
		const char *name;
		const char **value;
	} words[] = {{"from", &ret->from}, {"dev", &ret->device}, {"to", &ret->to}};
	int code = CV_CLI_DONE;

	for (size_t i = 1; i < cli->count && !code; i++) {
		const char **value = &ret->to;

		for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
			if (strcmp(cli->words[i], words[k].name))
				continue;
			value = words[k].value;
			if (++i == cli->count)
				return cv_report(cli, CV_CLI_USAGE, "usage",
						 "trace: \"%s\": its value is missing",
						 words[k].name);
			break;
		}
		code = add_word(cli, cli->words[i], value);
	}
	return code;
}

static int check_address(const struct cv_cli *cli, const char *text)
{
	struct in_addr address;

	if (!text || inet_pton(AF_INET, text, &address) == 1)
		return CV_CLI_DONE;
	return cv_report(cli, CV_CLI_USAGE, "usage",
			 "trace: \"%.64s\" is no IPv4 address; give one, like 10.244.1.2", text);
}

static int print_trace(const struct cv_cli *cli, const json_t *result, void *data)
{
	const char *verdict = json_string_value(json_object_get(result, "verdict"));
	const json_t *steps = json_object_get(result, "steps");
	const json_t *step;
	size_t i;

	(void)data;
	if (!verdict || !json_is_array(steps))
		return cv_show_no_sense(cli);
	if (cli->json) {
		cv_show_json(result);
		return CV_CLI_DONE;
	}
	json_array_foreach(steps, i, step)
	{
		const char *name = json_string_value(json_object_get(step, "step"));
		const char *text = json_string_value(json_object_get(step, "text"));
		const char *reason = json_string_value(json_object_get(step, "reason"));

		printf("%2zu. %-10s %s\n", i + 1, name ? name : "", text ? text : "");
		if (reason && *reason)
			printf("    %-10s (%s)\n", "", reason);
	}
	printf("%s\n", verdict);
	return CV_CLI_DONE;
}

int cv_trace_main(const struct cv_cli *cli)
{
	struct question question = {.from = NULL};
	json_t *arguments;
	int code;

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	code = read_words(cli, &question);
	if (code)
		return code;
	if (!question.to)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "trace: to where? Write culvert trace ADDRESS");
	code = check_address(cli, question.to);
	if (!code)
		code = check_address(cli, question.from);
	if (code)
		return code;
	arguments = json_pack("{s:s}", "to", question.to);
	if (question.from)
		json_object_set_new(arguments, "from", json_string(question.from));
	if (question.device)
		json_object_set_new(arguments, "device", json_string(question.device));
	return cv_client_run(cli, "trace", arguments, print_trace, NULL);
}
