/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifests of a directory, read: each file's resources and warnings, or what is wrong with
 * it. A file is read again only if its stat(2) says that it is another.
 */
#ifndef CV_STORE_DIRECTORY_H
#define CV_STORE_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "model/manifest.h"
#include "tunnel/error.h"

enum {
	CV_DIRECTORY_FILE_MAX = 64 << 20, /* bytes; what is larger is refused */
	/*
	 * A file is left alone for so long after its last change: who writes it may not have
	 * finished, and half a manifest may be a good one with half of the resources. It is also
	 * longer than a tick of the clock of file systems, so that no change hides behind equal
	 * times.
	 */
	CV_DIRECTORY_SETTLE_MS = 40,
	/* The same, where somebody has it open for writing. */
	CV_DIRECTORY_OPEN_MS = 2000,
};

/* What tells one state of a file from another. All zero: none. */
struct cv_signature {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct cv_signature cv_signature_of(const struct stat *st);
bool cv_signature_equal(const struct cv_signature *a, const struct cv_signature *b);

/* The same, but for the time of change, which a rename touches, too. */
bool cv_signature_same_content(const struct cv_signature *a, const struct cv_signature *b);

struct cv_directory_file {
	char *name; /* in the directory */
	bool is_link;
	bool again; /* read it again next time, whatever its signature says */
	struct cv_signature signature;
	struct cv_manifest manifest; /* empty if there is a problem */
	struct cv_error problem;     /* "": none; else "FILE…: …" */
};

/* Zeroed but for the path: nothing read yet. */
struct cv_directory {
	const char *path; /* absolute; the caller's */
	bool exists;
	struct cv_error problem;	 /* of the directory itself; "": none */
	struct cv_directory_file *files; /* sorted by name */
	size_t count;
};

/*
 * Look at the directory, of which fd may be an open descriptor (-1: by its path). 1: something is
 * different, 0: nothing is; -EAGAIN with the file's name: it is being written, nothing was taken;
 * -ENOMEM. With force nothing is waited for. Problems are kept in directory and its files.
 */
int cv_directory_scan(struct cv_directory *directory, int fd, bool force, struct cv_error *error);
void cv_directory_fini(struct cv_directory *directory);

/* NULL: there is none. */
struct cv_directory_file *cv_directory_find(const struct cv_directory *directory, const char *name);

/*
 * Take a file as read, that was there or is new: what we wrote ourselves. The manifest becomes the
 * directory's. 0 or -ENOMEM, and then the manifest is still the caller's; cannot fail for a
 * file that is there.
 */
int cv_directory_put(struct cv_directory *directory, const char *name,
		     const struct cv_signature *signature, struct cv_manifest *manifest);

/*
 * Read a file of the directory whole; the caller frees *ret_text. 0; -EAGAIN if somebody is writing
 * it; -EINVAL (no file, too large) or another -errno with the reason, without the file's name.
 */
int cv_directory_read(int fd, const char *name, bool force, char **ret_text, size_t *ret_length,
		      struct cv_signature *ret_signature, struct cv_error *error);

/* Whether somebody has a file open for writing, as far as the file system tells. */
bool cv_directory_is_open_for_writing(int fd, const char *name);

#endif
