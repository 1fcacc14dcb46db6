/* SPDX-License-Identifier: Apache-2.0 */
/* What changed in the kernel's links, addresses, routes, rules, next hops, qdiscs and filters. */
#ifndef CV_NET_MONITOR_H
#define CV_NET_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

enum cv_monitor_change {
	CV_MONITOR_LINK = 1 << 0,
	CV_MONITOR_ADDRESS = 1 << 1,
	CV_MONITOR_ROUTE = 1 << 2,
	CV_MONITOR_RULE = 1 << 3,
	CV_MONITOR_NEXT_HOP = 1 << 4,
	CV_MONITOR_QDISC = 1 << 5,
	CV_MONITOR_OVERFLOW = 1 << 6,  /* notices were lost: take everything as changed */
	CV_MONITOR_FILTER = 1 << 7,    /* a filter of tc has come or gone */
	CV_MONITOR_MINOR = 1 << 9,     /* what cv_monitor_drain_sorted calls minor */
	CV_MONITOR_OWN_ROUTE = 1 << 8, /* a route, by the caller's own request */
};

/* Subscribe. Returns a non-blocking descriptor that the caller closes, or -errno. */
int cv_monitor_open(void);

/*
 * Read all pending notices. Returns a set of enum cv_monitor_change (0: nothing
 * changed), or -errno for a broken socket. One system call when nothing is pending.
 */
int cv_monitor_drain(int fd);

/*
 * The same, for who changes routes himself by the request socket of this port id (cv_nl_port_id):
 * those changes are CV_MONITOR_OWN_ROUTE and not CV_MONITOR_ROUTE.
 */
int cv_monitor_drain_others(int fd, uint32_t port_id);

/*
 * The same, for who has many links of which each alone is not worth a look at everything: own
 * routes to a single address are minor, and is_minor is asked about each notice of a link and of
 * its settings, with the link's name if the notice has it, else NULL. It must not use fd.
 */
int cv_monitor_drain_sorted(int fd, uint32_t port_id,
			    bool (*is_minor)(int ifindex, const char *name, void *data),
			    void *data);

#endif
