/* SPDX-License-Identifier: Apache-2.0 */
/* What the two sides of the thread of addresses share. For addresses*.c alone. */
#ifndef CV_AGENT_ADDRESSES_STATE_H
#define CV_AGENT_ADDRESSES_STATE_H

#include <pthread.h>
#include <sys/queue.h>

#include "agent/addresses.h"

enum cv_address_job_kind {
	CV_JOB_ASSIGN,
	CV_JOB_RELEASE,
	CV_JOB_RELEASE_ADDRESS,
	CV_JOB_CONFIGURE,
	CV_JOB_LOOK,
	CV_JOB_FIX,
	CV_JOB_RUN,
	CV_JOB_LIST, /* for cv_addresses_local_list, which waits for it */
	CV_JOB_PUT,
	CV_JOB_UNMOVED, /* what was released is owed to nobody */
};

struct cv_address_job {
	STAILQ_ENTRY(cv_address_job) entry;
	enum cv_address_job_kind kind;
	cv_addresses_done done; /* NULL: nobody asks */
	void *context;
	int rc;
	struct cv_error error;
	/* PUT; RELEASE, RELEASE_ADDRESS: key is the handle; LIST: the prefix. RELEASE: value is the
	 * key of a local document that goes with it. */
	char *key, *value;
	__be32 address;			/* RELEASE_ADDRESS */
	struct cv_ipam_request request; /* ASSIGN; its strings are strings' */
	char **strings;			/* and a NULL */
	struct cv_ipam_result result;	/* ASSIGN */
	struct cv_ipam_world world;	/* CONFIGURE */
	struct cv_ipam_view view;	/* LOOK */
	struct cv_ipam_fault *faults;	/* FIX */
	size_t count;			/* of faults; out: RELEASE, FIX */
	int (*run)(void *context, struct cv_kv *kv, struct cv_error *error);
	struct cv_kv_list *list; /* LIST: the waiter's */
	bool is_over;		 /* LIST: the waiter may go on */
	bool is_owed;		 /* RELEASE, RELEASE_ADDRESS: to the store that comes, too */
};

STAILQ_HEAD(cv_address_jobs, cv_address_job);

struct cv_addresses {
	char *state_dir;
	struct event *event;
	int wake; /* eventfd: jobs are done */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* of all down to status */
	pthread_cond_t changed;
	struct cv_address_jobs waiting, finished;
	bool is_stopping;
	bool is_held; /* cv_addresses_hold */
	struct cv_addresses_status status;
	int64_t full_us; /* when the problem was last that nothing can be written; 0: it is not */
	struct cv_kv *local, *kv;   /* the thread's; the same with SQLite alone */
	struct cv_ipam *ipam;	    /* the thread's; NULL: not opened yet, … */
	struct cv_ipam_world world; /* … and this is what it will be told */
	unsigned int releases;	    /* the thread's: since blocks were given back */
	bool is_settled; /* the thread's: nothing is owed that was released before the start */
	bool is_moving;	 /* the loop's */
	struct cv_kv *own_etcd_kv; /* to be destroyed, if kv is another than local */
};

int64_t cv_addresses_now_us(void); /* CLOCK_MONOTONIC */

/* Open what is not open yet. On the thread; before there is one, at the start. 0 or -errno. */
int cv_addresses_open(struct cv_addresses *addresses, struct cv_error *error);

/* ---- addresses_owed.c, on the thread -------------------------------------------------------- */

/* Note what of these releases is owed, or that it is not. At most CV_KV_OPERATIONS. 0 or -errno. */
int cv_addresses_owe(struct cv_addresses *addresses, struct cv_address_job *const *jobs,
		     size_t count, bool owed, struct cv_error *error);

/* Release what is owed; with files in force, forget it. Does nothing the second time. 0, or an
 * error of the store: then nothing is to be assigned yet. */
int cv_addresses_settle(struct cv_addresses *addresses, struct cv_error *error);

/* ---- addresses_work.c ------------------------------------------------------------------------ */

/* The thread: does what is in the queue until it is told to stop. */
void *cv_addresses_work(void *addresses);

#endif
