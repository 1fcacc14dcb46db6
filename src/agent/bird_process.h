/* SPDX-License-Identifier: Apache-2.0 */
/* BIRD's process: started, recognised, killed; and its routes in the kernel. For bird*.c alone. */
#ifndef CV_AGENT_BIRD_PROCESS_H
#define CV_AGENT_BIRD_PROCESS_H

#include "agent/bird_files.h"

/* Where the program is: program itself, or NULL: "bird" in PATH and /usr/sbin. 0 or -ENOENT with
 * what to do. */
int cv_bird_process_find(const char *program, char ret_path[PATH_MAX], struct cv_error *error);

/*
 * Start it; recover: it is to take over what its predecessor left in the kernel (-R). 0 or -errno.
 * *ret_words is a descriptor in which what it says before it has a log can be read, the caller's to
 * close.
 */
int cv_bird_process_start(const struct cv_bird_files *files, const char *program, bool recover,
			  pid_t *ret_pid, int *ret_words, struct cv_error *error);

/* What it said: a line, cut. "": nothing. */
void cv_bird_process_words(int words, char *buffer, size_t size);

/* Whether this process is a BIRD that was started for that directory. */
bool cv_bird_process_is_ours(pid_t pid, const struct cv_bird_files *files);

/* That of its file, if it is such a one; 0. */
pid_t cv_bird_process_find_pid(const struct cv_bird_files *files);

/* A descriptor that can be read when it has ended, or -errno. */
int cv_bird_process_open(pid_t pid);
int cv_bird_process_kill(int pidfd);

/* Whether it runs in our network namespace, as root, and from a file that is no longer the
 * program. What cannot be known: true, false, false. */
bool cv_bird_process_is_here(pid_t pid);
bool cv_bird_process_is_root(pid_t pid);
bool cv_bird_process_is_outdated(pid_t pid, const char *program);

/* How many routes BIRD has in the main table, and delete them. -errno: it cannot be known. */
int cv_bird_routes_count(void);
int cv_bird_routes_delete(void);

#endif
