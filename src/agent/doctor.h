/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `culvert doctor`: examines the host and says what is wrong, what that does to the overlay, and
 * which command mends it. Changes nothing.
 */
#ifndef CV_AGENT_DOCTOR_H
#define CV_AGENT_DOCTOR_H

#include "agent/bgp_look.h"
#include "agent/finding.h"
#include "agent/node.h"
#include "agent/paths.h"
#include "engine/engine.h"
#include "fastpath/fastpath.h"
#include "tunnel/set.h"

/* How the kernel sends to a peer. */
struct cv_doctor_way {
	int oif;      /* 0: it has no route */
	uint32_t mtu; /* the route's, in bytes */
};

struct cv_pods_look; /* agent/pods_look.h */

/* What is looked at; all the caller's. Pointers that may be NULL make their checks say less. */
struct cv_doctor_input {
	struct cv_nl *nl;	       /* or NULL */
	struct cv_engine *engine;      /* or NULL */
	struct cv_tunnel_set *tunnels; /* or NULL */
	struct cv_fastpath *fastpath;  /* NULL: there is none … */
	const char *no_fastpath;       /* … and why; NULL: it is on */
	const struct cv_intent *intent;
	const struct cv_facts *facts;
	const struct cv_node_report *report;
	const char *store_problem; /* NULL: none */
	const struct cv_messages *store_warnings;
	const char *pool_device;	 /* its name */
	int pool_ifindex;		 /* 0: there is none */
	const struct cv_paths *paths;	 /* to remote ends; NULL: nobody asked */
	const char *not_probing;	 /* why they are not probed; NULL: they are */
	const struct cv_bgp_look *bgp;	 /* NULL: nobody asked */
	const char *config_dir;		 /* where secrets are; NULL: not to be looked at */
	const struct cv_pods_look *pods; /* NULL: nobody asked */
	/* What cv_doctor_examine asks for itself, once for all checks. */
	const struct cv_doctor_way *ways; /* to the intent's peers; NULL: nobody asked */
	json_t *ruleset;		  /* of nftables, as listed; NULL: it cannot be … */
	int ruleset_error;		  /* … and why: -errno; 0: nobody asked */
};

/* The device that the kernel sends by to peer i of the intent; 0: it has no route. */
int cv_doctor_peer_oif(const struct cv_doctor_input *input, size_t i);

/* Fill in what the node agent knows; engine, tunnels and fast path are left as they are. */
void cv_doctor_input_of(struct cv_doctor_input *input, struct cv_node_agent *node,
			struct cv_nl *nl);

/* All checks. The caller owns the list of findings (protocol.md, "Doctor"); NULL without memory. */
json_t *cv_doctor_examine(const struct cv_doctor_input *input);

#endif
