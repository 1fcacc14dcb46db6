/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of this host, as far as decisions need it; asked once for all of them. */
#ifndef CV_ROUTING_FACTS_H
#define CV_ROUTING_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "net/link.h"
#include "net/netlink.h"
#include "net/prefix.h"

struct cv_fact_interface {
	int index;
	char name[IFNAMSIZ];
	char kind[CV_LINK_KIND_MAX];
	uint32_t mtu;
	uint32_t flags; /* IFF_* */
	bool is_ours;	/* a tunnel's device */
};

struct cv_fact_address {
	int ifindex;
	struct cv_prefix address; /* the address itself, with the length of its network */
	const struct cv_fact_interface *interface;
};

/* What the kernel's route to another node takes, bytes of outer packets. */
struct cv_fact_path {
	__be32 remote;
	uint32_t link_mtu;
};

struct cv_facts {
	struct cv_fact_interface *interfaces; /* in the kernel's order: by index */
	size_t interface_count;
	struct cv_fact_address *addresses; /* in the kernel's order */
	size_t address_count;
	__be32 *gateways; /* of the main table's routes, but ours and our BIRD's, each once */
	size_t gateway_count;
	/* Of the ways to whom the pool device sends: the smallest MTU (0: nothing is known), and
	 * those that are larger, sorted by remote (as a number). */
	uint32_t link_mtu;
	struct cv_fact_path *wider;
	size_t wider_count;
	bool mtu_by_hand; /* somebody has set the pool device's MTU */
};

/*
 * Ask the kernel. is_ours: whether a device is one of our tunnels'; protocol: of our routes, whose
 * gateways are left out, as are those of a BIRD of ours. 0 or -errno. cv_facts_fini frees.
 */
int cv_facts_read(struct cv_nl *nl, bool (*is_ours)(int ifindex, void *data), void *data,
		  uint8_t protocol, struct cv_facts *ret_facts);
void cv_facts_fini(struct cv_facts *facts);

/*
 * Add what is known of the ways of the pool device's packets, in any order; an MTU of 0 is no way.
 * 1; 0: it is what the facts have already; -ENOMEM.
 */
int cv_facts_set_paths(struct cv_facts *facts, const struct cv_fact_path *paths, size_t count);

/* The MTU of the way to a node if it is larger than the smallest, else 0. */
uint32_t cv_facts_wider(const struct cv_facts *facts, __be32 remote);

const struct cv_fact_interface *cv_facts_interface(const struct cv_facts *facts, int index);
const struct cv_fact_interface *cv_facts_interface_named(const struct cv_facts *facts,
							 const char *name);

/* The interface address that is exactly this one, or NULL. */
const struct cv_fact_address *cv_facts_address(const struct cv_facts *facts, __be32 address);

#endif
