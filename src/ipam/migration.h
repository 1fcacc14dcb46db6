/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving resources and addresses into etcd: from a node's files and its SQLite, or from Calico's
 * keys.
 *
 * First everything is gathered, then compared with what the target has: what is the same there is
 * fine, so that a migration that was interrupted is simply done again; what differs is a conflict,
 * and while there is one nothing is written. Then it is written, create-if-absent, a block with its
 * affinity and handles in one commit where they fit.
 *
 * Every node moves its own addresses, one after the other, while those that have done so already
 * work with etcd. So that nobody claims or borrows from a block whose node is still to come, the
 * first node that moves makes the blocks of all: a block that is empty there and strict, its
 * placeholder, which that node then replaces by its own.
 *
 * Blocking; for one thread.
 */
#ifndef CV_IPAM_MIGRATION_H
#define CV_IPAM_MIGRATION_H

#include <stdatomic.h>

#include "model/manifest.h"
#include "model/snapshot.h"
#include "store/kv.h"

enum cv_migration_kind {
	CV_MIGRATION_RESOURCE,
	CV_MIGRATION_HANDLE,
	CV_MIGRATION_AFFINITY,
	CV_MIGRATION_BLOCK,
	CV_MIGRATION_KINDS,
};

/* One key that is to be in the target. */
struct cv_migration_item {
	char *key, *value; /* owned */
	enum cv_migration_kind kind;
	bool is_placeholder;
	size_t group;	  /* those of one are written together; 0: not yet known */
	bool is_there;	  /* in the target, the same */
	int64_t revision; /* that it is written at: absent, or a placeholder's */
};

/* Zeroed: empty. cv_migration_fini frees. */
struct cv_migration {
	struct cv_migration_item *items;
	size_t count, capacity;
	size_t counts[CV_MIGRATION_KINDS];
	size_t equal;		      /* in the target already */
	struct cv_messages skipped;   /* what is not moved, and why */
	struct cv_messages conflicts; /* why nothing is written */
	bool is_arranged;
};
void cv_migration_fini(struct cv_migration *migration);

/* Add one; key and value are copied. What is there already stays (is_placeholder or not). 0 or
 * -errno. */
int cv_migration_add(struct cv_migration *migration, enum cv_migration_kind kind, const char *key,
		     const char *value, bool is_placeholder, struct cv_error *error);

/*
 * A node's resources: each under its key, but BlockAffinities, which become blocks and affinities:
 * empty ones of this node, placeholders of others. Documents of this node come before. 0 or -errno.
 */
int cv_migration_add_snapshot(struct cv_migration *migration, const struct cv_snapshot *snapshot,
			      const char *node, struct cv_error *error);

/* A node's own documents of addresses ("ipam/v2/…"). 0 or -errno. */
int cv_migration_add_documents(struct cv_migration *migration, struct cv_kv *kv,
			       struct cv_error *error);

/*
 * All that Calico has and we know of: calico's keys are relative to its prefix; it is only read.
 * What cannot be read is a conflict. 0 or -errno.
 */
int cv_migration_add_calico(struct cv_migration *migration, struct cv_kv *calico,
			    struct cv_error *error);

/* Compare with the target: is_there, revisions, conflicts (anew, each time). 0 or -errno. */
int cv_migration_compare(struct cv_migration *migration, struct cv_kv *target,
			 struct cv_error *error);

/* What another thread may look at meanwhile, and say. */
struct cv_migration_progress {
	atomic_size_t written; /* keys; counts on */
	atomic_bool stop;      /* -ECANCELED after the commit at hand */
};

/*
 * Write what is not there. 0; -EAGAIN: somebody else writes, too, or an answer was lost: compare
 * again, and go on; -ECANCELED; or another -errno. What was written stays.
 */
int cv_migration_write(struct cv_migration *migration, struct cv_kv *target,
		       struct cv_migration_progress *progress, struct cv_error *error);

#endif
