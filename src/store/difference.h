/* SPDX-License-Identifier: Apache-2.0 */
/* What has become of resources between two snapshots, for the log. */
#ifndef CV_STORE_DIFFERENCE_H
#define CV_STORE_DIFFERENCE_H

#include "model/snapshot.h"

enum {
	CV_DIFFERENCE_TOLD = 20 /* changes one by one; the others as a number */
};

/*
 * A line (LOG_INFO) for each resource that was created, configured or deleted, with the file that
 * says so. Another place in the files alone is no change. log must not be NULL.
 */
void cv_difference_tell(const struct cv_snapshot *before, const struct cv_snapshot *after,
			void (*log)(int priority, const char *text));

#endif
