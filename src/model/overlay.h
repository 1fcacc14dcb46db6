/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay space: the addresses that are the overlay's own, pools − holes. NAT, the guard
 * routes and warnings ask here; who may send is told by claims, not by this.
 *
 * Holes are what lies inside of a pool and is not the overlay's:
 * - every Node's address, every externalNodesList entry (of all FelixConfigurations, so that all
 *   nodes have the same holes), and IPReservations;
 * - the gateways that this host's routes use on the underlay, and every prefix that a Node
 *   publishes, or that is connected to this host, if it lies strictly inside of the pool; but not
 *   what of these is claimed: what is said outright counts more than what is concluded. So a
 *   connected prefix that equals a claim, or is inside of one, is a pod bridge: no hole. A node's
 *   tunnel address is claimed.
 * A published or connected prefix that equals or contains a pool would leave nothing of it: it
 * makes /32 holes alone (the node's own address), and a warning. An entry of externalNodesList, or
 * a reservation, that does makes a warning alone.
 */
#ifndef CV_MODEL_OVERLAY_H
#define CV_MODEL_OVERLAY_H

#include "model/snapshot.h"
#include "net/prefix.h"

/* What only this host knows. */
struct cv_overlay_host {
	const struct cv_prefix *connected; /* its devices' addresses with their prefix lengths, but
					      of our devices */
	size_t connected_count;
	const __be32 *gateways; /* on the underlay */
	size_t gateway_count;
};

enum cv_hole_reason {
	CV_HOLE_NODE,	  /* a node's address */
	CV_HOLE_EXTERNAL, /* an external node's */
	CV_HOLE_GATEWAY,
	CV_HOLE_NODE_PREFIX, /* that a node publishes */
	CV_HOLE_CONNECTED,   /* to this host */
	CV_HOLE_RESERVATION,
};

struct cv_hole {
	struct cv_prefix prefix;
	enum cv_hole_reason reason;
	const struct cv_resource *resource; /* whose; NULL: this host's */
};

struct cv_overlay {
	struct cv_ranges space;	       /* all pools − holes */
	struct cv_ranges encapsulated; /* of pools that are not Never */
	struct cv_ranges nat;	       /* of pools with natOutgoing */
	struct cv_hole *holes;	       /* those inside of pools; sorted by prefix, then reason; they
					  may be nested */
	size_t hole_count;
	struct cv_messages warnings;
};

/* 0 or -ENOMEM. resources in it are the snapshot's. cv_overlay_fini frees. */
int cv_overlay_init(struct cv_overlay *ret_overlay, const struct cv_snapshot *snapshot,
		    const struct cv_overlay_host *host);
void cv_overlay_fini(struct cv_overlay *overlay);

/* The smallest hole that an address is in, or NULL. */
const struct cv_hole *cv_overlay_hole_of(const struct cv_overlay *overlay, __be32 address);

/* "a node's address", …: for trace. */
const char *cv_hole_reason_text(enum cv_hole_reason reason);

#endif
