/* SPDX-License-Identifier: Apache-2.0 */
/* What all stores have in common: which one it is, the state in force, what is wrong with it. */
#include "store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "store/store_ops.h"

/* Without slashes at its end. NULL without memory. */
static char *copy_path(const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	return strndup(path, length);
}

int cv_store_init(struct cv_store *store, const struct cv_store_ops *ops,
		  const struct cv_store_options *options, struct cv_error *error)
{
	store->ops = ops;
	store->log = options->log;
	store->path = copy_path(options->directory);
	if (!store->path)
		return cv_error_set(error, -ENOMEM, "out of memory");
	return cv_snapshot_create(NULL, 0, &store->snapshot, error);
}

void cv_store_fini(struct cv_store *store)
{
	cv_snapshot_put(store->snapshot);
	cv_messages_fini(&store->warnings);
	free(store->path);
	free(store->datastore);
}

void cv_store_tell(const struct cv_store *store, int priority, const char *format, ...)
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

void cv_store_set_problem(struct cv_store *store, const struct cv_error *problem)
{
	store->problem = *problem;
	if (!strcmp(store->told.text, problem->text))
		return;
	store->told = *problem;
	cv_store_tell(store, LOG_ERR, "%s; the last good state stays in force (%zu resources)",
		      problem->text, store->snapshot->count);
}

void cv_store_clear_problem(struct cv_store *store, const char *name)
{
	store->problem.text[0] = '\0';
	if (*store->told.text)
		cv_store_tell(store, LOG_NOTICE, "%s is in order again; %zu resources are in force",
			      name, store->snapshot->count);
	store->told.text[0] = '\0';
}

int cv_store_create(const struct cv_store_options *options, struct cv_store **ret_store,
		    struct cv_error *error)
{
	if (options->datastore && options->datastore->is_etcd)
		return cv_store_etcd_create(options, ret_store, error);
	return cv_store_files_create(options, ret_store, error);
}

void cv_store_destroy(struct cv_store *store)
{
	if (store)
		store->ops->destroy(store);
}

int cv_store_fd(const struct cv_store *store)
{
	return store->ops->fd(store);
}

unsigned int cv_store_delay_ms(const struct cv_store *store)
{
	return store->delay_ms;
}

int cv_store_refresh(struct cv_store *store)
{
	return store->ops->refresh(store);
}

struct cv_snapshot *cv_store_snapshot(const struct cv_store *store)
{
	return store->snapshot;
}

const char *cv_store_problem(const struct cv_store *store)
{
	return *store->problem.text ? store->problem.text : NULL;
}

const char *cv_store_datastore(const struct cv_store *store)
{
	return store->datastore;
}

const char *cv_store_directory(const struct cv_store *store)
{
	return store->path;
}

const struct cv_messages *cv_store_warnings(const struct cv_store *store)
{
	return &store->warnings;
}

int cv_store_apply(struct cv_store *store, struct cv_resource *const *resources, size_t count,
		   bool dry_run, struct cv_store_changes *ret_changes, struct cv_error *error)
{
	const struct cv_store_request request = {
		.resources = resources,
		.count = count,
		.dry_run = dry_run,
	};

	return store->ops->change(store, &request, ret_changes, error);
}

int cv_store_delete(struct cv_store *store, const struct cv_store_name *names, size_t count,
		    bool dry_run, struct cv_store_changes *ret_changes, struct cv_error *error)
{
	static const struct cv_store_name none;
	const struct cv_store_request request = {
		.names = names ? names : &none,
		.count = count,
		.dry_run = dry_run,
	};

	return store->ops->change(store, &request, ret_changes, error);
}
