/* SPDX-License-Identifier: Apache-2.0 */
/* A small world around one lane, without a kernel. */
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/decapsulate.h"
#include "net/monitor.h"

__be32 world_addr(const char *text)
{
	struct in_addr address;

	if (!text || !strcmp(text, "any"))
		return 0;
	if (inet_pton(AF_INET, text, &address) != 1)
		abort();
	return address.s_addr;
}

static bool covers(const struct world_route *route, __be32 address)
{
	uint32_t mask = route->length ? ~0U << (32 - route->length) : 0;

	return route->type && (cv_ntohl(route->prefix) & mask) == (cv_ntohl(address) & mask);
}

static const struct world_route *find_route(struct world *world, __be32 address)
{
	const struct world_route *best = NULL;

	world->asked++;
	for (unsigned int i = 0; i < WORLD_ROUTES; i++) {
		const struct world_route *route = &world->routes[i];

		if (covers(route, address) && (!best || route->length > best->length))
			best = route;
	}
	return best;
}

/* Whether a packet to this host, from that source, may come from that device. */
static bool may_arrive(struct world *world, const struct cv_route_flow *flow)
{
	const struct world_route *back = find_route(world, flow->source);

	if (!back || back->type != RTN_UNICAST)
		return false;
	for (unsigned int i = 0; world->rp_filter && i < back->count; i++) {
		if (back->hops[i].oif == flow->iif)
			return true;
	}
	return !world->rp_filter;
}

static int world_get(void *context, const struct cv_route_flow *flow, struct cv_route *ret)
{
	struct world *world = context;
	const struct world_route *route = find_route(world, flow->destination);
	const struct cv_next_hop *hop;

	if (!route)
		return -ENETUNREACH;
	if (route->type != RTN_UNICAST && route->type != RTN_LOCAL)
		return -EHOSTUNREACH;
	if (flow->iif && route->type == RTN_LOCAL && !may_arrive(world, flow))
		return -EXDEV;
	*ret = (struct cv_route){.type = route->type, .mtu = route->mtu ? route->mtu : 1500};
	if (!route->count)
		return 0;
	/* Any per-flow choice will do here. */
	hop = &route->hops[cv_ntohs(flow->source_port) % route->count];
	if (flow->oif && flow->oif != hop->oif)
		return -ENETUNREACH;
	ret->oif = hop->oif;
	ret->gateway = hop->gateway;
	ret->source = flow->source ? flow->source : world->addresses[0].address;
	return 0;
}

static int world_match(void *context, const struct cv_route_flow *flow, struct cv_route_entry *ret)
{
	const struct world_route *route = find_route(context, flow->destination);

	if (!route)
		return -ENETUNREACH;
	memset(ret, 0, sizeof(*ret));
	ret->type = route->type;
	ret->prefix = route->prefix;
	ret->prefix_length = route->length;
	ret->mtu = route->mtu;
	ret->count = route->count;
	memcpy(ret->next_hops, route->hops, sizeof(route->hops));
	return 0;
}

static int world_gateways(void *context, int oif, int (*cb)(__be32 gateway, void *data), void *data)
{
	const struct world *world = context;

	for (unsigned int i = 0; i < WORLD_ROUTES; i++) {
		const struct world_route *route = &world->routes[i];

		for (unsigned int k = 0; route->type && k < route->count; k++) {
			int err = 0;

			if (route->hops[k].oif == oif && route->hops[k].gateway)
				err = cb(route->hops[k].gateway, data);
			if (err)
				return err;
		}
	}
	return 0;
}

static int world_addresses(void *context, int (*cb)(const struct cv_address *address, void *data),
			   void *data)
{
	const struct world *world = context;

	for (unsigned int i = 0; i < world->address_count; i++) {
		int err = cb(&world->addresses[i], data);

		if (err)
			return err;
	}
	return 0;
}

static int world_changes(void *context)
{
	struct world *world = context;
	int changes = world->changes;

	world->changes = 0;
	return changes;
}

static void world_source_destroy(void *context)
{
	(void)context;
}

/* ---- outputs ---- */

static struct world_output *list_add(struct world_list *list, uint32_t length)
{
	struct world_output *item = &list->items[list->count];

	if (list->count == WORLD_OUTPUTS)
		return NULL;
	*item = (struct world_output){.length = length, .bytes = malloc(length ? length : 1)};
	if (!item->bytes)
		abort();
	list->count++;
	return item;
}

static void list_clear(struct world_list *list)
{
	for (unsigned int i = 0; i < list->count; i++)
		free(list->items[i].bytes);
	list->count = 0;
}

static void gather(struct world_output *item, const struct iovec *iov, unsigned int count)
{
	uint32_t at = 0;

	for (unsigned int i = 0; i < count; i++) {
		memcpy(item->bytes + at, iov[i].iov_base, iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
}

static uint32_t total(const struct iovec *iov, unsigned int count)
{
	size_t length = 0;

	for (unsigned int i = 0; i < count; i++)
		length += iov[i].iov_len;
	return (uint32_t)length;
}

static int world_send(void *context, struct mmsghdr *messages, unsigned int count)
{
	struct world *world = context;

	world->sends++;
	if (world->send_error)
		return world->send_error;
	for (unsigned int i = 0; i < count; i++) {
		const struct msghdr *header = &messages[i].msg_hdr;
		const struct sockaddr_in *to = header->msg_name;
		unsigned int pieces = (unsigned int)header->msg_iovlen;
		struct world_output *item = list_add(&world->sent, total(header->msg_iov, pieces));

		if (!item)
			continue;
		item->destination = to->sin_addr.s_addr;
		gather(item, header->msg_iov, pieces);
	}
	return (int)count;
}

static int world_deliver(void *context, struct cv_live_tunnel *tunnel,
			 const struct virtio_net_hdr *vnet, const struct iovec *iov,
			 unsigned int count)
{
	struct world *world = context;
	struct world_output *item;

	if (world->deliver_error)
		return world->deliver_error;
	item = list_add(&world->delivered, total(iov, count));
	if (!item)
		return 0;
	item->tunnel = tunnel;
	item->vnet = *vnet;
	gather(item, iov, count);
	return 0;
}

static int world_icmp(void *context, __be32 destination, const void *icmp, uint32_t length)
{
	struct world *world = context;
	struct world_output *item = list_add(&world->icmp, length);

	if (!item)
		return 0;
	item->destination = destination;
	memcpy(item->bytes, icmp, length);
	return 0;
}

/* ---- the world ---- */

static void add_address(struct world *world, int ifindex, const char *text, uint8_t length)
{
	world->addresses[world->address_count++] = (struct cv_address){
		.ifindex = ifindex,
		.address = world_addr(text),
		.prefix_length = length,
	};
}

struct world *world_create(void)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct cv_router_source source = {
		.context = world,
		.get = world_get,
		.match = world_match,
		.gateways = world_gateways,
		.addresses = world_addresses,
		.changes = world_changes,
		.destroy = world_source_destroy,
	};
	const struct cv_tx_output tx = {.context = world, .send = world_send};
	const struct cv_lane_output output = {
		.context = world,
		.deliver = world_deliver,
		.icmp = world_icmp,
	};

	if (!world)
		abort();
	add_address(world, WORLD_ETH0, "192.168.100.1", 24);
	add_address(world, WORLD_VETH, "10.244.1.1", 24);
	world_hop(world_route(world, "0.0.0.0/0", RTN_UNICAST), WORLD_ETH0, "192.168.100.254");
	world_hop(world_route(world, "192.168.100.0/24", RTN_UNICAST), WORLD_ETH0, NULL);
	world_route(world, "192.168.100.1/32", RTN_LOCAL);
	world_hop(world_route(world, "10.244.1.0/24", RTN_UNICAST), WORLD_VETH, NULL);
	world_route(world, "10.244.1.1/32", RTN_LOCAL);

	world->now_ms = 1000000;
	world->shared.live = &world->live;
	world->shared.remotes = cv_remotes_create();
	world->shared.limit = cv_limit_create();
	world->shared.reassembly = cv_reassembly_create();
	world->shared.pmtu_lifetime_ms = 600000;
	world->lane = cv_lane_create(&world->shared, 0, &source, &tx, &output);
	if (!world->lane || !world->shared.remotes || !world->shared.limit ||
	    !world->shared.reassembly)
		abort();
	cv_lane_begin(world->lane, world->now_ms);
	return world;
}

void world_destroy(struct world *world)
{
	world_forget_outputs(world);
	cv_lane_destroy(world->lane);
	cv_remotes_destroy(world->shared.remotes);
	cv_limit_destroy(world->shared.limit);
	cv_reassembly_destroy(world->shared.reassembly);
	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX; i++)
		free(world->live.slots[i]);
	free(world);
}

struct cv_live_tunnel *world_tunnel(struct world *world, int ifindex, const char *remote,
				    const char *local)
{
	struct cv_live_tunnel *tunnel = aligned_alloc(64, sizeof(*tunnel));

	if (!tunnel)
		abort();
	memset(tunnel, 0, sizeof(*tunnel));
	tunnel->config = (struct cv_engine_tunnel){
		.ifindex = ifindex,
		.remote = world_addr(remote),
		.local = world_addr(local),
		.ipip = {.pmtudisc = true, .tos_inherit = true},
		.strict = true,
	};
	snprintf(tunnel->config.name, sizeof(tunnel->config.name), "tun%d", ifindex - WORLD_TUN0);
	if (cv_live_add(&world->live, tunnel))
		abort();
	return tunnel;
}

static struct world_route *route_slot(struct world *world, const char *prefix, bool is_new)
{
	char address[32];
	unsigned int length = 32;

	if (sscanf(prefix, "%31[^/]/%u", address, &length) < 1)
		abort();
	for (unsigned int i = 0; i < WORLD_ROUTES; i++) {
		struct world_route *route = &world->routes[i];

		if (is_new && route->type)
			continue;
		if (!is_new && (!route->type || route->prefix != world_addr(address) ||
				route->length != length))
			continue;
		route->prefix = world_addr(address);
		route->length = (uint8_t)length;
		return route;
	}
	abort();
}

struct world_route *world_route(struct world *world, const char *prefix, uint8_t type)
{
	struct world_route *route = route_slot(world, prefix, true);

	route->type = type;
	route->mtu = 0;
	route->count = 0;
	world->changes |= CV_MONITOR_ROUTE;
	return route;
}

void world_hop(struct world_route *route, int oif, const char *gateway)
{
	route->hops[route->count++] =
		(struct cv_next_hop){.oif = oif, .gateway = world_addr(gateway)};
}

void world_unroute(struct world *world, const char *prefix)
{
	route_slot(world, prefix, false)->type = 0;
	world->changes |= CV_MONITOR_ROUTE;
}

void world_forget_outputs(struct world *world)
{
	list_clear(&world->sent);
	list_clear(&world->delivered);
	list_clear(&world->icmp);
}

static void run(struct world *world, struct cv_live_tunnel *tunnel,
		const struct virtio_net_hdr *vnet, const void *packet, uint32_t length)
{
	const struct virtio_net_hdr plain = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	/* Exactly as long as the packet, so that a sanitizer sees what reads beyond it. */
	uint8_t *copy = malloc(length ? length : 1);

	if (!copy)
		abort();
	memcpy(copy, packet, length);
	if (!vnet)
		vnet = &plain;
	cv_lane_begin(world->lane, world->now_ms);
	if (tunnel)
		cv_take_from_device(world->lane, tunnel, vnet, copy, length);
	else
		cv_decapsulate(world->lane, vnet, copy, length, WORLD_ETH0);
	cv_lane_end(world->lane);
	free(copy);
}

void world_out(struct world *world, struct cv_live_tunnel *tunnel,
	       const struct virtio_net_hdr *vnet, const void *packet, uint32_t length)
{
	run(world, tunnel, vnet, packet, length);
}

void world_in(struct world *world, const struct virtio_net_hdr *vnet, const void *packet,
	      uint32_t length)
{
	run(world, NULL, vnet, packet, length);
}

static const struct cv_counters *counters_of(const struct world *world,
					     const struct cv_live_tunnel *tunnel)
{
	return tunnel ? &tunnel->lanes[0].counters : &world->lane->engine_counters;
}

uint64_t world_drops(const struct world *world, const struct cv_live_tunnel *tunnel,
		     enum cv_drop reason)
{
	return counters_of(world, tunnel)->drops[reason];
}

uint64_t world_events(const struct world *world, const struct cv_live_tunnel *tunnel,
		      enum cv_event event)
{
	return counters_of(world, tunnel)->events[event];
}
