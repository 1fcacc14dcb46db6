/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The maximum segment size that TCP SYNs and SYN-ACKs announce through a tunnel, lowered to what
 * the path takes (doc/architecture.md): those on the way out for what the other side is going to
 * send, those on the way in for what an inner host of ours is. As src/bpf/clamp.h.
 */
#ifndef CV_ENGINE_CLAMP_H
#define CV_ENGINE_CLAMP_H

#include "engine/lane.h"
#include "wire/tcp.h"

/* True if the packet, whose header ip is, begins or accepts a TCP connection. */
static inline bool cv_clamp_concerns(const struct cv_ipv4 *ip, const uint8_t *packet)
{
	return ip->protocol == CV_IPV4_PROTO_TCP && !ip->fragment_offset &&
	       cv_tcp_syn_header(packet + ip->header_length, ip->payload_length);
}

/*
 * Clamp such a packet in place, and count it. inner_mtu: bytes of the largest inner packet that
 * fits. is_partial: its TCP checksum is filled later, from what its field holds. True if something
 * changed.
 */
bool cv_clamp_packet(struct cv_lane *lane, struct cv_live_tunnel *tunnel, const struct cv_ipv4 *ip,
		     uint8_t *packet, uint32_t inner_mtu, bool is_partial);

#define CV_CLAMP_ANY UINT32_MAX

/*
 * The largest inner packet of a flow that fits an outer one of outer_mtu bytes (0: any) and the
 * route into the tunnel: its mtu metric, or the device's MTU. The route is asked for only if
 * largest, the one in question, is larger than the device.
 */
uint32_t cv_clamp_inner_mtu(const struct cv_lane *lane, const struct cv_live_tunnel *tunnel,
			    const struct cv_flow *flow, uint32_t outer_mtu, uint32_t largest);

#endif
