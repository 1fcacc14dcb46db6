/* SPDX-License-Identifier: Apache-2.0 */
/* Tombstones: files that tunnel/file.h writes, one for each attachment. */
#include "model/tombstone.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/attachment.h"
#include "tunnel/file.h"

static const char suffix[] = ".json";

enum {
	NAME_MAX_TEXT = CV_ATTACHMENT_HASH_TEXT + sizeof(suffix) - 1,
	SIZE_MAX_BYTES = 1 << 20, /* of one; what is larger is none */
};

static void file_name(const char *network, const char *container, const char *interface,
		      char ret_name[NAME_MAX_TEXT])
{
	struct cv_attachment attachment;

	cv_attachment_name(network, container, interface, &attachment);
	snprintf(ret_name, NAME_MAX_TEXT, "%s%s", attachment.hash, suffix);
}

/* mkdir -p: 0 if the directory is there afterwards. */
static int make_directories(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t length = strlen(path);

	if (length >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, length + 1);
	for (char *at = part + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(part, mode) && errno != EEXIST ? -errno : 0;
}

static int open_directory(const char *run_dir, bool make, char ret_path[PATH_MAX])
{
	int length = snprintf(ret_path, PATH_MAX, "%s/%s", run_dir, CV_TOMBSTONE_DIRECTORY);
	int fd, rc;

	if (length >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open(ret_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno != ENOENT || !make)
		return -errno;
	rc = make_directories(ret_path, 0700);
	if (rc)
		return rc;
	fd = open(ret_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cv_tombstone_write(const char *run_dir, const char *network, const char *container,
		       const char *interface, struct cv_error *error)
{
	json_t *object = json_pack("{s:s, s:s, s:s}", "network", network, "container", container,
				   "interface", interface);
	char *text = json_dumps(object, JSON_COMPACT);
	char path[PATH_MAX], name[NAME_MAX_TEXT];
	int directory, rc;

	json_decref(object);
	if (!text)
		return cv_error_set(error, -ENOMEM, "out of memory");
	file_name(network, container, interface, name);
	directory = open_directory(run_dir, true, path);
	if (directory < 0) {
		free(text);
		return cv_error_set(error, directory, "cannot make %s/%s: %s", run_dir,
				    CV_TOMBSTONE_DIRECTORY, strerror(-directory));
	}
	rc = cv_file_save_text(path, name, text, 0600, error);
	/* Another DEL of the same, at the same time, has taken the file aside and put it there. */
	if (rc && !faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW))
		rc = 0;
	free(text);
	close(directory);
	return rc;
}

int cv_tombstone_remove(const char *run_dir, const char *network, const char *container,
			const char *interface)
{
	char path[PATH_MAX], name[NAME_MAX_TEXT];
	int directory = open_directory(run_dir, false, path);
	int rc = 0;

	if (directory < 0)
		return directory == -ENOENT ? 0 : directory;
	file_name(network, container, interface, name);
	if (unlinkat(directory, name, 0) && errno != ENOENT)
		rc = -errno;
	close(directory);
	return rc;
}

bool cv_tombstone_is_name(const char *name)
{
	const size_t digits = CV_ATTACHMENT_HASH_TEXT - 1;

	return strspn(name, "0123456789abcdef") == digits && !strcmp(name + digits, suffix);
}

static bool is_of(const struct cv_tombstone *tombstone, const char *name)
{
	char expected[NAME_MAX_TEXT];

	if (!tombstone->network || !cv_attachment_name_is_valid(tombstone->network) ||
	    !tombstone->container || !cv_attachment_name_is_valid(tombstone->container) ||
	    !tombstone->interface || !cv_attachment_interface_is_valid(tombstone->interface))
		return false;
	file_name(tombstone->network, tombstone->container, tombstone->interface, expected);
	return !strcmp(name, expected);
}

static char *copy_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? strdup(text) : NULL;
}

/* A file in the directory, to be read; a FIFO there must not hold us up. -EBADMSG: it is no file
 * that could be a tombstone. */
static int open_file(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EBADMSG : -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= SIZE_MAX_BYTES)
		return fd;
	close(fd);
	return -EBADMSG;
}

static int refuse(struct cv_error *error, const char *path, const char *name)
{
	return cv_error_set(error, -EBADMSG, "%s/%s is no tombstone; remove it", path, name);
}

int cv_tombstone_read(const char *run_dir, const char *name, struct cv_tombstone *ret_tombstone,
		      struct cv_error *error)
{
	struct cv_tombstone tombstone;
	char path[PATH_MAX];
	json_t *object;
	int directory = open_directory(run_dir, false, path);
	int fd;

	if (directory < 0)
		return cv_error_set(error, directory, "%s/%s: %s", run_dir, CV_TOMBSTONE_DIRECTORY,
				    strerror(-directory));
	fd = open_file(directory, name);
	close(directory);
	if (fd == -EBADMSG)
		return refuse(error, path, name);
	if (fd < 0)
		return cv_error_set(error, fd, "%s/%s: %s", path, name, strerror(-fd));
	object = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	close(fd);
	tombstone = (struct cv_tombstone){
		.network = copy_member(object, "network"),
		.container = copy_member(object, "container"),
		.interface = copy_member(object, "interface"),
	};
	json_decref(object);
	if (!is_of(&tombstone, name)) {
		cv_tombstone_fini(&tombstone);
		return refuse(error, path, name);
	}
	*ret_tombstone = tombstone;
	return 0;
}

void cv_tombstone_fini(struct cv_tombstone *tombstone)
{
	free(tombstone->network);
	free(tombstone->container);
	free(tombstone->interface);
	*tombstone = (struct cv_tombstone){0};
}
