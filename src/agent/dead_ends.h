/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of tunnels whose remote end is down, for routes that can do without them. */
#ifndef CV_AGENT_DEAD_ENDS_H
#define CV_AGENT_DEAD_ENDS_H

#include <net/if.h>

#include "agent/paths.h"
#include "tunnel/set.h"

struct cv_dead_end {
	int device;
	__be32 remote;
	char tunnel[IFNAMSIZ];
};

/* Zeroed: none. cv_dead_ends_fini frees. */
struct cv_dead_ends {
	struct cv_dead_end *items;
	int *devices; /* of the items, in their order */
	size_t count;
};

/*
 * Those among the paths of tunnels that have one remote: it is down, or protocol 4 is blocked.
 * Those of tunnels without a remote are single gateways, not devices, and left out. 0 or -ENOMEM.
 */
int cv_dead_ends_of(const struct cv_paths *paths, const struct cv_tunnel_set *tunnels,
		    struct cv_dead_ends *ret_dead);
void cv_dead_ends_fini(struct cv_dead_ends *dead);

/*
 * Find them anew, and tell the log who has gone and come. True if they differ from before; without
 * memory they stay as they are.
 */
bool cv_dead_ends_update(struct cv_dead_ends *dead, const struct cv_paths *paths,
			 const struct cv_tunnel_set *tunnels);

#endif
