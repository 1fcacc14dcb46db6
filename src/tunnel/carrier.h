/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps the devices' carrier up while there is no daemon: the daemon's side of the carrier
 * holder (tunnel/holder.h). It finds the holder of its run directory, starts one when there
 * is something to hold and none, and notices when it is gone or does not answer. None of
 * that ever fails a tunnel: without a holder, its carrier just goes with the daemon.
 *
 * For one thread.
 */
#ifndef CV_TUNNEL_CARRIER_H
#define CV_TUNNEL_CARRIER_H

#include <stdbool.h>
#include <sys/types.h>

#include "tunnel/error.h"

struct cv_carrier;

enum {
	CV_CARRIER_ANSWER_MS = 1000, /* how long a holder may take; the daemon waits for it once */
	CV_CARRIER_STARTS_MAX = 5,   /* within … */
	CV_CARRIER_RETRY_S = 10,  /* … these seconds; also the pause after a start that failed */
	CV_CARRIER_REFUSED_S = 5, /* the pause after a device that it refused */
};

/*
 * Go on with the holder of this run directory, if there is one. log: told what happens, once each;
 * priority: LOG_* of syslog(3). 0 or -errno. The caller owns *ret_carrier; it must hold the
 * run directory's lock.
 */
int cv_carrier_create(const char *run_dir, void (*log)(int priority, const char *text),
		      struct cv_carrier **ret_carrier);

/* The holder goes on with what it has. NULL is fine. */
void cv_carrier_destroy(struct cv_carrier *carrier);

/* A descriptor to poll, the same all the time: when it can be read, cv_carrier_attend is due. */
int cv_carrier_fd(const struct cv_carrier *carrier);

/*
 * Look after the holder: what it said, whether it lives and answers. To be called when the
 * descriptor can be read, and every now and then. Returns true if all queues must be handed over
 * (again). NULL is fine: false.
 */
bool cv_carrier_attend(struct cv_carrier *carrier);

/*
 * Let the holder keep fd, a detached queue (cv_tun_detach) of this device, in place of an earlier
 * one; a holder is started if there is none. fd stays the caller's, who keeps it for the next
 * holder. NULL is fine.
 */
void cv_carrier_hold(struct cv_carrier *carrier, int ifindex, int fd);

/* Let the holder close its queue of a device that stays; a deleted one needs no word. NULL is fine.
 */
void cv_carrier_release(struct cv_carrier *carrier, int ifindex);

/* Process id of the holder, 0: none that answered. NULL is fine. */
pid_t cv_carrier_pid(const struct cv_carrier *carrier);

/*
 * End the holder of a run directory: told to, or killed when it does not listen. Returns 1 and its
 * process id when one has ended, 0 there was none, -errno with the reason.
 */
int cv_carrier_end(const char *run_dir, pid_t *ret_pid, struct cv_error *error);

/* Find it: the process id of the holder that listens in a run directory, 0: none, or -errno. */
pid_t cv_carrier_find(const char *run_dir);

#endif
