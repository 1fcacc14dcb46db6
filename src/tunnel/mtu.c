/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tunnel's MTU: from the route to its remote; of an NBMA tunnel with dev, from that device, as
 * ip_tunnel_bind_dev() of Linux does. Of a route, what counts is the entry, not path MTU
 * exceptions, which the engine keeps per remote: these age, and a device's MTU that breathes with
 * them would disturb every route that goes through it.
 */
#include "tunnel/mtu.h"

#include "net/link.h"
#include "net/route.h"

/* The smallest MTU of an entry's devices; 0: not to be told. */
static uint32_t devices_mtu(struct cv_nl *nl, const struct cv_route_entry *entry,
			    bool (*is_ours)(int ifindex, const void *data), const void *data)
{
	uint32_t mtu = 0;

	for (unsigned int i = 0; i < entry->count; i++) {
		struct cv_link link;

		/* The MTU would shrink by 20 at every look. */
		if (is_ours(entry->next_hops[i].oif, data))
			return 0;
		if (i && entry->next_hops[i].oif == entry->next_hops[i - 1].oif)
			continue;
		if (cv_link_get_by_index(nl, entry->next_hops[i].oif, &link))
			return 0;
		if (!mtu || link.mtu < mtu)
			mtu = link.mtu;
	}
	return entry->mtu && mtu ? entry->mtu : mtu;
}

static uint32_t less_overhead(uint32_t mtu)
{
	if (mtu < CV_TUNNEL_MTU_MIN + CV_IPIP_OVERHEAD)
		return CV_TUNNEL_MTU_MIN;
	mtu -= CV_IPIP_OVERHEAD;
	return mtu > CV_TUNNEL_MTU_MAX ? CV_TUNNEL_MTU_MAX : mtu;
}

uint32_t cv_tunnel_mtu_wanted(struct cv_nl *nl, const struct cv_tunnel_config *config,
			      bool (*is_ours)(int ifindex, const void *data), const void *data)
{
	struct cv_route_flow flow = {
		.destination = config->remote,
		.source = config->local,
		.protocol = CV_IPV4_PROTO_IPIP,
	};
	struct cv_route_entry entry;
	struct cv_link dev;
	uint32_t mtu;

	if (config->mtu)
		return config->mtu;
	if (!config->remote && !config->dev[0])
		return CV_TUNNEL_MTU_NBMA;
	if (config->dev[0]) {
		if (cv_link_get(nl, config->dev, &dev))
			return 0;
		flow.oif = dev.index;
	}
	if (!config->remote)
		return is_ours(dev.index, data) ? 0 : less_overhead(dev.mtu);
	if (cv_route_match(nl, &flow, &entry))
		return 0;
	mtu = devices_mtu(nl, &entry, is_ours, data);
	return mtu ? less_overhead(mtu) : 0;
}
