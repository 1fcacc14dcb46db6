/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the kernel's routing, by RTM_GETROUTE. Two kinds:
 * cv_route_get asks for the kernel's choice for one flow (one next hop, PMTU
 * exceptions included); cv_route_match asks for the whole entry that matched, with
 * all its next hops (RTM_F_FIB_MATCH).
 */
#ifndef CV_NET_ROUTE_H
#define CV_NET_ROUTE_H

#include <stddef.h>
#include <stdint.h>
#include <linux/rtnetlink.h>
#include <linux/types.h>

#include "net/netlink.h"

/*
 * A flow. Zero means "not given" for every field but destination.
 *
 * The kernel asks back the questions of a real packet: a source without iif must be an
 * address of this host, with iif it must be none and pass rp_filter (-EINVAL, -EXDEV), and
 * iif must forward (-EHOSTUNREACH).
 */
struct cv_route_flow {
	__be32 destination;
	__be32 source;
	uint8_t tos;	    /* the whole octet; its ECN bits are not asked with */
	uint8_t protocol;   /* the kernel knows TCP, UDP and ICMP; others are asked as UDP */
	__be16 source_port; /* TCP and UDP; not asked with other protocols */
	__be16 destination_port;
	int iif; /* forwarded packets: the device they arrived on */
	int oif; /* never for a forwarding decision: it is not the kernel's own (facts) */
};

struct cv_route {
	uint8_t type;	     /* RTN_UNICAST, RTN_LOCAL, … */
	int oif;	     /* 0 when there is none */
	__be32 gateway;	     /* 0: on link */
	__be32 source;	     /* the source address that the kernel would take; 0 with iif */
	uint32_t mtu;	     /* bytes, <= 65535: PMTU exception, route metric, else device */
	uint32_t expires_ms; /* of a PMTU exception; 0: does not expire */
};

/*
 * The kernel's choice for a flow. 0; the kernel's error for a route that refuses
 * (-ENETUNREACH none, -EHOSTUNREACH unreachable, -EINVAL blackhole, -EACCES prohibit); -errno.
 * A gateway of another family (RTA_VIA) is -EAFNOSUPPORT.
 */
int cv_route_get(struct cv_nl *nl, const struct cv_route_flow *flow, struct cv_route *ret_route);

enum {
	CV_ROUTE_NEXT_HOPS_MAX = 256
};

struct cv_next_hop {
	int oif;
	__be32 gateway; /* 0: on link */
};

struct cv_route_entry {
	uint8_t type; /* RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, RTN_UNREACHABLE, … */
	uint8_t prefix_length;
	__be32 prefix;
	uint32_t mtu;	    /* the entry's mtu metric in bytes, 0 when it has none */
	unsigned int count; /* of next hops; those beyond the maximum are left out */
	struct cv_next_hop next_hops[CV_ROUTE_NEXT_HOPS_MAX];
};

/*
 * The most specific entry that matches a flow, policy rules included, all next hops listed
 * (nexthop objects resolved, also with net.ipv4.nexthop_compat_mode=0). Next hops with a
 * gateway of another family are left out. Entries that refuse return the kernel's error, as
 * cv_route_get; a local entry returns 0 with its type. An entry whose next hops do not fit
 * into the kernel's answer (about 230) is -EMSGSIZE.
 */
int cv_route_match(struct cv_nl *nl, const struct cv_route_flow *flow,
		   struct cv_route_entry *ret_entry);

/*
 * Call cb with the gateway of every IPv4 route, in every table, that leaves through oif and
 * has one (each next hop of a multipath route, nexthop objects resolved): each gateway
 * once, in no order that means anything. A non-zero return stops and is returned. The list
 * is complete before the first call: cb may use nl.
 */
int cv_route_for_each_gateway(struct cv_nl *nl, int oif, int (*cb)(__be32 gateway, void *data),
			      void *data);

/* Whose routes: those of a protocol (RTPROT_*) with a metric; 0: with any. */
struct cv_route_owner {
	uint8_t protocol;
	uint32_t metric;
};

/*
 * The same for the routes of the main table, whatever device they leave through, but those of
 * some owners.
 */
int cv_route_for_each_gateway_except(struct cv_nl *nl, const struct cv_route_owner *owners,
				     size_t count, int (*cb)(__be32 gateway, void *data),
				     void *data);

#endif
