/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `culvert doctor`: what is wrong with this host, and what to do. Findings are printed as they
 * come: those of a probed peer some seconds after the others.
 */
#include "cli/doctor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/show.h"

static const char usage[] =
	"Usage: culvert [ -j ] doctor [ PEER ]\n"
	"\n"
	"Checks this host: what IP-in-IP needs and what stands in its way, each with its remedy.\n"
	"PEER, a Node's name or an address: is it reached, and by protocol 4? See culvert(8).\n"
	"Exit code 1: there is an error.\n";

enum level {
	LEVEL_OK,
	LEVEL_WARNING,
	LEVEL_ERROR,
	LEVELS
};

static const char *const level_names[] = {
	[LEVEL_OK] = "ok", [LEVEL_WARNING] = "warning", [LEVEL_ERROR] = "error"};

struct visit {
	json_t *findings; /* all of them: for --json */
	unsigned int counts[LEVELS];
};

/* What is no level we know is worth to be looked at, too. */
static enum level level_of(const json_t *finding)
{
	const char *name = json_string_value(json_object_get(finding, "level"));

	for (unsigned int i = 0; i < LEVELS; i++) {
		if (name && !strcmp(name, level_names[i]))
			return i;
	}
	return LEVEL_ERROR;
}

static void print_finding(const json_t *finding)
{
	const char *check = json_string_value(json_object_get(finding, "check"));
	const char *text = json_string_value(json_object_get(finding, "text"));
	const char *remedy = json_string_value(json_object_get(finding, "remedy"));

	printf("%-8s %s: %s\n", level_names[level_of(finding)], check ? check : "?",
	       text ? text : "?");
	if (remedy && *remedy)
		printf("%-8s remedy: %s\n", "", remedy);
}

static void take_findings(const struct cv_cli *cli, struct visit *visit, const json_t *result)
{
	const json_t *findings = json_object_get(result, "findings");
	json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
	{
		visit->counts[level_of(finding)]++;
		json_array_append(visit->findings, finding);
		if (!cli->json)
			print_finding(finding);
	}
	fflush(stdout);
}

/* All lines of the answer. result is taken over. */
static int take_answer(const struct cv_cli *cli, struct visit *visit, json_t *result, int fd)
{
	struct cv_client_error error;

	for (;;) {
		bool more = json_is_true(json_object_get(result, "more"));

		if (!json_is_array(json_object_get(result, "findings"))) {
			json_decref(result);
			return cv_show_no_sense(cli);
		}
		take_findings(cli, visit, result);
		json_decref(result);
		if (!more)
			return CV_CLI_DONE;
		if (cv_client_next(fd, &result, &error))
			return cv_report(cli, CV_CLI_FAILED, error.code, "%s", error.why.text);
	}
}

static int conclude(const struct cv_cli *cli, const struct visit *visit)
{
	json_t *all;

	if (cli->json) {
		all = json_pack("{s:O}", "findings", visit->findings);
		cv_show_json(all);
		json_decref(all);
	} else if (!visit->counts[LEVEL_ERROR] && !visit->counts[LEVEL_WARNING]) {
		puts("nothing is wrong");
	} else {
		printf("errors: %u, warnings: %u\n", visit->counts[LEVEL_ERROR],
		       visit->counts[LEVEL_WARNING]);
	}
	return visit->counts[LEVEL_ERROR] ? CV_CLI_FAILED : CV_CLI_DONE;
}

int cv_doctor_main(const struct cv_cli *cli)
{
	struct visit visit = {.findings = NULL};
	struct cv_client_error error;
	json_t *arguments, *result;
	int fd, code;

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count > 2)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "doctor: unknown word \"%.64s\"; one peer at a time",
				 cli->words[2]);
	arguments = cli->count == 2 ? json_pack("{s:s}", "peer", cli->words[1]) : json_object();
	if (cv_client_open(cli, "doctor", arguments, &result, &fd, &error))
		return cv_report(cli, CV_CLI_FAILED, error.code, "%s", error.why.text);
	visit.findings = json_array();
	code = take_answer(cli, &visit, result, fd);
	close(fd);
	if (!code)
		code = conclude(cli, &visit);
	json_decref(visit.findings);
	return code;
}
