/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One live tunnel: its TUN device and its place in the engine. tunnel/set.h keeps all of
 * them, and their state file.
 */
#ifndef CV_TUNNEL_TUNNEL_H
#define CV_TUNNEL_TUNNEL_H

#include "engine/engine.h"
#include "fastpath/fastpath.h"
#include "net/link.h"
#include "net/netlink.h"
#include "tunnel/carrier.h"
#include "tunnel/config.h"
#include "tunnel/error.h"

/* What every tunnel of a daemon needs. */
struct cv_tunnel_host {
	struct cv_engine *engine;
	struct cv_fastpath *fastpath; /* or NULL */
	struct cv_nl *nl;
	struct cv_carrier *carrier;    /* or NULL */
	char alias[CV_LINK_ALIAS_MAX]; /* of our devices: tunnel/device.h */
	/* Called between steps that take long (the kernel deletes 50 devices a second), or NULL. */
	void (*alive)(void);
};

struct cv_tunnel {
	struct cv_tunnel_config config;
	struct cv_owners owners; /* declared, whatever becomes of the device; or empty */
	int ifindex;		 /* 0: there is no device */
	bool active;		 /* the engine carries it */
	int spare;		 /* a detached queue, for the carrier holder; -1: none */
	uint32_t mtu;		 /* bytes; what we last gave the device, 0: nothing yet */
	struct cv_error reason;	 /* why it is not active */
	int fastpath_error;	 /* why the fast path does not know it: -errno; 0: it does */
	int fastpath_told;	 /* which of these the log has */
};

/* One that is not started. NULL without memory. The caller owns it: _destroy when it is stopped
 * (NULL is fine). */
struct cv_tunnel *cv_tunnel_create(const struct cv_tunnel_config *config);
void cv_tunnel_destroy(struct cv_tunnel *tunnel);

/* Look for the tunnel's device: 1 it exists and is ours, 0 it does not exist, -EEXIST, -errno. */
int cv_tunnel_find_device(const struct cv_tunnel_host *host, const char *name,
			  struct cv_link *ret_link, struct cv_error *error);

/*
 * Make the device, or take up the one that is ours, and let the engine carry it. A new device gets
 * mtu (bytes; 0: leave it). On failure nothing is left behind that was not there. 0 or -errno.
 */
int cv_tunnel_start(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host, uint32_t mtu,
		    struct cv_error *error);

/*
 * Let the fast path carry an active tunnel as it is now, beside the engine. What it refuses is the
 * engine's alone, and no failure: tunnel->fastpath_error.
 */
void cv_tunnel_offer(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host);

/*
 * Neither fast path nor engine carry it any longer; the device stays, and so does what the
 * carrier holder has.
 */
void cv_tunnel_stop(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host);

/* Stop it and delete its device. 0 or -errno (the tunnel is stopped anyway). */
int cv_tunnel_remove(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host);

/* Carry it in another way from now on (the name stays). 0, or -errno and nothing has changed. */
int cv_tunnel_change(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host,
		     const struct cv_tunnel_config *config, struct cv_error *error);

/*
 * Declare who owns which inner addresses (NULL, or empty: nobody does), for engine and fast path,
 * now and whenever the tunnel is started again; a copy is kept. 0, or -errno and nothing has
 * changed.
 */
int cv_tunnel_declare(struct cv_tunnel *tunnel, const struct cv_tunnel_host *host,
		      const struct cv_owners *owners);

/* As cv_tunnel_set_peer_counters. 0 or -ENOMEM. */
int cv_tunnel_peer_counters(const struct cv_tunnel *tunnel, const struct cv_tunnel_host *host,
			    struct cv_peer_counters **ret_list, size_t *ret_count);

/*
 * What an owner sends through the tunnel may be answered by another way, and the kernel must not
 * drop it as from the wrong side: who may send it has been judged by then. So the device of an
 * active tunnel with owners has rp_filter 0; where it is on for all devices (the larger of both
 * counts), 2, with which the kernel drops it all the same if the device has no address.
 */
void cv_tunnel_accept_any_way(const struct cv_tunnel *tunnel);

#endif
