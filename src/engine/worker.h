/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread with its sockets, its queue of every TUN device, and its lane.
 *
 * It holds its lock while it works on a batch and never while it waits; whoever holds all
 * workers' locks (cv_engine) may change what the workers look at.
 */
#ifndef CV_ENGINE_WORKER_H
#define CV_ENGINE_WORKER_H

#include <pthread.h>

#include "engine/lane.h"

struct cv_worker;

/* What workers of one engine share. */
struct cv_worker_shared {
	struct cv_lane_shared lane;
	uint16_t fanout_group; /* of the packet sockets; 0 until the first one chose */
	int guard;	       /* protocol 4's guard socket; worker 0 reads its errors */
	bool stopping;	       /* atomic */
	bool pausing;	       /* atomic: wait at the gate before the next batch */
	pthread_mutex_t gate;
};

/* Open a worker's sockets and buffers; no thread yet. -errno. The caller owns *ret_worker. */
int cv_worker_create(struct cv_worker_shared *shared, unsigned int index,
		     struct cv_worker **ret_worker);

/* Start the thread. -errno. */
int cv_worker_start(struct cv_worker *worker);

/* Stop the thread if it runs (shared->stopping must be set), close, free. NULL is fine. */
void cv_worker_destroy(struct cv_worker *worker);

/* Keep the worker from touching anything until cv_worker_unlock. */
void cv_worker_lock(struct cv_worker *worker);
void cv_worker_unlock(struct cv_worker *worker);

/* Locked: serve the queue of a tunnel, or serve it no longer. -errno. */
int cv_worker_attach(struct cv_worker *worker, const struct cv_live_tunnel *tunnel);
void cv_worker_detach(struct cv_worker *worker, const struct cv_live_tunnel *tunnel);

/* Locked: forget what routing answered: the configuration changed. */
void cv_worker_forget(struct cv_worker *worker);

/* Locked: show what becomes of packets in ring (the caller's), or (NULL) no longer. */
void cv_worker_capture(struct cv_worker *worker, struct cv_capture_ring *ring);

/* Locked: add the counters that belong to no tunnel to *sum. */
void cv_worker_counters(struct cv_worker *worker, struct cv_counters *sum);

#endif
