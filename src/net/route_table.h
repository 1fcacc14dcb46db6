/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the main IPv4 routing table: listed, added, replaced, deleted, many at a time. */
#ifndef CV_NET_ROUTE_TABLE_H
#define CV_NET_ROUTE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/netlink.h"
#include "net/prefix.h"

enum {
	CV_TABLE_ROUTE_DEVICES = 8 /* next hops of a route at most, that is */
};

/*
 * One route, with at most one next hop, or with several that are devices alone, without gateways.
 * What the kernel tells one route from another by is (prefix, metric), with TOS 0; routes of
 * another TOS are not listed.
 */
struct cv_table_route {
	struct cv_prefix prefix;
	uint8_t type;	  /* RTN_UNICAST, RTN_BLACKHOLE, RTN_UNREACHABLE, … */
	uint8_t protocol; /* RTPROT_* */
	uint8_t scope;	  /* RT_SCOPE_*; counts when it is deleted only */
	bool onlink;	  /* RTNH_F_ONLINK */
	uint32_t metric;
	int oif;	/* 0: none */
	__be32 gateway; /* 0: on link, or none */
	__be32 source;	/* RTA_PREFSRC; 0: none */
	uint32_t mtu;	/* RTAX_MTU, bytes, not locked; 0: the device's */
	bool multipath; /* listed only: other sorts of several next hops, or a nexthop object; oif
			   and gateway say nothing */
	/* 0: oif and gateway are its next hop. Else they are 0, and it is these devices, all
	 * alike; sorted, where it is wanted. */
	uint8_t device_count;
	int devices[CV_TABLE_ROUTE_DEVICES];
	bool has_more; /* listed only: other metrics (a locked MTU …), an encapsulation: what we
			  never make */
};

/*
 * Call cb for every route of the main table (protocol 0: of every protocol; else of this one
 * alone, which the kernel filters by itself). A non-zero return of cb stops and is returned. The
 * list is complete before the first call: cb may use nl. 0 or -errno.
 */
int cv_route_table_for_each(struct cv_nl *nl, uint8_t protocol,
			    int (*cb)(const struct cv_table_route *route, void *data), void *data);

enum cv_route_verb {
	CV_ROUTE_ADD, /* fails with -EEXIST where anybody's route has the prefix and metric */
	/*
	 * Behind those that have the prefix and metric; in use once they are gone. To replace a
	 * route of ours, append the new one and delete the old: no packet meets no route, and
	 * nobody else's is overwritten. The kernel's own NLM_F_REPLACE takes the place of
	 * whichever of them comes first, whoever made it. -EEXIST: this very route is there.
	 */
	CV_ROUTE_APPEND,
	CV_ROUTE_DELETE, /* the first with all of its attributes. -ESRCH: there is none */
};

struct cv_route_change {
	enum cv_route_verb verb;
	struct cv_table_route route;
	int result; /* out: 0 or the kernel's -errno */
};

/*
 * Make changes in this order, many to a system call. Returns 0 if all were tried (each has its
 * result), or -errno: the socket broke. *ret_failed: how many have a result other than 0;
 * cv_nl_error_text(nl) has the kernel's words on the first of these.
 */
int cv_route_table_change(struct cv_nl *nl, struct cv_route_change *changes, size_t count,
			  size_t *ret_failed);

/* True if both have the same several devices, or none. */
bool cv_table_route_same_devices(const struct cv_table_route *a, const struct cv_table_route *b);

/* The scope with which a route is added: link without a gateway, else universe. */
uint8_t cv_table_route_scope(const struct cv_table_route *route);

#endif
