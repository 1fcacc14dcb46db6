/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert delete`: resources, by kind and names or by the manifests that have them. */
#include "cli/delete.h"

#include <stdio.h>
#include <string.h>

#include "cli/change.h"
#include "cli/client.h"

static const char usage[] =
	"Usage: culvert [ -j ] delete [ --dry-run ] KIND NAME...\n"
	"       culvert [ -j ] delete [ --dry-run ] KIND/NAME\n"
	"       culvert [ -j ] delete [ --dry-run ] -f FILE|DIRECTORY|- [ -f ... ]\n"
	"\n"
	"Deletes resources: by name all or none, by -f those of the manifests' that there are.\n"
	"--dry-run: say what would be, change nothing. See culvert(8).\n";

static int print_deleted(const struct cv_cli *cli, const json_t *result, void *data)
{
	(void)data;
	return cv_change_print(cli, result);
}

static int read_names(const struct cv_cli *cli, json_t **ret_arguments)
{
	struct cv_change_words words;
	json_t *list;
	int code;

	if (cli->count == 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "delete: what? Write culvert delete KIND NAME, or -f FILE");
	code = cv_change_read_words(cli, false, &words);
	if (code)
		return code;
	if (!words.count)
		return cv_report(cli, CV_CLI_USAGE, "usage", "delete: which %s? Give its name",
				 words.kind);
	list = json_array();
	for (size_t i = 0; i < words.count; i++) {
		if (json_array_append_new(list, json_string(words.names[i]))) {
			json_decref(list);
			return cv_report(cli, CV_CLI_USAGE, "usage",
					 "delete: a word that is not UTF-8; mend it");
		}
	}
	*ret_arguments = json_pack("{s:s, s:o}", "kind", words.kind, "names", list);
	return CV_CLI_DONE;
}

int cv_delete_main(const struct cv_cli *cli)
{
	json_t *arguments = NULL;
	bool by_file = cli->file_count;
	int code;

	if (cli->help || (cli->count == 2 && !strcmp(cli->words[1], "help"))) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (by_file && cli->count > 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "delete: \"%.64s\" beside -f; give names or files", cli->words[1]);
	code = by_file ? cv_change_read_files(cli, &arguments) : read_names(cli, &arguments);
	if (code)
		return code;
	if (cli->dry_run)
		json_object_set_new(arguments, "dry_run", json_true());
	return cv_client_run(cli, "delete", arguments, print_deleted, NULL);
}
