/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run directory. Whoever may write in it could put a state file or a socket of his own
 * there, so it must belong to us and be closed to others. The lock is the kernel's (flock), so
 * that it goes with the daemon however that ends; the file stays.
 */
#include "agent/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/addresses.h"
#include "agent/control.h"
#include "agent/daemon_pods.h"
#include "agent/mtu_file.h"
#include "agent/node_state.h"
#include "model/tombstone.h"
#include "tunnel/endpoint_state.h"
#include "tunnel/holder.h"
#include "tunnel/state.h"

#define LOCK "lock"
#define MADE "made-by-culvertd" /* there: a daemon made the directory */

static int check_owner(const char *path, struct cv_error *error)
{
	struct stat st;

	if (stat(path, &st))
		return cv_error_set(error, -errno, "run directory %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cv_error_set(error, -ENOTDIR,
				    "run directory %s is not a directory; give another --run-dir",
				    path);
	if (st.st_uid != geteuid())
		return cv_error_set(error, -EPERM,
				    "run directory %s belongs to user %u; be that user, or give "
				    "another --run-dir",
				    path, (unsigned int)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return cv_error_set(
			error, -EPERM,
			"run directory %s is open to other users; `chown root %s; chmod "
			"755 %s`, or give another --run-dir",
			path, path, path);
	return 0;
}

/* Fill in what follows from the path. */
static int name_socket(struct cv_rundir *rundir, struct cv_error *error)
{
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path);
	int n = snprintf(rundir->socket, sizeof(rundir->socket), "%s/%s", rundir->path,
			 CV_CONTROL_SOCKET);

	if (n >= (int)max)
		return cv_error_set(
			error, -ENAMETOOLONG,
			"run directory %.128s: too long a name for a socket in it; give "
			"a --run-dir of at most %zu characters",
			rundir->path, max - sizeof("/" CV_CONTROL_SOCKET));
	return 0;
}

/* A file that says that the directory is ours to remove. Without it, it stays: no harm. */
static void note_made(const char *path)
{
	char file[PATH_MAX];
	int fd;

	if (snprintf(file, sizeof(file), "%s/" MADE, path) >= (int)sizeof(file))
		return;
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		close(fd);
}

static int make(const char *path, struct cv_rundir *rundir, struct cv_error *error)
{
	bool made = !mkdir(path, 0755);
	int rc;

	if (!made && errno != EEXIST)
		return cv_error_set(error, -errno,
				    "cannot make run directory %s: %s; make its parent, or give "
				    "another --run-dir",
				    path, strerror(errno));
	if (!realpath(path, rundir->path))
		return cv_error_set(error, -errno, "run directory %s: %s", path, strerror(errno));
	rc = name_socket(rundir, error);
	if (!rc)
		rc = check_owner(rundir->path, error);
	if (!rc && made)
		note_made(rundir->path);
	return rc;
}

/* The process id in the lock file is for people: a full disk is no reason not to carry tunnels. */
static void note_process(int fd)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	/* In this order, so that it needs no room where an earlier one was. */
	if (pwrite(fd, text, (size_t)n, 0) != n || ftruncate(fd, n)) {
		/* Then it names no process, or none that lives. */
	}
}

/* flags: O_CREAT, or 0: -ENOENT when there is no lock. */
static int take_lock(struct cv_rundir *rundir, int flags, struct cv_error *error)
{
	char path[PATH_MAX], text[16] = "";
	struct stat st;
	int fd, n;

	n = snprintf(path, sizeof(path), "%s/" LOCK, rundir->path);
	if (n >= (int)sizeof(path))
		return cv_error_set(error, -ENAMETOOLONG, "run directory: too long a name");
	fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return cv_error_set(error, -errno,
				    "cannot make %s: %s; make that directory writable, or give "
				    "another --run-dir",
				    path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		ssize_t length = read(fd, text, sizeof(text) - 1);

		close(fd);
		text[length > 0 ? strcspn(text, "\n") : 0] = '\0';
		return cv_error_set(error, -EBUSY,
				    "another culvertd (process %s) runs in %s; stop it, or give "
				    "another --run-dir",
				    *text ? text : "unknown", rundir->path);
	}
	/* A purge removes it: then a daemon that starts now would lock another file. */
	if (fstat(fd, &st) || !st.st_nlink) {
		close(fd);
		return cv_error_set(error, -EAGAIN, "%s was just removed; try again", path);
	}
	rundir->lock = fd;
	return 0;
}

int cv_rundir_open(struct cv_rundir *ret_rundir, const char *path, struct cv_error *error)
{
	struct cv_rundir rundir = {.lock = -1};
	int rc = make(path, &rundir, error);

	if (!rc)
		rc = take_lock(&rundir, O_CREAT, error);
	if (rc)
		return rc;
	note_process(rundir.lock);
	*ret_rundir = rundir;
	return 0;
}

/* ---- removing ------------------------------------------------------------------ */

/* The path that a directory had which is gone. Without its parent, it is taken as it is written. */
static int resolve_gone(const char *path, char ret_path[PATH_MAX])
{
	char copy[PATH_MAX], parent[PATH_MAX];
	size_t length = strlen(path);
	char *slash;
	int n;

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (snprintf(copy, sizeof(copy), "%.*s", (int)length, path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	slash = strrchr(copy, '/');
	if (slash)
		*slash = '\0';
	if (!realpath(!slash ? "." : *copy ? copy : "/", parent)) {
		if (errno != ENOENT || !slash)
			return -errno;
		memcpy(parent, copy, sizeof(parent));
	}
	n = snprintf(ret_path, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "",
		     slash ? slash + 1 : copy);
	return n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Many programs have a file of that name: ours holds a process's number, unless the disk was full.
 */
static bool is_lock_ours(const struct cv_rundir *rundir)
{
	char text[16] = "", path[PATH_MAX];
	ssize_t length = pread(rundir->lock, text, sizeof(text) - 1, 0);

	if (length > 0)
		return strspn(text, "0123456789") + 1 == (size_t)length && text[length - 1] == '\n';
	return snprintf(path, sizeof(path), "%s/" CV_TUNNEL_STATE_FILE, rundir->path) <
		       (int)sizeof(path) &&
	       !access(path, F_OK);
}

static int take(struct cv_rundir *rundir, struct cv_error *error)
{
	int rc = name_socket(rundir, error);

	if (!rc)
		rc = check_owner(rundir->path, error);
	if (!rc)
		rc = take_lock(rundir, 0, error);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (is_lock_ours(rundir))
		return 1;
	cv_rundir_close(rundir);
	return 0;
}

int cv_rundir_take(struct cv_rundir *ret_rundir, const char *path, struct cv_error *error)
{
	struct cv_rundir rundir = {.lock = -1};
	int rc;

	if (realpath(path, rundir.path)) {
		rc = take(&rundir, error);
	} else {
		rc = errno == ENOENT ? resolve_gone(path, rundir.path) : -errno;
		if (rc)
			cv_error_set(error, rc, "run directory %s: %s", path, strerror(-rc));
	}
	if (rc >= 0)
		*ret_rundir = rundir;
	return rc;
}

/* What daemons leave; the lock and the sign whose the directory is come last. */
static const struct {
	const char *name;
	mode_t type;
} left_behind[] = {
	{CV_CONTROL_SOCKET, S_IFSOCK},
	{CV_HOLDER_SOCKET, S_IFSOCK},
	{CV_HOLDER_SOCKET "+", S_IFSOCK},
	{CV_TUNNEL_STATE_FILE, S_IFREG},
	{CV_TUNNEL_STATE_FILE ".new", S_IFREG},
	{CV_NODE_STATE_FILE, S_IFREG},
	{CV_NODE_STATE_FILE ".new", S_IFREG},
	{CV_ENDPOINT_STATE_FILE, S_IFREG},
	{CV_ENDPOINT_STATE_FILE ".new", S_IFREG},
	{CV_MTU_FILE, S_IFREG},
	{CV_MTU_FILE ".new", S_IFREG},
	{MADE, S_IFREG},
	{LOCK, S_IFREG},
};

/* In directories of the run directory; what else is in them stays, and they do with it. */
static const struct {
	const char *directory;
	const char *pattern; /* of fnmatch(3) */
} inner_left_behind[] = {
	{CV_TOMBSTONE_DIRECTORY, "*.json"},
	{CV_DAEMON_STATE, CV_ADDRESSES_FILE},
	{CV_DAEMON_STATE, CV_ADDRESSES_FILE "-wal"},
	{CV_DAEMON_STATE, CV_ADDRESSES_FILE "-shm"},
};

/* 1 removed, 0 there is none, or it is not ours, -errno. */
static int remove_file(const char *path, mode_t type, struct cv_error *error)
{
	struct stat st;

	if (lstat(path, &st) || (st.st_mode & S_IFMT) != type || st.st_uid != geteuid())
		return 0;
	if (unlink(path))
		return cv_error_set(error, -errno, "cannot remove %s: %s", path, strerror(errno));
	return 1;
}

static int remove_matching(const char *directory, const char *pattern,
			   void (*tell)(const char *path), struct cv_error *error)
{
	DIR *stream = opendir(directory);
	const struct dirent *entry;
	char path[PATH_MAX];
	int rc = 0;

	if (!stream)
		return 0;
	while (rc >= 0 && (entry = readdir(stream)) != NULL) {
		if (fnmatch(pattern, entry->d_name, FNM_PERIOD) ||
		    snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name) >=
			    (int)sizeof(path))
			continue;
		rc = remove_file(path, S_IFREG, error);
		if (rc > 0)
			tell(path);
	}
	closedir(stream);
	return rc < 0 ? rc : 0;
}

static int remove_inner(const struct cv_rundir *rundir, void (*tell)(const char *path),
			struct cv_error *error)
{
	char path[PATH_MAX];
	int rc = 0;

	for (size_t i = 0; i < sizeof(inner_left_behind) / sizeof(inner_left_behind[0]) && !rc;
	     i++) {
		if (snprintf(path, sizeof(path), "%s/%s", rundir->path,
			     inner_left_behind[i].directory) >= (int)sizeof(path))
			continue;
		rc = remove_matching(path, inner_left_behind[i].pattern, tell, error);
		if (!rc && !rmdir(path))
			tell(path);
	}
	return rc;
}

int cv_rundir_remove(const struct cv_rundir *rundir, void (*tell)(const char *path),
		     struct cv_error *error)
{
	char path[PATH_MAX];
	bool made = false;
	int rc = remove_inner(rundir, tell, error);

	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof(left_behind) / sizeof(left_behind[0]); i++) {
		const char *name = left_behind[i].name;

		if (snprintf(path, sizeof(path), "%s/%s", rundir->path, name) >= (int)sizeof(path))
			continue;
		rc = remove_file(path, left_behind[i].type, error);
		if (rc < 0)
			return rc;
		made |= rc && !strcmp(name, MADE);
		if (rc)
			tell(path);
	}
	if (made && !rmdir(rundir->path))
		tell(rundir->path);
	return 0;
}

void cv_rundir_close(struct cv_rundir *rundir)
{
	if (rundir->lock >= 0)
		close(rundir->lock);
	rundir->lock = -1;
}
