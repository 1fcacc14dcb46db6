/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clamping. RFC 9293, 3.7.1: what a SYN announces is the largest segment that its sender takes; its
 * receiver sends no larger one, whatever the path takes. Lowering the number on the way is how a
 * connection fits a path that its ends know nothing of, and may never hear of (ICMP is filtered, or
 * ignored).
 */
#include "engine/clamp.h"

enum {
	MTU_UNKNOWN = 65535
};

/* What the stack sends into the device it has measured, by the metric of the inner route or by the
 * device's MTU, but not what endpoints send past it. */
uint32_t cv_clamp_inner_mtu(const struct cv_lane *lane, const struct cv_live_tunnel *tunnel,
			    const struct cv_flow *flow, uint32_t outer_mtu, uint32_t largest)
{
	uint32_t device = tunnel->lanes[lane->worker].mtu;
	uint32_t mtu = outer_mtu ? outer_mtu : MTU_UNKNOWN;
	uint32_t limit;

	/* A route's mtu metric may be anything; below the least MTU there is, it is none. */
	if (mtu < CV_IPV4_MTU_MIN)
		mtu = CV_IPV4_MTU_MIN;
	mtu -= CV_IPIP_OVERHEAD;
	if (!device || largest <= device || device >= mtu)
		return mtu;
	limit = cv_router_inner_mtu(lane->router, tunnel, flow);
	if (!limit)
		limit = device;
	return limit < mtu ? limit : mtu;
}

bool cv_clamp_packet(struct cv_lane *lane, struct cv_live_tunnel *tunnel, const struct cv_ipv4 *ip,
		     uint8_t *packet, uint32_t inner_mtu, bool is_partial)
{
	uint16_t limit = cv_tcp_mss_limit(tunnel->config.mssclamp, inner_mtu);

	if (!cv_tcp_clamp_mss(packet + ip->header_length, ip->payload_length, limit, is_partial))
		return false;
	cv_lane_count(lane, tunnel, CV_EVENT_MSS_CLAMPED, 1);
	return true;
}
