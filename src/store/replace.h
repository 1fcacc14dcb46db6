/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replacing a file of a directory as a whole: whatever happens, when the machine runs again, there
 * is the old file or the new one.
 */
#ifndef CV_STORE_REPLACE_H
#define CV_STORE_REPLACE_H

#include <stdbool.h>
#include <stdio.h>

#include "store/directory.h"
#include "tunnel/error.h"

/*
 * Open a directory and lock it against other writers, waiting for them some seconds; what a
 * writer that died left behind is removed. With make it is made (0755, with those above it) if
 * there is none. A descriptor to close, or -errno: -EBUSY: somebody else has the lock.
 */
int cv_replace_lock(const char *directory, bool make, struct cv_error *error);

/* The same without waiting and without errors, for the removing alone. */
void cv_replace_sweep(const char *directory);

struct cv_replace {
	int directory;			   /* locked */
	const char *path;		   /* of the directory, for messages */
	const char *name;		   /* of the file */
	const struct cv_signature *expect; /* what is there now; NULL: nothing */
	int (*write)(FILE *out, void *data);
	void *data;
};

/*
 * Replace the file by what write() writes; its mode and owner stay. 0 and its new signature;
 * -EAGAIN: there is another file than was expected, or somebody is writing it, and it is
 * untouched; or -errno (-ENOSPC …): nothing has changed.
 */
int cv_replace_file(const struct cv_replace *replace, struct cv_signature *ret_signature,
		    struct cv_error *error);

#endif
