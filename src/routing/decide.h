/* SPDX-License-Identifier: Apache-2.0 */
/* From resources and facts to what the kernel should have: the decisions, and nothing else. */
#ifndef CV_ROUTING_DECIDE_H
#define CV_ROUTING_DECIDE_H

#include "routing/formers.h"
#include "routing/intent.h"
#include "routing/learned.h"

struct cv_decide_input {
	struct cv_snapshot *snapshot;
	const struct cv_facts *facts;
	const char *node_name;
	const struct cv_detect *detect;
	struct cv_nl *nl;		  /* to ask whether nodes are on link */
	const char *pool_device;	  /* its name */
	const struct cv_formers *formers; /* addresses that nodes had; NULL: none */
	bool keep_device;		  /* keep the pool device though no pool encapsulates */
	const struct cv_intent *in_force; /* NULL: nothing yet */
	/* Devices of tunnels whose remote end is down; where PathConfiguration says so, routes that
	 * several Tunnels have do without them. */
	const int *dead;
	size_t dead_count;
	enum cv_programs programs;
	/* To BIRD, prefix by prefix: the agent makes routes to what is not among these, sorted. */
	bool is_handing_over;
	const struct cv_prefix *handed;
	size_t handed_count;
	const struct cv_learned *learned; /* by BIRD; NULL: nothing */
	/* Whether the tunnel of this name is a Tunnel resource's, not a person's: routes lead into
	 * no other. NULL: it is. */
	bool (*has_tunnel)(const char *name, void *data);
	void *data; /* for has_tunnel */
	/* The pool device's address, where the Node says none; 0: the first of our first block … */
	__be32 tunnel_address;
	bool is_address_assigned; /* … or none, until one is assigned */
	bool claims_blocks; /* nodes claim blocks when they need them: to own none is no fault */
};

/* 0 or -ENOMEM. cv_intent_fini frees. */
int cv_decide(const struct cv_decide_input *input, struct cv_intent *ret_intent);
void cv_intent_fini(struct cv_intent *intent);

/* The decision for an address: that of the longest claimed prefix it is in; NULL: nobody's. */
const struct cv_decision *cv_intent_decision(const struct cv_intent *intent, __be32 address);

/* The peer with this address, or of this name; NULL. */
const struct cv_peer_intent *cv_intent_peer(const struct cv_intent *intent, __be32 address);
const struct cv_peer_intent *cv_intent_peer_named(const struct cv_intent *intent, const char *name);

/*
 * The mtu of routes to a peer by the tunnel, in bytes: 0, the device's, where the way to it takes
 * no more than all others do, or somebody has said what the device's is to be.
 */
uint32_t cv_decide_route_mtu(const struct cv_facts *facts, const struct cv_intent *intent,
			     __be32 remote);

/* True if some prefix is reached like this. */
bool cv_intent_has_path(const struct cv_intent *intent, enum cv_path path);

#endif
