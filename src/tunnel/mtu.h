/* SPDX-License-Identifier: Apache-2.0 */
/* The MTU that a tunnel device should have. */
#ifndef CV_TUNNEL_MTU_H
#define CV_TUNNEL_MTU_H

#include <stdint.h>

#include "net/netlink.h"
#include "tunnel/config.h"

enum {
	CV_TUNNEL_MTU_NBMA = 1480, /* as Linux without dev, whatever the underlay */
	CV_TUNNEL_MTU_MIN = 68,	   /* RFC 791; the TUN driver's own limit */
	CV_TUNNEL_MTU_MAX = 65515, /* an outer datagram has 65535 bytes */
};

/*
 * The one that config wants; else the MTU in bytes of the route to the remote (its mtu metric, else
 * that of its smallest device) - 20; for remote any, that of dev - 20, or CV_TUNNEL_MTU_NBMA
 * without dev. 0 when it cannot be told now: no route or dev, or one through a device that is_ours
 * says yes to.
 */
uint32_t cv_tunnel_mtu_wanted(struct cv_nl *nl, const struct cv_tunnel_config *config,
			      bool (*is_ours)(int ifindex, const void *data), const void *data);

#endif
