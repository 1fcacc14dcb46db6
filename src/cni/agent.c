/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection may be cut at any time: culvertd restarts, or has more connections than it keeps.
 * So whatever is asked may be asked again, as all requests here are idempotent.
 */
#include "cni/agent.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/control.h"
#include "net/unix_line.h"

enum {
	FIRST_PAUSE_MS = 5, /* doubled at every attempt, and up to half more at random */
	LONGEST_PAUSE_MS = 400,
	ANSWER_MAX = 16 << 20, /* bytes */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void cv_cni_agent_init(struct cv_cni_agent *agent, const char *run_dir, unsigned int wait_ms)
{
	*agent = (struct cv_cni_agent){
		.run_dir = run_dir,
		.wait_ms = wait_ms,
		.fd = -1,
		.deadline = now_ms() + wait_ms,
	};
}

void cv_cni_agent_fini(struct cv_cni_agent *agent)
{
	if (agent->fd >= 0)
		close(agent->fd);
	agent->fd = -1;
}

static int connect_agent(struct cv_cni_agent *agent)
{
	char path[PATH_MAX];

	if (agent->fd >= 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", agent->run_dir, CV_CONTROL_SOCKET);
	agent->fd = cv_unix_connect(path, CV_CNI_AGENT_ANSWER_S);
	return agent->fd < 0 ? agent->fd : 0;
}

/* One answer of the request that was sent: the last line of it. */
static int receive_answer(int fd, json_t **ret_answer)
{
	for (;;) {
		json_t *answer;
		char *line;
		int rc = cv_unix_receive(fd, ANSWER_MAX, &line);

		if (rc)
			return rc;
		answer = json_loads(line, 0, NULL);
		free(line);
		if (!answer)
			return -EBADMSG;
		if (json_is_true(json_object_get(json_object_get(answer, "result"), "more"))) {
			json_decref(answer);
			continue;
		}
		*ret_answer = answer;
		return 0;
	}
}

static int exchange(struct cv_cni_agent *agent, const char *line, json_t **ret_answer)
{
	int rc = connect_agent(agent);

	if (rc)
		return rc;
	cv_unix_send(agent->fd, line);
	rc = receive_answer(agent->fd, ret_answer);
	if (rc)
		cv_cni_agent_fini(agent);
	return rc;
}

/* Nobody listens now, or the connection was cut: another moment may be better. */
static bool is_passing(int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -EPIPE:
	case -EAGAIN: /* of connect: the queue of the listening socket is full */
		return true;
	default:
		return false;
	}
}

static void pause_ms(unsigned int ms)
{
	const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

/* Many plugins that were refused at once must not come again at once. */
static unsigned int with_jitter(unsigned int ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ms + (unsigned int)((now.tv_nsec / 1000 + getpid()) % (ms / 2 + 1));
}

static bool wants_again(const json_t *answer)
{
	const char *code =
		json_string_value(json_object_get(json_object_get(answer, "error"), "code"));

	return code && !strcmp(code, "busy");
}

static int try_until_deadline(struct cv_cni_agent *agent, const char *line, json_t **ret_answer)
{
	unsigned int pause = FIRST_PAUSE_MS;

	for (;;) {
		const int64_t began = now_ms();
		json_t *answer = NULL;
		int rc = exchange(agent, line, &answer);
		bool is_last = now_ms() + pause > agent->deadline ||
			       /* It listens, and says nothing. */
			       (rc == -EAGAIN && now_ms() - began > 1000);

		if (is_last || (rc ? !is_passing(rc) : !wants_again(answer))) {
			*ret_answer = answer;
			return rc;
		}
		json_decref(answer);
		pause_ms(with_jitter(pause));
		pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
	}
}

static int tell_error(const struct cv_cni_agent *agent, int rc, struct cv_cni_failure *failure)
{
	switch (rc) {
	case -ENOENT:
	case -ENOTDIR:
	case -ECONNREFUSED:
		cv_cni_fail(failure, CV_CNI_TRY_AGAIN,
			    "culvertd is not running (nobody listens at %s/%s); start it with "
			    "`systemctl start culvertd`",
			    agent->run_dir, CV_CONTROL_SOCKET);
		break;
	case -EAGAIN:
		cv_cni_fail(failure, CV_CNI_TRY_AGAIN,
			    "culvertd does not answer; look at its log, or restart it");
		break;
	case -EACCES:
	case -EPERM:
		return cv_cni_fail(failure, CV_CNI_IO,
				   "no permission to use %s/%s; culvert-cni must run as root",
				   agent->run_dir, CV_CONTROL_SOCKET);
	case -ENAMETOOLONG:
		return cv_cni_fail(failure, CV_CNI_CONFIG,
				   "runDir %.128s: too long a name for a socket in it; give a "
				   "shorter one",
				   agent->run_dir);
	default:
		cv_cni_fail(failure, CV_CNI_TRY_AGAIN, "no answer of culvertd at %s/%s: %s",
			    agent->run_dir, CV_CONTROL_SOCKET, strerror(-rc));
	}
	if (agent->wait_ms)
		cv_cni_details(failure, "tried for %u ms", agent->wait_ms);
	return failure->code;
}

static int tell_refusal(const json_t *answer, struct cv_cni_failure *failure)
{
	static const struct {
		const char *code;
		enum cv_cni_code cni;
	} codes[] = {
		{"no-address", CV_CNI_NO_ADDRESS},
		{"address-in-use", CV_CNI_NO_ADDRESS},
		{"address-not-available", CV_CNI_NO_ADDRESS},
		{"no-space", CV_CNI_TRY_AGAIN}, /* on a disk; of addresses it is "no-address" */
		{"unavailable", CV_CNI_TRY_AGAIN},
		{"busy", CV_CNI_TRY_AGAIN},
		{"too-many", CV_CNI_TRY_AGAIN},
		{"not-found", CV_CNI_UNKNOWN_CONTAINER},
		{"not-permitted", CV_CNI_IO},
		{"invalid", CV_CNI_CONFIG},
	};
	const json_t *error = json_object_get(answer, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));

	if (!code || !message)
		return cv_cni_fail(failure, CV_CNI_REFUSED,
				   "culvertd's answer makes no sense; install culvertd and "
				   "culvert-cni of the same release");
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (!strcmp(codes[i].code, code))
			return cv_cni_fail(failure, codes[i].cni, "%s", message);
	}
	return cv_cni_fail(failure, CV_CNI_REFUSED, "%s", message);
}

/* The line to send; the caller frees it. NULL without memory. */
static char *make_line(const char *command, json_t *arguments)
{
	json_t *request = json_pack("{s:i, s:i, s:s}", "version", CV_CONTROL_VERSION, "id", 1,
				    "command", command);
	char *text = NULL, *line = NULL;

	if (arguments && !json_object_update(request, arguments))
		text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	json_decref(arguments);
	if (!text || asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

int cv_cni_agent_ask(struct cv_cni_agent *agent, const char *command, json_t *arguments,
		     json_t **ret_result, struct cv_cni_failure *failure)
{
	char *line = make_line(command, arguments);
	json_t *answer = NULL, *result;
	int rc;

	if (!line)
		return cv_cni_fail(failure, CV_CNI_IO, "out of memory");
	rc = try_until_deadline(agent, line, &answer);
	free(line);
	if (rc)
		return tell_error(agent, rc, failure);
	result = json_object_get(answer, "result");
	if (json_is_true(json_object_get(answer, "ok")) && result)
		*ret_result = json_incref(result);
	else
		rc = tell_refusal(answer, failure);
	json_decref(answer);
	return rc;
}
