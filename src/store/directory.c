/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of manifests, and what is known of each.
 *
 * Invariants: `files` is sorted by name and is what the last complete look saw; a look that cannot
 * be completed leaves it as it was. Whatever has a manifest's name and is no readable file
 * is a problem, not overlooked. Nothing here blocks: not on a FIFO, nor on a device.
 */
#include "store/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/order.h"
#include "store/store.h"

/* ---- signatures ------------------------------------------------------------------ */

struct cv_signature cv_signature_of(const struct stat *st)
{
	return (struct cv_signature){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = st->st_size,
		.modified = st->st_mtim,
		.changed = st->st_ctim,
	};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool cv_signature_same_content(const struct cv_signature *a, const struct cv_signature *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       same_time(&a->modified, &b->modified);
}

bool cv_signature_equal(const struct cv_signature *a, const struct cv_signature *b)
{
	return cv_signature_same_content(a, b) && same_time(&a->changed, &b->changed);
}

/* ---- reading one file ------------------------------------------------------------ */

/* Milliseconds since a file was last written; of one from the future, very many. */
static int64_t age_ms(const struct stat *st)
{
	struct timespec now;
	int64_t age;

	clock_gettime(CLOCK_REALTIME, &now);
	age = (now.tv_sec - st->st_mtim.tv_sec) * INT64_C(1000) +
	      (now.tv_nsec - st->st_mtim.tv_nsec) / 1000000;
	return age < 0 ? INT64_MAX : age;
}

/*
 * Whether somebody has it open for writing: then a read lease is refused. Where there are no
 * leases, nobody seems to have. Who opens it in between would make the kernel send a signal; the
 * one that is ignored by default is chosen.
 */
static bool is_open_for_writing(int fd)
{
	bool refused;

	if (fcntl(fd, F_SETSIG, SIGURG) < 0)
		return false;
	refused = fcntl(fd, F_SETLEASE, F_RDLCK) < 0;
	if (refused)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

bool cv_directory_is_open_for_writing(int fd, const char *name)
{
	int file = openat(fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	bool is_open;

	if (file < 0)
		return false;
	is_open = is_open_for_writing(file);
	close(file);
	return is_open;
}

static bool is_being_written(int fd, const struct stat *st)
{
	int64_t age = age_ms(st);

	return age < CV_DIRECTORY_SETTLE_MS ||
	       (age < CV_DIRECTORY_OPEN_MS && is_open_for_writing(fd));
}

/* Exactly length bytes, after which the file must end: else somebody is writing it. */
static int read_all(int fd, char *text, size_t length)
{
	size_t have = 0;
	char more;

	while (have < length) {
		ssize_t n = read(fd, text + have, length - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EAGAIN;
		have += (size_t)n;
	}
	return read(fd, &more, 1) == 1 ? -EAGAIN : 0;
}

static int check_kind(const struct stat *st, struct cv_error *error)
{
	if (S_ISDIR(st->st_mode))
		return cv_error_set(error, -EINVAL,
				    "is a directory, and only files of one directory are read; "
				    "give it a name without that ending");
	if (!S_ISREG(st->st_mode))
		return cv_error_set(error, -EINVAL, "is not a file; remove it");
	if (st->st_size > CV_DIRECTORY_FILE_MAX)
		return cv_error_set(error, -EINVAL,
				    "has more than %d MiB; split it into several files",
				    CV_DIRECTORY_FILE_MAX >> 20);
	return 0;
}

static int read_open_file(int fd, bool force, char **ret_text, size_t *ret_length,
			  struct cv_signature *ret_signature, struct cv_error *error)
{
	struct stat st, after;
	char *text;
	int rc;

	if (fstat(fd, &st))
		return cv_error_set(error, -errno, "cannot be read: %s", strerror(errno));
	rc = check_kind(&st, error);
	if (rc)
		return rc;
	if (!force && is_being_written(fd, &st))
		return -EAGAIN;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = read_all(fd, text, (size_t)st.st_size);
	if (!rc && (fstat(fd, &after) || after.st_size != st.st_size ||
		    !same_time(&after.st_mtim, &st.st_mtim)))
		rc = -EAGAIN;
	if (rc) {
		free(text);
		return rc == -EAGAIN ? cv_error_set(error, rc, "is being written")
				     : cv_error_set(error, rc, "cannot be read: %s", strerror(-rc));
	}
	text[st.st_size] = '\0';
	*ret_text = text;
	*ret_length = (size_t)st.st_size;
	*ret_signature = cv_signature_of(&st);
	return 0;
}

int cv_directory_read(int fd, const char *name, bool force, char **ret_text, size_t *ret_length,
		      struct cv_signature *ret_signature, struct cv_error *error)
{
	struct stat st;
	int file, rc;

	/* Looked at before it is opened: opening a device may do something. */
	if (fstatat(fd, name, &st, 0))
		return errno == ENOENT
			       ? cv_error_set(error, -ENOENT,
					      "is a symbolic link to nothing; remove it, or make "
					      "what it points to")
			       : cv_error_set(error, -errno, "cannot be read: %s", strerror(errno));
	rc = check_kind(&st, error);
	if (rc)
		return rc;
	file = openat(fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file < 0)
		return cv_error_set(error, -errno, "cannot be read: %s", strerror(errno));
	rc = read_open_file(file, force, ret_text, ret_length, ret_signature, error);
	close(file);
	return rc;
}

/*
 * Read and parse a file. 0, also if it is broken, which the file then says; -EAGAIN or -ENOMEM.
 */
static int load(const struct cv_directory *directory, int fd, struct cv_directory_file *file,
		bool force)
{
	struct cv_error why = {""};
	char *path = NULL, *text = NULL;
	size_t length = 0;
	int rc = cv_directory_read(fd, file->name, force, &text, &length, &file->signature, &why);

	if (rc == -ENOMEM || (rc == -EAGAIN && !force))
		return rc;
	if (rc) {
		/* It may be mended without a trace in stat(2): a disk that reads again. */
		file->again = true;
		cv_error_set(&file->problem, rc, "%s/%s: %s", directory->path, file->name,
			     why.text);
		return 0;
	}
	if (asprintf(&path, "%s/%s", directory->path, file->name) < 0) {
		free(text);
		return -ENOMEM;
	}
	rc = cv_manifest_parse(path, text, length, &file->manifest, &why);
	free(text);
	free(path);
	/* Our own file is cut along its documents: it keeps their order, and is written sorted. */
	if (!rc && strcmp(file->name, CV_STORE_FILE))
		rc = cv_resources_sort(file->manifest.resources, file->manifest.count);
	if (rc)
		file->problem = why;
	return rc == -ENOMEM ? rc : 0;
}

/* ---- the list of files ------------------------------------------------------------- */

static void file_fini(struct cv_directory_file *file)
{
	free(file->name);
	cv_manifest_fini(&file->manifest);
}

static void files_free(struct cv_directory_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		file_fini(&files[i]);
	free(files);
}

static int by_name(const void *a, const void *b)
{
	const struct cv_directory_file *one = a;
	const struct cv_directory_file *other = b;

	return strcmp(one->name, other->name);
}

/* Add a name with its signature; one that has just gone is left out. */
static int list_add(int fd, const char *name, struct cv_directory_file **files, size_t *count,
		    size_t *capacity)
{
	struct cv_directory_file file = {.name = NULL};
	struct stat st;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	file.is_link = S_ISLNK(st.st_mode);
	if (!file.is_link || !fstatat(fd, name, &st, 0))
		file.signature = cv_signature_of(&st);
	if (*count == *capacity) {
		size_t more = *capacity ? 2 * *capacity : 16;
		struct cv_directory_file *grown = realloc(*files, more * sizeof(**files));

		if (!grown)
			return -ENOMEM;
		*files = grown;
		*capacity = more;
	}
	file.name = strdup(name);
	if (!file.name)
		return -ENOMEM;
	(*files)[(*count)++] = file;
	return 0;
}

/* All manifests' names with their signatures, sorted. 0 or -errno. */
static int list(int fd, struct cv_directory_file **ret_files, size_t *ret_count)
{
	struct cv_directory_file *files = NULL;
	size_t count = 0, capacity = 0;
	/* Not dup: two descriptors of one opening would share the place where they read. */
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = own < 0 ? NULL : fdopendir(own);
	struct dirent *entry;
	int rc = 0;

	if (!stream) {
		rc = -errno;
		if (own >= 0)
			close(own);
		return rc;
	}
	while (!rc && (errno = 0, entry = readdir(stream))) {
		if (cv_manifest_is_file_name(entry->d_name))
			rc = list_add(fd, entry->d_name, &files, &count, &capacity);
	}
	if (!rc && errno)
		rc = -errno;
	closedir(stream);
	if (rc) {
		files_free(files, count);
		return rc;
	}
	if (count)
		qsort(files, count, sizeof(*files), by_name);
	*ret_files = files;
	*ret_count = count;
	return 0;
}

struct cv_directory_file *cv_directory_find(const struct cv_directory *directory, const char *name)
{
	struct cv_directory_file key = {.name = (char *)(uintptr_t)name};

	if (!directory->count)
		return NULL;
	return bsearch(&key, directory->files, directory->count, sizeof(key), by_name);
}

static bool is_known(const struct cv_directory_file *old, const struct cv_directory_file *file)
{
	return old && !old->again && old->signature.inode &&
	       cv_signature_equal(&old->signature, &file->signature);
}

/* Read what is new; 1 if anything is, or is gone. */
static int load_changed(const struct cv_directory *directory, int fd, bool force,
			struct cv_directory_file *files, size_t count, struct cv_error *error)
{
	size_t known = 0;

	for (size_t i = 0; i < count; i++) {
		int rc;

		if (is_known(cv_directory_find(directory, files[i].name), &files[i])) {
			known++;
			continue;
		}
		rc = load(directory, fd, &files[i], force);
		if (rc == -EAGAIN)
			return cv_error_set(error, rc, "%s/%s is being written", directory->path,
					    files[i].name);
		if (rc)
			return cv_error_set(error, rc, "out of memory");
	}
	return known != count || known != directory->count;
}

/* Take the new list, with what is known of the files that are as they were. */
static void adopt(struct cv_directory *directory, struct cv_directory_file *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct cv_directory_file *old = cv_directory_find(directory, files[i].name);

		if (!is_known(old, &files[i]))
			continue;
		files[i].manifest = old->manifest;
		files[i].problem = old->problem;
		old->manifest = (struct cv_manifest){.count = 0};
	}
	files_free(directory->files, directory->count);
	directory->files = files;
	directory->count = count;
}

/* The directory is not there, or cannot be looked into: 1 if that is news. */
static int set_unreadable(struct cv_directory *directory, int err)
{
	struct cv_error problem = {""};
	bool exists = err != -ENOENT;
	bool news;

	if (exists)
		cv_error_set(&problem, err, "%s: cannot be read: %s", directory->path,
			     strerror(-err));
	news = exists != directory->exists || strcmp(problem.text, directory->problem.text) != 0;
	/* What its files were is known no more. */
	files_free(directory->files, directory->count);
	directory->files = NULL;
	directory->count = 0;
	directory->exists = exists;
	directory->problem = problem;
	return news;
}

int cv_directory_scan(struct cv_directory *directory, int fd, bool force, struct cv_error *error)
{
	struct cv_directory_file *files = NULL;
	size_t count = 0;
	bool was_readable = directory->exists && !*directory->problem.text;
	int own = -1;
	int rc;

	if (fd < 0)
		fd = own = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOMEM ? cv_error_set(error, -ENOMEM, "out of memory")
				       : set_unreadable(directory, -errno);
	rc = list(fd, &files, &count);
	if (rc) {
		rc = rc == -ENOMEM ? cv_error_set(error, rc, "out of memory")
				   : set_unreadable(directory, rc);
		goto close_own;
	}
	rc = load_changed(directory, fd, force, files, count, error);
	if (rc < 0) {
		files_free(files, count);
		goto close_own;
	}
	adopt(directory, files, count);
	directory->exists = true;
	directory->problem.text[0] = '\0';
	if (!was_readable)
		rc = 1;
close_own:
	if (own >= 0)
		close(own);
	return rc;
}

int cv_directory_put(struct cv_directory *directory, const char *name,
		     const struct cv_signature *signature, struct cv_manifest *manifest)
{
	struct cv_directory_file *file = cv_directory_find(directory, name);

	if (!file) {
		struct cv_directory_file *grown =
			realloc(directory->files, (directory->count + 1) * sizeof(*grown));
		char *copy = strdup(name);

		if (grown)
			directory->files = grown;
		if (!grown || !copy) {
			free(copy);
			return -ENOMEM;
		}
		grown[directory->count++] = (struct cv_directory_file){.name = copy};
		qsort(grown, directory->count, sizeof(*grown), by_name);
		file = cv_directory_find(directory, name);
	}
	cv_manifest_fini(&file->manifest);
	file->manifest = *manifest;
	*manifest = (struct cv_manifest){.count = 0};
	file->signature = *signature;
	file->problem.text[0] = '\0';
	file->again = false;
	directory->exists = true;
	return 0;
}

void cv_directory_fini(struct cv_directory *directory)
{
	files_free(directory->files, directory->count);
	*directory = (struct cv_directory){.path = NULL};
}
