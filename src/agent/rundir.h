/* SPDX-License-Identifier: Apache-2.0 */
/* The run directory: one daemon's socket, state and lock. */
#ifndef CV_AGENT_RUNDIR_H
#define CV_AGENT_RUNDIR_H

#include <limits.h>

#include "tunnel/error.h"

struct cv_rundir {
	char path[PATH_MAX];   /* absolute, without symbolic links */
	char socket[PATH_MAX]; /* of the control socket */
	int lock;	       /* held open: the lock */
};

/*
 * Make the directory if there is none (its parent must exist), see that nobody else may write in
 * it, and lock it. 0 or -errno: -EBUSY: another daemon has it. cv_rundir_close.
 */
int cv_rundir_open(struct cv_rundir *ret_rundir, const char *path, struct cv_error *error);

/*
 * The same, but nothing is made: 1 it was there and is locked; 0 there is no such directory, or no
 * daemon has ever run in it: only ret_rundir->path is of use.
 */
int cv_rundir_take(struct cv_rundir *ret_rundir, const char *path, struct cv_error *error);

/*
 * Remove what daemons have left in a locked run directory, and the directory itself if it was one
 * of them that made it and it is empty then. tell: told each path. 0 or -errno.
 */
int cv_rundir_remove(const struct cv_rundir *rundir, void (*tell)(const char *path),
		     struct cv_error *error);

/* Unlock it; the directory and what is in it stay. */
void cv_rundir_close(struct cv_rundir *rundir);

#endif
