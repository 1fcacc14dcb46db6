/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests from disk, on their way to culvertd. */
#ifndef CV_CLI_FILES_H
#define CV_CLI_FILES_H

#include <jansson.h>

#include "tunnel/error.h"

/*
 * Read a file, or standard input ("-"), of at most 1 GiB. The caller frees *ret_text, which has a
 * NUL behind it. 0 or -errno.
 */
int cv_files_read(const char *path, char **ret_text, size_t *ret_length, struct cv_error *error);

/*
 * Read what -f names: files, directories (their *.yaml, *.yml and *.json, sorted by name; those
 * that begin with a dot are left out), standard input ("-"). *ret_files is the control protocol's
 * `files`; the caller's. 0 or -errno.
 */
int cv_files_collect(const char *const *paths, size_t count, json_t **ret_files,
		     struct cv_error *error);

#endif
