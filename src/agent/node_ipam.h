/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the node agent and the addresses tell each other: pools, blocks and holes one way, the
 * address of the pool device the other.
 */
#ifndef CV_AGENT_NODE_IPAM_H
#define CV_AGENT_NODE_IPAM_H

#include "agent/addresses.h"
#include "agent/pods.h"
#include "routing/intent.h"

struct cv_node_ipam;

struct cv_node_ipam_options {
	struct cv_addresses *addresses; /* the caller's; outlives this, and is destroyed first */
	const struct cv_pods *pods;
	bool is_etcd;
	__be32 former; /* of the pool device, of an earlier daemon; 0 */
	/* The pool device is to have another address: decide again. Not during a call of these. */
	void (*changed)(void *data);
	void *data;
};

/* NULL: no memory. */
struct cv_node_ipam *cv_node_ipam_create(const struct cv_node_ipam_options *options);
void cv_node_ipam_destroy(struct cv_node_ipam *ipam); /* NULL is fine */

/* After every decision: what differs of the last one is passed on. */
void cv_node_ipam_update(struct cv_node_ipam *ipam, const struct cv_intent *intent,
			 const struct cv_facts *facts);

/* The address for the pool device where its Node has none; 0: none is known (yet). */
__be32 cv_node_ipam_tunnel_address(const struct cv_node_ipam *ipam);

/* Whether none but that is to be chosen. */
bool cv_node_ipam_is_etcd(const struct cv_node_ipam *ipam);

/* What this node's pods can get addresses of: blocks (without etcd) and pools that are for them. */
struct cv_node_ipam_room {
	size_t blocks; /* of this node */
	size_t pools;  /* that select it */
};
void cv_node_ipam_room(const struct cv_node_ipam *ipam, struct cv_node_ipam_room *ret_room);

#endif
