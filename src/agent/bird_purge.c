/* SPDX-License-Identifier: Apache-2.0 */
/* culvertd --purge: of BIRD, too, nothing is left. It may wait. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/bird.h"
#include "agent/bird_client.h"
#include "agent/bird_files.h"
#include "agent/bird_process.h"

enum {
	ANSWER_MS = 3000,
	END_MS = 10000,
	KILL_MS = 5000,
};

static bool has_ended(int pidfd, int timeout_ms)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	return poll(&ended, 1, timeout_ms) > 0;
}

/* Politely, so that its peers and the kernel learn of it; else at once. */
static int end_process(const struct cv_bird_files *files, pid_t pid, struct cv_error *error)
{
	char socket[CV_BIRD_PATH_MAX], *text = NULL;
	int pidfd = cv_bird_process_open(pid);
	size_t size;
	bool ended;

	if (pidfd == -ESRCH)
		return 0;
	if (pidfd < 0)
		return cv_error_set(error, pidfd, "cannot end BIRD (process %d): %s", (int)pid,
				    strerror(-pidfd));
	cv_bird_files_path(files, CV_BIRD_SOCKET, socket);
	ended = !cv_bird_client_ask_now(socket, "down", ANSWER_MS, &text, &size) &&
		has_ended(pidfd, END_MS);
	free(text);
	if (!ended)
		ended = !cv_bird_process_kill(pidfd) && has_ended(pidfd, KILL_MS);
	close(pidfd);
	return ended ? 0
		     : cv_error_set(error, -EBUSY, "BIRD (process %d) does not end; `kill -9 %d`",
				    (int)pid, (int)pid);
}

int cv_bird_purge(const char *directory, struct cv_error *error)
{
	char taken[CV_BIRD_DIGEST_MAX];
	struct cv_bird_files files;
	bool had_routes;
	pid_t pid;
	int rc = cv_bird_files_init(&files, directory, error);

	if (rc || access(directory, F_OK))
		return rc;
	pid = cv_bird_process_find_pid(&files);
	if (pid && !cv_bird_process_is_here(pid))
		return cv_error_set(error, -EXDEV,
				    "BIRD (process %d) is in another network namespace; purge it "
				    "there: nsenter --net=/proc/%d/ns/net culvertd --purge",
				    (int)pid, (int)pid);
	had_routes = pid || cv_bird_files_taken(&files, taken);
	rc = pid ? end_process(&files, pid, error) : 0;
	if (rc)
		return rc;
	/* Those of one that was killed, now or before. */
	rc = had_routes ? cv_bird_routes_delete() : 0;
	if (rc < 0)
		return cv_error_set(error, rc, "cannot delete BIRD's routes: %s", strerror(-rc));
	return cv_bird_files_remove(&files) || rc || pid;
}
