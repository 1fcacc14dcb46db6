/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert diff`: what `culvert apply` would change, as a unified diff of YAML. */
#include "cli/diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/change.h"
#include "cli/client.h"
#include "cli/lines.h"
#include "cli/show.h"
#include "model/manifest.h"

static const char usage[] =
	"Usage: culvert [ -j ] diff -f FILE|DIRECTORY|- [ -f ... ]\n"
	"\n"
	"Prints what culvert apply -f would change, and changes nothing. See culvert(8).\n";

/* The caller frees *ret_yaml; NULL where there is no resource. */
static int to_yaml(const json_t *change, const char *member, char **ret_yaml)
{
	const char *text = json_string_value(json_object_get(change, member));

	*ret_yaml = text ? cv_manifest_yaml_from_text(&text, 1) : NULL;
	return text && !*ret_yaml ? -1 : 0;
}

static int print_change(const json_t *change)
{
	const char *reference =
		cv_change_reference(json_string_value(json_object_get(change, "kind")),
				    json_string_value(json_object_get(change, "name")));
	char *before = NULL, *after = NULL;
	char in_force[600], applied[600];
	int rc = to_yaml(change, "before", &before);

	snprintf(in_force, sizeof(in_force), "%s (in force)", reference);
	if (!rc)
		rc = to_yaml(change, "after", &after);
	snprintf(applied, sizeof(applied), "%s (to be applied)", reference);
	if (!rc)
		rc = cv_lines_diff(stdout, before ? in_force : "/dev/null", before,
				   after ? applied : "/dev/null", after);
	free(before);
	free(after);
	return rc;
}

static int print_diff(const struct cv_cli *cli, const json_t *result, void *data)
{
	const json_t *changes = json_object_get(result, "changes");
	const json_t *change;
	size_t i;

	(void)data;
	if (!json_is_array(changes))
		return cv_show_no_sense(cli);
	if (cli->json) {
		cv_show_json(result);
		return CV_CLI_DONE;
	}
	json_array_foreach(changes, i, change)
	{
		if (print_change(change))
			return cv_report(cli, CV_CLI_FAILED, "failed", "out of memory");
	}
	cv_change_print_warnings(result);
	return CV_CLI_DONE;
}

int cv_diff_main(const struct cv_cli *cli)
{
	json_t *arguments;
	int code;

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count > 1 || !cli->file_count)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "diff: files are given by -f; write culvert diff -f FILE");
	code = cv_change_read_files(cli, &arguments);
	return code ? code : cv_client_run(cli, "diff", arguments, print_diff, NULL);
}
