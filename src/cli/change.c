/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests to send, and what became of the resources in them. */
#include "cli/change.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/files.h"
#include "cli/show.h"
#include "model/resource.h"

int cv_change_read_files(const struct cv_cli *cli, json_t **ret_arguments)
{
	struct cv_error error;
	json_t *files;

	if (cv_files_collect(cli->files, cli->file_count, &files, &error))
		return cv_report(cli, CV_CLI_FAILED, "failed", "%s", error.text);
	*ret_arguments = json_pack("{s:o}", "files", files);
	return CV_CLI_DONE;
}

const char *cv_change_reference(const char *kind, const char *name)
{
	static char text[512];
	char *p = text;

	if (!kind || !name)
		return "";
	snprintf(text, sizeof(text), "%.64s/%.256s", kind, name);
	for (; *p && *p != '/'; p++)
		*p = (char)tolower((unsigned char)*p);
	return text;
}

void cv_change_print_warnings(const json_t *result)
{
	const json_t *warnings = json_object_get(result, "warnings");
	const json_t *warning;
	size_t i;

	fflush(stdout);
	json_array_foreach(warnings, i, warning)
	{
		fprintf(stderr, "culvert: warning: %s\n", json_string_value(warning));
	}
}

int cv_change_print(const struct cv_cli *cli, const json_t *result)
{
	const json_t *changes = json_object_get(result, "changes");
	const json_t *change;
	size_t i;

	if (!json_is_array(changes))
		return cv_show_no_sense(cli);
	if (cli->json) {
		cv_show_json(result);
		return CV_CLI_DONE;
	}
	json_array_foreach(changes, i, change)
	{
		const char *kind = json_string_value(json_object_get(change, "kind"));
		const char *name = json_string_value(json_object_get(change, "name"));
		const char *action = json_string_value(json_object_get(change, "action"));

		if (!kind || !name || !action)
			return cv_show_no_sense(cli);
		printf("%s %s%s\n", cv_change_reference(kind, name), action,
		       cli->dry_run ? " (dry run)" : "");
	}
	cv_change_print_warnings(result);
	return CV_CLI_DONE;
}

int cv_change_read_words(const struct cv_cli *cli, bool all_kinds,
			 struct cv_change_words *ret_words)
{
	/* One command line, one name behind a '/'. */
	static const char *behind_slash[1];
	const char *slash = strchr(cli->words[1], '/');
	struct cv_error error;
	enum cv_kind kind;
	char word[64];

	if (slash && cli->count > 2)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "%s: \"%.64s\" behind %.128s; write KIND NAME, or KIND/NAME alone",
				 cli->words[0], cli->words[2], cli->words[1]);
	*ret_words = (struct cv_change_words){.names = cli->words + 2, .count = cli->count - 2};
	if (slash) {
		behind_slash[0] = slash + 1;
		ret_words->names = behind_slash;
		ret_words->count = 1;
	}
	if (all_kinds && !strcmp(cli->words[1], "all"))
		return CV_CLI_DONE;
	snprintf(word, sizeof(word), "%.*s", slash ? (int)(slash - cli->words[1]) : 63,
		 cli->words[1]);
	if (cv_kind_parse(word, &kind, &error))
		return cv_report(cli, CV_CLI_USAGE, "usage", "%s: %s", cli->words[0], error.text);
	ret_words->kind = cv_kind_name(kind);
	return CV_CLI_DONE;
}
