/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the thread of addresses does: what is asked for one after the other, but together what can
 * be one commit.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/addresses_error.h"
#include "agent/addresses_state.h"
#include "agent/state_dir.h"
#include "store/kv_sqlite.h"

enum {
	BATCH_MAX = CV_KV_OPERATIONS, /* of jobs that are done together, of each sort */
	GIVE_BACK_EVERY = 64,	      /* releases: whether blocks are empty is looked at */
};

int64_t cv_addresses_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int cv_addresses_open(struct cv_addresses *addresses, struct cv_error *error)
{
	char path[PATH_MAX];
	int rc = 0;

	if (!addresses->local) {
		rc = cv_state_dir_make(addresses->state_dir, error);
		if (!rc)
			rc = cv_state_dir_file(addresses->state_dir, CV_ADDRESSES_FILE, path,
					       error);
		if (!rc)
			rc = cv_kv_sqlite_open(path, &addresses->local, error);
	}
	if (rc || addresses->ipam)
		return rc;
	addresses->kv = addresses->own_etcd_kv ? addresses->own_etcd_kv : addresses->local;
	addresses->ipam = cv_ipam_create(addresses->kv);
	if (!addresses->ipam)
		return cv_error_set(error, -ENOMEM, "out of memory");
	cv_ipam_configure(addresses->ipam, &addresses->world);
	return 0;
}

static void do_assign(struct cv_addresses *addresses, struct cv_address_job **jobs, size_t count)
{
	struct cv_ipam_request *requests = calloc(count, sizeof(*requests));
	struct cv_ipam_result *results = calloc(count, sizeof(*results));
	struct cv_error error = {.text = ""};
	int rc = cv_addresses_settle(addresses, &error);

	if (!requests || !results)
		abort();
	for (size_t i = 0; i < count; i++)
		requests[i] = jobs[i]->request;
	if (!rc)
		cv_ipam_assign(addresses->ipam, requests, count, results);
	for (size_t i = 0; i < count; i++) {
		if (rc)
			results[i] = (struct cv_ipam_result){.rc = rc, .error = error};
		jobs[i]->result = results[i];
		jobs[i]->rc = results[i].rc;
		jobs[i]->error = results[i].error;
	}
	free(requests);
	free(results);
}

/* A key may be in one commit once: the last word counts. */
static void add_operation(struct cv_kv_operation *operations, size_t *used, const char *key,
			  const char *value)
{
	size_t at = 0;

	while (at < *used && strcmp(operations[at].key, key) != 0)
		at++;
	operations[at] = (struct cv_kv_operation){key, value, CV_KV_WHATEVER};
	*used += at == *used;
}

static int delete_notes(struct cv_addresses *addresses, struct cv_address_job **jobs, size_t count,
			struct cv_error *error)
{
	struct cv_kv_operation operations[BATCH_MAX] = {0};
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		if (jobs[i]->value)
			add_operation(operations, &used, jobs[i]->value, NULL);
	}
	return used ? cv_kv_commit(addresses->local, operations, used, NULL, error) : 0;
}

static void do_release(struct cv_addresses *addresses, struct cv_address_job **jobs, size_t count)
{
	const char *handles[BATCH_MAX] = {NULL};
	struct cv_error error = {.text = ""};
	size_t released = 0;
	int rc;

	for (size_t i = 0; i < count; i++)
		handles[i] = jobs[i]->key;
	rc = cv_addresses_owe(addresses, jobs, count, true, &error);
	if (!rc)
		rc = cv_ipam_release(addresses->ipam, handles, count, &released, &error);
	/* Something is damaged, and the others are released: whose it was turns out one by one. */
	if (rc == -EUCLEAN && count > 1) {
		for (size_t i = 0; i < count; i++)
			do_release(addresses, &jobs[i], 1);
		return;
	}
	if (!rc)
		rc = delete_notes(addresses, jobs, count, &error);
	for (size_t i = 0; i < count; i++) {
		jobs[i]->rc = rc;
		jobs[i]->error = error;
		/* Who asks for one alone is told how many; of many, what they have together. */
		jobs[i]->count = count == 1 ? released : !rc;
	}
	addresses->releases += (unsigned int)count;
}

static void do_puts(struct cv_addresses *addresses, struct cv_address_job **jobs, size_t count)
{
	struct cv_kv_operation operations[BATCH_MAX] = {0};
	struct cv_error error = {.text = ""};
	size_t used = 0;
	int rc;

	for (size_t i = 0; i < count; i++)
		add_operation(operations, &used, jobs[i]->key, jobs[i]->value);
	rc = cv_kv_commit(addresses->local, operations, used, NULL, &error);
	for (size_t i = 0; i < count; i++) {
		jobs[i]->rc = rc;
		jobs[i]->error = error;
	}
}

static void configure(struct cv_addresses *addresses, struct cv_ipam_world *world)
{
	if (addresses->ipam) {
		cv_ipam_configure(addresses->ipam, world);
		return;
	}
	cv_ipam_world_fini(&addresses->world);
	addresses->world = *world;
	*world = (struct cv_ipam_world){.claims = false};
}

/* Noted first: it may be done when the note cannot be written any more. */
static void release_address(struct cv_addresses *addresses, struct cv_address_job *job)
{
	job->rc = cv_addresses_owe(addresses, &job, 1, true, &job->error);
	if (job->rc)
		return;
	job->rc = cv_ipam_release_address(addresses->ipam, job->address, job->key, &job->error);
	if (job->rc)
		cv_addresses_owe(addresses, &job, 1, false, NULL);
}

static void do_alone(struct cv_addresses *addresses, struct cv_address_job *job)
{
	struct cv_ipam *ipam = addresses->ipam;

	switch (job->kind) {
	case CV_JOB_RELEASE_ADDRESS:
		release_address(addresses, job);
		break;
	case CV_JOB_CONFIGURE:
		configure(addresses, &job->world);
		break;
	case CV_JOB_LOOK:
		/* What is owed is not what is the matter. */
		job->rc = cv_addresses_settle(addresses, &job->error);
		if (!job->rc)
			job->rc = cv_ipam_look(ipam, &job->view, &job->error);
		break;
	case CV_JOB_UNMOVED:
		addresses->is_settled = false;
		job->rc = cv_addresses_settle(addresses, &job->error);
		break;
	case CV_JOB_FIX:
		job->rc = cv_ipam_fix(ipam, job->faults, job->count, &job->count, &job->error);
		break;
	case CV_JOB_RUN:
		job->rc = job->run(job->context, addresses->kv, &job->error);
		/* Whatever it has written. */
		cv_ipam_doubt(ipam);
		break;
	case CV_JOB_LIST:
		if (addresses->local)
			job->rc = cv_kv_list(addresses->local, job->key, job->list, &job->error);
		break;
	case CV_JOB_ASSIGN:
	case CV_JOB_RELEASE:
	case CV_JOB_PUT:
		break;
	}
}

/* ---- what is done together ----------------------------------------------------------------- */

struct batch {
	struct cv_address_job *puts[BATCH_MAX], *others[BATCH_MAX];
	size_t put_count, other_count;
	struct cv_address_jobs all; /* in their order */
};

static bool takes(const struct batch *batch, const struct cv_address_job *job)
{
	if (job->kind == CV_JOB_PUT)
		return batch->put_count < BATCH_MAX;
	if (!batch->other_count)
		return true;
	return job->kind == batch->others[0]->kind && batch->other_count < BATCH_MAX &&
	       (job->kind == CV_JOB_ASSIGN || job->kind == CV_JOB_RELEASE);
}

static bool is_alone(enum cv_address_job_kind kind)
{
	return kind != CV_JOB_PUT && kind != CV_JOB_ASSIGN && kind != CV_JOB_RELEASE;
}

/* With the lock held. */
static void take_batch(struct cv_addresses *addresses, struct batch *batch)
{
	struct cv_address_job *job;

	*batch = (struct batch){.put_count = 0};
	STAILQ_INIT(&batch->all);
	while ((job = STAILQ_FIRST(&addresses->waiting)) != NULL && takes(batch, job)) {
		if (is_alone(job->kind) && batch->put_count)
			break;
		STAILQ_REMOVE_HEAD(&addresses->waiting, entry);
		STAILQ_INSERT_TAIL(&batch->all, job, entry);
		if (job->kind == CV_JOB_PUT)
			batch->puts[batch->put_count++] = job;
		else
			batch->others[batch->other_count++] = job;
		if (is_alone(job->kind))
			break;
	}
}

static bool needs_database(const struct batch *batch)
{
	return batch->put_count || (batch->others[0]->kind != CV_JOB_CONFIGURE &&
				    batch->others[0]->kind != CV_JOB_LIST);
}

static void fail_batch(struct batch *batch, int rc, const struct cv_error *error)
{
	struct cv_address_job *job;

	STAILQ_FOREACH(job, &batch->all, entry) {
		job->rc = rc == -ENOSPC ? -EDQUOT
					: rc; /* which of an assignment means another thing */
		job->error = *error;
	}
}

/* Notes first: of what is assigned there is a note already. */
static void do_in_order(struct cv_addresses *addresses, struct batch *batch)
{
	if (batch->put_count)
		do_puts(addresses, batch->puts, batch->put_count);
	if (!batch->other_count)
		return;
	if (batch->others[0]->kind == CV_JOB_ASSIGN)
		do_assign(addresses, batch->others, batch->other_count);
	else if (batch->others[0]->kind == CV_JOB_RELEASE)
		do_release(addresses, batch->others, batch->other_count);
	else
		do_alone(addresses, batch->others[0]);
}

/* All of it in one commit, with one wait for the disk, where all of it is in one file. */
static void do_batch(struct cv_addresses *addresses, struct batch *batch)
{
	struct cv_error error = {.text = ""};
	int rc = needs_database(batch) ? cv_addresses_open(addresses, &error) : 0;

	if (!rc && (addresses->kv != addresses->local || !batch->other_count ||
		    is_alone(batch->others[0]->kind)))
		return do_in_order(addresses, batch);
	if (!rc)
		rc = cv_kv_sqlite_begin(addresses->local, &error);
	if (!rc) {
		do_in_order(addresses, batch);
		rc = cv_kv_sqlite_end(addresses->local, &error);
		/* What it believes to have written is not there. */
		if (rc) {
			cv_ipam_doubt(addresses->ipam);
			addresses->is_settled = false;
		}
	}
	if (rc)
		fail_batch(batch, rc, &error);
}

/* With the lock held. */
static void note_status(struct cv_addresses *addresses, const struct cv_address_job *job)
{
	struct cv_addresses_status *status = &addresses->status;

	if (job->kind == CV_JOB_CONFIGURE)
		return;
	if (cv_addresses_is_store_error(job->rc, job->kind == CV_JOB_ASSIGN)) {
		snprintf(status->problem, sizeof(status->problem), "%s", job->error.text);
		addresses->full_us =
			job->rc == -EDQUOT || job->rc == -ENOSPC ? cv_addresses_now_us() : 0;
	} else if (!addresses->full_us || (job->kind == CV_JOB_ASSIGN && !job->rc)) {
		/* What is full can be read all the same: that shows nothing. */
		status->problem[0] = '\0';
		addresses->full_us = 0;
	}
	if (job->rc)
		status->failed++;
	else if (job->kind == CV_JOB_ASSIGN)
		status->assigned += !job->result.was_there;
	else if (job->kind == CV_JOB_RELEASE)
		status->released += job->count;
	else if (job->kind == CV_JOB_RELEASE_ADDRESS)
		status->released++;
}

/* With the lock held. */
static void finish_batch(struct cv_addresses *addresses, struct batch *batch, int64_t took_us)
{
	static const uint64_t one = 1;
	struct cv_address_job *job;

	addresses->status.last_us = took_us;
	if (took_us > addresses->status.longest_us)
		addresses->status.longest_us = took_us;
	while ((job = STAILQ_FIRST(&batch->all)) != NULL) {
		STAILQ_REMOVE_HEAD(&batch->all, entry);
		addresses->status.waiting--;
		note_status(addresses, job);
		if (job->kind == CV_JOB_LIST) {
			job->is_over = true;
			pthread_cond_broadcast(&addresses->changed);
		} else {
			STAILQ_INSERT_TAIL(&addresses->finished, job, entry);
		}
	}
	/* Fails only when its counter is full: then the loop is woken anyway. */
	(void)!write(addresses->wake, &one, sizeof(one));
}

/* In a cluster, blocks go back when nobody waits. */
static void give_back(struct cv_addresses *addresses)
{
	struct cv_error error;
	size_t count;

	if (!addresses->own_etcd_kv || addresses->releases < GIVE_BACK_EVERY)
		return;
	addresses->releases = 0;
	cv_ipam_give_back(addresses->ipam, &count, &error);
}

void *cv_addresses_work(void *data)
{
	struct cv_addresses *addresses = data;
	struct batch batch;

	pthread_setname_np(pthread_self(), "addresses");
	pthread_mutex_lock(&addresses->lock);
	while (!addresses->is_stopping) {
		int64_t begin_us;

		if (STAILQ_EMPTY(&addresses->waiting) || addresses->is_held) {
			pthread_cond_wait(&addresses->changed, &addresses->lock);
			continue;
		}
		take_batch(addresses, &batch);
		pthread_mutex_unlock(&addresses->lock);
		begin_us = cv_addresses_now_us();
		do_batch(addresses, &batch);
		give_back(addresses);
		pthread_mutex_lock(&addresses->lock);
		finish_batch(addresses, &batch, cv_addresses_now_us() - begin_us);
	}
	pthread_mutex_unlock(&addresses->lock);
	return NULL;
}
