/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file: JSON, version 1:
 *
 *   {"version": 1, "tunnels": [{"tunnel": {…config.h…}, "ifindex": 7,
 *                                "mtu": 1480, "complete": true}]}
 *
 * Invariants: the file is never seen half-written (temporary file, fsync, rename, fsync of
 * the directory); a file that cannot be understood is never overwritten, as loading it fails.
 */
#include "tunnel/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STATE_VERSION = 1
};

static int out_of_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

/* ---- saving -------------------------------------------------------------------- */

static json_t *record_to_json(const struct cv_tunnel_record *record)
{
	return json_pack("{s:o, s:i, s:I, s:b}", "tunnel",
			 cv_tunnel_config_to_json(&record->config), "ifindex", record->ifindex,
			 "mtu", (json_int_t)record->mtu, "complete", (int)record->complete);
}

/* The file's text; the caller frees it. NULL without memory. */
static char *records_to_text(const struct cv_tunnel_record *records, size_t count)
{
	json_t *tunnels = json_array(), *root;
	char *text;
	int failed = 0;

	for (size_t i = 0; i < count; i++)
		failed |= json_array_append_new(tunnels, record_to_json(&records[i]));
	root = json_pack("{s:i, s:o}", "version", STATE_VERSION, "tunnels", tunnels);
	text = root && !failed ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	return text;
}

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

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return -errno;
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

int cv_tunnel_state_save(const char *run_dir, const struct cv_tunnel_record *records, size_t count,
			 struct cv_error *error)
{
	char path[PATH_MAX], temporary[PATH_MAX];
	char *text = records_to_text(records, count);
	int rc;

	if (!text)
		return out_of_memory(error);
	snprintf(path, sizeof(path), "%s/%s", run_dir, CV_TUNNEL_STATE_FILE);
	snprintf(temporary, sizeof(temporary), "%s/%s.new", run_dir, CV_TUNNEL_STATE_FILE);
	rc = write_file(temporary, text);
	free(text);
	if (!rc && rename(temporary, path))
		rc = -errno;
	if (rc) {
		unlink(temporary);
		return cv_error_set(error, rc, "cannot write %s: %s; %s", path, strerror(-rc),
				    rc == -ENOSPC ? "make room on that file system"
						  : "make that directory writable");
	}
	/* The file is in place; some file systems cannot do this, and need not. */
	sync_directory(run_dir);
	return 0;
}

/* ---- loading ------------------------------------------------------------------- */

static int record_from_json(const json_t *json, struct cv_tunnel_record *ret_record,
			    struct cv_error *error)
{
	const json_t *ifindex = json_object_get(json, "ifindex");
	const json_t *mtu = json_object_get(json, "mtu");
	const json_t *complete = json_object_get(json, "complete");
	struct cv_tunnel_patch patch;
	int rc = cv_tunnel_patch_from_json(json_object_get(json, "tunnel"), &patch, error);

	if (rc)
		return rc;
	if (!(patch.given & CV_TUNNEL_NAME) || !json_is_integer(ifindex) ||
	    json_integer_value(ifindex) < 0 || json_integer_value(ifindex) > INT_MAX ||
	    !json_is_integer(mtu) || json_integer_value(mtu) < 0 ||
	    json_integer_value(mtu) > UINT16_MAX || !json_is_boolean(complete))
		return cv_error_set(error, -EINVAL, "a tunnel is not complete");
	ret_record->config = patch.config;
	ret_record->ifindex = (int)json_integer_value(ifindex);
	ret_record->mtu = (uint32_t)json_integer_value(mtu);
	ret_record->complete = json_is_true(complete);
	return cv_tunnel_config_check(&ret_record->config, error);
}

/* One that is not complete may have the pair of one that it was to replace. */
static int check_unique(const struct cv_tunnel_record *records, size_t last, struct cv_error *error)
{
	const struct cv_tunnel_config *config = &records[last].config;

	for (size_t i = 0; i < last; i++) {
		const struct cv_tunnel_config *other = &records[i].config;

		if (!strcmp(other->name, config->name))
			return cv_error_set(error, -EINVAL, "tunnel %s is there twice",
					    config->name);
		if (records[i].complete && records[last].complete &&
		    other->remote == config->remote && other->local == config->local)
			return cv_error_set(error, -EINVAL,
					    "tunnels %s and %s have the same remote and local",
					    other->name, config->name);
	}
	return 0;
}

static int records_from_json(const json_t *root, struct cv_tunnel_record **ret_records,
			     size_t *ret_count, struct cv_error *error)
{
	const json_t *tunnels = json_object_get(root, "tunnels");
	size_t count = json_array_size(tunnels);
	struct cv_tunnel_record *records;
	int rc = 0;

	if (json_integer_value(json_object_get(root, "version")) != STATE_VERSION)
		return cv_error_set(error, -EINVAL, "its version is not %d", STATE_VERSION);
	if (!json_is_array(tunnels))
		return cv_error_set(error, -EINVAL, "it has no list of tunnels");
	records = calloc(count + 1, sizeof(*records));
	if (!records)
		return out_of_memory(error);
	for (size_t i = 0; i < count && !rc; i++) {
		rc = record_from_json(json_array_get(tunnels, i), &records[i], error);
		if (!rc)
			rc = check_unique(records, i, error);
	}
	if (rc) {
		free(records);
		return rc;
	}
	*ret_records = records;
	*ret_count = count;
	return 0;
}

/*
 * A descriptor or -errno. The directory may have been open to others once: what they can write is
 * not believed. Without O_NONBLOCK a FIFO would keep us waiting for ever.
 */
static int open_file(const char *path, struct cv_error *error)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0) {
		rc = errno ? -errno : -EIO;
		return cv_error_set(error, rc,
				    "cannot read %s: %s; move it away to start without tunnels",
				    path, strerror(-rc));
	}
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		rc = cv_error_set(error, -EBADMSG,
				  "%s is not a file; move it away to start without tunnels", path);
	else if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		rc = cv_error_set(error, -EPERM,
				  "%s is open to other users; move it away to start without "
				  "tunnels, or look into it and `chown root %s; chmod 600 %s`",
				  path, path, path);
	else
		return fd;
	close(fd);
	return rc;
}

int cv_tunnel_state_load(const char *run_dir, struct cv_tunnel_record **ret_records,
			 size_t *ret_count, struct cv_error *error)
{
	char path[PATH_MAX];
	struct cv_error why;
	json_error_t json_error;
	json_t *root;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", run_dir, CV_TUNNEL_STATE_FILE);
	fd = open_file(path, error);
	if (fd == -ENOENT) {
		*ret_records = NULL;
		*ret_count = 0;
		return 0;
	}
	if (fd < 0)
		return fd;
	root = json_loadfd(fd, JSON_REJECT_DUPLICATES, &json_error);
	close(fd);
	if (root)
		rc = records_from_json(root, ret_records, ret_count, &why);
	else
		rc = cv_error_set(&why, -EBADMSG, "line %d: %s", json_error.line, json_error.text);
	json_decref(root);
	if (rc)
		return cv_error_set(error, rc == -ENOMEM ? rc : -EBADMSG,
				    "%s is damaged: %s; move it away to start without tunnels",
				    path, why.text);
	return 0;
}
