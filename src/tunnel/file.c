/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants: a file is never seen half-written (temporary file, fsync, rename, fsync of the
 * directory); one that cannot be understood is never overwritten, as loading it fails.
 */
#include "tunnel/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- saving -------------------------------------------------------------------- */

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		left -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

/* A new file: whatever was left at this path, or put there, is not written to. */
static int write_file(const char *path, const char *text, mode_t mode, gid_t group)
{
	int fd, rc = 0;

	if (unlink(path) && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	if (group != (gid_t)-1 && (fchown(fd, (uid_t)-1, group) || fchmod(fd, mode)))
		rc = -errno;
	if (!rc)
		rc = write_all(fd, text);
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

/* What to do, behind what is wrong; "" if nobody knows. */
static const char *advice(int rc)
{
	switch (rc) {
	case -ENOSPC:
	case -EDQUOT:
		return "; make room on that file system";
	case -EACCES:
	case -EPERM:
	case -EROFS:
	case -ENOENT:
		return "; make that directory writable";
	default:
		return "";
	}
}

int cv_file_save_text_for(const char *directory, const char *name, const char *text, mode_t mode,
			  gid_t group, struct cv_error *error)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(temporary, sizeof(temporary), "%s/%s.new", directory, name);
	rc = write_file(temporary, text, mode, group);
	if (!rc && rename(temporary, path))
		rc = -errno;
	if (rc) {
		unlink(temporary);
		return cv_error_set(error, rc, "cannot write %s: %s%s", path, strerror(-rc),
				    advice(rc));
	}
	/* The file is in place; some file systems cannot do this, and need not. */
	sync_directory(directory);
	return 0;
}

int cv_file_save_text(const char *run_dir, const char *name, const char *text, mode_t mode,
		      struct cv_error *error)
{
	return cv_file_save_text_for(run_dir, name, text, mode, (gid_t)-1, error);
}

int cv_file_save(const char *run_dir, const struct cv_file *file, const json_t *root,
		 struct cv_error *error)
{
	char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	int rc;

	if (!text)
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = cv_file_save_text(run_dir, file->name, text, 0600, error);
	free(text);
	return rc;
}

/* ---- loading ------------------------------------------------------------------- */

/*
 * A descriptor or -errno. The directory may have been open to others once: what they can write is
 * not believed. Without O_NONBLOCK a FIFO would keep us waiting for ever.
 */
static int open_file(const char *path, const char *contents, struct cv_error *error)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0) {
		rc = errno ? -errno : -EIO;
		return cv_error_set(error, rc,
				    "cannot read %s: %s; move it away to start without %s", path,
				    strerror(-rc), contents);
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		rc = cv_error_set(error, -EBADMSG,
				  "%s is not a file; move it away to start without %s", path,
				  contents);
	else if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		rc = cv_error_set(error, -EPERM,
				  "%s is open to other users; move it away to start without "
				  "%s, or look into it and `chown root %s; chmod 600 %s`",
				  path, contents, path, path);
	else
		return fd;
	close(fd);
	return rc;
}

int cv_file_load(const char *run_dir, const struct cv_file *file,
		 int (*read)(const json_t *root, void *data, struct cv_error *error), void *data,
		 struct cv_error *error)
{
	char path[PATH_MAX];
	struct cv_error why;
	json_error_t json_error;
	json_t *root;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", run_dir, file->name);
	fd = open_file(path, file->contents, error);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	root = json_loadfd(fd, JSON_REJECT_DUPLICATES, &json_error);
	close(fd);
	if (root)
		rc = read(root, data, &why);
	else if (json_error_code(&json_error) == json_error_out_of_memory)
		rc = -ENOMEM;
	else
		rc = cv_error_set(&why, -EBADMSG, "line %d: %s", json_error.line, json_error.text);
	json_decref(root);
	if (rc == -ENOMEM)
		return cv_error_set(error, rc, "cannot read %s: out of memory", path);
	if (rc)
		return cv_error_set(error, -EBADMSG,
				    "%s is damaged: %s; move it away to start without %s", path,
				    why.text, file->contents);
	return 0;
}
