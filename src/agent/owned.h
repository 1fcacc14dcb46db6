/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels that belong to resources: the pool device, and `Tunnel`s. */
#ifndef CV_AGENT_OWNED_H
#define CV_AGENT_OWNED_H

#include "agent/node_state.h"
#include "routing/intent.h"
#include "tunnel/set.h"

/*
 * Make the tunnels that the intent wants here (pool device pool_device, and Tunnel resources), and
 * delete those that resources own and no longer want. Each for itself: what fails is tried again at
 * the next call, and the first failure's reason is in problem ("" if there is none). True if a
 * device has come or gone.
 */
bool cv_owned_apply(struct cv_tunnel_set *set, const struct cv_intent *intent,
		    const char *pool_device, struct cv_error *problem);

/*
 * Set their devices up and give them their addresses. state has what we gave them last,
 * and what is no longer wanted of that is taken away; it is brought up to date. The first failure's
 * reason is in problem.
 */
void cv_owned_configure(struct cv_tunnel_set *set, struct cv_nl *nl, const struct cv_intent *intent,
			const struct cv_facts *facts, const char *pool_device,
			struct cv_node_state *state, struct cv_error *problem);

/* Whether the tunnel of this name is the Tunnel resource's. */
bool cv_owned_has_tunnel(struct cv_tunnel_set *set, const char *name);

#endif
