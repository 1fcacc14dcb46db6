/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line for each call, where the configuration asks for it ("log"):
 *
 *   WHEN COMMAND NETWORK CONTAINER INTERFACE 5120 us (look 310, cni.add 1730, …): CODE [what
 * failed]
 *
 * with the microseconds from main() to the answer, and what of it each step took.
 */
#ifndef CV_CNI_LOG_H
#define CV_CNI_LOG_H

#include <stdint.h>

#include "cni/call.h"

enum {
	CV_CNI_LOG_STEPS = 8
};

struct cv_cni_log {
	int64_t began_us, last_us; /* CLOCK_MONOTONIC */
	size_t step_count;
	struct {
		const char *name;
		int64_t us;
	} steps[CV_CNI_LOG_STEPS];
};

void cv_cni_log_begin(struct cv_cni_log *log);

/* A step of this name (a literal) has ended, which began when the one before ended. */
void cv_cni_log_step(struct cv_cni_log *log, const char *name);

/* Append the line. That it cannot be written is nobody's reason to fail. */
void cv_cni_log_end(const struct cv_cni_log *log, const struct cv_cni_call *call, int code);

#endif
