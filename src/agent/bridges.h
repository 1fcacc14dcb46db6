/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bridges that pods of this node are attached to ("mode": "bridge"): the device, and in each block
 * that a pod has an address of, the bridge's own address, which is those pods' gateway.
 *
 * A bridge that is not there is made, with the alias CV_BRIDGES_ALIAS; one that somebody else made
 * is used. None is deleted: pods may be on it that we do not know. What we gave it is on the disk
 * ("bridge/NAME"), and in address management under a handle of its own: the gateway, and the first
 * and the last address of the block, which on a link are the network and broadcast address. They
 * are given back when no pod of that bridge was in the block at two observations.
 * For the main thread.
 */
#ifndef CV_AGENT_BRIDGES_H
#define CV_AGENT_BRIDGES_H

#include "agent/addresses.h"
#include "net/netlink.h"
#include "net/prefix.h"
#include "net/vector.h"

#define CV_BRIDGES_ALIAS "culvert"

struct cv_bridges;

struct cv_bridges_options {
	struct cv_nl *nl;
	struct cv_addresses *addresses;
	const char *(*node_name)(void *data);
	void (*changed)(void *data); /* addresses of bridges have */
	/* Whether a pod is on this bridge that has an address of this block, or may get one. */
	bool (*is_used)(void *data, const char *bridge, const struct cv_prefix *block);
	void *data;
};

/* Reads what there is of earlier daemons. 0 or -errno. */
int cv_bridges_create(const struct cv_bridges_options *options, struct cv_bridges **ret_bridges,
		      struct cv_error *error);
void cv_bridges_destroy(struct cv_bridges *bridges); /* Devices stay. NULL is fine. */

/* See that the device is there, and set up, with its addresses. mtu: of a new one. 0; -EEXIST: the
 * name is another sort of device's; -errno. */
int cv_bridges_ensure(struct cv_bridges *bridges, const char *name, uint32_t mtu,
		      struct cv_error *error);

typedef void (*cv_bridges_done)(void *context, int rc, const struct cv_error *error);

/*
 * The same, and that it has an address in this block. Afterwards cv_bridges_gateway has it. An
 * error of cv_bridges_ensure, of address management; -EADDRINUSE: a pod of a routed network has the
 * last address of the block.
 */
void cv_bridges_prepare(struct cv_bridges *bridges, const char *name, const struct cv_prefix *block,
			uint32_t mtu, cv_bridges_done done, void *context);

/* An observation: give back what the bridges have in blocks where no pod was at the last one
 * either, and go on with what could not be given back then. */
void cv_bridges_observe(struct cv_bridges *bridges);

/* In the block; 0: none. */
__be32 cv_bridges_gateway(const struct cv_bridges *bridges, const char *name,
			  const struct cv_prefix *block);

/* Give it an address that another address management has chosen. */
int cv_bridges_give(struct cv_bridges *bridges, const char *name, const struct cv_prefix *address,
		    struct cv_error *error);

/* All that they have of us; of one alone, where name is not NULL. Appended to struct cv_prefix. 0
 * or -ENOMEM. */
int cv_bridges_addresses(const struct cv_bridges *bridges, const char *name,
			 struct cv_vector *addresses);

/* The first or last of its block, which no pod on a bridge can have. */
bool cv_bridges_is_edge(const struct cv_prefix *block, __be32 address);

#endif
