/* SPDX-License-Identifier: Apache-2.0 */
/* Our file, CV_STORE_FILE, as it will be after a change. */
#ifndef CV_STORE_APPLIED_H
#define CV_STORE_APPLIED_H

#include <stddef.h>

#include "store/change.h"
#include "store/directory.h"
#include "store/documents.h"

struct cv_applied {
	struct cv_signature signature; /* of the file as it is; no inode: there is none */
	char *old_text, *new_text;     /* of the file; of what is printed anew */
	size_t old_length, new_length;
	struct cv_manifest printed;    /* read back from new_text */
	struct cv_document *documents; /* all that the file will have, sorted */
	size_t count;
	struct cv_messages warnings; /* that it will have */
};

/*
 * Prepare the file for a change of the directory that fd is. path: the file's. 0, -EAGAIN if the
 * file is not the one that directory knows, or another -errno. cv_applied_fini.
 */
int cv_applied_prepare(struct cv_applied *ret_applied, const struct cv_directory *directory, int fd,
		       const char *path, const struct cv_store_changes *changes,
		       struct cv_error *error);
void cv_applied_fini(struct cv_applied *applied);

/* Write it. Results are those of cv_replace_file. */
int cv_applied_write(const struct cv_applied *applied, const struct cv_directory *directory, int fd,
		     struct cv_signature *ret_signature, struct cv_error *error);

/*
 * Make what was written the directory's knowledge, so that it need not be read again. Cannot fail:
 * without memory it will be read again.
 */
void cv_applied_adopt(struct cv_applied *applied, struct cv_directory *directory,
		      const struct cv_signature *signature);

#endif
