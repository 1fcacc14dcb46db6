/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of bridges share. For bridges*.c alone. */
#ifndef CV_AGENT_BRIDGES_STATE_H
#define CV_AGENT_BRIDGES_STATE_H

#include <net/if.h>

#include "agent/bridges.h"

struct cv_bridge_gateway {
	struct cv_prefix block;		 /* length 0: another address management's */
	struct cv_prefix address;	 /* with the block's length */
	char handle[CV_IPAM_HANDLE_MAX]; /* that has it; "": of a note that does not say */
	bool was_unused;		 /* at the last observation */
	bool is_leaving; /* it is none any more; but the handle may have the address still */
};

struct cv_bridge {
	char name[IFNAMSIZ];
	int ifindex;		   /* of the device that has all of these; 0: to be looked at */
	struct cv_vector gateways; /* struct cv_bridge_gateway */
};

struct cv_bridges {
	struct cv_bridges_options options;
	struct cv_vector bridges;      /* struct cv_bridge * */
	struct cv_vector preparations; /* struct preparation *: under way */
	struct cv_vector departures;   /* struct cv_bridges_departure *: under way */
};

struct cv_bridges_waiter {
	cv_bridges_done done;
	void *context;
};

struct cv_bridge *cv_bridges_find(const struct cv_bridges *bridges, const char *name);

/* One of its own, that stays. */
bool cv_bridge_has_address(const struct cv_bridge *bridge, const struct cv_prefix *address);

/* Write the note as it is now. */
void cv_bridge_note(struct cv_bridges *bridges, const struct cv_bridge *bridge,
		    cv_addresses_done done, void *context);

/* Which handle has its addresses in a block. */
void cv_bridges_handle(const struct cv_bridges *bridges, const char *name,
		       const struct cv_prefix *block, char ret_handle[CV_IPAM_HANDLE_MAX]);

/* Whether an address in a block is on its way. */
bool cv_bridges_is_preparing(const struct cv_bridges *bridges, const char *name,
			     const struct cv_prefix *block);

/* If the gateway in this block is leaving, prepare anew for the waiter once it has; or tell it why
 * not. False: it is not. */
bool cv_bridges_wait_for_leaving(struct cv_bridges *bridges, const char *name,
				 const struct cv_prefix *block, uint32_t mtu,
				 const struct cv_bridges_waiter *waiter);

#endif
