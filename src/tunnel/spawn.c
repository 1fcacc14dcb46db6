/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A detached process. Invariant: between fork and exec nothing is called that is not safe in a
 * signal handler, as other threads may hold any lock.
 */
#include "tunnel/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Signals that are ignored, or blocked, stay so over exec. */
static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int reset_descriptors(int fd, int as)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
		if (dup2(null, i) < 0)
			return -errno;
	}
	/* Last, as null may have this number. */
	if (fd == as ? fcntl(fd, F_SETFD, 0) : dup2(fd, as) < 0)
		return -errno;
	return syscall(SYS_close_range, as + 1, ~0U, 0) ? -errno : 0;
}

_Noreturn static void become(char *const arguments[], int fd, int as)
{
	reset_signals();
	if (!chdir("/") && !reset_descriptors(fd, as))
		execv("/proc/self/exe", arguments);
	_exit(127);
}

int cv_spawn_detached(char *const arguments[], int fd, int as)
{
	int status = 0;
	pid_t pid, child = fork();

	if (child < 0)
		return -errno;
	if (!child) {
		setsid();
		pid = fork();
		if (!pid)
			become(arguments, fd, as);
		_exit(pid < 0 ? errno : 0);
	}
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}
