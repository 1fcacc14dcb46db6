/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deletes devices of pods, on a thread of its own. RTM_DELLINK returns when the kernel has freed
 * the device: long after nobody sees it any more, as the kernel waits for all RCU callbacks between
 * (8 ms on a quiet machine, 20 on a busy one), without its rtnl lock. Nobody else need wait for
 * that.
 *
 * Functions are for the main thread, and callbacks come there, from the loop.
 */
#ifndef CV_AGENT_REAPER_H
#define CV_AGENT_REAPER_H

#include <event2/event.h>

#include "tunnel/error.h"

struct cv_reaper;

/* rc: 0, also if there was none, or -errno. */
typedef void (*cv_reaper_done)(void *context, int rc);

/* In the network namespace of the calling thread. base outlives it. 0 or -errno. */
int cv_reaper_create(struct event_base *base, struct cv_reaper **ret_reaper,
		     struct cv_error *error);

/* What was asked for is done, and told. NULL is fine. */
void cv_reaper_destroy(struct cv_reaper *reaper);

/* Delete this device; many that wait are deleted at once. done is called once, later. */
void cv_reaper_delete(struct cv_reaper *reaper, int ifindex, cv_reaper_done done, void *context);

#endif
