/* SPDX-License-Identifier: Apache-2.0 */
/* What an apply or a delete would do to a snapshot: decided before anything is written. */
#ifndef CV_STORE_CHANGE_H
#define CV_STORE_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "store/store.h"

/*
 * What becomes of each resource, in their order. own_file: the path of the file that we may write,
 * or, ending with ':', what those begin with; resources of others are -EPERM.
 * cv_store_changes_fini.
 */
int cv_change_plan_apply(const struct cv_snapshot *snapshot, const char *own_file,
			 struct cv_resource *const *resources, size_t count,
			 struct cv_store_changes *ret_changes, struct cv_error *error);
int cv_change_plan_delete(const struct cv_snapshot *snapshot, const char *own_file,
			  const struct cv_store_name *names, size_t count,
			  struct cv_store_changes *ret_changes, struct cv_error *error);

/* Whether there is anything to do. */
bool cv_changes_any(const struct cv_store_changes *changes);

/*
 * Whether there may be the snapshot that would be: 0, or -EINVAL, -EEXIST … with the places in the
 * manifest that was applied. Its warnings are added to changes.
 */
int cv_changes_check(const struct cv_snapshot *snapshot, struct cv_store_changes *changes,
		     struct cv_error *error);

/*
 * What stays of count resources, and what is new: pointers, without references of their own, into
 * arrays that have room for all. 0 or -ENOMEM.
 */
int cv_changes_keep(const struct cv_store_changes *changes, struct cv_resource *const *resources,
		    size_t count, struct cv_resource **ret_kept, size_t *ret_count);
size_t cv_changes_new(const struct cv_store_changes *changes, struct cv_resource **ret_new);

#endif
