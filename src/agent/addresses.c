/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of the node's addresses.
 *
 * Jobs go into a queue under a lock; the thread takes what can be done together from its head, does
 * it without the lock, and puts the jobs into the queue of those that are done, in the same
 * order; an eventfd wakes the loop, which calls their callbacks. Nothing is shared but the queues
 * and the numbers for status.
 *
 * The database is opened at the first job that needs it, if it is not there at the start: a host
 * that has no pools and no pods has no such file, and needs no disk that can be written.
 *
 * What is done together: local documents, and behind them assignments, or releases. So of a hundred
 * ADDs that come at once, the notes are one commit and the addresses are another.
 */
#include "agent/addresses.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/addresses_state.h"
#include "agent/join.h"
#include "agent/state_dir.h"
#include "store/kv_etcd.h"

enum {
	END_S = 1,	    /* for the job at hand to end by itself */
	FULL_US = 30000000, /* that nothing can be written is a problem, after it was tried */
};

/* ---- jobs ---------------------------------------------------------------------------------- */

static void free_job(struct cv_address_job *job)
{
	for (size_t i = 0; job->strings && job->strings[i]; i++)
		free(job->strings[i]);
	free(job->strings);
	free(job->key);
	free(job->value);
	free(job->faults);
	cv_ipam_world_fini(&job->world);
	cv_ipam_view_fini(&job->view);
	free(job);
}

static const void *result_of(const struct cv_address_job *job)
{
	switch (job->kind) {
	case CV_JOB_ASSIGN:
		return &job->result;
	case CV_JOB_LOOK:
		return &job->view;
	case CV_JOB_RELEASE:
	case CV_JOB_FIX:
		return &job->count;
	default:
		return NULL;
	}
}

static void tell(struct cv_address_job *job)
{
	if (job->done)
		job->done(job->context, job->rc, &job->error, result_of(job));
	free_job(job);
}

static void push(struct cv_addresses *addresses, struct cv_address_job *job)
{
	pthread_mutex_lock(&addresses->lock);
	STAILQ_INSERT_TAIL(&addresses->waiting, job, entry);
	addresses->status.waiting++;
	if (!addresses->is_held)
		pthread_cond_broadcast(&addresses->changed);
	pthread_mutex_unlock(&addresses->lock);
}

void cv_addresses_hold(struct cv_addresses *addresses, bool held)
{
	pthread_mutex_lock(&addresses->lock);
	addresses->is_held = held;
	if (!held)
		pthread_cond_broadcast(&addresses->changed);
	pthread_mutex_unlock(&addresses->lock);
}

/* Never NULL: without memory for a job there is none for its failure either. */
static struct cv_address_job *new_job(enum cv_address_job_kind kind, cv_addresses_done done,
				      void *context)
{
	struct cv_address_job *job = calloc(1, sizeof(*job));

	if (!job)
		abort();
	job->kind = kind;
	job->done = done;
	job->context = context;
	return job;
}

static char *copy(const char *text)
{
	char *there = text ? strdup(text) : NULL;

	if (text && !there)
		abort();
	return there;
}

/* ---- the loop's side ----------------------------------------------------------------------- */

static void on_wake(evutil_socket_t fd, short what, void *data)
{
	struct cv_addresses *addresses = data;
	struct cv_address_jobs finished = STAILQ_HEAD_INITIALIZER(finished);
	struct cv_address_job *job;
	uint64_t count;

	(void)what;
	(void)!read(fd, &count, sizeof(count));
	pthread_mutex_lock(&addresses->lock);
	STAILQ_CONCAT(&finished, &addresses->finished);
	pthread_mutex_unlock(&addresses->lock);
	while ((job = STAILQ_FIRST(&finished)) != NULL) {
		STAILQ_REMOVE_HEAD(&finished, entry);
		tell(job);
	}
}

/* ---- beginning and end --------------------------------------------------------------------- */

/* What is there is read at the start, and a failure to do so is one to start. */
static int open_stores(struct cv_addresses *addresses, const struct cv_addresses_options *options,
		       struct cv_error *error)
{
	char path[PATH_MAX];
	int rc = 0;

	if (options->datastore && options->datastore->is_etcd) {
		rc = cv_kv_etcd_create(options->datastore, NULL, &addresses->own_etcd_kv, error);
		addresses->status.is_etcd = true;
	}
	if (!rc)
		rc = cv_state_dir_file(addresses->state_dir, CV_ADDRESSES_FILE, path, error);
	if (rc || access(path, F_OK))
		return rc;
	return cv_addresses_open(addresses, error);
}

static int start_thread(struct cv_addresses *addresses)
{
	sigset_t all, before;
	int rc;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&addresses->thread, NULL, cv_addresses_work, addresses);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	addresses->has_thread = !rc;
	return -rc;
}

int cv_addresses_create(const struct cv_addresses_options *options,
			struct cv_addresses **ret_addresses, struct cv_error *error)
{
	struct cv_addresses *addresses = calloc(1, sizeof(*addresses));
	int rc;

	if (addresses)
		addresses->state_dir = strdup(options->state_dir);
	if (!addresses || !addresses->state_dir) {
		free(addresses);
		return cv_error_set(error, -ENOMEM, "out of memory");
	}
	pthread_mutex_init(&addresses->lock, NULL);
	pthread_cond_init(&addresses->changed, NULL);
	STAILQ_INIT(&addresses->waiting);
	STAILQ_INIT(&addresses->finished);
	addresses->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = open_stores(addresses, options, error);
	if (!rc && addresses->wake >= 0)
		addresses->event = event_new(options->base, addresses->wake, EV_READ | EV_PERSIST,
					     on_wake, addresses);
	if (!rc && (!addresses->event || event_add(addresses->event, NULL)))
		rc = cv_error_set(error, -ENOMEM, "cannot follow the thread of addresses");
	if (!rc && start_thread(addresses))
		rc = cv_error_set(error, -EAGAIN, "cannot start the thread of addresses");
	if (rc) {
		cv_addresses_destroy(addresses);
		return rc;
	}
	*ret_addresses = addresses;
	return 0;
}

/* What nobody will do any more; what was done, but not told yet, is told as it is. */
static void drop_jobs(struct cv_addresses *addresses)
{
	struct cv_address_job *job;

	while ((job = STAILQ_FIRST(&addresses->finished)) != NULL) {
		STAILQ_REMOVE_HEAD(&addresses->finished, entry);
		tell(job);
	}
	while ((job = STAILQ_FIRST(&addresses->waiting)) != NULL) {
		STAILQ_REMOVE_HEAD(&addresses->waiting, entry);
		job->rc = cv_error_set(&job->error, -ECANCELED, "culvertd is ending");
		tell(job);
	}
}

void cv_addresses_destroy(struct cv_addresses *addresses)
{
	if (!addresses)
		return;
	if (addresses->has_thread) {
		pthread_mutex_lock(&addresses->lock);
		addresses->is_stopping = true;
		pthread_cond_broadcast(&addresses->changed);
		pthread_mutex_unlock(&addresses->lock);
		if (!cv_join_within(addresses->thread, END_S)) {
			cv_kv_cancel(addresses->own_etcd_kv);
			pthread_join(addresses->thread, NULL);
		}
	}
	drop_jobs(addresses);
	if (addresses->event)
		event_free(addresses->event);
	if (addresses->wake >= 0)
		close(addresses->wake);
	cv_ipam_destroy(addresses->ipam);
	cv_ipam_world_fini(&addresses->world);
	cv_kv_destroy(addresses->own_etcd_kv);
	cv_kv_destroy(addresses->local);
	pthread_cond_destroy(&addresses->changed);
	pthread_mutex_destroy(&addresses->lock);
	free(addresses->state_dir);
	free(addresses);
}

/* ---- what may be asked for ----------------------------------------------------------------- */

void cv_addresses_configure(struct cv_addresses *addresses, struct cv_ipam_world *world)
{
	struct cv_address_job *job = new_job(CV_JOB_CONFIGURE, NULL, NULL);

	job->world = *world;
	*world = (struct cv_ipam_world){.claims = false};
	push(addresses, job);
}

/* The strings of a request, and the array of its pools, as the job's own. */
static void copy_request(struct cv_address_job *job, const struct cv_ipam_request *request)
{
	size_t used = 0, most = 2 + 2 * request->attribute_count + request->pool_count;
	const char **pools = NULL;

	job->request = *request;
	job->strings = calloc(most + 1, sizeof(*job->strings));
	if (!job->strings)
		abort();
	job->request.handle = job->strings[used++] = copy(request->handle);
	for (size_t i = 0; i < request->attribute_count; i++) {
		const struct cv_ipam_attribute *from = &request->attributes[i];

		job->request.attributes[i].name = job->strings[used++] = copy(from->name);
		job->request.attributes[i].value = job->strings[used++] = copy(from->value);
	}
	if (!request->pools)
		return;
	pools = calloc(request->pool_count + 1, sizeof(*pools));
	if (!pools)
		abort();
	for (size_t i = 0; i < request->pool_count; i++)
		pools[i] = job->strings[used++] = copy(request->pools[i]);
	job->strings[used] = (char *)pools;
	job->request.pools = pools;
}

void cv_addresses_assign(struct cv_addresses *addresses, const struct cv_ipam_request *request,
			 cv_addresses_done done, void *context)
{
	struct cv_address_job *job = new_job(CV_JOB_ASSIGN, done, context);

	copy_request(job, request);
	push(addresses, job);
}

void cv_addresses_release(struct cv_addresses *addresses, const char *handle, const char *note,
			  cv_addresses_done done, void *context)
{
	struct cv_address_job *job = new_job(CV_JOB_RELEASE, done, context);

	job->key = copy(handle);
	job->value = copy(note);
	job->is_owed = addresses->is_moving;
	push(addresses, job);
}

void cv_addresses_release_address(struct cv_addresses *addresses, __be32 address,
				  const char *handle, cv_addresses_done done, void *context)
{
	struct cv_address_job *job = new_job(CV_JOB_RELEASE_ADDRESS, done, context);

	job->address = address;
	job->key = copy(handle);
	job->is_owed = addresses->is_moving;
	push(addresses, job);
}

void cv_addresses_look(struct cv_addresses *addresses, cv_addresses_done done, void *context)
{
	push(addresses, new_job(CV_JOB_LOOK, done, context));
}

void cv_addresses_fix(struct cv_addresses *addresses, const struct cv_ipam_fault *faults,
		      size_t count, cv_addresses_done done, void *context)
{
	struct cv_address_job *job = new_job(CV_JOB_FIX, done, context);

	job->faults = calloc(count + 1, sizeof(*faults));
	if (!job->faults)
		abort();
	if (count)
		memcpy(job->faults, faults, count * sizeof(*faults));
	job->count = count;
	push(addresses, job);
}

void cv_addresses_run(struct cv_addresses *addresses,
		      int (*run)(void *context, struct cv_kv *kv, struct cv_error *error),
		      cv_addresses_done done, void *context)
{
	struct cv_address_job *job = new_job(CV_JOB_RUN, done, context);

	job->run = run;
	push(addresses, job);
}

void cv_addresses_set_moving(struct cv_addresses *addresses, bool moving)
{
	if (addresses->is_moving && !moving)
		push(addresses, new_job(CV_JOB_UNMOVED, NULL, NULL));
	addresses->is_moving = moving;
}

int cv_addresses_local_list(struct cv_addresses *addresses, const char *prefix,
			    struct cv_kv_list *ret_list, struct cv_error *error)
{
	struct cv_address_job *job = new_job(CV_JOB_LIST, NULL, NULL);
	struct cv_kv_list list = {.count = 0};
	int rc;

	job->key = copy(prefix);
	job->list = &list;
	push(addresses, job);
	pthread_mutex_lock(&addresses->lock);
	while (!job->is_over)
		pthread_cond_wait(&addresses->changed, &addresses->lock);
	pthread_mutex_unlock(&addresses->lock);
	rc = job->rc;
	if (rc)
		*error = job->error;
	else
		*ret_list = list;
	free_job(job);
	return rc;
}

void cv_addresses_local_put(struct cv_addresses *addresses, const char *key, const char *value,
			    cv_addresses_done done, void *context)
{
	struct cv_address_job *job = new_job(CV_JOB_PUT, done, context);

	job->key = copy(key);
	job->value = copy(value);
	push(addresses, job);
}

void cv_addresses_status(const struct cv_addresses *addresses,
			 struct cv_addresses_status *ret_status)
{
	/* The lock is no part of what is looked at. */
	struct cv_addresses *self = (struct cv_addresses *)(uintptr_t)addresses;

	pthread_mutex_lock(&self->lock);
	*ret_status = addresses->status;
	/* Who asks whether an ADD would work must not hear "full" for ever, and so never try. */
	if (addresses->full_us && cv_addresses_now_us() - addresses->full_us > FULL_US)
		ret_status->problem[0] = '\0';
	pthread_mutex_unlock(&self->lock);
}
