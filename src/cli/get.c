/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `culvert get`: resources as a table, or as a manifest that applies again. A resource comes from
 * culvertd as its text, which is JSON.
 */
#include "cli/get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/change.h"
#include "cli/client.h"
#include "cli/columns.h"
#include "cli/show.h"
#include "model/manifest.h"

static const char usage[] =
	"Usage: culvert [ -j ] get KIND|all [ NAME ] [ -o wide|yaml|json ]\n"
	"       culvert [ -j ] get KIND/NAME [ -o wide|yaml|json ]\n"
	"\n"
	"Prints resources: as a table, or by -o yaml and -o json as a manifest that applies "
	"again.\n"
	"KIND: IPPool, Node, BlockAffinity, IPReservation, FelixConfiguration, Tunnel, Workload,\n"
	"PathConfiguration, BGPConfiguration, BGPPeer, BGPFilter, IPAMConfiguration, in any case,\n"
	"and in the plural. See culvert(8).\n";

enum format {
	FORMAT_TABLE,
	FORMAT_WIDE,
	FORMAT_YAML,
	FORMAT_JSON,
};

struct question {
	enum format format;
	bool is_single;	  /* one, by its name */
	const char *kind; /* NULL: all */
};

/* ---- as a manifest ---------------------------------------------------------------- */

static int print_yaml(const struct cv_cli *cli, const json_t *resources)
{
	size_t count = json_array_size(resources);
	const char **texts = calloc(count + 1, sizeof(*texts));
	char *yaml = NULL;

	for (size_t i = 0; texts && i < count; i++) {
		texts[i] = json_string_value(json_object_get(json_array_get(resources, i), "text"));
		if (!texts[i]) {
			free(texts);
			return cv_show_no_sense(cli);
		}
	}
	if (texts)
		yaml = cv_manifest_yaml_from_text(texts, count);
	free(texts);
	if (!yaml)
		return cv_report(cli, CV_CLI_FAILED, "failed", "out of memory");
	fputs(yaml, stdout);
	free(yaml);
	return CV_CLI_DONE;
}

static json_t *load_resource(const json_t *resource)
{
	const char *text = json_string_value(json_object_get(resource, "text"));

	return text ? json_loads(text, 0, NULL) : NULL;
}

/* One by its name is that one; others are a List, however many there are. */
static int print_manifest_json(const struct cv_cli *cli, const json_t *resources, bool is_single)
{
	json_t *items = json_array(), *list;
	size_t i;
	json_t *resource;

	json_array_foreach(resources, i, resource)
	{
		json_t *item = load_resource(resource);

		if (!item) {
			json_decref(items);
			return cv_show_no_sense(cli);
		}
		json_array_append_new(items, item);
	}
	if (is_single && json_array_size(items) == 1) {
		cv_show_json(json_array_get(items, 0));
		json_decref(items);
		return CV_CLI_DONE;
	}
	list = json_pack("{s:s, s:s, s:o}", "apiVersion", "v1", "kind", "List", "items", items);
	cv_show_json(list);
	json_decref(list);
	return CV_CLI_DONE;
}

/* ---- as tables -------------------------------------------------------------------- */

static void add_row(struct cv_table *table, const struct question *question, const char *kind,
		    const json_t *item, json_t *resource)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(resource, "metadata"), "name"));
	const char *file = json_string_value(json_object_get(item, "file"));
	char where[4200] = "";

	if (file)
		snprintf(where, sizeof(where), "%.4096s:%lld", file,
			 (long long)json_integer_value(json_object_get(item, "line")));
	cv_columns_add(table, kind, question->format == FORMAT_WIDE,
		       question->kind ? name : cv_change_reference(kind, name), resource, where);
}

/* Resources come sorted by kind: a table begins with each. */
static int print_tables(const struct cv_cli *cli, const json_t *resources,
			const struct question *question)
{
	char current[64] = "";
	struct cv_table table;
	size_t i;
	json_t *item;

	cv_table_init(&table, 1);
	json_array_foreach(resources, i, item)
	{
		json_t *resource = load_resource(item);
		const char *kind = json_string_value(json_object_get(resource, "kind"));

		if (!kind) {
			json_decref(resource);
			cv_table_fini(&table);
			return cv_show_no_sense(cli);
		}
		if (strcmp(current, kind)) {
			cv_table_print(&table, "");
			if (*current)
				putchar('\n');
			cv_table_fini(&table);
			snprintf(current, sizeof(current), "%s", kind);
			cv_columns_begin(kind, question->format == FORMAT_WIDE, &table);
		}
		add_row(&table, question, kind, item, resource);
		json_decref(resource);
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
	return CV_CLI_DONE;
}

/* ---- the command ------------------------------------------------------------------ */

static int print_resources(const struct cv_cli *cli, const json_t *result, void *data)
{
	const struct question *question = data;
	const json_t *resources = json_object_get(result, "resources");

	if (!json_is_array(resources))
		return cv_show_no_sense(cli);
	if (question->format == FORMAT_JSON)
		return print_manifest_json(cli, resources, question->is_single);
	if (json_array_size(resources) == 0) {
		/* Standard output is a table or a manifest, both of nothing. */
		fprintf(stderr, "culvert: there is no %s\n",
			question->kind ? question->kind : "resource");
		return CV_CLI_DONE;
	}
	if (question->format == FORMAT_YAML)
		return print_yaml(cli, resources);
	return print_tables(cli, resources, question);
}

static int read_format(const struct cv_cli *cli, enum format *ret_format)
{
	static const char *const names[] = {
		[FORMAT_WIDE] = "wide", [FORMAT_YAML] = "yaml", [FORMAT_JSON] = "json"};

	*ret_format = cli->json ? FORMAT_JSON : FORMAT_TABLE;
	if (!cli->output)
		return CV_CLI_DONE;
	for (unsigned int i = FORMAT_WIDE; i <= FORMAT_JSON; i++) {
		if (strcmp(names[i], cli->output))
			continue;
		if (cli->json && i != FORMAT_JSON)
			return cv_report(cli, CV_CLI_USAGE, "usage",
					 "get: -j and -o %s; leave one of them out", names[i]);
		*ret_format = i;
		return CV_CLI_DONE;
	}
	return cv_report(cli, CV_CLI_USAGE, "usage",
			 "get: -o \"%.64s\"; there are wide, yaml and json", cli->output);
}

static int ask(const struct cv_cli *cli, enum format format, const struct cv_change_words *words)
{
	struct question question = {
		.format = format, .is_single = words->count == 1, .kind = words->kind};
	json_t *arguments;

	if (words->count > 1 || (words->count && !words->kind))
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "get: unknown word \"%.64s\"; ask for one KIND NAME at a time",
				 words->names[words->count - 1]);
	if (words->count)
		arguments = json_pack("{s:s, s:s}", "kind", words->kind, "name", words->names[0]);
	else
		arguments = words->kind ? json_pack("{s:s}", "kind", words->kind) : json_object();
	return cv_client_run(cli, "get", arguments, print_resources, &question);
}

int cv_get_main(const struct cv_cli *cli)
{
	struct cv_change_words words;
	enum format format;
	int code;

	if (cli->help || (cli->count == 2 && !strcmp(cli->words[1], "help"))) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	if (cli->count == 1)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "get: what? Write culvert get all, or a kind: \"culvert get "
				 "help\" lists them");
	code = read_format(cli, &format);
	if (!code)
		code = cv_change_read_words(cli, true, &words);
	return code ? code : ask(cli, format, &words);
}
