/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of the control protocol (src/agent/protocol.md). */
#include "cli/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/control.h"

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
	const struct timeval timeout = {.tv_sec = timeout_s};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, n;

	n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", run_dir,
		     CV_CONTROL_SOCKET);
	if (n >= (int)sizeof(address.sun_path))
		return fail(error, -ENAMETOOLONG, "failed",
			    "--run-dir %.128s: too long a name for a socket in it; give a shorter "
			    "one",
			    run_dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(error, -errno, "failed", "cannot open a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		int rc = connect_error(-errno, address.sun_path, error);

		close(fd);
		return rc;
	}
	return fd;
}

/* A refusal may be waiting for us although the daemon no longer listens: not an error yet. */
static void send_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		left -= (size_t)n;
	}
}

/* Take what there is of a line, and nothing behind it: bytes, 0 at the end, or -errno. */
static ssize_t receive_some(int fd, char *bytes, size_t size)
{
	ssize_t n = recv(fd, bytes, size, MSG_PEEK);
	const char *end;

	if (n > 0) {
		end = memchr(bytes, '\n', (size_t)n);
		n = recv(fd, bytes, end ? (size_t)(end - bytes) + 1 : (size_t)n, MSG_WAITALL);
	}
	return n < 0 ? -errno : n;
}

/* Up to the newline, which is cut off. The caller frees *ret_line. */
static int receive_line(int fd, char **ret_line)
{
	size_t length = 0, size = 1 << 16;
	char *line = malloc(size);
	int rc = -ENOMEM;

	while (line) {
		ssize_t n = receive_some(fd, line + length, size - length - 1);
		char *larger;

		if (n == -EINTR)
			continue;
		rc = n < 0 ? (int)n : -ECONNRESET;
		if (n <= 0)
			break;
		length += (size_t)n;
		if (line[length - 1] == '\n') {
			line[length - 1] = '\0';
			*ret_line = line;
			return 0;
		}
		if (length < size - 1)
			continue;
		rc = -EMSGSIZE;
		if (size >= ANSWER_MAX)
			break;
		size *= 2;
		rc = -ENOMEM;
		larger = realloc(line, size);
		if (!larger)
			break;
		line = larger;
	}
	free(line);
	return rc;
}

static int receive_answer(int fd, char **ret_line, struct cv_client_error *error)
{
	int rc = receive_line(fd, ret_line);

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
	send_all(fd, text);
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
	static const struct timeval forever = {.tv_sec = 0};
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
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	*ret_fd = fd;
	return 0;
}

int cv_client_next(int fd, json_t **ret_result, struct cv_client_error *error)
{
	static const struct timeval timeout = {.tv_sec = NEXT_TIMEOUT_S};
	char *line = NULL;
	int rc;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
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
