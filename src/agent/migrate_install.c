/* SPDX-License-Identifier: Apache-2.0 */
/* A file put in place as a whole, also across a loss of power. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/migrate.h"

enum {
	FILE_MAX = 1 << 20
};

/* At most FILE_MAX bytes. 0 or -errno. */
static int read_all(int fd, char *text, size_t *ret_length)
{
	size_t length = 0;

	while (length < FILE_MAX) {
		ssize_t n = read(fd, text + length, FILE_MAX - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n) {
			*ret_length = length;
			return 0;
		}
		length += (size_t)n;
	}
	return -EFBIG;
}

/* The caller frees *ret_text. */
static int read_whole(const char *path, char **ret_text, size_t *ret_length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;
	int rc;

	if (fd < 0)
		return -errno;
	text = malloc(FILE_MAX);
	rc = text ? read_all(fd, text, ret_length) : -ENOMEM;
	close(fd);
	if (rc)
		free(text);
	else
		*ret_text = text;
	return rc;
}

static bool is_same(const char *path, const char *text, size_t length)
{
	size_t there_length = 0;
	char *there = NULL;
	bool same;

	if (read_whole(path, &there, &there_length) || !there)
		return false;
	same = there_length == length && (!length || !memcmp(there, text, length));
	free(there);
	return same;
}

static int write_aside(const char *path, const char *text, size_t length)
{
	int fd, rc = 0;

	/* It may have a password: one that a crash has left is not taken up, with whatever mode. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		text += n;
		length -= (size_t)n;
	}
	if (length || fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	return rc;
}

static int sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

static int replace(const char *directory, const char *name, const char *text, size_t length)
{
	char path[4096], aside[4096 + 8];
	int rc;

	if (mkdir(directory, 0755) && errno != EEXIST)
		return -errno;
	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	snprintf(aside, sizeof(aside), "%s/.%s.new", directory, name);
	if (is_same(path, text, length))
		return 0;
	if (!access(path, F_OK))
		return -EEXIST;
	rc = write_aside(aside, text, length);
	if (!rc && rename(aside, path))
		rc = -errno;
	if (rc)
		unlink(aside);
	return rc ? rc : sync_directory(directory);
}

int cv_migrate_install(const char *from, const char *directory, const char *name,
		       struct cv_error *error)
{
	char *text = NULL;
	size_t length = 0;
	int rc = read_whole(from, &text, &length);

	if (rc || !text)
		return cv_error_set(error, rc, "cannot read %.256s: %s", from, strerror(-rc));
	rc = replace(directory, name, text, length);
	free(text);
	if (rc == -EEXIST)
		return cv_error_set(error, rc,
				    "%.256s/%s is there, and is another; remove it, and do it "
				    "again",
				    directory, name);
	if (rc)
		return cv_error_set(error, rc, "cannot write %.256s/%s: %s", directory, name,
				    strerror(-rc));
	return 0;
}
