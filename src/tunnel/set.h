/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tunnels of one daemon: created, changed, deleted, kept over restarts, and followed
 * as the network changes around them.
 *
 * For one thread. Every change is one transaction: all of it happens, or nothing.
 */
#ifndef CV_TUNNEL_SET_H
#define CV_TUNNEL_SET_H

#include "engine/engine.h"
#include "fastpath/fastpath.h"
#include "net/netlink.h"
#include "tunnel/carrier.h"
#include "tunnel/config.h"
#include "tunnel/error.h"
#include "tunnel/plan.h"

struct cv_tunnel_set;

struct cv_tunnel_set_options {
	const char *run_dir;	      /* absolute; copied */
	struct cv_engine *engine;     /* the caller's; outlives the set */
	struct cv_nl *nl;	      /* the caller's; outlives the set */
	struct cv_fastpath *fastpath; /* the caller's; outlives the set; NULL: there is none */
	const char *no_fastpath;      /* why, in words; the caller's; outlives the set */
	/* What keeps the devices' carrier; NULL: nothing does. The caller's; outlives the set. */
	struct cv_carrier *carrier;
	/* Told what changed without a command, and why. priority: LOG_* of syslog(3). */
	void (*log)(int priority, const char *text);
	/* Called every now and then during what takes long, for a watchdog; or NULL. */
	void (*alive)(void);
};

/*
 * Create the set and take up again what the state file lists: devices of ours keep their
 * addresses and routes, missing ones are made. A tunnel that cannot start now is kept, with the
 * reason, and tried again by cv_tunnel_set_refresh. Devices of ours that the file does not list
 * are what a crash left of a deletion: deleted. 0 or -errno. The caller owns *ret_set.
 */
int cv_tunnel_set_create(const struct cv_tunnel_set_options *options,
			 struct cv_tunnel_set **ret_set, struct cv_error *error);

/*
 * The engine stops to carry all tunnels; the fast path, devices and state file stay. NULL is
 * fine.
 */
void cv_tunnel_set_destroy(struct cv_tunnel_set *set);

/*
 * Make all changes, in the order given as far as one can tell from outside, or none. owner: who
 * asks (CV_TUNNEL_OWNER_…); what another has made is not changed or deleted. Existing tunnels that
 * are deleted and added again are changed: they keep their devices. 0, or -errno with the index of
 * the change that is at fault in *ret_index (count: none in particular): -EINVAL, -EEXIST (name,
 * pair of addresses, or device taken), -ENOENT (no such tunnel), -EPERM (another's tunnel), -ENODEV
 * (no such underlay device), -EBUSY (a kernel tunnel is up), -ENOSPC (too many tunnels, or a full
 * disk), ….
 */
int cv_tunnel_set_apply(struct cv_tunnel_set *set, const char *owner,
			const struct cv_tunnel_change *changes, size_t count, size_t *ret_index,
			struct cv_error *error);

/*
 * Declare who owns which inner addresses behind an NBMA tunnel (engine/router.h: what it means);
 * NULL: nobody does. A copy is kept as long as the tunnel is, whatever becomes of its device. 0,
 * -ENOENT, -ENOMEM.
 */
int cv_tunnel_set_owners(struct cv_tunnel_set *set, const char *name,
			 const struct cv_owners *owners);

/*
 * What was counted of each declared peer of a tunnel, sorted (cv_peer_counters_find): by the engine
 * since culvertd began, by the fast path longer. The caller frees *ret_list. 0, -ENOENT, -ENOMEM.
 */
int cv_tunnel_set_peer_counters(const struct cv_tunnel_set *set, const char *name,
				struct cv_peer_counters **ret_list, size_t *ret_count);

/*
 * Look again at devices, routes and kernel tunnels: MTUs follow, devices that somebody deleted take
 * their tunnel along (a resource's tunnel gets a new one: down, without addresses, with another
 * index), tunnels that could not start are tried again. To be called after
 * cv_monitor_drain saw anything.
 */
void cv_tunnel_set_refresh(struct cv_tunnel_set *set);

/*
 * Give devices of NBMA tunnels the MTU that their peers' routes ask for now. To be called when
 * cv_engine_paths_fd can be read; cv_tunnel_set_refresh does it, too, for all tunnels.
 */
void cv_tunnel_set_follow(struct cv_tunnel_set *set);

/*
 * Look after the carrier holder; a new one is given all devices. To be called when cv_carrier_fd
 * can be read; cv_tunnel_set_refresh does it, too.
 */
void cv_tunnel_set_attend(struct cv_tunnel_set *set);

size_t cv_tunnel_set_count(const struct cv_tunnel_set *set);

/* Tunnel index (0 … count - 1), in the order of creation; or by name: NULL: none. Valid until the
 * set changes. */
const struct cv_tunnel_config *cv_tunnel_set_config(const struct cv_tunnel_set *set, size_t index);
const struct cv_tunnel_config *cv_tunnel_set_find(const struct cv_tunnel_set *set,
						  const char *name);

/* The first tunnel of this owner (at *from, or after it), which *from is then the index of; NULL:
 * no more. */
const struct cv_tunnel_config *cv_tunnel_set_find_owned(const struct cv_tunnel_set *set,
							const char *owner, size_t *from);

/* Index of a tunnel's device as it was last seen; 0: no such tunnel, or it has no device. */
int cv_tunnel_set_ifindex(const struct cv_tunnel_set *set, const char *name);

/* Of tunnel index: its device's index, and that device's MTU in bytes, which is asked of the
 * kernel; 0: there is none. */
int cv_tunnel_set_ifindex_at(const struct cv_tunnel_set *set, size_t index);
uint32_t cv_tunnel_set_mtu_at(const struct cv_tunnel_set *set, size_t index);

/* True if somebody else has set the MTU of a tunnel's device: it is not followed. Asks the kernel.
 */
bool cv_tunnel_set_is_mtu_by_hand(const struct cv_tunnel_set *set, const char *name);

/* True if a device is a tunnel's. */
bool cv_tunnel_set_has_device(const struct cv_tunnel_set *set, int ifindex);

struct cv_tunnel_status {
	const struct cv_tunnel_config *config; /* valid until the set changes */
	int ifindex;			       /* 0: no device */
	uint32_t mtu;			       /* the device's, in bytes; 0: no device */
	bool mtu_by_hand;		       /* somebody else set it; it is not followed */
	bool up;			       /* the device is (IFF_UP) */
	bool active;			       /* the engine carries it */
	const char *reason;		       /* why it is not active; "" */
	const char *no_fastpath; /* why the fast path does not carry it; NULL: it does */
};

/* How tunnel index is now; asks the kernel. */
void cv_tunnel_set_status(struct cv_tunnel_set *set, size_t index,
			  struct cv_tunnel_status *ret_status);

/* Name of a kernel tunnel that is up and takes protocol 4 beside us, or "". */
const char *cv_tunnel_set_kernel_tunnel(const struct cv_tunnel_set *set);

#endif
