/* SPDX-License-Identifier: Apache-2.0 */
/* The node agent's state for the control protocol: members of `status`, and the summary of `apply`.
 */
#ifndef CV_AGENT_NODE_JSON_H
#define CV_AGENT_NODE_JSON_H

#include <jansson.h>

#include "agent/node.h"

json_t *cv_messages_to_json(const struct cv_messages *messages);

/* Add "node", "store", "pools", "pool_device", "peers", "routes", "nat" and "warnings" to status.
 */
void cv_node_add_status(const struct cv_node_agent *node, struct cv_tunnel_set *tunnels,
			json_t *status);

/* {"node", "address", "how", "problem", "others", "next": […]}: what to do after an apply. */
json_t *cv_node_summary_to_json(const struct cv_node_agent *node);

#endif
