/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node agent: from the store's resources and the kernel's facts to devices, routes and NAT,
 * and kept that way.
 *
 * For the main thread. Every change, of the store or of the kernel, ends in the same reconcile():
 * facts, decisions, then what differs is made so.
 */
#ifndef CV_AGENT_NODE_H
#define CV_AGENT_NODE_H

#include "agent/bgp.h"
#include "agent/node_ipam.h"
#include "engine/engine.h"
#include "net/netlink.h"
#include "routing/decide.h"
#include "routing/routes.h"
#include "store/store.h"
#include "tunnel/set.h"

#define CV_NODE_POOL_DEVICE "culvert0" /* the default of --pool-device */

enum {
	CV_NODE_NAME_MAX = 64 /* with its NUL */
};

struct cv_node_agent;

struct cv_node_options {
	const char *run_dir;	       /* absolute; copied */
	const char *config_dir;	       /* absolute; copied */
	const char *name;	       /* of the node; NULL: the host's */
	const char *detect;	       /* how to find its address; NULL: first-found */
	const char *pool_device;       /* NULL: CV_NODE_POOL_DEVICE */
	struct cv_nl *nl;	       /* the caller's; outlives the agent */
	struct cv_tunnel_set *tunnels; /* the caller's; outlives the agent */
	struct cv_engine *engine;      /* knows the paths, and is told how to probe; as those */
	bool no_probing;	       /* by it, whatever resources say */
	struct event_base *base;       /* the caller's; outlives the agent */
	enum cv_bgp_mode bgp;
	/* The caller's; pods outlive the agent, addresses are destroyed before it. NULL: there are
	 * none. */
	struct cv_addresses *addresses;
	const struct cv_pods *pods;
	const char *bird, *bird_socket;		     /* agent/bgp.h */
	const struct cv_datastore_config *datastore; /* NULL, or no etcd: config_dir's files */
};

/* What the last reconcile came to, for status and metrics. */
struct cv_node_report {
	uint64_t reconciles; /* since the start */
	uint64_t errors;     /* of these, with a problem */
	int64_t last_us;     /* how long the last one took, and the longest */
	int64_t longest_us;
	size_t routes_failed; /* of the last */
	char route_failure[256];
	uint64_t routes_repaired;		/* since the start */
	char device_problem[CV_ERROR_TEXT_MAX]; /* of the pool device, or a Tunnel; "" */
	char nat_problem[CV_ERROR_TEXT_MAX];
	bool nat_in_force;
};

/* 0 or -errno. The caller owns *ret_node. Broken resources are no failure. */
int cv_node_create(const struct cv_node_options *options, struct cv_node_agent **ret_node,
		   struct cv_error *error);

/* Everything that was made stays. NULL is fine. */
void cv_node_destroy(struct cv_node_agent *node);

/* Readable when the store may have changed: then, a moment later, cv_node_store_changed. */
int cv_node_fd(const struct cv_node_agent *node);
void cv_node_store_changed(struct cv_node_agent *node);

/* The engine knows something new of the paths to remote ends (cv_engine_paths_fd). */
void cv_node_paths_changed(struct cv_node_agent *node);

/* The kernel has changed, or may have: look and mend. */
void cv_node_refresh(struct cv_node_agent *node);

/* Every now and then: what no notice tells of (NAT, a store whose notices were lost). */
void cv_node_look(struct cv_node_agent *node);

/* Resources have changed by a command: decide and act, now. */
void cv_node_reconcile(struct cv_node_agent *node);

struct cv_store *cv_node_store(const struct cv_node_agent *node);

/* What is in force. Never NULL; valid until the next change. */
const struct cv_intent *cv_node_intent(const struct cv_node_agent *node);
const struct cv_facts *cv_node_facts(const struct cv_node_agent *node);
const struct cv_node_report *cv_node_report(const struct cv_node_agent *node);

/* Make a pod's route now, or delete it: it is then also wanted, or not, of the next decision
 * (routing/routes.h). 0 or -errno. */
int cv_node_route(struct cv_node_agent *node, const struct cv_table_route *route, bool add,
		  struct cv_error *error);

/* Decide again, once the loop is free. */
void cv_node_decide_again(struct cv_node_agent *node);

/* What the addresses know of the node; NULL: there are none. */
const struct cv_node_ipam *cv_node_ipam(const struct cv_node_agent *node);

/* What there is of BGP. Never NULL. */
struct cv_bgp_agent *cv_node_bgp(const struct cv_node_agent *node);

/* Why no probes are sent, for people; NULL: they are. */
const char *cv_node_not_probing(const struct cv_node_agent *node);

/*
 * What this node's address would be without its Node resource, by the method of --detect. 0 or
 * -ENOMEM.
 */
int cv_node_detect(const struct cv_node_agent *node, struct cv_self *ret_self);

/* The name of the pool device, and whether it is there (its index, or 0). */
const char *cv_node_pool_device(const struct cv_node_agent *node);
int cv_node_pool_ifindex(const struct cv_node_agent *node);

/* What an agent of this run directory has left in the kernel: routes and NAT. For --purge. 0 or
 * -errno with error. tell: called with a line for each. */
int cv_node_purge(const char *run_dir, struct cv_nl *nl, void (*tell)(const char *text),
		  struct cv_error *error);

#endif
