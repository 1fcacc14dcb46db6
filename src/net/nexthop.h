/* SPDX-License-Identifier: Apache-2.0 */
/* Nexthop objects (`ip nexthop`), by RTM_GETNEXTHOP. */
#ifndef CV_NET_NEXTHOP_H
#define CV_NET_NEXTHOP_H

#include <stdint.h>

#include "net/netlink.h"
#include "net/route.h"

/*
 * The IPv4 next hops of object id: one, or those of a group. At most size are written
 * to hops. Members that are blackholes or have a gateway of another family are left
 * out. Returns how many there are in hops; -ENOENT: no such object (any more); -errno.
 */
int cv_nexthop_resolve(struct cv_nl *nl, uint32_t id, struct cv_next_hop *hops, unsigned int size);

#endif
