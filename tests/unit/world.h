/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small world around one lane, without a kernel: a routing table that is searched
 * naively, addresses, and lists of what the lane sent, delivered and answered.
 *
 *      pod 10.244.1.2 ── veth (3) ── us 192.168.100.1 ── eth0 (2) ── 192.168.100.254 ──
 * 192.168.200.2 tun0 (10)                                   pods 10.244.2.0/24 behind it
 */
#ifndef CV_TEST_WORLD_H
#define CV_TEST_WORLD_H

#include "engine/lane.h"

enum {
	WORLD_ROUTES = 16,
	WORLD_HOPS = 4,
	WORLD_OUTPUTS = 256,
	WORLD_BYTES = 65535,

	WORLD_ETH0 = 2,
	WORLD_VETH = 3,
	WORLD_TUN0 = 10,
	WORLD_TUN1 = 11,
};

struct world_route {
	__be32 prefix;
	uint8_t length;
	uint8_t type; /* RTN_*; 0: the slot is free */
	uint32_t mtu; /* 0: 1500 */
	unsigned int count;
	struct cv_next_hop hops[WORLD_HOPS];
};

struct world_output {
	struct cv_live_tunnel *tunnel; /* delivered */
	struct virtio_net_hdr vnet;    /* delivered */
	__be32 destination;	       /* ICMP, sent */
	uint32_t length;
	uint8_t *bytes;
};

struct world_list {
	unsigned int count;
	struct world_output items[WORLD_OUTPUTS];
};

struct world {
	struct world_route routes[WORLD_ROUTES];
	struct cv_address addresses[8];
	unsigned int address_count;
	int changes;	    /* what the next refresh is told */
	bool rp_filter;	    /* of all devices */
	unsigned int asked; /* questions to the routing table so far */
	int send_error;	    /* -errno for every packet sent, or 0 */
	unsigned int sends; /* batches handed to the output so far */
	int deliver_error;  /* the same for every packet delivered */
	struct world_list sent, delivered, icmp;
	struct cv_live live;
	struct cv_lane_shared shared;
	struct cv_lane *lane;
	uint64_t now_ms;
};

/* The world of the drawing, without tunnels. */
struct world *world_create(void);
void world_destroy(struct world *world);

/* Add a tunnel; remote and local as text, "any" or NULL for any. Strict, pmtudisc, ttl and tos
 * inherit. */
struct cv_live_tunnel *world_tunnel(struct world *world, int ifindex, const char *remote,
				    const char *local);

/* Add a route "10.244.2.0/24" of a type; hops are added by world_hop. And take one away. */
struct world_route *world_route(struct world *world, const char *prefix, uint8_t type);
void world_hop(struct world_route *route, int oif, const char *gateway);
void world_unroute(struct world *world, const char *prefix);

/* Empty the lists of outputs. */
void world_forget_outputs(struct world *world);

/* Run one batch with one packet (a copy of it), on the way out or in. */
void world_out(struct world *world, struct cv_live_tunnel *tunnel,
	       const struct virtio_net_hdr *vnet, const void *packet, uint32_t length);
void world_in(struct world *world, const struct virtio_net_hdr *vnet, const void *packet,
	      uint32_t length);

/* An address from its text. */
__be32 world_addr(const char *text);

/* A drop's or an event's counter: of a tunnel, or of none (NULL). */
uint64_t world_drops(const struct world *world, const struct cv_live_tunnel *tunnel,
		     enum cv_drop reason);
uint64_t world_events(const struct world *world, const struct cv_live_tunnel *tunnel,
		      enum cv_event event);

#endif
