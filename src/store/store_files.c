/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of files.
 *
 * Invariants:
 * - `snapshot` is the last good state of the whole directory. A broken file, two that contradict
 *   each other, or a change that must not be leave it as it is, and `problem` says why.
 * - `directory` is what the files are now, good or not, so that none is parsed twice.
 * - Without a problem the two are one: the snapshot's resources are those of the files. Only then
 *   is anything written.
 */
#include "store/store_ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "store/applied.h"
#include "store/change.h"
#include "store/difference.h"
#include "store/directory.h"
#include "store/replace.h"
#include "store/watch.h"

enum {
	DELAY_MS = 10,	     /* editors write in steps; those being written are waited for */
	DEFER_AGAIN_MS = 50, /* look again at a file that is being written */
	DEFER_MAX_MS = 5000, /* who writes without end is not waited for */
	MEMORY_AGAIN_MS = 1000,
	APPLY_WAIT_MS = 400, /* for who writes a file at this moment */
	APPLY_STEP_MS = 5,
	APPLY_TRIES = 5,
};

struct store_files {
	struct cv_store head;
	char *own_file;
	struct cv_watch watch;
	struct cv_directory directory;
	bool stale;	     /* the files were not all looked at, for want of memory */
	bool was_used;	     /* before us, and nothing was in force since */
	bool is_open;	     /* what edits change is told from then on, not what there was */
	bool pending;	     /* another snapshot, which no refresh has told of yet */
	int64_t deferred_ms; /* since when a file is being written; 0: none is */
};

static struct store_files *of(struct cv_store *head)
{
	return (struct store_files *)head;
}

/* ---- the state in force ------------------------------------------------------------ */

static void set_warnings(struct store_files *store)
{
	cv_messages_fini(&store->head.warnings);
	for (size_t i = 0; i < store->directory.count; i++) {
		const struct cv_messages *of = &store->directory.files[i].manifest.warnings;

		for (size_t j = 0; j < of->count; j++)
			cv_messages_add(&store->head.warnings, "%s", of->texts[j]);
	}
}

/* Put a snapshot in force; its reference is the store's then. */
static void set_snapshot(struct store_files *store, struct cv_snapshot *snapshot)
{
	cv_snapshot_put(store->head.snapshot);
	store->head.snapshot = snapshot;
	store->was_used = false;
	set_warnings(store);
	cv_store_clear_problem(&store->head, store->head.path);
}

/* What the directory and its files say of themselves: "" if they can be read. */
static const struct cv_error *problem_of_files(const struct store_files *store)
{
	static const struct cv_error none;

	if (*store->directory.problem.text)
		return &store->directory.problem;
	for (size_t i = 0; i < store->directory.count; i++) {
		if (*store->directory.files[i].problem.text)
			return &store->directory.files[i].problem;
	}
	return &none;
}

/* A snapshot of all files but ours, and of more resources. 0 or -errno. */
static int make_snapshot(const struct store_files *store, const char *but,
			 const struct cv_document *more, size_t more_count,
			 struct cv_snapshot **ret_snapshot, struct cv_error *error)
{
	struct cv_resource **resources;
	size_t count = more_count, at = 0;
	int rc;

	for (size_t i = 0; i < store->directory.count; i++)
		count += store->directory.files[i].manifest.count;
	resources = calloc(count + 1, sizeof(*resources));
	if (!resources)
		return cv_error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < store->directory.count; i++) {
		const struct cv_directory_file *file = &store->directory.files[i];

		if (but && !strcmp(file->name, but))
			continue;
		for (size_t j = 0; j < file->manifest.count; j++)
			resources[at++] = file->manifest.resources[j];
	}
	for (size_t i = 0; i < more_count; i++)
		resources[at++] = more[i].resource;
	rc = cv_snapshot_create(resources, at, ret_snapshot, error);
	free(resources);
	return rc;
}

/* The snapshot of what the files are now, if it may follow the one in force. 0 or -errno. */
static int snapshot_of_files(const struct store_files *store, struct cv_snapshot **ret_snapshot,
			     struct cv_error *error)
{
	const struct cv_error *problem = problem_of_files(store);
	struct cv_snapshot *snapshot;
	int rc;

	/* It is more likely being replaced, or a disk missing, than meant. */
	if (!store->directory.exists && (store->head.snapshot->count || store->was_used))
		return cv_error_set(error, -ENOENT,
				    "%s is gone; make it again (empty, to do away with all "
				    "resources)",
				    store->head.path);
	if (*problem->text)
		return cv_error_set(error, -EINVAL, "%s", problem->text);
	rc = make_snapshot(store, NULL, NULL, 0, &snapshot, error);
	if (rc)
		return rc;
	rc = cv_snapshot_check_change(store->head.snapshot, snapshot, error);
	if (rc)
		cv_snapshot_put(snapshot);
	else
		*ret_snapshot = snapshot;
	return rc;
}

/* Make the files' state the one in force, if it is a good one: 1. Else 0, and there is a problem.
 */
static int evaluate(struct store_files *store)
{
	struct cv_error error;
	struct cv_snapshot *snapshot = NULL;
	int rc = snapshot_of_files(store, &snapshot, &error);

	store->stale = rc == -ENOMEM;
	if (!snapshot) {
		cv_store_set_problem(&store->head, &error);
		return 0;
	}
	/* A directory that has just been made, or still has nothing. */
	if (!*store->head.problem.text && !snapshot->count && !store->head.snapshot->count) {
		cv_snapshot_put(snapshot);
		return 0;
	}
	if (store->is_open && store->head.log)
		cv_difference_tell(store->head.snapshot, snapshot, store->head.log);
	set_snapshot(store, snapshot);
	return 1;
}

/* ---- looking ------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Somebody is writing: later. true once that has gone on for too long. */
static bool is_deferred_too_long(struct store_files *store)
{
	int64_t now = now_ms();

	if (!store->deferred_ms)
		store->deferred_ms = now;
	return now - store->deferred_ms >= DEFER_MAX_MS;
}

static int take_pending(struct store_files *store)
{
	int pending = store->pending;

	store->pending = false;
	return pending;
}

static int refresh(struct cv_store *head)
{
	struct store_files *store = of(head);
	struct cv_error error;
	int rc;

	cv_watch_follow(&store->watch, &store->directory);
	cv_watch_drain(&store->watch);
	rc = cv_directory_scan(&store->directory, -1, false, &error);
	if (rc == -EAGAIN && is_deferred_too_long(store))
		rc = cv_directory_scan(&store->directory, -1, true, &error);
	if (rc < 0) {
		cv_watch_again(&store->watch, rc == -EAGAIN ? DEFER_AGAIN_MS : MEMORY_AGAIN_MS);
		return take_pending(store);
	}
	store->deferred_ms = 0;
	/* Links that have come are watched, too. */
	if (rc)
		cv_watch_follow(&store->watch, &store->directory);
	if ((rc || store->stale) && evaluate(store))
		store->pending = true;
	if (store->stale)
		cv_watch_again(&store->watch, MEMORY_AGAIN_MS);
	return take_pending(store);
}

static void destroy(struct cv_store *head)
{
	struct store_files *store = of(head);

	cv_watch_fini(&store->watch);
	cv_directory_fini(&store->directory);
	free(store->own_file);
	cv_store_fini(head);
	free(store);
}

static int get_fd(const struct cv_store *head)
{
	return ((const struct store_files *)head)->watch.fd;
}

/* ---- changing -------------------------------------------------------------------------- */

/*
 * Look at the files before changing anything: people may have, too. -EUCLEAN: they are not in
 * order. What is new is told by the next refresh, for which the descriptor is readable.
 */
static int catch_up(struct store_files *store, int fd, struct cv_error *error)
{
	const struct timespec step = {.tv_nsec = APPLY_STEP_MS * 1000000L};
	struct cv_error why;
	int rc;

	for (int waited = 0;; waited += APPLY_STEP_MS) {
		rc = cv_directory_scan(&store->directory, fd, false, &why);
		if (rc != -EAGAIN || waited >= APPLY_WAIT_MS)
			break;
		nanosleep(&step, NULL);
	}
	if (rc == -EAGAIN)
		return cv_error_set(error, -EBUSY, "%s; try again when that is done", why.text);
	if (rc < 0)
		return cv_error_set(error, rc, "%s", why.text);
	if ((rc || store->stale) && evaluate(store)) {
		store->pending = true;
		cv_watch_again(&store->watch, 0);
	}
	if (*store->head.problem.text)
		return cv_error_set(error, -EUCLEAN,
				    "nothing can be applied or deleted until this is mended: %s",
				    store->head.problem.text);
	return 0;
}

/* Write what was planned, and put it in force. */
static int carry_out(struct store_files *store, int fd, struct cv_store_changes *changes,
		     struct cv_error *error)
{
	struct cv_signature signature;
	struct cv_snapshot *snapshot = NULL;
	struct cv_applied applied;
	int rc = cv_applied_prepare(&applied, &store->directory, fd, store->own_file, changes,
				    error);

	if (rc)
		return rc;
	rc = make_snapshot(store, CV_STORE_FILE, applied.documents, applied.count, &snapshot,
			   error);
	if (!rc)
		rc = cv_snapshot_check_change(store->head.snapshot, snapshot, error);
	/* The same once more, for the places in the manifest that people have before them. */
	if (rc)
		(void)cv_changes_check(store->head.snapshot, changes, error);
	if (!rc)
		rc = cv_applied_write(&applied, &store->directory, fd, &signature, error);
	if (rc) {
		cv_snapshot_put(snapshot);
	} else {
		cv_applied_adopt(&applied, &store->directory, &signature);
		set_snapshot(store, snapshot);
	}
	cv_applied_fini(&applied);
	return rc;
}

static int plan(const struct store_files *store, const struct cv_store_request *request,
		struct cv_store_changes *ret_changes, struct cv_error *error)
{
	if (request->names)
		return cv_change_plan_delete(store->head.snapshot, store->own_file, request->names,
					     request->count, ret_changes, error);
	return cv_change_plan_apply(store->head.snapshot, store->own_file, request->resources,
				    request->count, ret_changes, error);
}

/* One attempt, with the directory locked (fd) or not (-1: dry run). */
static int attempt(struct store_files *store, int fd, const struct cv_store_request *request,
		   struct cv_store_changes *ret_changes, struct cv_error *error)
{
	struct cv_store_changes changes;
	int rc = catch_up(store, fd, error);

	if (!rc)
		rc = plan(store, request, &changes, error);
	if (rc)
		return rc;
	if (!cv_changes_any(&changes))
		rc = 0;
	else if (request->dry_run)
		rc = cv_changes_check(store->head.snapshot, &changes, error);
	else
		rc = carry_out(store, fd, &changes, error);
	if (rc)
		cv_store_changes_fini(&changes);
	else
		*ret_changes = changes;
	return rc;
}

/*
 * A locked directory, made if there is none and nothing is in force that would go with it. -EAGAIN:
 * it was not there, and now it is.
 */
static int lock(struct store_files *store, struct cv_error *error)
{
	int fd = cv_replace_lock(store->head.path, !store->head.snapshot->count, error);
	int rc;

	if (fd != -ENOENT)
		return fd;
	rc = catch_up(store, -1, error);
	return rc ? rc : -EAGAIN;
}

static int change(struct cv_store *head, const struct cv_store_request *request,
		  struct cv_store_changes *ret_changes, struct cv_error *error)
{
	struct store_files *store = of(head);
	int rc = -EAGAIN;

	for (int i = 0; i < APPLY_TRIES && rc == -EAGAIN; i++) {
		int fd = -1;

		if (!request->dry_run) {
			fd = lock(store, error);
			if (fd == -EAGAIN)
				continue;
			if (fd < 0)
				return fd;
		}
		rc = attempt(store, fd, request, ret_changes, error);
		if (fd >= 0)
			close(fd);
	}
	if (rc == -EAGAIN)
		return cv_error_set(error, -EBUSY,
				    "%s is being changed by somebody else again and again; try "
				    "again when that is done",
				    store->own_file);
	return rc;
}

/* ---- the beginning ------------------------------------------------------------------- */

int cv_store_files_create(const struct cv_store_options *options, struct cv_store **ret_store,
			  struct cv_error *error)
{
	static const struct cv_store_ops ops = {
		.fd = get_fd,
		.refresh = refresh,
		.change = change,
		.destroy = destroy,
	};
	struct store_files *store = calloc(1, sizeof(*store));
	int rc;

	if (!store)
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = cv_watch_init(&store->watch);
	if (rc) {
		free(store);
		return cv_error_set(error, rc, "cannot watch %s: %s%s", options->directory,
				    strerror(-rc),
				    rc == -EMFILE ? "; raise fs.inotify.max_user_instances" : "");
	}
	store->was_used = options->was_used;
	store->head.delay_ms = DELAY_MS;
	rc = cv_store_init(&store->head, &ops, options, error);
	if (rc)
		goto destroy;
	if (asprintf(&store->own_file, "%s/%s", store->head.path, CV_STORE_FILE) < 0) {
		store->own_file = NULL;
		rc = cv_error_set(error, -ENOMEM, "out of memory");
		goto destroy;
	}
	store->directory.path = store->head.path;
	cv_replace_sweep(store->head.path);
	cv_watch_follow(&store->watch, &store->directory);
	rc = cv_directory_scan(&store->directory, -1, true, error);
	if (rc < 0)
		goto destroy;
	cv_watch_follow(&store->watch, &store->directory);
	evaluate(store);
	store->is_open = true;
	*ret_store = &store->head;
	return 0;
destroy:
	destroy(&store->head);
	return rc;
}
