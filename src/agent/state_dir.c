/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/state_dir.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cv_state_dir_make(const char *path, struct cv_error *error)
{
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return cv_error_set(error, -errno,
				    "cannot make the state directory %s: %s; make it, or give "
				    "another --state-dir",
				    path, strerror(errno));
	if (stat(path, &st))
		return cv_error_set(error, -errno, "cannot look at the state directory %s: %s",
				    path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cv_error_set(error, -ENOTDIR, "the state directory %s is no directory",
				    path);
	if ((st.st_uid != geteuid() && st.st_uid) || st.st_mode & (S_IWGRP | S_IWOTH))
		return cv_error_set(error, -EPERM,
				    "others may write in the state directory %s: chown it, and "
				    "chmod go-w",
				    path);
	return 0;
}

int cv_state_dir_file(const char *directory, const char *name, char ret_path[PATH_MAX],
		      struct cv_error *error)
{
	if (snprintf(ret_path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX)
		return 0;
	return cv_error_set(error, -ENAMETOOLONG, "state directory %s: its name is too long",
			    directory);
}
