/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tunnel's MTU: from the route to its remote; of an NBMA tunnel, from those to its peers, the
 * gateways of routes through it: the smallest, so that what the stack lets into the device fits
 * whoever it is for. (Linux's ip_tunnel_bind_dev() knows no peers: 1480, or by dev.) Larger ones
 * are routes' own mtu metrics to tell.
 *
 * Of a route, what counts is the entry, not path MTU exceptions, nor what probes or ICMP have
 * shown of a path, which the engine keeps per remote: these age, and a device's MTU that breathes
 * with them would disturb every route that goes through it. They are told to senders, packet by
 * packet, and to new endpoints (endpoint_mtu.h).
 */
#include "tunnel/mtu.h"

#include "net/link.h"
#include "net/route.h"

/* The smallest MTU of an entry's devices; 0: not to be told. */
static uint32_t devices_mtu(const struct cv_tunnel_mtu_host *host,
			    const struct cv_route_entry *entry)
{
	uint32_t mtu = 0;

	for (unsigned int i = 0; i < entry->count; i++) {
		struct cv_link link;

		/* The MTU would shrink by 20 at every look. */
		if (host->is_ours(entry->next_hops[i].oif, host->data))
			return 0;
		if (i && entry->next_hops[i].oif == entry->next_hops[i - 1].oif)
			continue;
		if (cv_link_get_by_index(host->nl, entry->next_hops[i].oif, &link))
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

uint32_t cv_tunnel_link_mtu(const struct cv_tunnel_mtu_host *host, __be32 remote, __be32 local,
			    int oif)
{
	const struct cv_route_flow flow = {
		.destination = remote,
		.source = local,
		.protocol = CV_IPV4_PROTO_IPIP,
		.oif = oif,
	};
	struct cv_route_entry entry;

	if (cv_route_match(host->nl, &flow, &entry))
		return 0;
	return devices_mtu(host, &entry);
}

/* The smallest of all peers', asked of the kernel one by one. */
struct peers {
	const struct cv_tunnel_mtu_host *host;
	const struct cv_tunnel_config *config;
	int oif;
	bool any;
	uint32_t mtu; /* 0: no peer has a route */
};

static int take_peer(__be32 gateway, void *data)
{
	struct peers *peers = data;
	uint32_t mtu = cv_tunnel_link_mtu(peers->host, gateway, peers->config->local, peers->oif);

	peers->any = true;
	if (mtu && (!peers->mtu || mtu < peers->mtu))
		peers->mtu = mtu;
	return 0;
}

/* alone: what it is without peers. */
static uint32_t nbma_mtu(const struct cv_tunnel_mtu_host *host,
			 const struct cv_tunnel_config *config,
			 const struct cv_tunnel_mtu_device *device, int oif, uint32_t alone)
{
	struct peers peers = {.host = host, .config = config, .oif = oif};
	uint32_t smallest, largest;

	if (!device->ifindex)
		return alone;
	if (cv_engine_link_mtus(host->engine, device->ifindex, &smallest, &largest))
		return less_overhead(smallest);
	/*
	 * The engine may not have looked at the routes yet, as when it has just begun, and a device
	 * that another daemon has left would change for a moment, and back. So before it changes,
	 * the kernel is asked; and a device whose peers cannot be reached now stays as it is.
	 */
	if (device->mtu == alone)
		return alone;
	if (cv_route_for_each_gateway(host->nl, device->ifindex, take_peer, &peers))
		return 0;
	if (!peers.any)
		return alone;
	return peers.mtu ? less_overhead(peers.mtu) : 0;
}

uint32_t cv_tunnel_mtu_wanted(const struct cv_tunnel_mtu_host *host,
			      const struct cv_tunnel_config *config,
			      const struct cv_tunnel_mtu_device *device)
{
	struct cv_link dev = {.index = 0};
	uint32_t mtu;

	if (config->mtu)
		return config->mtu;
	if (config->dev[0] && cv_link_get(host->nl, config->dev, &dev))
		return 0;
	if (config->remote) {
		mtu = cv_tunnel_link_mtu(host, config->remote, config->local, dev.index);
		return mtu ? less_overhead(mtu) : 0;
	}
	if (!dev.index)
		return nbma_mtu(host, config, device, 0, CV_TUNNEL_MTU_NBMA);
	if (host->is_ours(dev.index, host->data))
		return 0;
	return nbma_mtu(host, config, device, dev.index, less_overhead(dev.mtu));
}
