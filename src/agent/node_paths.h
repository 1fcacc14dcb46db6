/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to other nodes, as facts that decisions rest on. */
#ifndef CV_AGENT_NODE_PATHS_H
#define CV_AGENT_NODE_PATHS_H

#include "engine/engine.h"
#include "net/netlink.h"
#include "routing/facts.h"
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

#endif
