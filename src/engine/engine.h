/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: the complete user-space path of every tunnel of one daemon.
 *
 * A fixed number of worker threads. Each owns one queue of every tunnel's TUN
 * device, one packet socket of the fan-out group that receives outer packets, one
 * sending socket and one routing cache. Configuration stops all workers for the
 * moment of the change, so that the packet path needs no locks.
 *
 * All functions below are for one controlling thread.
 */
#ifndef CV_ENGINE_ENGINE_H
#define CV_ENGINE_ENGINE_H

#include <net/if.h>
#include <stdbool.h>

#include "engine/counters.h"
#include "engine/teach.h"
#include "wire/ipip.h"

enum {
	CV_ENGINE_WORKERS_MAX = 8,
	CV_ENGINE_TUNNELS_MAX = 1024,
};

struct cv_engine;

/* What the engine must know of a tunnel. Addresses 0 mean "any". */
struct cv_engine_tunnel {
	char name[IFNAMSIZ];
	int ifindex; /* of the TUN device; the tunnel's key */
	__be32 remote;
	__be32 local;
	char dev[IFNAMSIZ]; /* underlay device, "" for any */
	struct cv_ipip_params ipip;
	bool strict; /* nothing from strangers */
};

/*
 * Create an engine and start its threads. workers: 0 for one per CPU (at most
 * CV_ENGINE_WORKERS_MAX). Returns 0, or -errno: -EPERM without CAP_NET_RAW and
 * CAP_NET_ADMIN. The caller owns *ret_engine: cv_engine_destroy.
 */
int cv_engine_create(unsigned int workers, struct cv_engine **ret_engine);

/* Stop the threads, close everything. NULL is fine. Devices stay. */
void cv_engine_destroy(struct cv_engine *engine);

/* Number of workers: as many TUN queues does cv_engine_tunnel_add take. */
unsigned int cv_engine_workers(const struct cv_engine *engine);

/*
 * Start to carry a tunnel. queues: cv_engine_workers() descriptors of its TUN
 * device, non-blocking, opened by cv_tun_open; the engine owns them from a
 * successful return on. -EEXIST: ifindex or (remote, local) taken; -ENOSPC:
 * CV_ENGINE_TUNNELS_MAX; -errno otherwise.
 */
int cv_engine_tunnel_add(struct cv_engine *engine, const struct cv_engine_tunnel *tunnel,
			 const int *queues);

/* Change everything but name and ifindex. -ENOENT, -EEXIST, -errno. Counters stay. */
int cv_engine_tunnel_change(struct cv_engine *engine, const struct cv_engine_tunnel *tunnel);

/* Stop to carry a tunnel and close its queues. -ENOENT. */
int cv_engine_tunnel_delete(struct cv_engine *engine, int ifindex);

/* Whom to tell what the fast path must know (a copy is kept); NULL: nobody. */
void cv_engine_set_teacher(struct cv_engine *engine, const struct cv_teacher *teacher);

/* The sum of all workers' counters of a tunnel. -ENOENT. */
int cv_engine_tunnel_counters(struct cv_engine *engine, int ifindex, struct cv_counters *ret);

/* What belongs to no tunnel: packets without one, receive overflow, foreign ICMP. */
void cv_engine_counters(struct cv_engine *engine, struct cv_counters *ret);

#endif
