/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to other nodes, as facts that decisions rest on. */
#ifndef CV_AGENT_NODE_PATHS_H
#define CV_AGENT_NODE_PATHS_H

#include "engine/engine.h"
#include "net/netlink.h"
#include "routing/decide.h"
#include "tunnel/set.h"

/* Who knows of them. */
struct cv_node_paths {
	struct cv_engine *engine;
	struct cv_nl *nl;
	struct cv_tunnel_set *tunnels;
	const char *pool_device;
};

/* Put what the ways of the pool device's packets take now into facts. 1; 0: that is what is there
 * already; -ENOMEM. */
int cv_node_paths_read(const struct cv_node_paths *paths, struct cv_facts *facts);

/* Remotes that the engine has been told of, sorted; zeroed: none. */
struct cv_node_jumbo {
	__be32 *remotes;
	size_t count;
};

/*
 * Tell the engine to which remotes routes of ours have an mtu of their own, and no longer have one.
 * Without memory, it is left as it was.
 */
void cv_node_paths_tell(const struct cv_node_paths *paths, const struct cv_facts *facts,
			const struct cv_intent *intent, struct cv_node_jumbo *jumbo);

#endif
