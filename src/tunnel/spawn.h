/* SPDX-License-Identifier: Apache-2.0 */
/* Start a program as a process of its own, that nothing of ours reaches any more. */
#ifndef CV_TUNNEL_SPAWN_H
#define CV_TUNNEL_SPAWN_H

#include <sys/types.h>

struct cv_spawn {
	const char *program;	/* its path; NULL: this program, /proc/self/exe */
	char *const *arguments; /* NULL-terminated, from its name on */
	/* One descriptor that it gets, as number `as` (both 3 or more); as 0: none. */
	int fd, as;
	int error_fd; /* its standard error (3 or more); 0: /dev/null */
};

/*
 * Run it as nobody's child, in a session of its own, in "/", with all signals as they are by
 * default, and with standard descriptors on /dev/null. May be called beside other threads. 0 and
 * *ret_pid (which may be NULL), or -errno: it could not be executed, either.
 */
int cv_spawn_detached(const struct cv_spawn *spawn, pid_t *ret_pid);

#endif
