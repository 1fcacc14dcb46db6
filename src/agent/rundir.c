/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run directory. Whoever may write in it could put a state file or a socket of his own
 * there, so it must belong to us and be closed to others. The lock is the kernel's (flock), so
 * that it goes with the daemon however that ends; the file stays.
 */
#include "agent/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/control.h"

static int check_owner(const char *path, struct cv_error *error)
{
	struct stat st;

	if (stat(path, &st))
		return cv_error_set(error, -errno, "run directory %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return cv_error_set(error, -ENOTDIR,
				    "run directory %s is not a directory; give another --run-dir",
				    path);
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return cv_error_set(
			error, -EPERM,
			"run directory %s is open to other users; `chown root %s; chmod "
			"755 %s`, or give another --run-dir",
			path, path, path);
	return 0;
}

static int make(const char *path, struct cv_rundir *rundir, struct cv_error *error)
{
	int n;

	if (mkdir(path, 0755) && errno != EEXIST)
		return cv_error_set(error, -errno,
				    "cannot make run directory %s: %s; make its parent, or give "
				    "another --run-dir",
				    path, strerror(errno));
	if (!realpath(path, rundir->path))
		return cv_error_set(error, -errno, "run directory %s: %s", path, strerror(errno));
	n = snprintf(rundir->socket, sizeof(rundir->socket), "%s/%s", rundir->path,
		     CV_CONTROL_SOCKET);
	if (n >= (int)sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return cv_error_set(
			error, -ENAMETOOLONG,
			"run directory %.128s: too long a name for a socket in it; give "
			"a --run-dir of at most %zu characters",
			path,
			sizeof(((struct sockaddr_un *)NULL)->sun_path) -
				sizeof("/" CV_CONTROL_SOCKET));
	return check_owner(rundir->path, error);
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

static int take_lock(struct cv_rundir *rundir, struct cv_error *error)
{
	char path[PATH_MAX], text[16] = "";
	int fd, n;

	n = snprintf(path, sizeof(path), "%s/lock", rundir->path);
	if (n >= (int)sizeof(path))
		return cv_error_set(error, -ENAMETOOLONG, "run directory: too long a name");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
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
	note_process(fd);
	rundir->lock = fd;
	return 0;
}

int cv_rundir_open(struct cv_rundir *ret_rundir, const char *path, struct cv_error *error)
{
	struct cv_rundir rundir = {.lock = -1};
	int rc = make(path, &rundir, error);

	if (!rc)
		rc = take_lock(&rundir, error);
	if (rc)
		return rc;
	*ret_rundir = rundir;
	return 0;
}

void cv_rundir_close(struct cv_rundir *rundir)
{
	if (rundir->lock >= 0)
		close(rundir->lock);
	rundir->lock = -1;
}
