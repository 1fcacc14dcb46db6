/* SPDX-License-Identifier: Apache-2.0 */
/* One request to culvertd and its answer. */
#ifndef CV_CLI_CLIENT_H
#define CV_CLI_CLIENT_H

#include <jansson.h>

#include "cli/report.h"
#include "tunnel/error.h"

struct cv_client_error {
	struct cv_error why;
	char code[32]; /* the protocol's, or "not-running", "not-permitted", "failed" */
	long index;    /* of the change at fault in a batch, or -1 */
};

/*
 * Send command with the members of arguments (an object, taken over) to the culvertd of
 * cli->run_dir. 0 and the result, which the caller owns; or -errno and what went wrong, in words
 * for people.
 */
int cv_client_call(const struct cv_cli *cli, const char *command, json_t *arguments,
		   json_t **ret_result, struct cv_client_error *error);

/*
 * The same, with what goes wrong reported, and print (NULL: nothing is) given the result. Returns
 * an exit code: CV_CLI_FAILED, or print's.
 */
int cv_client_run(const struct cv_cli *cli, const char *command, json_t *arguments,
		  int (*print)(const struct cv_cli *cli, const json_t *result, void *data),
		  void *data);

/* The same for a command whose answer may be two lines: print is given the last one's result. */
int cv_client_run_more(const struct cv_cli *cli, const char *command, json_t *arguments,
		       int (*print)(const struct cv_cli *cli, const json_t *result, void *data),
		       void *data);

/*
 * As cv_client_call, for a command whose answer begins a stream of bytes: *ret_fd is blocking,
 * without a time limit, and the caller's to close.
 */
int cv_client_open(const struct cv_cli *cli, const char *command, json_t *arguments,
		   json_t **ret_result, int *ret_fd, struct cv_client_error *error);

/* The next line of an answer of more than one, from what cv_client_open has opened. As it. */
int cv_client_next(int fd, json_t **ret_result, struct cv_client_error *error);

#endif
