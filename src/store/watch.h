/* SPDX-License-Identifier: Apache-2.0 */
/* To be told when a directory of manifests may have changed, wherever it really is. */
#ifndef CV_STORE_WATCH_H
#define CV_STORE_WATCH_H

#include <stddef.h>

#include "store/directory.h"

struct cv_watch {
	int fd; /* readable: look again */
	int inotify, timer;
	int *marks; /* inotify's watch descriptors, each once */
	size_t count, capacity;
};

/* 0 or -errno. cv_watch_fini. */
int cv_watch_init(struct cv_watch *ret_watch);
void cv_watch_fini(struct cv_watch *watch);

/* Forget what was told. To be called behind cv_watch_follow, and before looking. */
void cv_watch_drain(struct cv_watch *watch);

/*
 * Watch what path is now: the directory, what its name goes through, and files that are links
 * to elsewhere. To be called before looking, so that nothing falls between. What cannot be watched
 * (no memory, the user's limit of watches) is not: who looks every now and then sees it later.
 */
void cv_watch_follow(struct cv_watch *watch, const struct cv_directory *directory);

/* Be readable in so many milliseconds, too. */
void cv_watch_again(struct cv_watch *watch, unsigned int ms);

#endif
