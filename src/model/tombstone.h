/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tombstones: what a DEL that met no agent leaves behind, for the agent to do the rest when it
 * runs again. One file for each attachment, RUN-DIR/tombstones/HASH.json:
 *
 *   {"network": "pods", "container": "4f0c…", "interface": "eth0"}
 *
 * It appears whole (renamed) and is on the disk when cv_tombstone_write returns. The run directory
 * is in memory on most machines: after a reboot there is neither a tombstone nor a container.
 */
#ifndef CV_MODEL_TOMBSTONE_H
#define CV_MODEL_TOMBSTONE_H

#include <stdbool.h>

#include "tunnel/error.h"

#define CV_TOMBSTONE_DIRECTORY "tombstones"

struct cv_tombstone {
	char *network, *container, *interface;
};

/* The directory in run_dir is made (0700; run_dir itself 0755) if there is none. 0 or -errno. */
int cv_tombstone_write(const char *run_dir, const char *network, const char *container,
		       const char *interface, struct cv_error *error);

/* Forget it: there is none afterwards. 0 or -errno. */
int cv_tombstone_remove(const char *run_dir, const char *network, const char *container,
			const char *interface);

/* True for what a tombstone's file is called: others in the directory are not to be read. */
bool cv_tombstone_is_name(const char *name);

/*
 * Read the one of this name. 0; -ENOENT; -EBADMSG: it is no tombstone (names that do not belong to
 * its hash included); -errno. *ret_tombstone is to be freed by cv_tombstone_fini.
 */
int cv_tombstone_read(const char *run_dir, const char *name, struct cv_tombstone *ret_tombstone,
		      struct cv_error *error);
void cv_tombstone_fini(struct cv_tombstone *tombstone);

#endif
