/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command files. The whole file is parsed before anything is sent, and sent as one request:
 * culvertd makes all of it or nothing.
 */
#include "cli/batch.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "model/tunnel.h"

enum {
	FILE_BYTES_MAX = 1 << 20, /* a batch has at most 4,096 commands */
};

struct batch {
	const char *name; /* of the file, for people */
	json_t *changes;
	json_t *lines; /* the line numbers of changes */
};

static const char *const verb_names[] = {
	[CV_TUNNEL_COMMAND_ADD] = "add",
	[CV_TUNNEL_COMMAND_CHANGE] = "change",
	[CV_TUNNEL_COMMAND_REPLACE] = "replace",
	[CV_TUNNEL_COMMAND_DELETE] = "del",
};

static int parse_words(struct batch *batch, size_t count, const char *const *words,
		       struct cv_error *error)
{
	enum cv_tunnel_command command;
	struct cv_tunnel_patch patch;
	int rc = cv_tunnel_parse_command(words[0], &command, error);

	if (rc)
		return rc;
	if (command > CV_TUNNEL_COMMAND_DELETE)
		return cv_error_set(error, -EINVAL,
				    "\"%.64s\" has no place in a file; use add, change, replace or "
				    "del",
				    words[0]);
	rc = cv_tunnel_parse_words(command, count - 1, words + 1, &patch, error);
	if (rc)
		return rc;
	if (json_array_append_new(batch->changes,
				  json_pack("{s:s, s:o}", "verb", verb_names[command], "tunnel",
					    cv_tunnel_patch_to_json(&patch))))
		return cv_error_set(error, -ENOMEM, "out of memory");
	return 0;
}

static int parse_line(struct batch *batch, char *line, size_t length, long number,
		      struct cv_error *error)
{
	const char *words[CV_TUNNEL_WORDS_MAX];
	const char *const *first = words;
	int count;

	if (strlen(line) != length)
		return cv_error_set(error, -EINVAL, "a NUL byte; this is no text file");
	count = cv_words_split(line, words, CV_TUNNEL_WORDS_MAX);
	if (count < 0)
		return cv_error_set(error, count, "too many words; a command is one line");
	/* As in a file for `ip -batch`. */
	if (count > 1 && !strcmp(words[0], "tunnel")) {
		first++;
		count--;
	}
	if (count == 0)
		return 0;
	json_array_append_new(batch->lines, json_integer(number));
	return parse_words(batch, (size_t)count, first, error);
}

/* All of it, with a NUL behind; the caller frees *ret_text. */
static int read_file(FILE *file, char **ret_text, size_t *ret_length, struct cv_error *error)
{
	char *text = malloc(FILE_BYTES_MAX + 1);
	size_t length;

	if (!text)
		return cv_error_set(error, -ENOMEM, "out of memory");
	length = fread(text, 1, FILE_BYTES_MAX + 1, file);
	if (ferror(file) || length > FILE_BYTES_MAX) {
		int rc = ferror(file) ? -EIO : -EFBIG;

		free(text);
		return cv_error_set(error, rc,
				    rc == -EIO ? "cannot read it"
					       : "larger than 1 MiB; is it a file of commands? If "
						 "so, split it");
	}
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
}

/* ret_number: of the line where it failed; 0: of none. */
static int parse_file(struct batch *batch, FILE *file, long *ret_number, struct cv_error *error)
{
	char *text = NULL, *line;
	size_t left = 0;
	long number = 0;
	int rc = read_file(file, &text, &left, error);

	*ret_number = 0;
	if (rc)
		return rc;
	for (line = text; !rc && left; number++) {
		char *end = memchr(line, '\n', left);
		size_t length = end ? (size_t)(end - line) : left;
		char *next = line + length + (end ? 1 : 0);

		line[length] = '\0';
		rc = parse_line(batch, line, length, number + 1, error);
		left -= (size_t)(next - line);
		line = next;
	}
	free(text);
	*ret_number = number;
	return rc;
}

static int send_changes(const struct cv_cli *cli, const struct batch *batch)
{
	struct cv_client_error error;
	json_t *result;

	if (!cv_client_call(cli, "tunnel.batch", json_pack("{s:O}", "changes", batch->changes),
			    &result, &error)) {
		json_decref(result);
		return CV_CLI_DONE;
	}
	if (error.index < 0)
		return cv_report(cli, CV_CLI_FAILED, error.code, "%s", error.why.text);
	return cv_report(
		cli, CV_CLI_FAILED, error.code, "%s:%lld: %s", batch->name,
		(long long)json_integer_value(json_array_get(batch->lines, (size_t)error.index)),
		error.why.text);
}

static int run(const struct cv_cli *cli, struct batch *batch, FILE *file)
{
	struct cv_error error;
	long number;
	int rc = parse_file(batch, file, &number, &error);

	if (rc && !number)
		return cv_report(cli, CV_CLI_FAILED, "failed", "%s: %s", batch->name, error.text);
	if (rc)
		return cv_report(cli, CV_CLI_FAILED, "invalid", "%s:%ld: %s", batch->name, number,
				 error.text);
	return send_changes(cli, batch);
}

int cv_batch_run(const struct cv_cli *cli)
{
	const char *name = cli->files[0];
	bool from_stdin = !strcmp(name, "-");
	FILE *file = from_stdin ? stdin : fopen(name, "re");
	struct batch batch = {.name = from_stdin ? "<stdin>" : name};
	int code;

	if (!file)
		return cv_report(cli, CV_CLI_FAILED, "failed", "cannot read %s: %s", name,
				 strerror(errno));
	batch.changes = json_array();
	batch.lines = json_array();
	code = run(cli, &batch, file);
	json_decref(batch.changes);
	json_decref(batch.lines);
	if (!from_stdin)
		fclose(file);
	return code;
}
