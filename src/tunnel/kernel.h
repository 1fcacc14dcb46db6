/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own IP-in-IP tunnels. One that is up takes protocol 4, besides the copy that
 * our packet sockets get: the inner packets would arrive twice, and unchecked once.
 */
#ifndef CV_TUNNEL_KERNEL_H
#define CV_TUNNEL_KERNEL_H

#include "net/link.h"
#include "net/netlink.h"

/* True if this device, as it is, decapsulates protocol 4 in the kernel. */
bool cv_kernel_tunnel_is(const struct cv_link *link);

/* Look for one in this namespace. 1 and its name, 0 there is none, -errno. */
int cv_kernel_tunnel_find(struct cv_nl *nl, char ret_name[IFNAMSIZ]);

#endif
