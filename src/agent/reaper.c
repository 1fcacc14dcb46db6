/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue under a lock, as in agent/addresses.c. Devices that wait together are put into a group of
 * devices that nobody else uses, and the group is deleted: the kernel waits once for all of them.
 */
#include "agent/reaper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "net/link.h"

/* "Culv": `ip link show group` has it as a number, for the moment that it takes. */
#define GROUP 0x43756c76u

struct job {
	STAILQ_ENTRY(job) entry;
	int ifindex;
	int rc;
	cv_reaper_done done;
	void *context;
};

STAILQ_HEAD(jobs, job);

struct cv_reaper {
	struct event *event;
	int wake;	  /* eventfd: jobs are done */
	struct cv_nl *nl; /* the thread's */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	struct jobs waiting, finished;
	bool is_stopping;
};

/* ---- on the thread ------------------------------------------------------------------------- */

static void delete_one(struct cv_nl *nl, struct job *job)
{
	job->rc = cv_link_delete(nl, job->ifindex);
	if (job->rc == -ENODEV)
		job->rc = 0;
}

static bool is_many(const struct jobs *jobs)
{
	const struct job *first = STAILQ_FIRST(jobs);

	return first && STAILQ_NEXT(first, entry);
}

/* What cannot be deleted so is deleted one by one, which also says why it cannot be. */
static void delete_together(struct cv_nl *nl, struct jobs *jobs)
{
	bool has_any = false;
	struct job *job;

	STAILQ_FOREACH(job, jobs, entry)
		has_any |= !cv_link_set_group(nl, job->ifindex, GROUP);
	if (has_any)
		(void)cv_link_delete_group(nl, GROUP);
}

static void delete_all(struct cv_nl *nl, struct jobs *jobs)
{
	char name[IFNAMSIZ];
	struct job *job;

	if (is_many(jobs))
		delete_together(nl, jobs);
	STAILQ_FOREACH(job, jobs, entry) {
		if (cv_link_get_name(nl, job->ifindex, name) != -ENODEV)
			delete_one(nl, job);
	}
}

static void *work(void *data)
{
	struct cv_reaper *reaper = data;
	static const uint64_t one = 1;

	pthread_setname_np(pthread_self(), "reaper");
	pthread_mutex_lock(&reaper->lock);
	for (;;) {
		struct jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);

		if (STAILQ_EMPTY(&reaper->waiting)) {
			if (reaper->is_stopping)
				break;
			pthread_cond_wait(&reaper->changed, &reaper->lock);
			continue;
		}
		STAILQ_CONCAT(&jobs, &reaper->waiting);
		pthread_mutex_unlock(&reaper->lock);
		delete_all(reaper->nl, &jobs);
		pthread_mutex_lock(&reaper->lock);
		STAILQ_CONCAT(&reaper->finished, &jobs);
		/* Fails only when its counter is full: then the loop is woken anyway. */
		(void)!write(reaper->wake, &one, sizeof(one));
	}
	pthread_mutex_unlock(&reaper->lock);
	return NULL;
}

/* ---- on the loop --------------------------------------------------------------------------- */

static void tell_all(struct cv_reaper *reaper)
{
	struct jobs finished = STAILQ_HEAD_INITIALIZER(finished);
	struct job *job;

	pthread_mutex_lock(&reaper->lock);
	STAILQ_CONCAT(&finished, &reaper->finished);
	pthread_mutex_unlock(&reaper->lock);
	while ((job = STAILQ_FIRST(&finished)) != NULL) {
		STAILQ_REMOVE_HEAD(&finished, entry);
		job->done(job->context, job->rc);
		free(job);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *data)
{
	uint64_t count;

	(void)what;
	(void)!read(fd, &count, sizeof(count));
	tell_all(data);
}

static int start_thread(struct cv_reaper *reaper)
{
	sigset_t all, before;
	int rc;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&reaper->thread, NULL, work, reaper);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	reaper->has_thread = !rc;
	return -rc;
}

int cv_reaper_create(struct event_base *base, struct cv_reaper **ret_reaper, struct cv_error *error)
{
	struct cv_reaper *reaper = calloc(1, sizeof(*reaper));
	int rc;

	if (!reaper)
		return cv_error_set(error, -ENOMEM, "out of memory");
	pthread_mutex_init(&reaper->lock, NULL);
	pthread_cond_init(&reaper->changed, NULL);
	STAILQ_INIT(&reaper->waiting);
	STAILQ_INIT(&reaper->finished);
	reaper->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = reaper->wake < 0 ? -errno : cv_nl_create(&reaper->nl);
	if (!rc) {
		reaper->event =
			event_new(base, reaper->wake, EV_READ | EV_PERSIST, on_wake, reaper);
		rc = !reaper->event || event_add(reaper->event, NULL) ? -ENOMEM
								      : start_thread(reaper);
	}
	if (rc) {
		cv_reaper_destroy(reaper);
		return cv_error_set(error, rc, "cannot start the thread that deletes devices: %s",
				    strerror(-rc));
	}
	*ret_reaper = reaper;
	return 0;
}

void cv_reaper_destroy(struct cv_reaper *reaper)
{
	if (!reaper)
		return;
	if (reaper->has_thread) {
		pthread_mutex_lock(&reaper->lock);
		reaper->is_stopping = true;
		pthread_cond_signal(&reaper->changed);
		pthread_mutex_unlock(&reaper->lock);
		pthread_join(reaper->thread, NULL);
	}
	tell_all(reaper);
	if (reaper->event)
		event_free(reaper->event);
	if (reaper->wake >= 0)
		close(reaper->wake);
	cv_nl_destroy(reaper->nl);
	pthread_cond_destroy(&reaper->changed);
	pthread_mutex_destroy(&reaper->lock);
	free(reaper);
}

void cv_reaper_delete(struct cv_reaper *reaper, int ifindex, cv_reaper_done done, void *context)
{
	struct job *job = calloc(1, sizeof(*job));

	/* As in agent/addresses.c: without memory for a job there is none for its failure either.
	 */
	if (!job)
		abort();
	*job = (struct job){.ifindex = ifindex, .done = done, .context = context};
	pthread_mutex_lock(&reaper->lock);
	STAILQ_INSERT_TAIL(&reaper->waiting, job, entry);
	pthread_cond_signal(&reaper->changed);
	pthread_mutex_unlock(&reaper->lock);
}
