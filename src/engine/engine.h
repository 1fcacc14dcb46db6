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

#include "engine/capture.h"
#include "engine/counters.h"
#include "engine/owners.h"
#include "engine/prober.h"
#include "engine/teach.h"
#include "wire/ipip.h"

enum {
	CV_ENGINE_WORKERS_MAX = 8,
	CV_ENGINE_TUNNELS_MAX = 1024,
	CV_ENGINE_OTHERS_MAX = 8,
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
	bool strict;	   /* nothing from strangers */
	uint16_t mssclamp; /* of TCP SYNs, either way: as cv_tcp_mss_limit takes it */
	/*
	 * Other addresses of this host, to which packets for it may come, too, where no tunnel is
	 * meant by (remote, that address) and none takes what is left (any, any): senders may know
	 * of a new address before we do.
	 */
	unsigned int other_count;
	__be32 others[CV_ENGINE_OTHERS_MAX];
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

/*
 * Who owns which inner addresses, as resources declare it, for an NBMA tunnel (router.h: what it
 * means); a copy is kept. NULL, or empty: nobody declares it, as for a new tunnel. They outlive a
 * change of the tunnel. In force for every packet that a worker looks at after this. -ENOENT,
 * -ENOMEM.
 */
int cv_engine_tunnel_set_owners(struct cv_engine *engine, int ifindex,
				const struct cv_owners *owners);

/* Stop to carry a tunnel and close its queues. -ENOENT. */
int cv_engine_tunnel_delete(struct cv_engine *engine, int ifindex);

/* Whom to tell what the fast path must know (a copy is kept); NULL: nobody. */
void cv_engine_set_teacher(struct cv_engine *engine, const struct cv_teacher *teacher);

/* The sum of all workers' counters of a tunnel. -ENOENT. */
int cv_engine_tunnel_counters(struct cv_engine *engine, int ifindex, struct cv_counters *ret);

/* Add what all workers counted of a tunnel's declared peers to those of them that are in the list
 * (sorted: cv_peer_counters_find). -ENOENT. */
int cv_engine_peer_counters(struct cv_engine *engine, int ifindex, struct cv_peer_counters *list,
			    size_t count);

/* What belongs to no tunnel: packets without one, receive overflow, foreign ICMP. */
void cv_engine_counters(struct cv_engine *engine, struct cv_counters *ret);

/* The outer path MTU that ICMP or probes have told of a remote, in bytes; 0: nothing is known. */
uint32_t cv_engine_path_mtu(const struct cv_engine *engine, __be32 remote);

/* An earlier engine knew this of a remote's path; until_ms: of CLOCK_MONOTONIC. */
void cv_engine_recall_mtu(struct cv_engine *engine, __be32 remote, uint32_t mtu, uint64_t until_ms);

/*
 * All paths, sorted by tunnel and remote (as a number). The caller frees *ret_list. 0 or -ENOMEM.
 * Those of an NBMA tunnel are the gateways of the routes through its device.
 */
int cv_engine_paths(struct cv_engine *engine, struct cv_prober_path **ret_list, size_t *ret_count);

/* The smallest and the largest MTU of underlay routes to the current peers of a tunnel, bytes of
 * outer packets. False: no peer is known, or none has a route. */
bool cv_engine_link_mtus(struct cv_engine *engine, int ifindex, uint32_t *ret_smallest,
			 uint32_t *ret_largest);

/* A descriptor that is readable after the list of paths, or an MTU or state in it, has changed;
 * cv_engine_paths_seen makes it unreadable until the next change. */
int cv_engine_paths_fd(const struct cv_engine *engine);
void cv_engine_paths_seen(struct cv_engine *engine);

/* The largest inner packet to a remote by routes through its tunnel, if that is more than the
 * device's MTU; bytes, 0: the device's. For the fast path alone. */
void cv_engine_set_inner_mtu(struct cv_engine *engine, __be32 remote, uint32_t mtu);

/* Probe like this from now on. */
void cv_engine_configure_prober(struct cv_engine *engine, const struct cv_prober_config *config);

/* Never probe, whatever is configured. */
void cv_engine_forbid_probing(struct cv_engine *engine);

/* Where the fast path notes what it sends (bpf/abi.h, cv_activity), for as long as the engine lives
 * or until this is called with NULL. */
void cv_engine_watch_fastpath(struct cv_engine *engine, struct cv_fp_activity *activity);

/* The name of the tunnel with this device, or NULL; valid until it is deleted. */
const char *cv_engine_tunnel_name(const struct cv_engine *engine, int ifindex);

/*
 * Record snap bytes of each packet that any worker decides about, from now on; 0: no longer, and
 * what was not taken yet is lost. 0 or -errno: then nothing has changed.
 */
int cv_engine_capture(struct cv_engine *engine, uint32_t snap);

/* What cv_engine_capture was last given. */
uint32_t cv_engine_capture_snap(const struct cv_engine *engine);

/* A descriptor that is readable when there are records. */
int cv_engine_capture_fd(const struct cv_engine *engine);

/*
 * Take what is there, oldest first as far as several workers' records are there, without
 * waiting; if that is very much, some of it, and the descriptor stays readable. Returns how many
 * records were lost since the last call because nobody took them.
 */
uint64_t cv_engine_capture_poll(struct cv_engine *engine, cv_capture_take take, void *context);

/* The same, but all that was decided about before the call: packets that are on their way included.
 */
uint64_t cv_engine_capture_settle(struct cv_engine *engine, cv_capture_take take, void *context);

#endif
