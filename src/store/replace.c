/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replacing a file: written aside, fsync, rename, fsync of the directory.
 *
 * Two daemons are kept apart by a lock on the directory, which the kernel gives back when its
 * holder dies. A person with an editor takes no lock. Therefore the two files change places
 * (RENAME_EXCHANGE) and only then is it looked at what came out: if it is not what we had read,
 * they change back, and nothing of anybody's is lost.
 *
 * Invariant: the name of the file leads to a complete file at every moment, or to none where
 * there was none.
 */
#include "store/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

enum {
	LOCK_WAIT_MS = 3000, /* a writer's fsync may take its time */
	LOCK_STEP_MS = 5,
	MOVES_MAX = 16, /* a directory that is swapped more often meanwhile is somebody's joke */
	NEW_NAME_MAX = 64,
};

static const char new_end[] = ".new";

/* ---- the directory --------------------------------------------------------------- */

static void sync_parent(const char *path)
{
	char parent[PATH_MAX];
	char *slash;
	int fd;

	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (!slash)
		return;
	slash[slash == parent ? 1 : 0] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

static int make_one(const char *path)
{
	if (mkdir(path, 0755))
		return errno == EEXIST ? 0 : -errno;
	sync_parent(path);
	return 0;
}

static int make_directory(const char *path)
{
	char part[PATH_MAX];
	int rc = 0;

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *slash = strchr(part + 1, '/'); slash && !rc; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		rc = make_one(part);
		*slash = '/';
	}
	return rc ? rc : make_one(part);
}

/* 0; -EBUSY. Where a file system knows no locks, there is one writer, as far as we can know. */
static int take_lock(int fd, unsigned int wait_ms)
{
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000L};

	for (unsigned int waited = 0;; waited += LOCK_STEP_MS) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return 0;
		if (waited >= wait_ms)
			return -EBUSY;
		nanosleep(&step, NULL);
	}
}

/* Whether the name still leads to the directory that is open: it may have been swapped. */
static bool is_still(const char *path, int fd)
{
	struct stat named, opened;

	return !stat(path, &named) && !fstat(fd, &opened) && named.st_dev == opened.st_dev &&
	       named.st_ino == opened.st_ino;
}

static const char new_begin[] = "." CV_STORE_FILE ".";

/* ".applied.yaml.5f3a….new" */
static bool is_left_over(const char *name)
{
	size_t length = strlen(name);

	return !strncmp(name, new_begin, strlen(new_begin)) && length > strlen(new_end) &&
	       !strcmp(name + length - strlen(new_end), new_end);
}

static void remove_left_overs(int fd)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = own < 0 ? NULL : fdopendir(own);
	const struct dirent *entry;

	if (!stream) {
		if (own >= 0)
			close(own);
		return;
	}
	while ((entry = readdir(stream))) {
		if (is_left_over(entry->d_name))
			(void)unlinkat(fd, entry->d_name, 0);
	}
	closedir(stream);
}

static int open_directory(const char *path, bool make)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd >= 0 || errno != ENOENT || !make)
		return fd < 0 ? -errno : fd;
	rc = make_directory(path);
	if (rc)
		return rc;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int lock_directory(const char *path, bool make, unsigned int wait_ms)
{
	int rc = -EBUSY;

	for (int i = 0; i < MOVES_MAX; i++) {
		int fd = open_directory(path, make);

		if (fd < 0)
			return fd;
		rc = take_lock(fd, wait_ms);
		if (!rc && is_still(path, fd)) {
			remove_left_overs(fd);
			return fd;
		}
		close(fd);
		if (rc)
			return rc;
	}
	return -EBUSY;
}

/* What to do, behind what is wrong. */
static const char *advice(int rc)
{
	switch (rc) {
	case -ENOSPC:
	case -EDQUOT:
		return "; make room on that file system";
	case -EROFS:
		return "; its file system is read-only: remount it, or run culvertd with another "
		       "--config";
	case -EACCES:
	case -EPERM:
		return "; make that directory writable for culvertd";
	case -ENOTDIR:
		return "; move away what is in its place";
	default:
		return "";
	}
}

int cv_replace_lock(const char *directory, bool make, struct cv_error *error)
{
	int rc = lock_directory(directory, make, LOCK_WAIT_MS);

	if (rc == -EBUSY)
		return cv_error_set(error, rc,
				    "%s: another program keeps it locked; try again when that "
				    "is done (`fuser -v %s` shows it)",
				    directory, directory);
	if (rc < 0)
		return cv_error_set(error, rc, "cannot %s %s: %s%s", make ? "make" : "open",
				    directory, strerror(-rc), advice(rc));
	return rc;
}

void cv_replace_sweep(const char *directory)
{
	int fd = lock_directory(directory, false, 0);

	if (fd >= 0)
		close(fd);
}

/* ---- the file ---------------------------------------------------------------------- */

/* The new file is whose the old one was. Who may not give it away, keeps it. */
static int copy_owner(const struct cv_replace *replace, int fd)
{
	struct stat st;

	if (!replace->expect)
		return fchmod(fd, 0644) ? -errno : 0;
	if (fstatat(replace->directory, replace->name, &st, 0))
		return errno == ENOENT ? -EAGAIN : -errno;
	if (fchown(fd, st.st_uid, st.st_gid) && errno != EPERM)
		return -errno;
	return fchmod(fd, st.st_mode & 0777) ? -errno : 0;
}

static int fill(const struct cv_replace *replace, FILE *out)
{
	int rc;

	errno = 0;
	rc = replace->write(out, replace->data);
	if (!rc && (fflush(out) || ferror(out)))
		rc = errno ? -errno : -EIO;
	if (!rc)
		rc = copy_owner(replace, fileno(out));
	if (!rc && fsync(fileno(out)))
		rc = -errno;
	return rc;
}

/* Write the new file aside; it is removed again if that fails. */
static int write_aside(const struct cv_replace *replace, const char *name)
{
	int fd = openat(replace->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
	int rc;

	if (!out) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
	} else {
		rc = fill(replace, out);
		if (fclose(out) && !rc)
			rc = -errno;
	}
	if (rc && fd >= 0)
		(void)unlinkat(replace->directory, name, 0);
	return rc;
}

static bool is_as_expected(const struct cv_replace *replace, const char *name)
{
	struct cv_signature signature;
	struct stat st;

	if (fstatat(replace->directory, name, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	signature = cv_signature_of(&st);
	return cv_signature_same_content(&signature, replace->expect);
}

/* File systems without RENAME_EXCHANGE or RENAME_NOREPLACE: the window is small, but there. */
static int put_simply(const struct cv_replace *replace, const char *name)
{
	struct stat st;
	bool as_expected = replace->expect ? is_as_expected(replace, replace->name)
					   : fstatat(replace->directory, replace->name, &st,
						     AT_SYMLINK_NOFOLLOW) != 0;

	if (!as_expected)
		return -EAGAIN;
	return renameat(replace->directory, name, replace->directory, replace->name) ? -errno : 0;
}

/* Exchange the two, and back if somebody's edit came out, or is about to be written into it. */
static int exchange(const struct cv_replace *replace, const char *name)
{
	if (!is_as_expected(replace, replace->name))
		return -EAGAIN;
	if (renameat2(replace->directory, name, replace->directory, replace->name, RENAME_EXCHANGE))
		return errno == ENOENT ? -EAGAIN : -errno;
	if (is_as_expected(replace, name) &&
	    !cv_directory_is_open_for_writing(replace->directory, name))
		return 0;
	if (renameat2(replace->directory, name, replace->directory, replace->name, RENAME_EXCHANGE))
		return -ENOTRECOVERABLE;
	return -EAGAIN;
}

static int create(const struct cv_replace *replace, const char *name)
{
	if (!renameat2(replace->directory, name, replace->directory, replace->name,
		       RENAME_NOREPLACE))
		return 0;
	return errno == EEXIST ? -EAGAIN : -errno;
}

/*
 * Give the new file its name, unless the old one is not what was expected: -EAGAIN. What is left
 * under the other name, the old file or the new one, goes.
 */
static int put_in_place(const struct cv_replace *replace, const char *name)
{
	int rc = replace->expect ? exchange(replace, name) : create(replace, name);

	if (rc == -EINVAL || rc == -ENOSYS)
		rc = put_simply(replace, name);
	/* Else it is somebody's edit, and not ours to remove. */
	if (rc != -ENOTRECOVERABLE)
		(void)unlinkat(replace->directory, name, 0);
	return rc;
}

int cv_replace_file(const struct cv_replace *replace, struct cv_signature *ret_signature,
		    struct cv_error *error)
{
	char name[NEW_NAME_MAX];
	unsigned int nonce = 0;
	struct stat st;
	int rc;

	(void)!getrandom(&nonce, sizeof(nonce), GRND_NONBLOCK);
	snprintf(name, sizeof(name), ".%s.%x-%x%s", replace->name, (unsigned int)getpid(), nonce,
		 new_end);
	rc = write_aside(replace, name);
	if (!rc)
		rc = put_in_place(replace, name);
	if (!rc && fstatat(replace->directory, replace->name, &st, 0))
		rc = -errno;
	if (rc == -EAGAIN)
		return cv_error_set(error, rc, "%s/%s is being changed by somebody else",
				    replace->path, replace->name);
	if (rc)
		return cv_error_set(error, rc, "cannot write %s/%s: %s%s", replace->path,
				    replace->name, strerror(-rc), advice(rc));
	/* The file is in place; some file systems cannot do this, and need not. */
	(void)fsync(replace->directory);
	*ret_signature = cv_signature_of(&st);
	return 0;
}
