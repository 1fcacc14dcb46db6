/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our routes in the kernel's main table, made and kept as they are wanted. Ours are those that
 * have our protocol number and a metric of CV_METRIC_NODE or more; nobody else's is touched, nor is
 * ours put in its place.
 */
#ifndef CV_ROUTING_ROUTES_H
#define CV_ROUTING_ROUTES_H

#include "net/route_table.h"
#include "tunnel/error.h"

struct cv_routes;

struct cv_routes_report {
	size_t added, replaced, deleted;
	size_t repaired;	 /* of these: were gone or changed though we had made them */
	size_t failed;		 /* tried again at the next call */
	char first_failure[256]; /* "10.244.1.0/24 via …: File exists", or "" */
};

/* former: the protocol number of routes that an earlier daemon has made, 0: of none. NULL and
 * errno. */
struct cv_routes *cv_routes_create(struct cv_nl *nl, uint8_t former);
void cv_routes_destroy(struct cv_routes *routes); /* The kernel's routes stay. NULL is fine. */

/*
 * Make the kernel's routes of this protocol the wanted ones (sorted by prefix, then metric). The
 * difference is taken from what was made last, unless look is true: then from what the kernel
 * has (to be called after notices of routes or links, and the first time). Order: what is replaced
 * or new first, what goes last, so that no packet meets a hole; a more specific route is there
 * before the blackhole or guard that would catch its packets … and goes after.
 * Of wanted routes, oif is a device's index (or 0), and scope is not looked at. When the protocol
 * differs from the last call's, those of the former are deleted last. 0 or -errno (the socket);
 * single failures are in the report.
 */
int cv_routes_apply(struct cv_routes *routes, const struct cv_table_route *wanted, size_t count,
		    uint8_t protocol, bool look, struct cv_routes_report *ret_report);

/*
 * Make one route now, or delete it, beside what the last cv_routes_apply was told; the next one
 * must be told the same, and then finds nothing to do. One that is there already, or is not, is no
 * failure. 0; -EEXIST: somebody else's has this prefix and metric; -errno of the kernel, in error.
 */
int cv_routes_put(struct cv_routes *routes, const struct cv_table_route *route, uint8_t protocol,
		  struct cv_error *error);
int cv_routes_drop(struct cv_routes *routes, const struct cv_table_route *route, uint8_t protocol,
		   struct cv_error *error);

/* Delete all routes of a protocol: for --purge. 0 or -errno; *ret_count: how many there were. */
int cv_routes_purge(struct cv_nl *nl, uint8_t protocol, size_t *ret_count);

#endif
