/* SPDX-License-Identifier: Apache-2.0 */
/* BIRD's directory below the run directory, and what is in it. For bird*.c alone. */
#ifndef CV_AGENT_BIRD_FILES_H
#define CV_AGENT_BIRD_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "tunnel/error.h"

#define CV_BIRD_CONFIG	"bird.conf"
#define CV_BIRD_INCLUDE "culvert.conf"
#define CV_BIRD_SOCKET	"bird.ctl"
#define CV_BIRD_PID	"bird.pid"
#define CV_BIRD_LOG	"bird.log"

enum {
	CV_BIRD_DIGEST_MAX = 65, /* SHA-256 in hexadecimal digits, with the NUL */
	CV_BIRD_PATH_MAX = PATH_MAX + 32,
};

struct cv_bird_files {
	char directory[PATH_MAX];
	bool has_user; /* BIRD runs as this user and group; else as we do */
	uid_t user;
	gid_t group; /* of the files; (gid_t)-1: ours */
};

/* Only names them. 0 or -ENAMETOOLONG. */
int cv_bird_files_init(struct cv_bird_files *ret_files, const char *directory,
		       struct cv_error *error);

/* The path of one of them. Returns buffer. */
const char *cv_bird_files_path(const struct cv_bird_files *files, const char *name,
			       char buffer[CV_BIRD_PATH_MAX]);

/* Make the directory, and find out as whom BIRD can run by it. 0 or -errno. */
int cv_bird_files_prepare(struct cv_bird_files *files, struct cv_error *error);

void cv_bird_files_digest(const char *main, const char *include, char digest[CV_BIRD_DIGEST_MAX]);

/*
 * Write the configuration, both files or none of them; those that BIRD took last are kept beside
 * them until it has taken these. main: NULL for an external BIRD. 0 or -errno.
 */
int cv_bird_files_write(const struct cv_bird_files *files, const char *main, const char *include,
			struct cv_error *error);

/* BIRD has taken what is written (note it: without room that is lost, and it is asked to take it
 * once more by the next daemon), or refuses it: put those back that it took last. False: there are
 * none. */
void cv_bird_files_accept(const struct cv_bird_files *files, const char *digest);
bool cv_bird_files_restore(const struct cv_bird_files *files);

/* What BIRD has taken since this machine was booted. False: it took nothing. */
bool cv_bird_files_taken(const struct cv_bird_files *files, char ret_digest[CV_BIRD_DIGEST_MAX]);

/* Whether there is a file of this name. */
bool cv_bird_files_has(const struct cv_bird_files *files, const char *name);

/* One of a BIRD that is no more; another user's could not open it. */
void cv_bird_files_remove_pid(const struct cv_bird_files *files);

/* Remove them, and the directory if it is empty then. How many there were. */
size_t cv_bird_files_remove(const struct cv_bird_files *files);

#endif
