/* SPDX-License-Identifier: Apache-2.0 */
/* What apply, delete, diff and get have in common: manifests in, changes out. */
#ifndef CV_CLI_CHANGE_H
#define CV_CLI_CHANGE_H

#include <jansson.h>

#include "cli/report.h"

/*
 * {"files": […]} of what -f names, for a request; the caller's. Returns an exit code: what is wrong
 * has been reported.
 */
int cv_change_read_files(const struct cv_cli *cli, json_t **ret_arguments);

/*
 * Print the `changes` of an answer, "ippool/default created", and its `warnings` on standard error;
 * with --json the answer as it is. Returns an exit code.
 */
int cv_change_print(const struct cv_cli *cli, const json_t *result);

/* The `warnings` of an answer alone, on standard error. */
void cv_change_print_warnings(const json_t *result);

/* "ippool/default", of what has a `kind` and a `name`, or "" without; in a buffer that the next
 * call writes over. */
const char *cv_change_reference(const char *kind, const char *name);

/* What a command line names. */
struct cv_change_words {
	const char *kind; /* "IPPool"; NULL: "all" */
	const char *const *names;
	size_t count;
};

/*
 * KIND NAME..., or KIND/NAME, from cli->words[1] on; "all" if all_kinds. Returns an exit code: what
 * is wrong has been reported. The words are cli's.
 */
int cv_change_read_words(const struct cv_cli *cli, bool all_kinds,
			 struct cv_change_words *ret_words);

#endif
