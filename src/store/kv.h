/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents under keys, each with a revision, written by compare-and-swap: what addresses are kept
 * in. SQLite on one host (store/kv_sqlite.h), etcd in a cluster (store/kv_etcd.h), both with the
 * same keys and documents, so that one can be moved into the other.
 *
 * Keys are relative: "ipam/v2/assignment/ipv4/block/10.244.1.0-26"; what is before them (etcd:
 * "/culvert/") is the implementation's. Values are JSON texts. Calls block, with the
 * implementation's time limit; a cv_kv is one thread's at a time.
 */
#ifndef CV_STORE_KV_H
#define CV_STORE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tunnel/error.h"

struct cv_kv_item {
	char *key, *value;
	int64_t revision; /* of its last change; > 0 */
};

struct cv_kv_list {
	struct cv_kv_item *items; /* sorted by key, as strcmp */
	size_t count;
	int64_t revision; /* of the whole, when it was read */
};
void cv_kv_item_fini(struct cv_kv_item *item);
void cv_kv_list_fini(struct cv_kv_list *list);

enum {
	CV_KV_ABSENT = 0,	/* the key must not be there */
	CV_KV_WHATEVER = -1,	/* no condition; for deleting, too: it may not be there */
	CV_KV_OPERATIONS = 100, /* in one commit, at most (etcd's default limit is 128) */
};

/* One change of a commit. */
struct cv_kv_operation {
	const char *key;
	const char *value; /* NULL: delete; CV_KV_KEEP: only compare */
	int64_t revision;  /* the key's, as it was read; CV_KV_ABSENT, CV_KV_WHATEVER */
};
extern const char cv_kv_keep[];
#define CV_KV_KEEP cv_kv_keep

struct cv_kv;

/*
 * What an implementation does; error says in words what was wrong and what to do. All return 0 or:
 * -ENOENT	get: there is no such key
 * -EAGAIN	commit: a key is not at its revision; nothing was changed. Read again.
 * -ETIMEDOUT	no answer in time. A commit may have happened, or may yet: read again before
 *anything else is concluded. -EHOSTUNREACH nobody to ask (etcd has no leader, no member answers); a
 *commit has not happened -ENOSPC	disk full, or etcd's quota
 * -EACCES	refused: certificate, user, password, permissions
 * -EUCLEAN	what is stored is no text, or the file is no database
 */
struct cv_kv_ops {
	int (*get)(struct cv_kv *kv, const char *key, struct cv_kv_item *ret_item,
		   struct cv_error *error);
	int (*list)(struct cv_kv *kv, const char *prefix, struct cv_kv_list *ret_list,
		    struct cv_error *error);
	/* All or nothing, durable when it returns. */
	int (*commit)(struct cv_kv *kv, const struct cv_kv_operation *operations, size_t count,
		      int64_t *ret_revision, struct cv_error *error);
	/* The call at hand, and all from now on, end with -ECANCELED: a commit may have happened.
	 * By any thread. NULL: no call takes long. */
	void (*cancel)(struct cv_kv *kv);
	void (*destroy)(struct cv_kv *kv);
};

/* The head of every implementation's own struct. */
struct cv_kv {
	const struct cv_kv_ops *ops;
};

int cv_kv_get(struct cv_kv *kv, const char *key, struct cv_kv_item *ret_item,
	      struct cv_error *error);
/* All keys that begin with prefix. */
int cv_kv_list(struct cv_kv *kv, const char *prefix, struct cv_kv_list *ret_list,
	       struct cv_error *error);
/* *ret_revision (may be NULL): what every changed key has from now on. */
int cv_kv_commit(struct cv_kv *kv, const struct cv_kv_operation *operations, size_t count,
		 int64_t *ret_revision, struct cv_error *error);
void cv_kv_cancel(struct cv_kv *kv);  /* NULL is fine */
void cv_kv_destroy(struct cv_kv *kv); /* NULL is fine */

#endif
