/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert import`: Kubernetes' nodes to a manifest. Nothing is asked and nothing changed. */
#include "cli/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/files.h"
#include "cli/manifest_json.h"
#include "model/import.h"

static const char usage[] =
	"Usage: culvert [ -j ] import [ --blocks | --no-blocks ] FILE|-\n"
	"\n"
	"Prints a manifest of Nodes and their blocks, made of Kubernetes' "
	"nodes. Asks no culvertd and\n"
	"changes nothing:\n"
	"\n"
	"  kubectl get nodes -o json | culvert import - > nodes.yaml\n"
	"\n"
	"--blocks: a BlockAffinity of each pod CIDR. --no-blocks: Nodes alone. By "
	"default, blocks\n"
	"unless nodes have Calico's annotations, as its IPAM has blocks of its "
	"own.\n"
	"\n"
	"See culvert(8).\n";

static void print_warnings(const struct cv_messages *warnings)
{
	fflush(stdout);
	for (size_t i = 0; i < warnings->count; i++)
		fprintf(stderr, "culvert: warning: %s\n", warnings->texts[i]);
}

static int print_manifest(const struct cv_cli *cli, const struct cv_manifest *manifest)
{
	char *yaml;

	if (cli->json)
		return cv_manifest_json_print(cli, manifest);
	yaml = cv_manifest_print_yaml(manifest->resources, manifest->count);
	if (!yaml)
		return cv_report(cli, CV_CLI_FAILED, "failed", "out of memory");
	fputs(yaml, stdout);
	free(yaml);
	return CV_CLI_DONE;
}

static int import_file(const struct cv_cli *cli, const char *path)
{
	enum cv_import_blocks blocks = cli->blocks	? CV_IMPORT_BLOCKS_ALWAYS
				       : cli->no_blocks ? CV_IMPORT_BLOCKS_NEVER
							: CV_IMPORT_BLOCKS_AUTO;
	struct cv_manifest manifest;
	struct cv_error error;
	size_t length = 0;
	char *text = NULL;
	int code;

	if (cv_files_read(path, &text, &length, &error))
		return cv_report(cli, CV_CLI_FAILED, "failed", "%s", error.text);
	if (cv_import_nodes(path, text, length, blocks, &manifest, &error)) {
		free(text);
		return cv_report(cli, CV_CLI_FAILED, "invalid", "%s", error.text);
	}
	free(text);
	code = print_manifest(cli, &manifest);
	print_warnings(&manifest.warnings);
	cv_manifest_fini(&manifest);
	return code;
}

int cv_import_main(const struct cv_cli *cli)
{
	if (cli->help || (cli->count == 2 && !strcmp(cli->words[1], "help"))) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count != 2)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "import: one file at a time; write kubectl get nodes -o json | "
				 "culvert import -");
	if (cli->blocks && cli->no_blocks)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "import: --blocks and --no-blocks; leave one of them out");
	return import_file(cli, cli->words[1]);
}
