/* SPDX-License-Identifier: Apache-2.0 */
/* The way out: an inner packet becomes outer packets (RFC 2003, section 3). */
#ifndef CV_ENGINE_ENCAPSULATE_H
#define CV_ENGINE_ENCAPSULATE_H

#include "engine/lane.h"

/*
 * Encapsulate one packet that the kernel routed into a tunnel's device: vnet header and length
 * bytes of packet, which may be changed and must stay until cv_lane_flush_out. Whatever becomes of
 * it is counted; the inner sender is told where the RFCs ask for it.
 */
void cv_encapsulate(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
		    const struct virtio_net_hdr *vnet, uint8_t *packet, uint32_t length);

#endif
