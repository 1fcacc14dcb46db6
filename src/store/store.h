/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where resources live: in files, or in etcd, with one interface.
 *
 * The store of files is a directory of YAML and JSON files
 * (*.yaml, *.yml, *.json; names that begin with a dot are not looked at), watched.
 *
 * What `apply` brings is kept in one file of ours, CV_STORE_FILE, replaced as a whole: written
 * aside, fsync, rename, fsync of the directory. So an apply or a delete is all or nothing, also
 * across a crash. All other files are somebody's own and never written.
 *
 * What is broken changes nothing: the last good state stays in force. So it does when the directory
 * itself disappears; it must come back, and be it empty. A file that somebody is writing (it
 * changed less than 40 ms ago, or is open for writing) is left alone until that is done.
 *
 * The store of etcd (store/datastore.h) has each resource under a key of its own, as Calico does,
 * followed by a watch. A BlockAffinity is there what the documents of addresses say (ipam/ipam.h);
 * addresses that a node has borrowed from another's block appear as a Workload of that node, named
 * "borrowed-NODE-CIDR". A key whose value is broken keeps its former one and is named by
 * cv_store_problem; so is an etcd that is away, with the time since when, and what was last good
 * stays in force. The directory is only for what else is in it (secrets).
 */
#ifndef CV_STORE_STORE_H
#define CV_STORE_STORE_H

#include <stdbool.h>

#include "model/snapshot.h"
#include "store/datastore.h"
#include "tunnel/error.h"

#define CV_STORE_FILE "applied.yaml"

struct cv_store;

struct cv_store_options {
	const char *directory; /* absolute; copied. It need not exist: then there is nothing, and
				  the first apply makes it */
	bool was_used; /* there were resources in it: that it is gone is a problem, not an end */
	void (*log)(int priority, const char *text); /* LOG_* of syslog(3) */
	const struct cv_datastore_config *datastore; /* copied; NULL, or no etcd: files */
};

/*
 * Open and read everything. Broken files, or an etcd that does not answer within a second, are no
 * failure: the store is then empty, or as its last good state was, and cv_store_problem says why. 0
 * or -errno (no inotify, no memory). The caller owns *ret_store.
 */
int cv_store_create(const struct cv_store_options *options, struct cv_store **ret_store,
		    struct cv_error *error);
void cv_store_destroy(struct cv_store *store);

/*
 * A descriptor that is readable when something may have changed; call cv_store_refresh
 * cv_store_delay_ms after that, and every 30 s in any case.
 */
int cv_store_fd(const struct cv_store *store);
unsigned int cv_store_delay_ms(const struct cv_store *store);

/*
 * Look again, at files whose stat(2) changed alone. 1: there is another snapshot, 0: nothing has
 * changed or what is new is broken, which is logged once and told by cv_store_problem. What edited
 * files change is logged, resource by resource.
 */
int cv_store_refresh(struct cv_store *store);

/* The last good state; never NULL. Valid until the store changes; cv_snapshot_get to keep it. */
struct cv_snapshot *cv_store_snapshot(const struct cv_store *store);

/* Why the directory as it is now is not what is in force, "FILE:LINE:COLUMN: …"; NULL: it is. */
const char *cv_store_problem(const struct cv_store *store);

/* "etcd", with its endpoints; NULL: the directory's files. */
const char *cv_store_datastore(const struct cv_store *store);

/* As it was given. */
const char *cv_store_directory(const struct cv_store *store);

/* Warnings of all files, of their last good reading. */
const struct cv_messages *cv_store_warnings(const struct cv_store *store);

enum cv_store_action {
	CV_STORE_CREATED,
	CV_STORE_CONFIGURED,
	CV_STORE_UNCHANGED,
	CV_STORE_DELETED,
};

struct cv_store_change {
	enum cv_store_action action;
	struct cv_resource *before, *after; /* a reference each; NULL where there is none */
};

struct cv_store_changes {
	struct cv_store_change *items;
	size_t count;
	struct cv_messages warnings; /* of a dry run: all that there would be then */
};
void cv_store_changes_fini(struct cv_store_changes *changes);

/*
 * Create or change these resources, or with dry_run say only what would become of each, in their
 * order. A resource that lives in somebody's own file is refused (-EPERM, with file and line)
 * unless it is the same. 0, or -EINVAL, -EEXIST, -ENOSPC, -EROFS … and nothing has changed. While
 * the directory is broken nothing is applied (-EUCLEAN, naming the problem).
 *
 * The files are looked at first. If they are others than at the last refresh, the next one returns
 * 1 for that, whatever becomes of the apply. For a file that is being written, and for another
 * daemon that writes in the directory, is waited, but not longer than 4 s: -EBUSY.
 *
 * etcd: up to 100 keys are one transaction, all or nothing, made only if nobody has changed any
 * resource meanwhile. More are several, in their order, deletions first: each all or nothing, and
 * if one fails the error says how many are done; doing it again goes on from there. Waits 2 s at
 * most, and not at all for an etcd that is known to be away (-EHOSTUNREACH). -ETIMEDOUT: etcd has
 * not said whether it was done. What is contradictory can be mended by an apply or a delete.
 */
int cv_store_apply(struct cv_store *store, struct cv_resource *const *resources, size_t count,
		   bool dry_run, struct cv_store_changes *ret_changes, struct cv_error *error);

/*
 * Delete by kind and name; the changes are sorted. -ENOENT: there is none of them, or not one that
 * must exist, and nothing is deleted; others that there are not are passed over. Otherwise as
 * cv_store_apply.
 */
struct cv_store_name {
	enum cv_kind kind;
	const char *name;
	bool must_exist;
};
int cv_store_delete(struct cv_store *store, const struct cv_store_name *names, size_t count,
		    bool dry_run, struct cv_store_changes *ret_changes, struct cv_error *error);

#endif
