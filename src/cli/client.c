/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of the control protocol (src/agent/protocol.md). */
#include "cli/client.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/control.h"
#include "net/unix_line.h"

enum {
	TIMEOUT_S = 30,
	/* One second more for so many bytes of a request: the kernel deletes 50 devices a second.
	 */
	BYTES_PER_S = 512,
	BYTES_OF_CHANGES = 1 << 20, /* more than so many are a manifest: texts, no changes */
	NEXT_TIMEOUT_S = 60,	    /* of a second line; culvertd gives up before that */
	ANSWER_MAX = 256 << 20,	    /* bytes; what differs is there before and after */
};

__attribute__((format(printf, 4, 5))) static int fail(struct cv_client_error *error, int rc,
						      const char *code, const char *format, ...)
{
	char text[CV_ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(error->code, sizeof(error->code), "%s", code);
	error->index = -1;
	return cv_error_set(&error->why, rc, "%s", text);
}

static int connect_error(int rc, const char *path, struct cv_client_error *error)
{
	switch (rc) {
	case -ENOENT:
	case -ENOTDIR:
		return fail(error, rc, "not-running",
			    "culvertd is not running (no socket at %s); start it with `systemctl "
			    "start culvertd` or `culvertd &`",
			    path);
	case -ECONNREFUSED:
		return fail(error, rc, "not-running",
			    "culvertd is not running (nobody listens at %s); start it with "
			    "`systemctl start culvertd` or `culvertd &`",
			    path);
	case -EACCES:
	case -EPERM:
		return fail(error, rc, "not-permitted",
			    "no permission to use %s; run culvert as root", path);
	default:
		return fail(error, rc, "failed", "cannot connect to %s: %s", path, strerror(-rc));
	}
}

static int open_socket(const char *run_dir, time_t timeout_s, struct cv_client_error *error)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", run_dir, CV_CONTROL_SOCKET);
	fd = cv_unix_connect(path, timeout_s);
	if (fd == -ENAMETOOLONG)
		return fail(error, fd, "failed",
			    "--run-dir %.128s: too long a name for a socket in it; give a shorter "
			    "one",
			    run_dir);
	return fd < 0 ? connect_error(fd, path, error) : fd;
}

static int receive_answer(int fd, char **ret_line, struct cv_client_error *error)
{
	int rc = cv_unix_receive(fd, ANSWER_MAX, ret_line);

	if (!rc)
		return 0;
	if (rc == -EAGAIN)
		return fail(error, rc, "failed",
			    "culvertd does not answer; look at its log, or restart it");
	return fail(error, rc, "failed",
		    "culvertd ended the connection without an answer (%s); look at its log",
		    strerror(-rc));
}

/* The socket stays open: *ret_fd. */
static int exchange(const char *run_dir, const char *text, char **ret_line, int *ret_fd,
		    struct cv_client_error *error)
{
	size_t length = strlen(text);
	int fd, rc;

	if (length > BYTES_OF_CHANGES)
		length = BYTES_OF_CHANGES;
	fd = open_socket(run_dir, TIMEOUT_S + (time_t)(length / BYTES_PER_S), error);
	if (fd < 0)
		return fd;
	cv_unix_send(fd, text);
	rc = receive_answer(fd, ret_line, error);
	if (rc)
		close(fd);
	else
		*ret_fd = fd;
	return rc;
}

static int read_answer(const char *line, json_t **ret_result, struct cv_client_error *error)
{
	json_t *answer = json_loads(line, 0, NULL);
	json_t *why = json_object_get(answer, "error");
	json_t *result = json_object_get(answer, "result");
	json_t *index = json_object_get(why, "index");
	const char *message = json_string_value(json_object_get(why, "message"));
	const char *code = json_string_value(json_object_get(why, "code"));
	int rc = 0;

	if (json_is_true(json_object_get(answer, "ok")) && result) {
		*ret_result = json_incref(result);
	} else {
		rc = fail(error, -EIO, code ? code : "failed", "%s",
			  message ? message
				  : "culvertd's answer makes no sense; use the culvert of the same "
				    "release");
		if (json_is_integer(index))
			error->index = (long)json_integer_value(index);
	}
	json_decref(answer);
	return rc;
}

/* The line to send; the caller frees it. NULL without memory. */
static char *make_request(const char *command, json_t *arguments)
{
	json_t *request = json_pack("{s:i, s:i, s:s}", "version", CV_CONTROL_VERSION, "id", 1,
				    "command", command);
	char *text, *line = NULL;

	if (json_object_update(request, arguments)) {
		json_decref(request);
		return NULL;
	}
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!text || asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

int cv_client_open(const struct cv_cli *cli, const char *command, json_t *arguments,
		   json_t **ret_result, int *ret_fd, struct cv_client_error *error)
{
	char *request, *line = NULL;
	int rc, fd = -1;

	/* What jansson makes no string of. */
	if (!arguments)
		return fail(error, -EINVAL, "invalid", "a word that is not UTF-8; mend it");
	request = make_request(command, arguments);
	json_decref(arguments);
	if (!request)
		return fail(error, -ENOMEM, "failed", "out of memory");
	if (strlen(request) > CV_CONTROL_REQUEST_MAX)
		rc = fail(error, -E2BIG, "too-long", "too much at once; split the file");
	else
		rc = exchange(cli->run_dir, request, &line, &fd, error);
	free(request);
	if (rc)
		return rc;
	rc = read_answer(line, ret_result, error);
	free(line);
	if (rc) {
		close(fd);
		return rc;
	}
	cv_unix_set_timeout(fd, 0);
	*ret_fd = fd;
	return 0;
}

int cv_client_next(int fd, json_t **ret_result, struct cv_client_error *error)
{
	char *line = NULL;
	int rc;

	cv_unix_set_timeout(fd, NEXT_TIMEOUT_S);
	rc = receive_answer(fd, &line, error);
	if (!rc)
		rc = read_answer(line, ret_result, error);
	free(line);
	return rc;
}

int cv_client_call(const struct cv_cli *cli, const char *command, json_t *arguments,
		   json_t **ret_result, struct cv_client_error *error)
{
	int fd = -1;
	int rc = cv_client_open(cli, command, arguments, ret_result, &fd, error);

	if (!rc)
		close(fd);
	return rc;
}

int cv_client_run(const struct cv_cli *cli, const char *command, json_t *arguments,
		  int (*print)(const struct cv_cli *cli, const json_t *result, void *data),
		  void *data)
{
	struct cv_client_error error;
	json_t *result = NULL;
	int code = CV_CLI_DONE;

	if (cv_client_call(cli, command, arguments, &result, &error))
		return cv_report(cli, CV_CLI_FAILED, error.code, "%s", error.why.text);
	if (print)
		code = print(cli, result, data);
	json_decref(result);
	return code;
}

int cv_client_run_more(const struct cv_cli *cli, const char *command, json_t *arguments,
		       int (*print)(const struct cv_cli *cli, const json_t *result, void *data),
		       void *data)
{
	struct cv_client_error error;
	json_t *result = NULL;
	int fd = -1, rc, code;

	rc = cv_client_open(cli, command, arguments, &result, &fd, &error);
	if (!rc && json_is_true(json_object_get(result, "more"))) {
		json_decref(result);
		rc = cv_client_next(fd, &result, &error);
	}
	if (fd >= 0)
		close(fd);
	if (rc)
		return cv_report(cli, CV_CLI_FAILED, error.code, "%s", error.why.text);
	code = print(cli, result, data);
	json_decref(result);
	return code;
}
