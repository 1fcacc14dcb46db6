/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an instance's maps and programs are pinned: a directory of the BPF file system, by the
 * network namespace (its cookie, which the kernel never gives twice before it boots again) and
 * the run directory. So daemons of two namespaces, or of two run directories, share nothing.
 *
 * Where nothing can be pinned (no BPF file system, a read-only one), or the pins are gone, maps are
 * found again through the programs that are still attached (fastpath/devices.h) and kept here
 * under their names as if they were pinned.
 *
 * Everything here is for one daemon; its run directory's lock keeps others out.
 */
#ifndef CV_FASTPATH_PINS_H
#define CV_FASTPATH_PINS_H

#include <stddef.h>

enum {
	CV_PINS_PATH_MAX = 128,
	CV_PINS_NAME_MAX = 16, /* of maps and programs, with its NUL */
	CV_PINS_FOUND_MAX = 64,
};

struct cv_pins {
	int dir; /* descriptor of the directory; -1: nothing can be pinned */
	char path[CV_PINS_PATH_MAX];
	struct {
		int fd;
		char name[CV_PINS_NAME_MAX];
	} found[CV_PINS_FOUND_MAX]; /* maps of programs that are attached */
	unsigned int found_count;
};

/* Nothing is pinned, nothing can be. */
void cv_pins_init(struct cv_pins *pins);

/*
 * Open the directory, made if need be; the BPF file system is mounted where it belongs if nobody
 * has. 0, or -errno with one line in why (size bytes): then nothing can be pinned, and pins have
 * their path alone. cv_pins_close.
 */
int cv_pins_open(const char *run_dir, struct cv_pins *ret_pins, char *why, size_t size);

/* The same, but only if it exists and is ours alone: -ENOENT. */
int cv_pins_find(const char *run_dir, struct cv_pins *ret_pins);

void cv_pins_close(struct cv_pins *pins);

/* Keep a map, which cv_pins_get finds where nothing is pinned under its name. fd is ours now. */
void cv_pins_keep(struct cv_pins *pins, const char *name, int fd);

/* Open what is pinned under a name, or kept: a descriptor, -ENOENT, -errno. */
int cv_pins_get(const struct cv_pins *pins, const char *name);

/*
 * Pin fd under a name, in one step in the place of what is there. 0 or -errno; where nothing can be
 * pinned, nothing is, and that is no error.
 */
int cv_pins_put(const struct cv_pins *pins, const char *name, int fd);

/* Give what is pinned or kept another name. 0 or -errno. */
int cv_pins_rename(struct cv_pins *pins, const char *name, const char *other);

/* Call cb with the name of everything pinned or kept; what it returns other than 0 stops it. */
int cv_pins_for_each(const struct cv_pins *pins, int (*cb)(const char *name, void *data),
		     void *data);

/* Call cb with the pins of every other instance of this network namespace. */
void cv_pins_for_each_sibling(const struct cv_pins *pins,
			      void (*cb)(const struct cv_pins *sibling, void *data), void *data);

/* Close what is kept. */
void cv_pins_let_go(struct cv_pins *pins);

/* Unpin one. 0 or -errno. */
int cv_pins_remove(const struct cv_pins *pins, const char *name);

/* Unpin everything but one. */
void cv_pins_remove_all_but(const struct cv_pins *pins, const char *name);

/* Unpin everything, remove the directory, and close. How many there were, or -errno. */
int cv_pins_purge(struct cv_pins *pins);

/* A number by which this run directory's programs are told from another's: never 0. */
unsigned int cv_pins_handle(const char *run_dir);

#endif
