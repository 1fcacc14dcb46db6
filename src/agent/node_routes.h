/* SPDX-License-Identifier: Apache-2.0 */
/* All routes that the node agent wants: what is decided, and what its pods need. */
#ifndef CV_AGENT_NODE_ROUTES_H
#define CV_AGENT_NODE_ROUTES_H

#include "agent/pods.h"
#include "routing/intent.h"

/*
 * Sorted by prefix, then metric. Without a pool device (index 0), those that do not need it; where
 * both have the same key, the pod's: it is here. pods may be NULL. The caller frees them; NULL: no
 * memory.
 */
struct cv_table_route *cv_node_routes(const struct cv_intent *intent, int pool_ifindex,
				      const struct cv_pods *pods, size_t *ret_count);

#endif
