/* SPDX-License-Identifier: Apache-2.0 */
/* Pins in the BPF file system. */
#include "fastpath/pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "net/namespace.h"

static const char mount_point[] = "/sys/fs/bpf";
static const char parent[] = "/sys/fs/bpf/culvert";

/* FNV-1a: names must be the same in every build, for ever. */
static uint64_t hash(const char *text)
{
	uint64_t sum = 0xcbf29ce484222325ULL;

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 0x100000001b3ULL;
	return sum;
}

unsigned int cv_pins_handle(const char *run_dir)
{
	uint64_t sum = hash(run_dir);

	return (unsigned int)(sum ^ sum >> 32) | 1;
}

/* No dots: the BPF file system keeps names with dots for itself. */
static int name_directory(const char *run_dir, char *ret_path)
{
	uint64_t cookie = 0;
	int err = cv_namespace_cookie(&cookie);

	if (err)
		return err;
	snprintf(ret_path, CV_PINS_PATH_MAX, "%s/%llx-%016llx", parent, (unsigned long long)cookie,
		 (unsigned long long)hash(run_dir));
	return 0;
}

static bool is_mounted(void)
{
	struct statfs fs;

	return !statfs(mount_point, &fs) && fs.f_type == BPF_FS_MAGIC;
}

/* As ip, tc and bpftool do it. */
static int mount_file_system(char *why, size_t size)
{
	int err;

	if (is_mounted())
		return 0;
	if (!mount("bpf", mount_point, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return 0;
	err = -errno;
	snprintf(why, size,
		 "no BPF file system at %s, and it cannot be mounted: %s; `mount -t bpf bpf %s`, "
		 "or give culvertd CAP_SYS_ADMIN",
		 mount_point, strerror(-err), mount_point);
	return err;
}

void cv_pins_init(struct cv_pins *pins)
{
	memset(pins, 0, sizeof(*pins));
	pins->dir = -1;
}

/*
 * A BPF file system that was mounted without a mode lets everybody make directories and links in
 * it: who owns ours could put other maps in the place of our pins, or have us unlink files that
 * are no pins. So it is judged by what was opened. A descriptor; -EPERM: it is not ours; -errno.
 */
static int open_ours(int at, const char *name, const char *path, char *why, size_t size)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;
	struct stat st;

	if (err == -ELOOP || err == -ENOTDIR) {
		snprintf(why, size, "%s is not a directory; remove it", path);
		return -EPERM;
	}
	if (!err && fstat(fd, &st))
		err = -errno;
	if (err) {
		snprintf(why, size, "cannot open %s: %s", path, strerror(-err));
	} else if ((st.st_uid != geteuid() && st.st_uid != 0) ||
		   (st.st_mode & (S_IWGRP | S_IWOTH))) {
		err = -EPERM;
		snprintf(why, size,
			 "%s belongs to another user, or others may write in it; remove it", path);
	}
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return err;
}

/* 0, or -errno with why. */
static int make(int at, const char *name, const char *path, char *why, size_t size)
{
	int err;

	if (!mkdirat(at, name, 0700) || errno == EEXIST)
		return 0;
	err = -errno;
	snprintf(why, size, "cannot make %s: %s", path, strerror(-err));
	return err;
}

/* Open pins->path. 0; -EPERM: it, or what it is in, is not ours; -errno; with why. */
static int open_directory(struct cv_pins *pins, bool is_made, char *why, size_t size)
{
	const char *name = pins->path + sizeof(parent);
	int err = is_made ? make(AT_FDCWD, parent, parent, why, size) : 0;
	int dir;

	if (err)
		return err;
	dir = open_ours(AT_FDCWD, parent, parent, why, size);
	if (dir < 0)
		return dir;
	if (is_made)
		err = make(dir, name, pins->path, why, size);
	if (!err) {
		pins->dir = open_ours(dir, name, pins->path, why, size);
		err = pins->dir < 0 ? pins->dir : 0;
	}
	if (err)
		pins->dir = -1;
	close(dir);
	return err;
}

int cv_pins_find(const char *run_dir, struct cv_pins *ret_pins)
{
	char why[CV_PINS_PATH_MAX * 2];
	int err;

	cv_pins_init(ret_pins);
	err = name_directory(run_dir, ret_pins->path);
	if (err)
		return err;
	if (!is_mounted())
		return -ENOENT;
	err = open_directory(ret_pins, false, why, sizeof(why));
	/* Nothing of ours is pinned in what is somebody else's. */
	return err == -EPERM ? -ENOENT : err;
}

int cv_pins_open(const char *run_dir, struct cv_pins *ret_pins, char *why, size_t size)
{
	int err;

	cv_pins_init(ret_pins);
	err = name_directory(run_dir, ret_pins->path);
	if (err) {
		snprintf(why, size,
			 "the kernel does not tell its network namespace: %s (Linux "
			 "5.14 does)",
			 strerror(-err));
		return err;
	}
	err = mount_file_system(why, size);
	return err ? err : open_directory(ret_pins, true, why, size);
}

void cv_pins_close(struct cv_pins *pins)
{
	if (pins->dir >= 0)
		close(pins->dir);
	pins->dir = -1;
	cv_pins_let_go(pins);
}

void cv_pins_let_go(struct cv_pins *pins)
{
	while (pins->found_count)
		close(pins->found[--pins->found_count].fd);
}

void cv_pins_keep(struct cv_pins *pins, const char *name, int fd)
{
	for (unsigned int i = 0; i < pins->found_count; i++) {
		if (!strcmp(pins->found[i].name, name)) {
			close(fd);
			return;
		}
	}
	if (pins->found_count == CV_PINS_FOUND_MAX) {
		close(fd);
		return;
	}
	pins->found[pins->found_count].fd = fd;
	snprintf(pins->found[pins->found_count].name, CV_PINS_NAME_MAX, "%s", name);
	pins->found_count++;
}

static int get_kept(const struct cv_pins *pins, const char *name)
{
	int fd;

	for (unsigned int i = 0; i < pins->found_count; i++) {
		if (strcmp(pins->found[i].name, name) != 0)
			continue;
		fd = fcntl(pins->found[i].fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

static void name_pin(const struct cv_pins *pins, const char *name, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/%.*s", pins->path, CV_PINS_NAME_MAX, name);
}

int cv_pins_get(const struct cv_pins *pins, const char *name)
{
	char path[CV_PINS_PATH_MAX + CV_PINS_NAME_MAX + 1];
	int fd;

	if (pins->dir < 0)
		return get_kept(pins, name);
	name_pin(pins, name, path, sizeof(path));
	fd = bpf_obj_get(path);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? get_kept(pins, name) : -errno;
}

int cv_pins_put(const struct cv_pins *pins, const char *name, int fd)
{
	static const char fresh[] = "new";
	char path[CV_PINS_PATH_MAX + CV_PINS_NAME_MAX + 1];

	if (pins->dir < 0)
		return 0;
	name_pin(pins, fresh, path, sizeof(path));
	if (unlink(path) && errno != ENOENT)
		return -errno;
	if (bpf_obj_pin(fd, path) || renameat(pins->dir, fresh, pins->dir, name))
		return -errno;
	return 0;
}

int cv_pins_rename(struct cv_pins *pins, const char *name, const char *other)
{
	if (pins->dir >= 0 && !renameat(pins->dir, name, pins->dir, other))
		return 0;
	for (unsigned int i = 0; i < pins->found_count; i++) {
		if (strcmp(pins->found[i].name, name) != 0)
			continue;
		snprintf(pins->found[i].name, CV_PINS_NAME_MAX, "%s", other);
		return 0;
	}
	return -ENOENT;
}

int cv_pins_remove(const struct cv_pins *pins, const char *name)
{
	return unlinkat(pins->dir, name, 0) ? -errno : 0;
}

static int for_each_pinned(const struct cv_pins *pins, int (*cb)(const char *name, void *data),
			   void *data)
{
	int fd = openat(pins->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int result = -errno;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return result;
	}
	result = 0;
	while (!result && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			result = cb(entry->d_name, data);
	}
	closedir(dir);
	return result;
}

static bool is_pinned(const struct cv_pins *pins, const char *name)
{
	return pins->dir >= 0 && !faccessat(pins->dir, name, F_OK, 0);
}

int cv_pins_for_each(const struct cv_pins *pins, int (*cb)(const char *name, void *data),
		     void *data)
{
	int result = pins->dir < 0 ? 0 : for_each_pinned(pins, cb, data);

	for (unsigned int i = 0; i < pins->found_count && !result; i++) {
		if (!is_pinned(pins, pins->found[i].name))
			result = cb(pins->found[i].name, data);
	}
	return result;
}

void cv_pins_for_each_sibling(const struct cv_pins *pins,
			      void (*cb)(const struct cv_pins *sibling, void *data), void *data)
{
	const char *own = strrchr(pins->path, '/');
	size_t cookie_length = own ? strcspn(++own, "-") + 1 : 0;
	DIR *dir = own ? opendir(parent) : NULL;
	const struct dirent *entry;
	char why[CV_PINS_PATH_MAX * 2];
	struct cv_pins sibling;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, own, cookie_length) || !strcmp(entry->d_name, own))
			continue;
		cv_pins_init(&sibling);
		snprintf(sibling.path, sizeof(sibling.path), "%s/%.64s", parent, entry->d_name);
		if (!open_directory(&sibling, false, why, sizeof(why)))
			cb(&sibling, data);
		cv_pins_close(&sibling);
	}
	closedir(dir);
}

struct purge {
	const struct cv_pins *pins;
	const char *keep; /* NULL: nothing */
	int count;
};

static int purge_one(const char *name, void *data)
{
	struct purge *purge = data;

	if (purge->keep && !strcmp(purge->keep, name))
		return 0;
	if (!cv_pins_remove(purge->pins, name))
		purge->count++;
	return 0;
}

void cv_pins_remove_all_but(const struct cv_pins *pins, const char *name)
{
	struct purge purge = {.pins = pins, .keep = name};

	if (pins->dir >= 0)
		for_each_pinned(pins, purge_one, &purge);
}

int cv_pins_purge(struct cv_pins *pins)
{
	struct purge purge = {.pins = pins};
	bool is_there = pins->dir >= 0;
	int err = is_there ? for_each_pinned(pins, purge_one, &purge) : 0;

	cv_pins_close(pins);
	if (!is_there)
		return 0;
	if (rmdir(pins->path) && errno != ENOENT && !err)
		err = -errno;
	/* Another instance may have its own below it. */
	rmdir(parent);
	return err ? err : purge.count;
}
