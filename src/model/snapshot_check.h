/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that hold between the resources of a snapshot: model/snapshot.h lists them. */
#ifndef CV_MODEL_SNAPSHOT_CHECK_H
#define CV_MODEL_SNAPSHOT_CHECK_H

#include "model/snapshot.h"

/*
 * For cv_snapshot_create: check a snapshot whose resources, pools and claims are sorted, and add
 * the warnings. 0, or -EEXIST, -EINVAL or -ENOMEM with both places in error.
 */
int cv_snapshot_check(const struct cv_snapshot *snapshot, struct cv_messages *warnings,
		      struct cv_error *error);

/* The same for what has to do with BGP; called by cv_snapshot_check. */
int cv_snapshot_check_bgp(const struct cv_snapshot *snapshot, struct cv_messages *warnings,
			  struct cv_error *error);

#endif
