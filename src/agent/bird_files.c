/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD's files. The directory is root's and of group bird, sticky: BIRD makes its socket, log and
 * process-id file in it and removes them, but can neither change nor replace its configuration.
 *
 * Invariants: what is at bird.conf and culvert.conf is what BIRD took, but between writing and its
 * answer: then what it took is at *.former. So a BIRD that is started takes what is there.
 */
#include "agent/bird_files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tunnel/file.h"

#define FORMER	  ".former"
#define TAKEN	  "bird.taken" /* the digest, and in which boot */
#define BIRD_USER "bird"
#define BOOT_ID	  "/proc/sys/kernel/random/boot_id"

enum {
	BOOT_ID_MAX = 64,
	FILE_MODE = 0640,
	DIRECTORY_MODE = 0750,
	SHARED_DIRECTORY_MODE = 01770,
};

static const char *const configuration[] = {CV_BIRD_CONFIG, CV_BIRD_INCLUDE};

int cv_bird_files_init(struct cv_bird_files *ret_files, const char *directory,
		       struct cv_error *error)
{
	*ret_files = (struct cv_bird_files){.group = (gid_t)-1};
	if (snprintf(ret_files->directory, sizeof(ret_files->directory), "%s", directory) >=
	    (int)sizeof(ret_files->directory))
		return cv_error_set(error, -ENAMETOOLONG, "BIRD's directory: too long a name");
	return 0;
}

const char *cv_bird_files_path(const struct cv_bird_files *files, const char *name,
			       char buffer[CV_BIRD_PATH_MAX])
{
	snprintf(buffer, CV_BIRD_PATH_MAX, "%s/%s", files->directory, name);
	return buffer;
}

bool cv_bird_files_has(const struct cv_bird_files *files, const char *name)
{
	char path[CV_BIRD_PATH_MAX];
	struct stat st;

	return !lstat(cv_bird_files_path(files, name, path), &st);
}

/* ---- the directory ------------------------------------------------------------------- */

static bool lets_through(const char *path, uid_t user, gid_t group)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	if (st.st_uid == user)
		return st.st_mode & S_IXUSR;
	return st.st_mode & (st.st_gid == group ? S_IXGRP : S_IXOTH);
}

/* Whether a user gets to the directory: each above it lets him through. */
static bool is_reachable(const char *directory, uid_t user, gid_t group)
{
	char path[PATH_MAX];

	if (!realpath(directory, path))
		return false;
	for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
		bool through;

		*slash = '\0';
		through = lets_through(path, user, group);
		*slash = '/';
		if (!through)
			return false;
	}
	return lets_through("/", user, group);
}

static void choose_user(struct cv_bird_files *files)
{
	const struct passwd *user = geteuid() ? NULL : getpwnam(BIRD_USER);
	const struct group *group = user ? getgrnam(BIRD_USER) : NULL;

	files->has_user = group && is_reachable(files->directory, user->pw_uid, group->gr_gid);
	files->user = files->has_user ? user->pw_uid : geteuid();
	files->group = files->has_user ? group->gr_gid : (gid_t)-1;
}

static int check_directory(int fd, const struct cv_bird_files *files, struct cv_error *error)
{
	struct stat st;

	if (fstat(fd, &st))
		return cv_error_set(error, -errno, "%s: %s", files->directory, strerror(errno));
	if (st.st_uid != geteuid())
		return cv_error_set(error, -EPERM,
				    "%s belongs to user %u; remove it, or give another --run-dir",
				    files->directory, (unsigned int)st.st_uid);
	return 0;
}

/* BIRD could not open a log that an earlier one, run by another user, has made. */
static void hand_over_log(const struct cv_bird_files *files)
{
	char path[CV_BIRD_PATH_MAX];
	struct stat st;
	int fd = open(cv_bird_files_path(files, CV_BIRD_LOG, path),
		      O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    st.st_uid != files->user && fchown(fd, files->user, files->group)) {
		/* Then BIRD says so. */
	}
	close(fd);
}

int cv_bird_files_prepare(struct cv_bird_files *files, struct cv_error *error)
{
	int fd, rc;

	if (mkdir(files->directory, DIRECTORY_MODE) && errno != EEXIST)
		return cv_error_set(error, -errno,
				    "cannot make %s: %s; make the run directory writable",
				    files->directory, strerror(errno));
	fd = open(files->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return cv_error_set(error, -errno, "%s: %s", files->directory, strerror(errno));
	rc = check_directory(fd, files, error);
	if (!rc)
		choose_user(files);
	if (!rc && (fchown(fd, geteuid(), files->has_user ? files->group : getegid()) ||
		    fchmod(fd, files->has_user ? SHARED_DIRECTORY_MODE : DIRECTORY_MODE)))
		rc = cv_error_set(error, -errno, "%s: %s", files->directory, strerror(errno));
	if (!rc)
		hand_over_log(files);
	close(fd);
	return rc;
}

/* ---- the configuration --------------------------------------------------------------- */

void cv_bird_files_digest(const char *main, const char *include, char digest[CV_BIRD_DIGEST_MAX])
{
	SHA2_CTX context;

	SHA256Init(&context);
	/* With its NUL, so that what stands where makes a difference. */
	if (main)
		SHA256Update(&context, (const uint8_t *)main, strlen(main) + 1);
	SHA256Update(&context, (const uint8_t *)include, strlen(include) + 1);
	SHA256End(&context, digest);
}

/* Read a small file of ours. Its length, or -errno. */
static ssize_t read_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n, used = 0;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, buffer + used, size - (size_t)used);
		used += n > 0 ? n : 0;
	} while (n > 0 && (size_t)used < size);
	n = n < 0 ? -errno : used;
	close(fd);
	return n;
}

static bool file_is(const char *path, const char *text)
{
	size_t size = strlen(text);
	char *buffer = malloc(size + 1);
	bool same = buffer && read_file(path, buffer, size + 1) == (ssize_t)size &&
		    !memcmp(buffer, text, size);

	free(buffer);
	return same;
}

static void name_former(const struct cv_bird_files *files, const char *name,
			char path[CV_BIRD_PATH_MAX], char former[CV_BIRD_PATH_MAX])
{
	snprintf(path, CV_BIRD_PATH_MAX, "%s/%s", files->directory, name);
	snprintf(former, CV_BIRD_PATH_MAX, "%s/%s" FORMER, files->directory, name);
}

/* A second name, which needs no room. Where there is one, an earlier change awaits its answer, and
 * that is what BIRD took. */
static int keep_former(const struct cv_bird_files *files, struct cv_error *error)
{
	char path[CV_BIRD_PATH_MAX], former[CV_BIRD_PATH_MAX];

	for (size_t i = 0; i < sizeof(configuration) / sizeof(configuration[0]); i++) {
		name_former(files, configuration[i], path, former);
		if (link(path, former) && errno != EEXIST && errno != ENOENT)
			return cv_error_set(error, -errno, "cannot write %s: %s", former,
					    strerror(errno));
	}
	return 0;
}

bool cv_bird_files_restore(const struct cv_bird_files *files)
{
	char path[CV_BIRD_PATH_MAX], former[CV_BIRD_PATH_MAX];
	bool restored = false;

	for (size_t i = 0; i < sizeof(configuration) / sizeof(configuration[0]); i++) {
		name_former(files, configuration[i], path, former);
		if (!rename(former, path))
			restored = true;
		/* Two names of one file: rename does nothing, and says that it did. */
		unlink(former);
	}
	return restored;
}

int cv_bird_files_write(const struct cv_bird_files *files, const char *main, const char *include,
			struct cv_error *error)
{
	const char *const texts[] = {main, include};
	char path[CV_BIRD_PATH_MAX];
	int rc = keep_former(files, error);

	for (size_t i = 0; i < sizeof(configuration) / sizeof(configuration[0]) && !rc; i++) {
		cv_bird_files_path(files, configuration[i], path);
		if (texts[i] && !file_is(path, texts[i]))
			rc = cv_file_save_text_for(files->directory, configuration[i], texts[i],
						   FILE_MODE, files->group, error);
	}
	if (rc)
		cv_bird_files_restore(files);
	return rc;
}

static bool read_boot_id(char boot[BOOT_ID_MAX])
{
	ssize_t n = read_file(BOOT_ID, boot, BOOT_ID_MAX - 1);

	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	return n > 0;
}

void cv_bird_files_accept(const struct cv_bird_files *files, const char *digest)
{
	char path[CV_BIRD_PATH_MAX], former[CV_BIRD_PATH_MAX], boot[BOOT_ID_MAX];
	char text[CV_BIRD_DIGEST_MAX + BOOT_ID_MAX + 2];

	for (size_t i = 0; i < sizeof(configuration) / sizeof(configuration[0]); i++) {
		name_former(files, configuration[i], path, former);
		unlink(former);
	}
	read_boot_id(boot);
	snprintf(text, sizeof(text), "%s %s\n", digest, boot);
	if (!file_is(cv_bird_files_path(files, TAKEN, path), text))
		cv_file_save_text_for(files->directory, TAKEN, text, 0600, (gid_t)-1, NULL);
}

bool cv_bird_files_taken(const struct cv_bird_files *files, char ret_digest[CV_BIRD_DIGEST_MAX])
{
	char path[CV_BIRD_PATH_MAX], boot[BOOT_ID_MAX];
	char text[CV_BIRD_DIGEST_MAX + BOOT_ID_MAX + 2];
	ssize_t n = read_file(cv_bird_files_path(files, TAKEN, path), text, sizeof(text) - 1);

	if (n < CV_BIRD_DIGEST_MAX)
		return false;
	text[n] = '\0';
	text[CV_BIRD_DIGEST_MAX - 1] = '\0';
	text[CV_BIRD_DIGEST_MAX + strcspn(text + CV_BIRD_DIGEST_MAX, "\n")] = '\0';
	if (!read_boot_id(boot) || strcmp(text + CV_BIRD_DIGEST_MAX, boot) != 0)
		return false;
	memcpy(ret_digest, text, CV_BIRD_DIGEST_MAX);
	return true;
}

void cv_bird_files_remove_pid(const struct cv_bird_files *files)
{
	char path[CV_BIRD_PATH_MAX];

	unlink(cv_bird_files_path(files, CV_BIRD_PID, path));
}

size_t cv_bird_files_remove(const struct cv_bird_files *files)
{
	static const char *const names[] = {
		CV_BIRD_CONFIG,
		CV_BIRD_CONFIG FORMER,
		CV_BIRD_CONFIG ".new",
		CV_BIRD_INCLUDE,
		CV_BIRD_INCLUDE FORMER,
		CV_BIRD_INCLUDE ".new",
		CV_BIRD_SOCKET,
		CV_BIRD_PID,
		CV_BIRD_LOG,
		CV_BIRD_LOG ".1",
		CV_BIRD_LOG ".old",
		CV_BIRD_LOG ".0",
		TAKEN ".new",
		TAKEN,
	};
	char path[CV_BIRD_PATH_MAX];
	size_t removed = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		removed += !unlink(cv_bird_files_path(files, names[i], path));
	removed += !rmdir(files->directory);
	return removed;
}
