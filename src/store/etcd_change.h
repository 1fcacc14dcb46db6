/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a plan of changes (change.h) to etcd. */
#ifndef CV_STORE_ETCD_CHANGE_H
#define CV_STORE_ETCD_CHANGE_H

#include "store/change.h"
#include "store/etcd.h"
#include "store/etcd_entries.h"

/*
 * Write changes that were planned on base, and take what is written into entries; with dry_run only
 * say what would be refused. Each key is compared with what entries know of it, and no resource may
 * have been changed since. 0; -EAGAIN: something has; -EPERM, -EEXIST, -EBUSY, -EINVAL: what must
 * not be, with the reason; or as cv_etcd_commit.
 */
int cv_etcd_change(struct cv_etcd *etcd, struct cv_etcd_entries *entries,
		   const struct cv_snapshot *base, const struct cv_store_changes *changes,
		   bool dry_run, struct cv_error *error);

#endif
