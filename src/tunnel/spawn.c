/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A detached process. Invariant: between fork and exec nothing is called that is not safe in a
 * signal handler, as other threads may hold any lock.
 *
 * What became of it comes back through a pipe that exec closes: first its process id, then, if it
 * could not be executed, why.
 */
#include "tunnel/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	REPORT_FD = 3,	/* the pipe, in the new process, unless that number is to be another's */
	WORDS_MAX = 2,	/* that come through it */
	BEHIND_FDS = 64 /* where descriptors are put out of each other's way */
};

/* Signals that are ignored, or blocked, stay so over exec. */
static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Put fd at this number; closed by exec or not. */
static int place(int fd, int at, int flags)
{
	return dup3(fd, at, flags) < 0 ? -errno : 0;
}

/*
 * Standard descriptors, spawn->fd and *report, and nothing else. All are first copied to numbers
 * behind those they are to have, as one may be in another's place.
 */
static int reset_descriptors(const struct cv_spawn *spawn, int *report)
{
	int report_at = spawn->as == REPORT_FD ? REPORT_FD + 1 : REPORT_FD;
	int last = spawn->as > report_at ? spawn->as : report_at;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd = -1, error_fd, rc;

	if (null < 0)
		return -errno;
	error_fd = fcntl(spawn->error_fd ? spawn->error_fd : null, F_DUPFD_CLOEXEC, BEHIND_FDS);
	if (spawn->as)
		fd = fcntl(spawn->fd, F_DUPFD_CLOEXEC, BEHIND_FDS);
	*report = fcntl(*report, F_DUPFD_CLOEXEC, BEHIND_FDS);
	if (*report < 0 || error_fd < 0 || (spawn->as && fd < 0))
		return -errno;
	rc = place(null, STDIN_FILENO, 0);
	if (!rc)
		rc = place(null, STDOUT_FILENO, 0);
	if (!rc)
		rc = place(error_fd, STDERR_FILENO, 0);
	if (!rc && spawn->as)
		rc = place(fd, spawn->as, 0);
	if (!rc)
		rc = place(*report, report_at, O_CLOEXEC);
	if (rc)
		return rc;
	*report = report_at;
	for (int i = STDERR_FILENO + 1; i < last; i++) {
		if (i != report_at && i != spawn->as)
			close(i);
	}
	return syscall(SYS_close_range, last + 1, ~0U, 0) ? -errno : 0;
}

static void tell(int report, int word)
{
	/* Who reads it is waiting; if not, there is nobody to tell. */
	if (write(report, &word, sizeof(word)) != sizeof(word))
		_exit(127);
}

_Noreturn static void become(const struct cv_spawn *spawn, int report)
{
	int rc;

	tell(report, getpid());
	reset_signals();
	rc = chdir("/") ? -errno : reset_descriptors(spawn, &report);
	if (!rc) {
		execv(spawn->program ? spawn->program : "/proc/self/exe", spawn->arguments);
		rc = -errno;
	}
	tell(report, rc);
	_exit(127);
}

/* In a child of ours: leave the new process behind as an orphan. */
_Noreturn static void leave_behind(const struct cv_spawn *spawn, int report)
{
	pid_t pid;

	setsid();
	pid = fork();
	if (!pid)
		become(spawn, report);
	_exit(pid < 0 ? errno : 0);
}

static int wait_for_child(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* All words until exec, or the process's end, closes the pipe. */
static int read_report(int fd, pid_t *ret_pid)
{
	int words[WORDS_MAX] = {0};
	size_t size = 0;
	ssize_t n;

	while (size < sizeof(words)) {
		n = read(fd, (char *)words + size, sizeof(words) - size);
		if (!n || (n < 0 && errno != EINTR))
			break;
		size += n > 0 ? (size_t)n : 0;
	}
	if (size < sizeof(words[0]))
		return -ECHILD;
	if (size == sizeof(words) && words[1])
		return words[1];
	if (ret_pid)
		*ret_pid = words[0];
	return 0;
}

int cv_spawn_detached(const struct cv_spawn *spawn, pid_t *ret_pid)
{
	int ends[2], rc;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (!child)
		leave_behind(spawn, ends[1]);
	rc = child < 0 ? -errno : 0;
	close(ends[1]);
	if (!rc)
		rc = wait_for_child(child);
	if (!rc)
		rc = read_report(ends[0], ret_pid);
	close(ends[0]);
	return rc;
}
