/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MTU of new endpoints. Unlike the device's (mtu.c) it counts what ICMP and probes have shown:
 * an endpoint gets it once, when it is made, and is spared what others have to be told.
 */
#include "tunnel/endpoint_mtu.h"

#include "tunnel/mtu.h"
#include "wire/ipip.h"

/* The first path of a tunnel. */
static size_t first_of(int ifindex, const struct cv_prober_path *paths, size_t count)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (paths[middle].tunnel < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t cv_endpoint_mtu(int ifindex, uint32_t device_mtu, const struct cv_prober_path *paths,
			 size_t count)
{
	uint32_t least = device_mtu + CV_IPIP_OVERHEAD;

	if (!device_mtu)
		return 0;
	for (size_t i = first_of(ifindex, paths, count); i < count && paths[i].tunnel == ifindex;
	     i++) {
		if (paths[i].mtu && paths[i].mtu < least && paths[i].liveness != CV_LIVENESS_DOWN)
			least = paths[i].mtu;
	}
	if (least < CV_TUNNEL_MTU_MIN + CV_IPIP_OVERHEAD)
		return CV_TUNNEL_MTU_MIN;
	return least - CV_IPIP_OVERHEAD;
}
