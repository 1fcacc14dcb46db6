/* SPDX-License-Identifier: Apache-2.0 */
/* Reading manifests. What they mean is culvertd's to say; here they must be text, and not too much.
 */
#include "cli/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/control.h"
#include "model/manifest.h"

enum {
	READ_MAX = 1 << 30,
	/* Quotes and newlines are longer in JSON: a request that is too long yet, is refused later.
	 */
	SENT_MAX = CV_CONTROL_REQUEST_MAX - 4096,
};

/* ---- one file --------------------------------------------------------------------- */

static int read_stream(FILE *file, const char *path, char **ret_text, size_t *ret_length,
		       struct cv_error *error)
{
	size_t length = 0, size = 1 << 16;
	char *text = malloc(size), *larger;

	while (text) {
		length += fread(text + length, 1, size - length - 1, file);
		if (length < size - 1)
			break;
		size *= 2;
		larger = size <= READ_MAX ? realloc(text, size) : NULL;
		if (!larger)
			free(text);
		text = larger;
	}
	if (!text)
		return cv_error_set(error, -EFBIG, "%.256s: too large; split it", path);
	if (ferror(file)) {
		free(text);
		return cv_error_set(error, -EIO, "cannot read %.256s: %s", path, strerror(errno));
	}
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
}

int cv_files_read(const char *path, char **ret_text, size_t *ret_length, struct cv_error *error)
{
	bool from_stdin = !strcmp(path, "-");
	FILE *file = from_stdin ? stdin : fopen(path, "re");
	int rc;

	if (!file)
		return cv_error_set(error, -errno, "cannot read %.256s: %s", path, strerror(errno));
	errno = 0;
	rc = read_stream(file, path, ret_text, ret_length, error);
	if (!from_stdin)
		fclose(file);
	return rc;
}

/* sum: of the bytes so far. */
static int append_file(json_t *files, const char *path, size_t *sum, struct cv_error *error)
{
	size_t length = 0;
	char *text = NULL;
	json_t *string;
	int rc = cv_files_read(path, &text, &length, error);

	if (rc || !text)
		return rc;
	*sum += length;
	if (*sum > SENT_MAX)
		rc = cv_error_set(error, -EFBIG,
				  "%.256s: more than %d MiB at once; apply it in parts", path,
				  CV_CONTROL_REQUEST_MAX >> 20);
	else if (length >= 2 && (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2)))
		rc = cv_error_set(error, -EINVAL, "%.256s: UTF-16; save it as UTF-8", path);
	else if (strlen(text) != length)
		rc = cv_error_set(error, -EINVAL, "%.256s: a NUL byte; this is no text file", path);
	string = rc ? NULL : json_stringn(text, length);
	free(text);
	if (rc)
		return rc;
	if (!string)
		return cv_error_set(error, -EINVAL, "%.256s: not UTF-8; save it as UTF-8", path);
	if (json_array_append_new(files, json_pack("{s:s, s:o}", "name", path, "text", string)))
		return cv_error_set(error, -EINVAL, "a file whose name is not UTF-8; rename it");
	return 0;
}

/* ---- a directory ------------------------------------------------------------------ */

static int is_manifest(const struct dirent *entry)
{
	return cv_manifest_is_file_name(entry->d_name);
}

/* Not alphasort(): the locale is nobody's business here. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int append_entry(json_t *files, const char *directory, const char *name, size_t *sum,
			struct cv_error *error)
{
	const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
	struct stat status;
	char *path;
	int rc;

	if (asprintf(&path, "%s%s%s", directory, slash, name) < 0)
		return cv_error_set(error, -ENOMEM, "out of memory");
	/* A pipe among them would wait for ever; one that is named itself may be meant. */
	if (!stat(path, &status) && !S_ISREG(status.st_mode))
		rc = cv_error_set(error, -EINVAL,
				  "%.256s: no file but a directory, a pipe or a device; give it "
				  "another name, or move it",
				  path);
	else
		rc = append_file(files, path, sum, error);
	free(path);
	return rc;
}

static int append_directory(json_t *files, const char *path, size_t *sum, struct cv_error *error)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_manifest, compare_names);
	int rc = 0;

	if (count < 0)
		return cv_error_set(error, -errno, "cannot read %.256s: %s", path, strerror(errno));
	if (count == 0)
		rc = cv_error_set(error, -ENOENT, "%.256s: no *.yaml, *.yml or *.json in it", path);
	for (int i = 0; i < count; i++) {
		if (!rc)
			rc = append_entry(files, path, entries[i]->d_name, sum, error);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

/* ---- all -------------------------------------------------------------------------- */

int cv_files_collect(const char *const *paths, size_t count, json_t **ret_files,
		     struct cv_error *error)
{
	json_t *files = json_array();
	bool had_stdin = false;
	size_t sum = 0;
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		bool is_stdin = !strcmp(paths[i], "-");
		struct stat status;

		if (!*paths[i] || (is_stdin && had_stdin))
			rc = cv_error_set(error, -EINVAL, "-f \"%s\": %s", paths[i],
					  is_stdin ? "standard input twice; give it once"
						   : "an empty name; give a file");
		else if (!is_stdin && !stat(paths[i], &status) && S_ISDIR(status.st_mode))
			rc = append_directory(files, paths[i], &sum, error);
		else
			rc = append_file(files, paths[i], &sum, error);
		had_stdin |= is_stdin;
	}
	if (rc)
		json_decref(files);
	else
		*ret_files = files;
	return rc;
}
