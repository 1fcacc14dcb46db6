/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours (ARP entries) of this namespace's devices. */
#ifndef CV_NET_NEIGHBOUR_H
#define CV_NET_NEIGHBOUR_H

#include <stdint.h>
#include <linux/types.h>

#include "net/link.h"
#include "net/netlink.h"

/* Make it a permanent one, never asked for, whatever it was. 0 or -errno. */
int cv_neighbour_set(struct cv_nl *nl, int ifindex, __be32 address,
		     const uint8_t mac[CV_LINK_MAC_LENGTH]);

struct cv_neighbour {
	uint8_t mac[CV_LINK_MAC_LENGTH];
	uint16_t state; /* NUD_* */
};

/* 0, -ENOENT: there is none, or -errno. */
int cv_neighbour_get(struct cv_nl *nl, int ifindex, __be32 address,
		     struct cv_neighbour *ret_neighbour);

#endif
