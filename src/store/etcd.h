/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of etcd (v3) by its JSON gateway: reads, transactions and a watch, of a cluster with
 * several endpoints, of which one is used as long as it answers.
 *
 * Reads are linearizable: never older than what was written before they began, by anybody.
 * For one thread, but for cv_etcd_cancel and cv_etcd_wake. Calls block, with the time limits of the
 * options.
 */
#ifndef CV_STORE_ETCD_H
#define CV_STORE_ETCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/datastore.h"
#include "store/kv.h"

enum {
	CV_ETCD_REQUEST_MS = 3000, /* one request to one member */
	CV_ETCD_CALL_MS = 6000,	   /* a call, whatever number of requests it takes */
	CV_ETCD_PAGE = 1000,	   /* keys asked for at a time */
	/* Of a list, against a server that has no end. 5,000 nodes with 25,000 blocks and as many
	 * affinities and handles are some 100,000 keys and 500 MB. */
	CV_ETCD_LIST_KEYS = 1000000,
	CV_ETCD_LIST_MIB = 1024,
	CV_ETCD_LIST_S = 600,
};

struct cv_etcd;

struct cv_etcd_options {
	const struct cv_datastore_config *config; /* copied */
	int request_ms, call_ms;		  /* 0: as above */
};

/* Nobody is asked yet. 0 or -ENOMEM. */
int cv_etcd_create(const struct cv_etcd_options *options, struct cv_etcd **ret_etcd,
		   struct cv_error *error);
void cv_etcd_destroy(struct cv_etcd *etcd);

/* The call at hand, and all from now on, end with -ECANCELED. By any thread. */
void cv_etcd_cancel(struct cv_etcd *etcd);

/* A range of keys: from begin to before end; end NULL: begin alone. */
struct cv_etcd_range {
	const char *begin, *end;
};

/* Where the keys that begin with prefix end. The caller frees it; NULL: no memory. */
char *cv_etcd_prefix_end(const char *prefix);

/*
 * All keys of a range, as they were at one moment. Those of several ranges are at the same one if
 * *revision is kept: 0 is now, and it becomes the list's. 0, or an error of kv.h, or -ESTALE:
 * compacted meanwhile, -E2BIG: beyond a limit, which error names, -EPROTO: it is not etcd that
 * answers, or -ECANCELED. cv_kv_list_fini.
 */
int cv_etcd_list(struct cv_etcd *etcd, const struct cv_etcd_range *range, int64_t *revision,
		 struct cv_kv_list *ret_list, struct cv_error *error);

/* Nobody has changed anything in a range behind a revision. */
struct cv_etcd_guard {
	struct cv_etcd_range range;
	int64_t revision;
};

/* As cv_kv_commit, with whole keys; guard may be NULL, and fails with -EAGAIN as keys do. */
int cv_etcd_commit(struct cv_etcd *etcd, const struct cv_kv_operation *operations, size_t count,
		   const struct cv_etcd_guard *guard, int64_t *ret_revision,
		   struct cv_error *error);

/*
 * Ask for a key, that there need not be, request_ms each: the endpoint in use is then one that
 * answers and has a majority. Before a change: one that is cut off leaves a change in doubt. 0, or
 * an error of kv.h, -ECANCELED.
 */
int cv_etcd_settle(struct cv_etcd *etcd, const char *key, int request_ms, struct cv_error *error);

/* ---- of the endpoint in use alone ------------------------------------------------------ */

/* Ask for a key, that there need not be: whether the member answers and has a majority. */
int cv_etcd_ping(struct cv_etcd *etcd, const char *key, int64_t *ret_revision,
		 struct cv_error *error);

/*
 * The newest keys of a range as it was at a revision, limit of them at most and with their values,
 * and how many keys it had. 0; -ESTALE: nobody knows what was then; or as cv_etcd_list.
 */
int cv_etcd_newest(struct cv_etcd *etcd, const struct cv_etcd_range *range, int64_t revision,
		   size_t limit, struct cv_kv_list *ret_list, size_t *ret_count,
		   struct cv_error *error);

/* Use another one. */
void cv_etcd_move_on(struct cv_etcd *etcd);
const char *cv_etcd_endpoint(const struct cv_etcd *etcd);

/*
 * Watch a range from a revision on: line is called with each line of the answer
 * (cv_etcd_read_watched) from cv_etcd_wait and during other calls, until cv_etcd_unwatch.
 */
int cv_etcd_watch(struct cv_etcd *etcd, const struct cv_etcd_range *range, int64_t revision,
		  void (*line)(void *context, const char *text, size_t length), void *context,
		  struct cv_error *error);
/* 0: something came, or nothing for so long; -EPIPE: the watch has ended, error says why. */
int cv_etcd_wait(struct cv_etcd *etcd, int timeout_ms, struct cv_error *error);
void cv_etcd_unwatch(struct cv_etcd *etcd);
/* Let cv_etcd_wait return. By any thread. */
void cv_etcd_wake(struct cv_etcd *etcd);

#endif
