/* SPDX-License-Identifier: Apache-2.0 */
/* The way in: an outer packet is checked and its inner packet delivered (RFC 2003, RFC 6040). */
#ifndef CV_ENGINE_DECAPSULATE_H
#define CV_ENGINE_DECAPSULATE_H

#include "engine/lane.h"

/*
 * Take one outer packet: length bytes from its IPv4 header on, vnet with offsets relative to that
 * header, ifindex the device it arrived on (0: handed over through a TUN). It may be changed and
 * must stay until cv_lane_end. Whatever becomes of it is counted; packets that are not for
 * this host are ignored.
 */
void cv_decapsulate(struct cv_lane *lane, const struct virtio_net_hdr *vnet, uint8_t *packet,
		    uint32_t length, int ifindex);

/*
 * Take one packet from a tunnel's TUN queue: an inner packet to encapsulate, or, when it is
 * protocol 4 and addressed to this host itself, an outer one that the fast path handed over. (The
 * kernel never routes a packet to one of its own addresses into a device, so the two cannot be
 * mistaken for each other.)
 */
void cv_take_from_device(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
			 const struct virtio_net_hdr *vnet, uint8_t *packet, uint32_t length);

#endif
