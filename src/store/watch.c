/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch over a directory: inotify and a timer behind one epoll descriptor.
 *
 * Watched are the directory itself (edits, renames, Kubernetes' `..data`), the directory that
 * its name is in (whole directories swapped by rename, deleted, made again), or the nearest one
 * above that exists; the same for each symbolic link that the name goes through; and the files that
 * links in the directory point to. A mark is on an inode, not on a name, so all are set anew with
 * each look: inotify gives the same mark for what is marked already.
 */
#include "store/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	LINKS_MAX = 16,	       /* that the directory's name may go through */
	LINKED_FILES_MAX = 256 /* that are watched */
};

/*
 * IN_CLOSE_WRITE, not IN_MODIFY: half of a manifest is of no use. IN_CREATE is for links. IN_ATTRIB
 * tells that a file may be read now, and of a linked one that its name is gone.
 */
static const uint32_t own_events = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVE | IN_ATTRIB |
				   IN_DELETE_SELF | IN_MOVE_SELF | IN_MASK_ADD;
static const uint32_t parent_events =
	IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD;
static const uint32_t file_events =
	IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_MASK_ADD;

static int add_to_epoll(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int cv_watch_init(struct cv_watch *ret_watch)
{
	struct cv_watch watch = {
		.fd = epoll_create1(EPOLL_CLOEXEC),
		.inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC),
		.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
	};
	int rc = 0;

	if (watch.fd < 0 || watch.inotify < 0 || watch.timer < 0)
		rc = errno ? -errno : -EMFILE;
	if (!rc)
		rc = add_to_epoll(watch.fd, watch.inotify);
	if (!rc)
		rc = add_to_epoll(watch.fd, watch.timer);
	if (rc)
		cv_watch_fini(&watch);
	else
		*ret_watch = watch;
	return rc;
}

void cv_watch_fini(struct cv_watch *watch)
{
	const int fds[] = {watch->fd, watch->inotify, watch->timer};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	free(watch->marks);
	*watch = (struct cv_watch){.fd = -1, .inotify = -1, .timer = -1};
}

void cv_watch_drain(struct cv_watch *watch)
{
	char buffer[4096];

	while (read(watch->inotify, buffer, sizeof(buffer)) > 0)
		;
	(void)!read(watch->timer, buffer, sizeof(uint64_t));
}

void cv_watch_again(struct cv_watch *watch, unsigned int ms)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 + 1},
	};

	timerfd_settime(watch->timer, 0, &when, NULL);
}

/* ---- marks ----------------------------------------------------------------------- */

static bool has_mark(const int *marks, size_t count, int mark)
{
	for (size_t i = 0; i < count; i++) {
		if (marks[i] == mark)
			return true;
	}
	return false;
}

/* 0, or -errno of inotify_add_watch(2). */
static int mark(struct cv_watch *watch, const char *path, uint32_t events)
{
	int wd = inotify_add_watch(watch->inotify, path, events);

	if (wd < 0)
		return -errno;
	if (has_mark(watch->marks, watch->count, wd))
		return 0;
	if (watch->count == watch->capacity) {
		size_t more = watch->capacity ? 2 * watch->capacity : 8;
		int *grown = realloc(watch->marks, more * sizeof(*grown));

		if (!grown)
			return 0; /* watched all the same, for longer than needed */
		watch->marks = grown;
		watch->capacity = more;
	}
	watch->marks[watch->count++] = wd;
	return 0;
}

/* Cut the last component off; false: there is none. */
static bool to_parent(char *path)
{
	size_t length = strlen(path);
	char *slash;

	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
	slash = strrchr(path, '/');
	if (!slash || length <= 1)
		return false;
	slash[slash == path ? 1 : 0] = '\0';
	return true;
}

/* The directory that a name is in, or the nearest above that exists. */
static void mark_above(struct cv_watch *watch, const char *path)
{
	char above[PATH_MAX];

	snprintf(above, sizeof(above), "%s", path);
	while (to_parent(above)) {
		int rc = mark(watch, above, parent_events);

		if (rc != -ENOENT && rc != -ENOTDIR)
			return;
	}
}

/* Put what a link points to in its place. false: it is no link. */
static bool follow_link(char path[PATH_MAX])
{
	char target[PATH_MAX], joined[2 * PATH_MAX];
	char bare[PATH_MAX];
	ssize_t length;

	snprintf(bare, sizeof(bare), "%s", path);
	/* "/etc/culvert/" would be followed to its target, and be no link. */
	for (size_t n = strlen(bare); n > 1 && bare[n - 1] == '/'; n--)
		bare[n - 1] = '\0';
	length = readlink(bare, target, sizeof(target) - 1);
	if (length <= 0)
		return false;
	target[length] = '\0';
	if (*target == '/')
		snprintf(joined, sizeof(joined), "%s", target);
	else if (to_parent(bare))
		snprintf(joined, sizeof(joined), "%s/%s", bare, target);
	else
		return false;
	if (strlen(joined) >= PATH_MAX)
		return false;
	memcpy(path, joined, strlen(joined) + 1);
	return true;
}

static void mark_linked_files(struct cv_watch *watch, const struct cv_directory *directory)
{
	size_t left = LINKED_FILES_MAX;

	for (size_t i = 0; i < directory->count && left; i++) {
		char path[PATH_MAX];
		int length;

		if (!directory->files[i].is_link)
			continue;
		length = snprintf(path, sizeof(path), "%s/%s", directory->path,
				  directory->files[i].name);
		if (length > 0 && (size_t)length < sizeof(path))
			mark(watch, path, file_events);
		left--;
	}
}

void cv_watch_follow(struct cv_watch *watch, const struct cv_directory *directory)
{
	struct cv_watch old = *watch;
	char path[PATH_MAX];

	watch->marks = NULL;
	watch->count = watch->capacity = 0;
	snprintf(path, sizeof(path), "%s", directory->path);
	for (int i = 0; i < LINKS_MAX; i++) {
		mark_above(watch, path);
		if (!follow_link(path))
			break;
	}
	mark(watch, directory->path, own_events | IN_ONLYDIR);
	mark_linked_files(watch, directory);
	for (size_t i = 0; i < old.count; i++) {
		/* Of an inode that is gone the mark is, too, and this fails. */
		if (!has_mark(watch->marks, watch->count, old.marks[i]))
			inotify_rm_watch(watch->inotify, old.marks[i]);
	}
	free(old.marks);
}
