/* SPDX-License-Identifier: Apache-2.0 */
/* The MTU that a tunnel device should have. */
#ifndef CV_TUNNEL_MTU_H
#define CV_TUNNEL_MTU_H

#include <stdint.h>

#include "engine/engine.h"
#include "net/netlink.h"
#include "tunnel/config.h"

enum {
	CV_TUNNEL_MTU_NBMA = 1480, /* without peers and dev: as Linux, whatever the underlay */
	CV_TUNNEL_MTU_MIN = 68,	   /* RFC 791; the TUN driver's own limit */
	CV_TUNNEL_MTU_MAX = 65515, /* an outer datagram has 65535 bytes */
};

/* Whom to ask. */
struct cv_tunnel_mtu_host {
	struct cv_nl *nl;
	struct cv_engine *engine;
	bool (*is_ours)(int ifindex, const void *data); /* a device is a tunnel's */
	const void *data;
};

/* The tunnel's device as it is: what was given to it last. */
struct cv_tunnel_mtu_device {
	int ifindex; /* 0: there is none yet */
	uint32_t mtu;
};

/*
 * The one that config wants; else the MTU in bytes of the route to the remote (its mtu metric, else
 * that of its smallest device) - 20; for remote any, the smallest of those of the routes to its
 * peers, - 20, and without peers that of dev - 20, or CV_TUNNEL_MTU_NBMA without dev. 0 when it
 * cannot be told now: no route or dev, or one through a device that is_ours says yes to.
 */
uint32_t cv_tunnel_mtu_wanted(const struct cv_tunnel_mtu_host *host,
			      const struct cv_tunnel_config *config,
			      const struct cv_tunnel_mtu_device *device);

/* The MTU of the route to a remote, bytes of outer packets; 0: as above. local, oif: 0 for any. */
uint32_t cv_tunnel_link_mtu(const struct cv_tunnel_mtu_host *host, __be32 remote, __be32 local,
			    int oif);

#endif
