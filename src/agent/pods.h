/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods of this node: interfaces that the CNI plugin has made or is about to make, each with its
 * addresses, its route and its endpoint. An attachment is known by (network, container, interface),
 * and is on the disk before anything is made of it; so whatever is interrupted can be cleaned by a
 * later DEL, a GC, or by the agent itself.
 *
 *   ADD:  cni.add    note it (state "pending"), assign addresses ──► the plugin makes the device
 *         cni.attach route, state "attached"; a moment later the endpoint
 *   DEL:  cni.del    endpoint, route, device, addresses, note: in this order, each may be gone
 *
 * What is left over (no runtime of Debian's calls GC): an attachment whose network namespace or
 * host device is gone at two observations, CV_PODS_OBSERVE_S apart; a pending one that is as old as
 * CV_PODS_PENDING_S; all, after a restart of the machine; an address of this node, of a handle of
 * ours, without an attachment, at two observations; a tombstone, which a DEL without an agent has
 * left (model/tombstone.h).
 * For the main thread.
 */
#ifndef CV_AGENT_PODS_H
#define CV_AGENT_PODS_H

#include <net/if.h>
#include <jansson.h>

#include "agent/addresses.h"
#include "model/attachment.h"
#include "net/netlink.h"
#include "net/route_table.h"
#include "net/vector.h"
#include "tunnel/endpoint_set.h"

enum {
	CV_PODS_OBSERVE_S = 30,
	CV_PODS_PENDING_S = 300,
	CV_PODS_ENDPOINT_DELAY_MS = 1000, /* for chained plugins to bring their qdiscs */
	CV_PODS_ADDRESSES = 4,
	CV_PODS_METRIC = 64, /* of their routes; as routing/intent.h's CV_METRIC_NODE */
};

#define CV_PODS_GATEWAY "169.254.1.1" /* of routed pods */

struct cv_pods;

enum cv_pod_state {
	CV_POD_PENDING,
	CV_POD_ATTACHED,
	CV_POD_DELETING, /* its address could not be released yet */
};

struct cv_pod {
	char *network, *container, *interface; /* the key; of CNI's own lexical rules */
	char *netns;			       /* path */
	uint64_t netns_device, netns_inode; /* of the namespace, as the plugin saw it; 0: not yet */
	bool netns_seen;		    /* by this culvertd, too: path means the same to us */
	char *name, *name_space;	    /* of Kubernetes' pod; NULL */
	char device[IFNAMSIZ];		    /* host end */
	char mac[CV_ATTACHMENT_MAC_TEXT];   /* of the pod's end; "": not yet */
	char bridge[IFNAMSIZ];		    /* that it is attached to; "": routed */
	bool is_delegated;		    /* addresses are another plugin's */
	unsigned int count;
	struct cv_prefix addresses[CV_PODS_ADDRESSES]; /* /32; on a bridge, with its length */
	enum cv_endpoint_bypass bypass;
	enum cv_pod_state state;
	int64_t since; /* of its ADD, seconds since the epoch */
};

/* "pending", … */
const char *cv_pod_state_name(enum cv_pod_state state);

/* In IPAM (agent/pod_handle.h). */
void cv_pod_handle(const struct cv_pod *pod, char ret_handle[CV_IPAM_HANDLE_MAX]);

/* What pods need of the node agent. route: make this one now, or delete it (add false); one that is
 * as wanted already is no failure. */
struct cv_pods_ops {
	int (*route)(void *data, const struct cv_table_route *route, bool add,
		     struct cv_error *error);
	uint32_t (*mtu)(void *data); /* for pods, bytes */
	const char *(*node_name)(void *data);
	/* Whose an address is that can be no pod's here ("this host's"), or NULL. */
	const char *(*owner)(void *data, __be32 address);
	/* A bridge's own addresses have changed: what may be assigned has, too. */
	void (*changed)(void *data);
};

struct cv_pods_options {
	struct event_base *base;
	const char *run_dir; /* tombstones are in it; copied */
	struct cv_nl *nl;
	struct cv_addresses *addresses;
	struct cv_endpoint_set *endpoints;
	const struct cv_pods_ops *ops; /* not called before cv_pods_start */
	void *data;		       /* for ops */
};

/* Reads the attachments, and has their endpoints known. 0 or -errno. */
int cv_pods_create(const struct cv_pods_options *options, struct cv_pods **ret_pods,
		   struct cv_error *error);
/* Once ops may be called: tombstones, and what a restart of the machine has left. */
void cv_pods_start(struct cv_pods *pods);
void cv_pods_destroy(struct cv_pods *pods); /* Pods stay. NULL is fine. */

size_t cv_pods_count(const struct cv_pods *pods);
const struct cv_pod *cv_pods_at(const struct cv_pods *pods, size_t index);
const struct cv_pod *cv_pods_find(const struct cv_pods *pods, const char *network,
				  const char *container, const char *interface);

/* Their routes, /32 into their devices, to be among those that are wanted (routing/routes.h);
 * appended to an array of struct cv_table_route, in no order. 0 or -ENOMEM. */
int cv_pods_add_routes(const struct cv_pods *pods, struct cv_vector *routes);

/* ---- what the plugin asks for ------------------------------------------------------------ */

/* Called once, perhaps at once: rc and error, or a result that is the callee's. */
typedef void (*cv_pods_answer)(void *context, int rc, const struct cv_error *error, json_t *result);

/* All strings are the caller's, during the call; checked. */
struct cv_pods_key {
	const char *network, *container, *interface;
};

struct cv_pods_add {
	struct cv_pods_key key;
	const char *netns;
	const char *bridge; /* NULL: routed */
	bool is_delegated;
	unsigned int count; /* of addresses asked for; 0: any one */
	__be32 addresses[CV_PODS_ADDRESSES];
	const char *const *pools;
	size_t pool_count;
	const char *name, *name_space; /* NULL */
	enum cv_endpoint_bypass bypass;
};

/* -EBUSY: it is being deleted; -ENODATA: no address is free; -EADDRINUSE, -EADDRNOTAVAIL (of one
 * that is asked for), -ENOENT (no such pool); -EHOSTUNREACH: the store is away. */
void cv_pods_add(struct cv_pods *pods, const struct cv_pods_add *add, cv_pods_answer answer,
		 void *context);

struct cv_pods_attach {
	struct cv_pods_key key;
	const char *device;
	unsigned int count;
	struct cv_prefix addresses[CV_PODS_ADDRESSES];
	unsigned int gateway_count; /* delegated, on a bridge: of the bridge */
	struct cv_prefix gateways[CV_PODS_ADDRESSES];
	const char *mac; /* NULL: not told */
	uint64_t netns_device, netns_inode;
};

/* -ENOENT: there was no cni.add; -ENODEV; -EINVAL. */
void cv_pods_attach(struct cv_pods *pods, const struct cv_pods_attach *attach,
		    cv_pods_answer answer, void *context);

/* What is not there is no failure; nor is a store that is away: the address is released when it is
 * back. */
void cv_pods_delete(struct cv_pods *pods, const struct cv_pods_key *key, cv_pods_answer answer,
		    void *context);

/* The record, and "problems". -ENOENT. */
void cv_pods_check(struct cv_pods *pods, const struct cv_pods_key *key, cv_pods_answer answer,
		   void *context);

/* Delete all of a network but these. */
void cv_pods_gc(struct cv_pods *pods, const char *network, const struct cv_pods_key *valid,
		size_t count, cv_pods_answer answer, void *context);

/* ---- leftovers --------------------------------------------------------------------------- */

/* An observation: those that were missing at the last one, too, are deleted. */
void cv_pods_observe(struct cv_pods *pods);

/* The same for addresses that no attachment has, of what is assigned now. */
void cv_pods_observe_addresses(struct cv_pods *pods, const struct cv_ipam_view *view);

/* Pods whose addresses are not assigned to them, of what is assigned now, get them assigned again.
 */
void cv_pods_keep(struct cv_pods *pods, const struct cv_ipam_view *view);

/* True for an address of this node's pods that no attachment has. */
bool cv_pods_is_orphan(const struct cv_pods *pods, const struct cv_ipam_assignment *assignment);
bool cv_pods_has_handle(const struct cv_pods *pods, const char *handle);

/* The record of an attachment, for `pods` and CHECK. NULL without memory. */
json_t *cv_pods_to_json(const struct cv_pods *pods, size_t index);

/* Addresses of bridges, with their blocks' lengths, which are no holes though this host has them.
 * The caller frees *ret_addresses. 0 or -ENOMEM. */
int cv_pods_bridge_addresses(const struct cv_pods *pods, struct cv_prefix **ret_addresses,
			     size_t *ret_count);

#endif
