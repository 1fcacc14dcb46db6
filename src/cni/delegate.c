/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The delegated plugin's standard error is ours. It is killed when it takes too long, as the
 * runtime has no more patience either.
 */
#include "cni/delegate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int find_program(const struct cv_cni_delegate *delegate, char ret_program[PATH_MAX],
			struct cv_cni_failure *failure)
{
	const char *at = delegate->path;
	struct stat st;

	if (!at)
		return cv_cni_fail(failure, CV_CNI_ENVIRONMENT,
				   "required environment variables [CNI_PATH] missing");
	while (*at) {
		size_t length = strcspn(at, ":");

		if (length &&
		    snprintf(ret_program, PATH_MAX, "%.*s/%s", (int)length, at, delegate->type) <
			    PATH_MAX &&
		    !access(ret_program, X_OK) && !stat(ret_program, &st) && S_ISREG(st.st_mode))
			return 0;
		at += length + (at[length] == ':');
	}
	cv_cni_fail(failure, CV_CNI_CONFIG, "no plugin %.64s (ipam.type) in CNI_PATH",
		    delegate->type);
	return cv_cni_details(failure, "CNI_PATH is %.256s", delegate->path);
}

/* Our environment with another CNI_COMMAND; the caller frees the list and its last text. */
static char **make_environment(const char *command)
{
	size_t count = 0, used = 0;
	char **list, *text;

	while (environ[count])
		count++;
	list = calloc(count + 2, sizeof(*list));
	if (!list || asprintf(&text, "CNI_COMMAND=%s", command) < 0) {
		free(list);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		if (strncmp(environ[i], "CNI_COMMAND=", 12))
			list[used++] = environ[i];
	}
	list[used] = text;
	return list;
}

static void free_environment(char **list)
{
	size_t last = 0;

	while (list[last + 1])
		last++;
	free(list[last]);
	free(list);
}

/* In the child: nothing but calls that are safe in one. */
static void become(char *program, char **environment, int input, int output, pid_t parent)
{
	char *const argv[] = {program, NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent ||
	    dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0)
		_exit(EXIT_FAILURE);
	execve(program, argv, environment);
	_exit(EXIT_FAILURE);
}

/*
 * It dies with us: a delegate that went on for itself could give an address after the DEL that
 * follows had released what there was.
 */
static int spawn(char *program, const char *command, int input, int output, pid_t *ret_pid)
{
	char **environment = make_environment(command);
	const pid_t parent = getpid();
	pid_t pid = -1;
	int rc = 0;

	if (!environment)
		return -ENOMEM;
	pid = fork();
	if (!pid)
		become(program, environment, input, output, parent);
	if (pid < 0)
		rc = -errno;
	else
		*ret_pid = pid;
	free_environment(environment);
	return rc;
}

/* ---- talking with it ---------------------------------------------------------------- */

struct talk {
	int input, output; /* our ends, not blocking; -1: closed */
	const char *at;
	size_t left;
	char *said;
	size_t length, size;
};

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void write_some(struct talk *talk)
{
	ssize_t n = write(talk->input, talk->at, talk->left);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		talk->at += n;
		talk->left -= (size_t)n;
	}
	/* A plugin need not read what it is told. */
	if (n <= 0 || !talk->left)
		close_end(&talk->input);
}

static int read_some(struct talk *talk)
{
	ssize_t n;

	if (talk->length == talk->size) {
		char *larger = talk->size < CV_CNI_DELEGATE_MAX
				       ? realloc(talk->said, talk->size * 2 + 4096)
				       : NULL;

		if (!larger)
			return -EMSGSIZE;
		talk->said = larger;
		talk->size = talk->size * 2 + 4096;
	}
	n = read(talk->output, talk->said + talk->length, talk->size - talk->length);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		close_end(&talk->output);
	else
		talk->length += (size_t)n;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What it has said; a process that it has left behind may hold the pipe open for long. */
static int read_rest(struct talk *talk)
{
	size_t before;
	int rc;

	do {
		before = talk->length;
		rc = talk->output >= 0 ? read_some(talk) : 0;
	} while (!rc && talk->length > before);
	return rc;
}

/* Until it has ended: pidfd is readable then. 0, -ETIMEDOUT, -EMSGSIZE, -errno. */
static int converse(struct talk *talk, int pidfd)
{
	const int64_t deadline = now_ms() + CV_CNI_DELEGATE_S * 1000;
	bool has_ended = false;

	while (!has_ended) {
		struct pollfd fds[] = {{.fd = talk->output, .events = POLLIN},
				       {.fd = talk->input, .events = POLLOUT},
				       {.fd = pidfd, .events = POLLIN}};
		int64_t left = deadline - now_ms();
		int rc = left > 0 ? poll(fds, 3, (int)left) : 0;

		if (rc < 0 && errno != EINTR)
			return -errno;
		if (!rc)
			return -ETIMEDOUT;
		if (rc > 0 && fds[1].revents)
			write_some(talk);
		if (rc > 0 && fds[0].revents) {
			int err = read_some(talk);

			if (err)
				return err;
		}
		has_ended = rc > 0 && fds[2].revents;
	}
	return read_rest(talk);
}

/* Talk with it, and end it if that does not. */
static int attend(struct talk *talk, pid_t pid, int *ret_status)
{
	int pidfd = pidfd_open(pid, 0);
	int rc = pidfd < 0 ? -errno : converse(talk, pidfd);

	if (rc)
		kill(pid, SIGKILL);
	while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
		;
	if (pidfd >= 0)
		close(pidfd);
	return rc;
}

/* 0 and its wait status, and talk->said, or -errno. */
static int run(char *program, const struct cv_cni_delegate *delegate, const char *command,
	       struct talk *talk, int *ret_status)
{
	int input[2], output[2], rc;
	pid_t pid = -1;

	if (pipe2(input, O_CLOEXEC))
		return -errno;
	if (pipe2(output, O_CLOEXEC)) {
		rc = -errno;
		close(input[0]);
		close(input[1]);
		return rc;
	}
	rc = spawn(program, command, input[0], output[1], &pid);
	close(input[0]);
	close(output[1]);
	*talk = (struct talk){.input = input[1],
			      .output = output[0],
			      .at = delegate->input,
			      .left = delegate->input_length};
	fcntl(talk->input, F_SETFL, O_NONBLOCK);
	fcntl(talk->output, F_SETFL, O_NONBLOCK);
	if (!rc)
		rc = attend(talk, pid, ret_status);
	close_end(&talk->input);
	close_end(&talk->output);
	return rc;
}

/* ---- what it said ------------------------------------------------------------------- */

int cv_cni_delegate_error(const char *type, const char *text, size_t length,
			  struct cv_cni_failure *failure)
{
	json_t *error = json_loadb(text, length, 0, NULL);
	const json_t *code = json_object_get(error, "code");
	const char *msg = json_string_value(json_object_get(error, "msg"));
	const char *details = json_string_value(json_object_get(error, "details"));

	if (json_is_integer(code) && msg && json_integer_value(code) > 0 &&
	    json_integer_value(code) <= INT_MAX) {
		cv_cni_fail(failure, (int)json_integer_value(code), "%s: %s", type, msg);
		if (details)
			cv_cni_details(failure, "%s", details);
	} else {
		cv_cni_fail(failure, CV_CNI_DELEGATE, "%s failed, and said no error as CNI has it",
			    type);
		cv_cni_details(failure, "%.*s", (int)(length < 256 ? length : 256), text);
	}
	json_decref(error);
	return failure->code;
}

static int take_answer(const struct cv_cni_delegate *delegate, const struct talk *talk, int status,
		       json_t **ret_result, struct cv_cni_failure *failure)
{
	json_t *result = NULL;
	json_error_t why;

	if (WIFSIGNALED(status))
		return cv_cni_fail(failure, CV_CNI_DELEGATE, "%s was killed by signal %d",
				   delegate->type, WTERMSIG(status));
	if (WEXITSTATUS(status))
		return cv_cni_delegate_error(delegate->type, talk->said ? talk->said : "",
					     talk->length, failure);
	if (talk->length) {
		result = json_loadb(talk->said, talk->length, 0, &why);
		if (!result)
			return cv_cni_fail(failure, CV_CNI_DELEGATE,
					   "%s: its result is no JSON: line %d: %s", delegate->type,
					   why.line, why.text);
	}
	*ret_result = result;
	return 0;
}

int cv_cni_delegate_run(const struct cv_cni_delegate *delegate, const char *command,
			json_t **ret_result, struct cv_cni_failure *failure)
{
	char program[PATH_MAX];
	struct talk talk = {.said = NULL};
	int status = 0;
	int rc = find_program(delegate, program, failure);

	if (rc)
		return rc;
	/* It may end before it has read everything. */
	signal(SIGPIPE, SIG_IGN);
	rc = run(program, delegate, command, &talk, &status);
	if (rc == -ETIMEDOUT)
		rc = cv_cni_fail(failure, CV_CNI_TRY_AGAIN,
				 "%s has not answered in %d s, and was killed", delegate->type,
				 CV_CNI_DELEGATE_S);
	else if (rc)
		rc = cv_cni_fail(failure, CV_CNI_DELEGATE, "%s: %s", program, strerror(-rc));
	else
		rc = take_answer(delegate, &talk, status, ret_result, failure);
	free(talk.said);
	return rc;
}
