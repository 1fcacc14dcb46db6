/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a thread that may be waiting for somebody. */
#ifndef CV_AGENT_JOIN_H
#define CV_AGENT_JOIN_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

/* Join a thread that ends within some seconds. false: it has not, and is still to be joined. */
static inline bool cv_join_within(pthread_t thread, int seconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	return !pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
}

#endif
