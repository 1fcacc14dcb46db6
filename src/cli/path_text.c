/* SPDX-License-Identifier: Apache-2.0 */
/* A table of paths, and lines about their changes. */
#include "cli/path_text.h"

#include <stdio.h>
#include <string.h>

#include "cli/table.h"

static const char *text_of(const json_t *path, const char *name)
{
	return json_string_value(json_object_get(path, name));
}

static double number_of(const json_t *path, const char *name)
{
	return json_number_value(json_object_get(path, name));
}

/* ---- the table ---------------------------------------------------------------------- */

const char *cv_path_text_age(double seconds, char buffer[CV_PATH_TEXT_AGE_MAX])
{
	unsigned long long s = seconds > 0 && seconds < 1e15 ? (unsigned long long)seconds : 0;
	unsigned long long minutes = s / 60, hours = minutes / 60, days = hours / 24;

	if (days)
		snprintf(buffer, CV_PATH_TEXT_AGE_MAX, "%llud%lluh", days, hours % 24);
	else if (hours)
		snprintf(buffer, CV_PATH_TEXT_AGE_MAX, "%lluh%llum", hours, minutes % 60);
	else if (minutes)
		snprintf(buffer, CV_PATH_TEXT_AGE_MAX, "%llum%llus", minutes, s % 60);
	else
		snprintf(buffer, CV_PATH_TEXT_AGE_MAX, "%llus", s);
	return buffer;
}

static void add_number(struct cv_table *table, const json_t *path, const char *name)
{
	const json_t *value = json_object_get(path, name);

	if (json_is_number(value))
		cv_table_addf(table, "%.0f", json_number_value(value));
	else
		cv_table_add(table, NULL);
}

static void add_age(struct cv_table *table, const json_t *path, const char *name)
{
	char age[CV_PATH_TEXT_AGE_MAX];

	if (json_is_number(json_object_get(path, name)))
		cv_table_add(table, cv_path_text_age(number_of(path, name), age));
	else
		cv_table_add(table, NULL);
}

static void add_rtt(struct cv_table *table, const json_t *path, const char *name)
{
	double us = number_of(path, name);

	if (us > 0)
		cv_table_addf(table, us < 10000 ? "%.2fms" : "%.0fms", us / 1000);
	else
		cv_table_add(table, NULL);
}

static void add_loss(struct cv_table *table, const json_t *path)
{
	const json_t *loss = json_object_get(path, "loss");

	if (json_is_number(loss))
		cv_table_addf(table, "%.1f%%", json_number_value(loss) * 100);
	else
		cv_table_add(table, NULL);
}

static void add_probes(struct cv_table *table, const json_t *path)
{
	const json_t *probes = json_object_get(path, "probes");

	cv_table_add(table, text_of(path, "source"));
	cv_table_add(table, text_of(path, "method"));
	cv_table_addf(table, "%.0f", number_of(probes, "sent"));
	cv_table_addf(table, "%.0f", number_of(probes, "answered"));
	cv_table_addf(table, "%.0f", number_of(probes, "bytes"));
}

static const char *const headings[] = {"TUNNEL", "REMOTE", "NODE",  "MTU", "INNER",
				       "LINK",	 "HOW",	   "STATE", "FOR", "REMOTE-IS",
				       "FOR",	 "RTT",	   "P99",   "LOSS"};
static const char *const wide_headings[] = {"SOURCE", "BY", "PROBES", "ANSWERED", "BYTES"};

enum {
	COLUMNS = sizeof(headings) / sizeof(headings[0]),
	WIDE_COLUMNS = sizeof(wide_headings) / sizeof(wide_headings[0]),
};

static void add_path(struct cv_table *table, const json_t *path)
{
	bool is_blocked = json_is_true(json_object_get(path, "blocked"));

	cv_table_add(table, text_of(path, "tunnel"));
	cv_table_add(table, text_of(path, "remote"));
	cv_table_add(table, text_of(path, "node"));
	add_number(table, path, "mtu");
	add_number(table, path, "inner_mtu");
	add_number(table, path, "link_mtu");
	cv_table_add(table, text_of(path, "how"));
	cv_table_add(table, text_of(path, "state"));
	add_age(table, path, "since_s");
	cv_table_add(table, is_blocked ? "blocked" : text_of(path, "liveness"));
	add_age(table, path, "liveness_since_s");
	add_rtt(table, path, "rtt_p50_us");
	add_rtt(table, path, "rtt_p99_us");
	add_loss(table, path);
}

static void print_table(const json_t *paths, bool is_wide)
{
	struct cv_table table;
	const json_t *path;
	size_t i;

	cv_table_init(&table, COLUMNS + (is_wide ? WIDE_COLUMNS : 0));
	for (i = 0; i < COLUMNS; i++)
		cv_table_add(&table, headings[i]);
	for (i = 0; is_wide && i < WIDE_COLUMNS; i++)
		cv_table_add(&table, wide_headings[i]);
	json_array_foreach(paths, i, path)
	{
		add_path(&table, path);
		if (is_wide)
			add_probes(&table, path);
	}
	cv_table_print(&table, "");
	cv_table_fini(&table);
}

void cv_path_text_print(const json_t *result, bool is_wide)
{
	const json_t *paths = json_object_get(result, "paths");
	const char *reason = text_of(result, "reason");
	const json_t *path;
	size_t i;

	if (json_array_size(paths))
		print_table(paths, is_wide);
	else
		puts("no paths: no tunnel sends to anybody now");
	json_array_foreach(paths, i, path)
	{
		if (text_of(path, "problem"))
			printf("problem: %s\n", text_of(path, "problem"));
	}
	if (!json_is_true(json_object_get(result, "probing")))
		printf("paths are not probed: %s\n", reason ? reason : "?");
}

/* ---- changes -------------------------------------------------------------------------- */

/* What people watch for. Times and round trips change always. */
static const char *const watched[] = {"mtu",	  "link_mtu", "how",	"state",
				      "liveness", "blocked",  "method", "source"};

json_t *cv_path_text_changes(const json_t *before, const json_t *after)
{
	json_t *changes = json_array();

	if (!before || !after) {
		json_array_append_new(changes, json_string(after ? "new" : "gone"));
		return changes;
	}
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]); i++) {
		const json_t *was = json_object_get(before, watched[i]);
		const json_t *is = json_object_get(after, watched[i]);

		/* Of two that are missing, json_equal says that they differ. */
		if (was != is && !json_equal(was, is))
			json_array_append_new(changes, json_string(watched[i]));
	}
	return changes;
}

static void print_value(FILE *file, const json_t *path, const char *name)
{
	const json_t *value = json_object_get(path, name);

	if (json_is_string(value))
		fputs(json_string_value(value), file);
	else if (json_is_number(value))
		fprintf(file, "%.0f", json_number_value(value));
	else
		fputs(json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "none", file);
}

static void print_change(FILE *file, const json_t *before, const json_t *after, const char *name)
{
	fprintf(file, "%s ", name);
	print_value(file, before, name);
	fputs(" -> ", file);
	print_value(file, after, name);
	/* The one number that is asked about: how do you know? */
	if (!strcmp(name, "mtu"))
		fprintf(file, " (%s)", text_of(after, "how") ? text_of(after, "how") : "?");
}

char *cv_path_text_change(const json_t *before, const json_t *after, const json_t *changes)
{
	const json_t *path = after ? after : before;
	const char *tunnel = text_of(path, "tunnel"), *node = text_of(path, "node");
	size_t length, i;
	char *text = NULL;
	FILE *file = open_memstream(&text, &length);
	const json_t *change;

	if (!file)
		return NULL;
	fprintf(file, "%s %s", tunnel ? tunnel : "?", text_of(path, "remote"));
	if (node)
		fprintf(file, " (%s)", node);
	json_array_foreach(changes, i, change)
	{
		const char *name = json_string_value(change);

		fputs(i ? ", " : ": ", file);
		if (before && after) {
			print_change(file, before, after, name);
		} else {
			fputs(name, file);
			if (after)
				fprintf(file, ", mtu %.0f, state %s, %s", number_of(after, "mtu"),
					text_of(after, "state"), text_of(after, "liveness"));
		}
	}
	if (fclose(file))
		return NULL;
	return text;
}

json_t *cv_path_text_index(const json_t *paths)
{
	json_t *index = json_object(), *path;
	size_t i;

	json_array_foreach(paths, i, path)
	{
		const char *tunnel = text_of(path, "tunnel"), *remote = text_of(path, "remote");
		char key[64];

		snprintf(key, sizeof(key), "%s %s", tunnel ? tunnel : "?", remote ? remote : "?");
		json_object_set(index, key, path);
	}
	return index;
}
