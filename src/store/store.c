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
#include "store/store.h"

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
	DEFER_AGAIN_MS = 50, /* look again at a file that is being written */
	DEFER_MAX_MS = 5000, /* who writes without end is not waited for */
	MEMORY_AGAIN_MS = 1000,
	APPLY_WAIT_MS = 400, /* for who writes a file at this moment */
	APPLY_STEP_MS = 5,
	APPLY_TRIES = 5,
};

struct cv_store {
	char *path, *own_file;
	void (*log)(int priority, const char *text);
	struct cv_watch watch;
	struct cv_directory directory;
	struct cv_snapshot *snapshot;
	struct cv_messages warnings;
	struct cv_error problem; /* "": none */
	struct cv_error told;	 /* the last that was logged, until it is mended */
	bool stale;		 /* the files were not all looked at, for want of memory */
	bool was_used;		 /* before us, and nothing was in force since */
	bool is_open;		 /* what edits change is told from then on, not what there was */
	bool pending;		 /* another snapshot, which no refresh has told of yet */
	int64_t deferred_ms;	 /* since when a file is being written; 0: none is */
};

/* ---- the state in force ------------------------------------------------------------ */

static __attribute__((format(printf, 3, 4))) void tell(const struct cv_store *store, int priority,
						       const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	if (!store->log)
		return;
	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		return;
	store->log(priority, text);
	free(text);
}

static void set_problem(struct cv_store *store, const struct cv_error *problem)
{
	store->problem = *problem;
	if (!strcmp(store->told.text, problem->text))
		return;
	store->told = *problem;
	tell(store, LOG_ERR, "%s; the last good state stays in force (%zu resources)",
	     problem->text, store->snapshot->count);
}

static void set_warnings(struct cv_store *store)
{
	cv_messages_fini(&store->warnings);
	for (size_t i = 0; i < store->directory.count; i++) {
		const struct cv_messages *of = &store->directory.files[i].manifest.warnings;

		for (size_t j = 0; j < of->count; j++)
			cv_messages_add(&store->warnings, "%s", of->texts[j]);
	}
}

/* Put a snapshot in force; its reference is the store's then. */
static void set_snapshot(struct cv_store *store, struct cv_snapshot *snapshot)
{
	cv_snapshot_put(store->snapshot);
	store->snapshot = snapshot;
	store->was_used = false;
	set_warnings(store);
	store->problem.text[0] = '\0';
	if (*store->told.text)
		tell(store, LOG_NOTICE, "%s is in order again; %zu resources are in force",
		     store->path, snapshot->count);
	store->told.text[0] = '\0';
}

/* What the directory and its files say of themselves: "" if they can be read. */
static const struct cv_error *problem_of_files(const struct cv_store *store)
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
static int make_snapshot(const struct cv_store *store, const char *but,
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
static int snapshot_of_files(const struct cv_store *store, struct cv_snapshot **ret_snapshot,
			     struct cv_error *error)
{
	const struct cv_error *problem = problem_of_files(store);
	struct cv_snapshot *snapshot;
	int rc;

	/* It is more likely being replaced, or a disk missing, than meant. */
	if (!store->directory.exists && (store->snapshot->count || store->was_used))
		return cv_error_set(error, -ENOENT,
				    "%s is gone; make it again (empty, to do away with all "
				    "resources)",
				    store->path);
	if (*problem->text)
		return cv_error_set(error, -EINVAL, "%s", problem->text);
	rc = make_snapshot(store, NULL, NULL, 0, &snapshot, error);
	if (rc)
		return rc;
	rc = cv_snapshot_check_change(store->snapshot, snapshot, error);
	if (rc)
		cv_snapshot_put(snapshot);
	else
		*ret_snapshot = snapshot;
	return rc;
}

/* Make the files' state the one in force, if it is a good one: 1. Else 0, and there is a problem.
 */
static int evaluate(struct cv_store *store)
{
	struct cv_error error;
	struct cv_snapshot *snapshot = NULL;
	int rc = snapshot_of_files(store, &snapshot, &error);

	store->stale = rc == -ENOMEM;
	if (!snapshot) {
		set_problem(store, &error);
		return 0;
	}
	/* A directory that has just been made, or still has nothing. */
	if (!*store->problem.text && !snapshot->count && !store->snapshot->count) {
		cv_snapshot_put(snapshot);
		return 0;
	}
	if (store->is_open && store->log)
		cv_difference_tell(store->snapshot, snapshot, store->log);
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
static bool is_deferred_too_long(struct cv_store *store)
{
	int64_t now = now_ms();

	if (!store->deferred_ms)
		store->deferred_ms = now;
	return now - store->deferred_ms >= DEFER_MAX_MS;
}

static int take_pending(struct cv_store *store)
{
	int pending = store->pending;

	store->pending = false;
	return pending;
}

int cv_store_refresh(struct cv_store *store)
{
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

/* Without slashes at its end. NULL without memory. */
static char *copy_path(const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	return strndup(path, length);
}

int cv_store_create(const struct cv_store_options *options, struct cv_store **ret_store,
		    struct cv_error *error)
{
	struct cv_store *store = calloc(1, sizeof(*store));
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
	store->log = options->log;
	store->was_used = options->was_used;
	store->path = copy_path(options->directory);
	if (!store->path || asprintf(&store->own_file, "%s/%s", store->path, CV_STORE_FILE) < 0) {
		store->own_file = NULL;
		rc = cv_error_set(error, -ENOMEM, "out of memory");
		goto destroy;
	}
	store->directory.path = store->path;
	rc = cv_snapshot_create(NULL, 0, &store->snapshot, error);
	if (rc)
		goto destroy;
	cv_replace_sweep(store->path);
	cv_watch_follow(&store->watch, &store->directory);
	rc = cv_directory_scan(&store->directory, -1, true, error);
	if (rc < 0)
		goto destroy;
	cv_watch_follow(&store->watch, &store->directory);
	evaluate(store);
	store->is_open = true;
	*ret_store = store;
	return 0;
destroy:
	cv_store_destroy(store);
	return rc;
}

void cv_store_destroy(struct cv_store *store)
{
	if (!store)
		return;
	cv_watch_fini(&store->watch);
	cv_directory_fini(&store->directory);
	cv_snapshot_put(store->snapshot);
	cv_messages_fini(&store->warnings);
	free(store->path);
	free(store->own_file);
	free(store);
}

int cv_store_fd(const struct cv_store *store)
{
	return store->watch.fd;
}

struct cv_snapshot *cv_store_snapshot(const struct cv_store *store)
{
	return store->snapshot;
}

const char *cv_store_problem(const struct cv_store *store)
{
	return *store->problem.text ? store->problem.text : NULL;
}

const char *cv_store_directory(const struct cv_store *store)
{
	return store->directory.path;
}

const struct cv_messages *cv_store_warnings(const struct cv_store *store)
{
	return &store->warnings;
}

/* ---- changing -------------------------------------------------------------------------- */

/* What apply and delete have in common. */
struct request {
	struct cv_resource *const *resources;
	const struct cv_store_name *names;
	size_t count;
	bool dry_run;
};

/*
 * Look at the files before changing anything: people may have, too. -EUCLEAN: they are not in
 * order. What is new is told by the next refresh, for which the descriptor is readable.
 */
static int catch_up(struct cv_store *store, int fd, struct cv_error *error)
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
	if (*store->problem.text)
		return cv_error_set(error, -EUCLEAN,
				    "nothing can be applied or deleted until this is mended: %s",
				    store->problem.text);
	return 0;
}

/* Write what was planned, and put it in force. */
static int carry_out(struct cv_store *store, int fd, struct cv_store_changes *changes,
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
		rc = cv_snapshot_check_change(store->snapshot, snapshot, error);
	/* The same once more, for the places in the manifest that people have before them. */
	if (rc)
		(void)cv_changes_check(store->snapshot, changes, error);
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

static int plan(const struct cv_store *store, const struct request *request,
		struct cv_store_changes *ret_changes, struct cv_error *error)
{
	if (request->names)
		return cv_change_plan_delete(store->snapshot, store->own_file, request->names,
					     request->count, ret_changes, error);
	return cv_change_plan_apply(store->snapshot, store->own_file, request->resources,
				    request->count, ret_changes, error);
}

/* One attempt, with the directory locked (fd) or not (-1: dry run). */
static int attempt(struct cv_store *store, int fd, const struct request *request,
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
		rc = cv_changes_check(store->snapshot, &changes, error);
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
static int lock(struct cv_store *store, struct cv_error *error)
{
	int fd = cv_replace_lock(store->path, !store->snapshot->count, error);
	int rc;

	if (fd != -ENOENT)
		return fd;
	rc = catch_up(store, -1, error);
	return rc ? rc : -EAGAIN;
}

static int change(struct cv_store *store, const struct request *request,
		  struct cv_store_changes *ret_changes, struct cv_error *error)
{
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

int cv_store_apply(struct cv_store *store, struct cv_resource *const *resources, size_t count,
		   bool dry_run, struct cv_store_changes *ret_changes, struct cv_error *error)
{
	const struct request request = {
		.resources = resources,
		.count = count,
		.dry_run = dry_run,
	};

	return change(store, &request, ret_changes, error);
}

int cv_store_delete(struct cv_store *store, const struct cv_store_name *names, size_t count,
		    bool dry_run, struct cv_store_changes *ret_changes, struct cv_error *error)
{
	static const struct cv_store_name none;
	const struct request request = {
		.names = names ? names : &none,
		.count = count,
		.dry_run = dry_run,
	};

	return change(store, &request, ret_changes, error);
}
