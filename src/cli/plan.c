/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert plan`: words to a manifest for a new overlay. Nothing is asked and nothing changed. */
#include "cli/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/manifest_json.h"
#include "model/overlay_plan.h"

static const char usage[] =
	"Usage: culvert [ -j ] plan --pool CIDR [ --mode CrossSubnet|Always|Never ] [ --no-nat ]\n"
	"               [ --block-length LENGTH ] NAME=ADDRESS/LENGTH...\n"
	"\n"
	"Prints a manifest for a new overlay: the pool, the nodes with their tunnel addresses, and "
	"a\n"
	"block of the pool for each. Asks no culvertd and changes nothing:\n"
	"\n"
	"  culvert plan --pool 10.244.0.0/16 a1=192.168.100.1/24 b1=192.168.200.2/24 > "
	"overlay.yaml\n"
	"  culvert apply -f overlay.yaml     on each host\n"
	"\n"
	"NAME: as the host calls itself (`hostname`). ADDRESS/LENGTH: as its device has it (`ip "
	"address`).\n"
	"See culvert(8).\n";

static int report_usage(const struct cv_cli *cli, const struct cv_error *error)
{
	return cv_report(cli, CV_CLI_USAGE, "usage", "plan: %s", error->text);
}

static int read_mode(const struct cv_cli *cli, enum cv_ipip_mode *ret_mode)
{
	const char *name;

	if (!cli->mode)
		return CV_CLI_DONE;
	for (unsigned int i = 0; (name = cv_ipip_mode_name(i)); i++) {
		if (strcasecmp(name, cli->mode))
			continue;
		*ret_mode = i;
		return CV_CLI_DONE;
	}
	return cv_report(cli, CV_CLI_USAGE, "usage",
			 "plan: --mode \"%.64s\"; there are CrossSubnet, Always and Never",
			 cli->mode);
}

static int read_block_length(const struct cv_cli *cli, uint8_t *ret_length)
{
	const char *text = cli->block_length;
	unsigned long length;
	char *end;

	if (!text)
		return CV_CLI_DONE;
	text += *text == '/';
	length = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || length < 1 || length > 32)
		return cv_report(
			cli, CV_CLI_USAGE, "usage",
			"plan: --block-length \"%.64s\" is no prefix length; write a number "
			"like 24",
			cli->block_length);
	*ret_length = (uint8_t)length;
	return CV_CLI_DONE;
}

static int read_options(const struct cv_cli *cli, struct cv_overlay_plan_input *input)
{
	struct cv_error error;
	int code;

	if (!cli->pool)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "plan: which pool? Write --pool CIDR, like --pool 10.244.0.0/16");
	if (cv_overlay_plan_parse_pool(cli->pool, input, &error))
		return report_usage(cli, &error);
	input->nat_outgoing = !cli->no_nat;
	code = read_mode(cli, &input->ipip_mode);
	return code ? code : read_block_length(cli, &input->block_length);
}

static int print_json(const struct cv_cli *cli, const char *yaml)
{
	struct cv_manifest manifest;
	struct cv_error error;
	int code;

	if (cv_manifest_parse("-", yaml, strlen(yaml), &manifest, &error))
		return cv_report(cli, CV_CLI_FAILED, "failed", "%s", error.text);
	code = cv_manifest_json_print(cli, &manifest);
	cv_manifest_fini(&manifest);
	return code;
}

static int print_plan(const struct cv_cli *cli, const struct cv_overlay_plan_input *input)
{
	struct cv_error error;
	char *yaml = NULL;
	int code = CV_CLI_DONE;

	if (cv_overlay_plan(input, &yaml, &error))
		return cv_report(cli, CV_CLI_FAILED, "invalid", "plan: %s", error.text);
	if (cli->json)
		code = print_json(cli, yaml);
	else
		fputs(yaml, stdout);
	free(yaml);
	return code;
}

int cv_plan_main(const struct cv_cli *cli)
{
	struct cv_overlay_plan_input input;
	struct cv_overlay_plan_node *nodes;
	size_t count = cli->count - 1;
	struct cv_error error;
	int code;

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (!count)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "plan: of which nodes? Write NAME=ADDRESS/LENGTH for each, like "
				 "a1=192.168.100.1/24");
	cv_overlay_plan_init(&input);
	code = read_options(cli, &input);
	if (code)
		return code;
	nodes = calloc(count, sizeof(*nodes));
	if (!nodes)
		return cv_report(cli, CV_CLI_FAILED, "failed", "out of memory");
	for (size_t i = 0; i < count && !code; i++) {
		if (cv_overlay_plan_parse_node(cli->words[i + 1], &nodes[i], &error))
			code = report_usage(cli, &error);
	}
	input.nodes = nodes;
	input.node_count = count;
	if (!code)
		code = print_plan(cli, &input);
	free(nodes);
	return code;
}
