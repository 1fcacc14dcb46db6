/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON files of the run directory, that the next daemon reads. Written as a whole, atomically: a
 * crash leaves the old file or the new one.
 */
#ifndef CV_TUNNEL_FILE_H
#define CV_TUNNEL_FILE_H

#include <jansson.h>
#include <sys/types.h>

#include "tunnel/error.h"

struct cv_file {
	const char *name;     /* in the run directory */
	const char *contents; /* in words: "tunnels" */
};

/*
 * Replace the file by root. 0 or -errno (-ENOSPC, …); on failure the old file stands. root may
 * be NULL: -ENOMEM.
 */
int cv_file_save(const char *run_dir, const struct cv_file *file, const json_t *root,
		 struct cv_error *error);

/* The same with any text, and for whom mode says. */
int cv_file_save_text(const char *run_dir, const char *name, const char *text, mode_t mode,
		      struct cv_error *error);

/* The same, of this group ((gid_t)-1: ours), and with exactly this mode whatever the umask is, in a
 * directory where others may make files, too. */
int cv_file_save_text_for(const char *directory, const char *name, const char *text, mode_t mode,
			  gid_t group, struct cv_error *error);

/*
 * Read the file and give its root to read(), which fills data and returns 0, -ENOMEM or -EINVAL
 * with what is wrong. No file: read() is not called. 0; -EBADMSG when it is damaged, or -errno.
 */
int cv_file_load(const char *run_dir, const struct cv_file *file,
		 int (*read)(const json_t *root, void *data, struct cv_error *error), void *data,
		 struct cv_error *error);

#endif
