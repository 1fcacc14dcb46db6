/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels that belong to resources: the pool device, and `Tunnel`s. */
#ifndef CV_AGENT_OWNED_H
#define CV_AGENT_OWNED_H

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
 * Set their devices up and give them their addresses; of the pool device, *address (0: none) is
 * what we gave it last, and is replaced by what it gets. The first failure's reason is in problem.
 */
void cv_owned_configure(struct cv_tunnel_set *set, struct cv_nl *nl, const struct cv_intent *intent,
			const struct cv_facts *facts, const char *pool_device, __be32 *address,
			struct cv_error *problem);

#endif
