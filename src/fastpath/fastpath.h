/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path of one daemon: loads the eBPF programs, attaches, pins, fills and reads
 * them. What it attaches goes on without the daemon; cv_fastpath_create takes up again what an
 * earlier one has left, whatever its version, and replaces programs in place.
 *
 * All functions are for one controlling thread, save those of cv_fastpath_teacher.
 */
#ifndef CV_FASTPATH_FASTPATH_H
#define CV_FASTPATH_FASTPATH_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "engine/engine.h"
#include "net/netlink.h"

struct cv_fastpath;

struct cv_fastpath_options {
	const char *run_dir; /* absolute; the instance's identity, with the network namespace */
	struct cv_nl *nl;    /* the caller's; outlives the fast path */
	void (*log)(int priority, const char *text);
};

/*
 * Load programs and maps, taking up what is pinned. 0, or -errno and in why (size bytes) one
 * line for people: the engine carries on alone then. The caller owns *ret_fastpath.
 */
int cv_fastpath_create(const struct cv_fastpath_options *options, struct cv_fastpath **ret_fastpath,
		       char *why, size_t size);

/*
 * All tunnels and endpoints that are to be taken up are set: whatever else an earlier daemon
 * left is forgotten, and the engine is there to be handed packets to, until this process ends.
 * Before that, nothing is attached or let go. 0 or -errno.
 */
int cv_fastpath_ready(struct cv_fastpath *fastpath);

/* What the engine tells the fast path: for cv_engine_set_teacher. Ends before the fast path. */
void cv_fastpath_teacher(struct cv_fastpath *fastpath, struct cv_teacher *ret_teacher);

/*
 * Before the engine is told of the teacher: the path MTUs (bytes of outer packets) that an earlier
 * one has left behind and that still hold, until then (CLOCK_MONOTONIC). All else that it knew of
 * remotes is forgotten.
 */
void cv_fastpath_recall(struct cv_fastpath *fastpath,
			void (*tell)(void *context, __be32 remote, uint32_t mtu, uint64_t until_ms),
			void *context);

/* Where the programs note what they send and hear (bpf/abi.h, cv_activity), mapped until
 * cv_fastpath_destroy; NULL and errno. */
struct cv_fp_activity *cv_fastpath_activity(struct cv_fastpath *fastpath);

/* Close what this process holds. Programs stay attached and go on. NULL is fine. */
void cv_fastpath_destroy(struct cv_fastpath *fastpath);

/*
 * Detach the programs that an earlier daemon has left, for one that has no fast path. Their qdiscs
 * stay, and the pin that tells who made them: to remove the qdisc of a device costs it packets (the
 * kernel stops its queues, seen up to 6.18). 0 or -errno; *ret_removed: how many programs, whatever
 * became of the pins.
 */
int cv_fastpath_switch_off(const char *run_dir, struct cv_nl *nl, unsigned int *ret_removed);

/*
 * Remove everything an instance has left: programs, qdiscs that we made, pins. For a run directory
 * without daemon. 0 or -errno; *ret_removed: how many things there were. On an error, as for who
 * may not use eBPF (-EPERM), the programs are detached, and the rest is left.
 */
int cv_fastpath_purge(const char *run_dir, struct cv_nl *nl, unsigned int *ret_removed);

/* ---- tunnels --------------------------------------------------------------------- */

/* Carry a tunnel, or carry it in another way from now on. 0 or -errno: then the engine does. */
int cv_fastpath_tunnel_set(struct cv_fastpath *fastpath, const struct cv_engine_tunnel *tunnel);

/*
 * The owners that the engine has for a tunnel (or empty), once it has them: nothing that it said
 * before, of other ones, holds any longer. Whom the fast path does not know has none.
 */
void cv_fastpath_tunnel_owners(struct cv_fastpath *fastpath, int ifindex,
			       const struct cv_owners *owners);

/* The device goes, or the engine must have all of its packets from now on. */
void cv_fastpath_tunnel_delete(struct cv_fastpath *fastpath, int ifindex);

/* What is in force for a tunnel: NULL if the fast path carries it, else why not, in words. */
const char *cv_fastpath_tunnel_problem(struct cv_fastpath *fastpath, int ifindex);

/* Which share of a tunnel's packets took which path. */
struct cv_fastpath_share {
	uint64_t rx_packets; /* by the fast path */
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t rx_endpoint_packets; /* of these: straight to endpoints */
	uint64_t tx_endpoint_packets; /* of these: straight from endpoints */
	uint64_t in_handed_over;      /* to the engine */
	uint64_t out_handed_over;
	uint64_t local_packets; /* between endpoints; of no tunnel */
};

/* Add what the fast path counted of a tunnel (ifindex 0: of none) to *sum. -ENOENT. */
int cv_fastpath_counters(struct cv_fastpath *fastpath, int ifindex, struct cv_counters *sum,
			 struct cv_fastpath_share *ret_share);

/*
 * Add what the fast path counted of a tunnel's declared peers to those of them that are in the
 * list (sorted: cv_peer_counters_find). -ENOENT, -errno.
 */
int cv_fastpath_peer_counters(struct cv_fastpath *fastpath, int ifindex,
			      struct cv_peer_counters *list, size_t count);

/* ---- following the network ---------------------------------------------------------- */

/*
 * Look at devices, addresses, sysctls and qdiscs again: attach to network cards that are new, let
 * go of those that are not, judge endpoints. Said in the log when something changed.
 */
void cv_fastpath_refresh(struct cv_fastpath *fastpath);

/*
 * Filters have come or gone: a refresh is to look whether ours are there, and who would be passed
 * by. That takes a question for each, so it does once a second at most; as long as it has not,
 * the fast path is in doubt and wants another refresh a second later.
 */
void cv_fastpath_doubt(struct cv_fastpath *fastpath);
bool cv_fastpath_is_in_doubt(const struct cv_fastpath *fastpath);

/* The devices that outer packets are taken from, by name; at most max. Returns how many. */
size_t cv_fastpath_underlays(struct cv_fastpath *fastpath, char (*ret_names)[IFNAMSIZ], size_t max);

/* ---- endpoints ---------------------------------------------------------------------- */

enum {
	CV_FASTPATH_ENDPOINT_ADDRESSES = 16
};

struct cv_fastpath_endpoint {
	int ifindex; /* of the host's end */
	unsigned int count;
	__be32 addresses[CV_FASTPATH_ENDPOINT_ADDRESSES]; /* its own */
	bool bypass;					  /* wanted: past the host's stack */
};

/*
 * Know an endpoint, or know it in another way. 0, or -errno: -EEXIST: an address is another
 * endpoint's; -ENODEV. Where bypass cannot be (a foreign qdisc), it is not, and
 * cv_fastpath_endpoint_problem says why; that is no error.
 */
int cv_fastpath_endpoint_set(struct cv_fastpath *fastpath,
			     const struct cv_fastpath_endpoint *endpoint);
/* Between these, endpoints that are set are not in force yet: the devices are looked at once, at
 * the end; for those that are deleted alone, not at all. */
void cv_fastpath_endpoints_begin(struct cv_fastpath *fastpath);
void cv_fastpath_endpoints_end(struct cv_fastpath *fastpath);

void cv_fastpath_endpoint_delete(struct cv_fastpath *fastpath, int ifindex);

/* NULL if bypass is in force as wanted, else why not, in words. */
const char *cv_fastpath_endpoint_problem(struct cv_fastpath *fastpath, int ifindex);

/* ---- capture ----------------------------------------------------------------------- */

/*
 * Begin to capture snap bytes of each packet (0: end it): records (struct cv_fp_capture and the
 * packet's bytes) are given to take() from cv_fastpath_capture_poll, lost records to lost().
 */
int cv_fastpath_capture(struct cv_fastpath *fastpath, uint32_t snap,
			void (*take)(void *context, const struct cv_fp_capture *record,
				     const uint8_t *packet),
			void (*lost)(void *context, uint64_t count), void *context);

/* A descriptor that is readable when there are records; -1 while nobody captures. */
int cv_fastpath_capture_fd(struct cv_fastpath *fastpath);

/* Take what is there, without waiting. */
void cv_fastpath_capture_poll(struct cv_fastpath *fastpath);

#endif
