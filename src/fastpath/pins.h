/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an instance's maps and programs are pinned: a directory of the BPF file system, by the
 * network namespace (its cookie, which the kernel never gives twice before it boots again) and
 * the run directory. So daemons of two namespaces, or of two run directories, share nothing.
 *
 * Everything here is for one daemon; its run directory's lock keeps others out.
 */
#ifndef CV_FASTPATH_PINS_H
#define CV_FASTPATH_PINS_H

#include <stddef.h>

enum {
	CV_PINS_PATH_MAX = 128,
	CV_PINS_NAME_MAX = 16, /* of maps and programs, with its NUL */
};

struct cv_pins {
	int dir; /* descriptor of the directory */
	char path[CV_PINS_PATH_MAX];
};

/*
 * Open the directory, made if need be; the BPF file system is mounted where it belongs if nobody
 * has. 0, or -errno with one line in why (size bytes). cv_pins_close.
 */
int cv_pins_open(const char *run_dir, struct cv_pins *ret_pins, char *why, size_t size);

/* The same, but only if it exists: -ENOENT. */
int cv_pins_find(const char *run_dir, struct cv_pins *ret_pins);

void cv_pins_close(struct cv_pins *pins);

/* Open what is pinned under a name: a descriptor, -ENOENT, -errno. */
int cv_pins_get(const struct cv_pins *pins, const char *name);

/* Pin fd under a name, in the place of what is there. 0 or -errno. */
int cv_pins_put(const struct cv_pins *pins, const char *name, int fd);

/* Call cb with the name of everything pinned; a return other than 0 stops and is returned. */
int cv_pins_for_each(const struct cv_pins *pins, int (*cb)(const char *name, void *data),
		     void *data);

/* Unpin one. 0 or -errno. */
int cv_pins_remove(const struct cv_pins *pins, const char *name);

/* Unpin everything and remove the directory. How many there were, or -errno. */
int cv_pins_purge(struct cv_pins *pins);

/* A number by which this run directory's programs are told from another's: never 0. */
unsigned int cv_pins_handle(const char *run_dir);

#endif
