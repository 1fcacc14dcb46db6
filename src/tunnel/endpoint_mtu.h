/* SPDX-License-Identifier: Apache-2.0 */
/* The MTU that new endpoints (pods, machines) behind a tunnel should have. */
#ifndef CV_TUNNEL_ENDPOINT_MTU_H
#define CV_TUNNEL_ENDPOINT_MTU_H

#include <stddef.h>
#include <stdint.h>

#include "engine/prober.h"

/*
 * For the tunnel with this device: the device's MTU, or what the narrowest path to a peer that is
 * not down takes by now, less the outer header, if that is smaller. Bytes; 0: there is no device
 * (device_mtu is 0). paths: sorted by tunnel, as cv_engine_paths() gives them.
 */
uint32_t cv_endpoint_mtu(int ifindex, uint32_t device_mtu, const struct cv_prober_path *paths,
			 size_t count);

#endif
