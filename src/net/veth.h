/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of virtual Ethernet devices. */
#ifndef CV_NET_VETH_H
#define CV_NET_VETH_H

#include <stdbool.h>
#include <stdint.h>

#include "net/link.h"
#include "net/netlink.h"

struct cv_veth_end {
	const char *name;
	const uint8_t *mac; /* CV_LINK_MAC_LENGTH bytes; NULL: the kernel chooses */
	bool up;
};

struct cv_veth {
	struct cv_veth_end here, peer;
	int peer_namespace; /* a descriptor of the network namespace that the peer begins its life
			       in; -1: here */
	uint32_t mtu;	    /* of both; 0: the kernel's default */
	int master;	    /* index of the bridge that gets our end; 0: none */
};

/*
 * Make both ends, in one step for all who look: there is never one without the other, nor one with
 * another name, MAC or MTU. 0 or -errno: -EEXIST: one of the names is taken.
 */
int cv_veth_create(struct cv_nl *nl, const struct cv_veth *veth);

#endif
