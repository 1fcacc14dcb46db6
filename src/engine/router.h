/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's questions to the kernel's routing, and their answers remembered.
 *
 * The kernel's routing decision is the contract (doc/architecture.md): nothing here is a forwarding
 * table. An answer lives until the kernel says that any link, address, route, rule or
 * next hop changed, or for one second, whichever comes first; soft state of the remotes is
 * looked at again whenever it changed. cv_router_refresh reads the notices and is called
 * before every batch.
 *
 * One router per worker, no locks.
 */
#ifndef CV_ENGINE_ROUTER_H
#define CV_ENGINE_ROUTER_H

#include "engine/live.h"
#include "engine/remote.h"
#include "net/link.h"
#include "net/route.h"
#include "wire/ipv4.h"

/* Where the answers come from: the kernel (cv_router_kernel), or a test's own. */
struct cv_router_source {
	void *context;
	int (*get)(void *context, const struct cv_route_flow *flow, struct cv_route *ret);
	int (*match)(void *context, const struct cv_route_flow *flow, struct cv_route_entry *ret);
	int (*gateways)(void *context, int oif, int (*cb)(__be32 gateway, void *data), void *data);
	int (*addresses)(void *context, int (*cb)(const struct cv_address *address, void *data),
			 void *data);
	int (*changes)(void *context); /* a set of enum cv_monitor_change, or -errno */
	void (*destroy)(void *context);
};

/* Fill in a source that asks this thread's network namespace. 0 or -errno; end with ->destroy. */
int cv_router_kernel(struct cv_router_source *ret_source);

struct cv_router;

/*
 * Create. The router owns the source from now on, also on failure; live and remotes stay the
 * caller's. worker: whose share of the live tunnels this router serves. NULL and errno.
 */
struct cv_router *cv_router_create(const struct cv_router_source *source, struct cv_live *live,
				   struct cv_remotes *remotes, unsigned int worker);
void cv_router_destroy(struct cv_router *router);

/* Take notice of all changes up to now. now_ms: a monotonic clock, the router's from here on. */
void cv_router_refresh(struct cv_router *router, uint64_t now_ms);

/* Forget every answer (the kernel refused a packet that an answer said would fit). */
void cv_router_forget(struct cv_router *router);

/* True if address is an IPv4 address of this host. */
bool cv_router_is_own(const struct cv_router *router, __be32 address);

/* True if address is a broadcast address of this host's networks. */
bool cv_router_is_broadcast(const struct cv_router *router, __be32 address);

/* What routing looks at in an inner packet. */
struct cv_flow {
	__be32 source;
	__be32 destination;
	__be16 source_port; /* 0 unless TCP or UDP, and not a fragment */
	__be16 destination_port;
	uint8_t protocol;
	uint8_t tos;	 /* DSCP bits in place */
	uint16_t unused; /* 0: flows are hashed and compared as bytes */
};

/* Read a flow from a parsed packet. */
void cv_flow_read(struct cv_flow *ret_flow, const struct cv_ipv4 *ip, const void *packet);

/* Where an inner packet goes. */
struct cv_way_out {
	__be32 source;	    /* outer */
	__be32 destination; /* outer */
	uint32_t mtu;	    /* largest outer packet, in bytes */
	int oif;	    /* to be forced with IP_PKTINFO when the tunnel has a dev, else 0 */
	bool error_waits;   /* cv_remotes_take_error has something for the sender */
};

/*
 * The way out of an inner packet through a tunnel. CV_DROP_NONE and *ret_way, or the
 * reason to drop it: NO_NEXT_HOP, NO_OUTER_ROUTE, UNDERLAY_LOOP.
 */
enum cv_drop cv_router_way_out(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			       const struct cv_flow *flow, struct cv_way_out *ret_way);

/* The mtu metric of the route that leads this inner packet into the tunnel's device, in bytes; 0:
 * it has none, or there is no such route. */
uint32_t cv_router_inner_mtu(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			     const struct cv_flow *flow);

/*
 * The largest outer packet that can go through a tunnel to remote, which has just sent one, in
 * bytes; 0: there is no way, or none that is known. The answer is one that packets to it share.
 */
uint32_t cv_router_mtu_back(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			    __be32 remote);

/*
 * May outer source outer_source deliver this inner packet through this tunnel (strict mode)?
 * CV_DROP_NONE, or NOT_A_PEER, SOURCE_ROUTE_REFUSES, SOURCE_NOT_ROUTED_BACK.
 *
 * It may if it is among the next hops of the route back to the inner source, through the tunnel's
 * device. A declared peer (below) may also if it is one of them on any other device, or if the
 * inner source is declared to be its own and the route back leads to a host, whatever way: both
 * ends need not change between tunnel, direct and underlay in the same instant.
 */
enum cv_drop cv_router_authorise(struct cv_router *router, const struct cv_live_tunnel *tunnel,
				 __be32 outer_source, const struct cv_flow *flow);

/* The same, asked of the kernel now, whatever is remembered. */
enum cv_drop cv_router_judge(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			     __be32 outer_source, const struct cv_flow *flow);

/*
 * Would the kernel take an outer packet from source to destination (an address of ours) that
 * arrived on device ifindex? OUTER_SOURCE_REFUSED: not if the source is a martian or our
 * own, or where rp_filter says that it came the wrong way. Else CV_DROP_NONE.
 */
enum cv_drop cv_router_check_arrival(struct cv_router *router, __be32 source, __be32 destination,
				     int ifindex);

/* The same, asked of the kernel now, whatever is remembered. */
enum cv_drop cv_router_judge_arrival(struct cv_router *router, __be32 source, __be32 destination,
				     int ifindex);

/* True if cv_router_authorise or _check_arrival had to ask since the last call of this. */
bool cv_router_has_asked(struct cv_router *router);

/*
 * True if address is a peer of an NBMA tunnel by its owners alone. Rests on nothing but them: no
 * question is asked.
 */
bool cv_router_is_declared(const struct cv_live_tunnel *tunnel, __be32 address);

/*
 * True if address is the tunnel's remote, or for an NBMA tunnel a declared peer, or the next hop of
 * any route through its device (peers.h).
 */
bool cv_router_is_peer(struct cv_router *router, const struct cv_live_tunnel *tunnel,
		       __be32 address);

/* True if a packet of this flow would be routed into the tunnel's device. */
bool cv_router_is_routed_into(struct cv_router *router, const struct cv_live_tunnel *tunnel,
			      const struct cv_flow *flow);

#endif
