/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BIRD is to do on this node: with whom it speaks, what it announces, what it takes, and
 * which way what it learned goes. Decided from resources and cv_intent; plain data, from which
 * bird_config.h makes BIRD's configuration and bgp_policy.h the words about single routes.
 */
#ifndef CV_ROUTING_BGP_H
#define CV_ROUTING_BGP_H

#include <string.h>

#include "routing/intent.h"

enum {
	CV_BGP_SESSION_NAME_MAX = 64, /* BIRD's SYM_MAX_LEN, with the NUL */
	CV_BGP_PASSWORD_MAX = 80,     /* TCP_MD5SIG_MAXKEYLEN */
	CV_BGP_HOLD_TIME_S = 90,      /* RFC 4271, 10 */
	/* What one peer may announce before its session is shut (it is tried again later). */
	CV_BGP_ROUTES_MAX = 100000,
	/* Of the kernel routes of a BIRD of ours. Not its default (32): a BIRD takes all routes of
	 * its metric for its own, and deletes what it does not know. An operator may run another.
	 */
	CV_BGP_METRIC = 31,
};

#define CV_BGP_PREFIX "culvert_" /* of all names of ours in BIRD's configuration */
#define CV_BIRD_KERNEL \
	"culvert_kernel4" /* the protocol that writes the kernel's routes, of a BIRD of ours */

struct cv_bgp_session {
	/* BIRD's protocol: culvert_mesh_192_168_200_2, culvert_peer_NAME_192_168_200_2 (of a
	 * BGPPeer's name, what BIRD does not take made _). Stable; unique. */
	char name[CV_BGP_SESSION_NAME_MAX];
	const struct cv_resource *peer; /* BGPPeer; NULL: of the mesh */
	const struct cv_resource *node; /* the Node at the other end; NULL: a router that is none */
	__be32 address;
	uint16_t port;
	uint32_t as_number, local_as_number;
	__be32 source;	       /* ours; 0: the kernel's choice */
	char *password;	       /* owned; NULL: none. Never printed but into BIRD's configuration */
	bool password_missing; /* one is asked for and cannot be read: the session is not made */
	uint32_t restart_time_s; /* graceful restart */
	uint32_t keepalive_s;	 /* hold time: three times it */
	uint8_t ttl_security;	 /* hops; 0: none */
	uint8_t allowed_local_as;
	__be32 reachable_by;
	enum cv_bgp_next_hop_mode next_hop_mode;
	bool is_client;			    /* of ours, a route reflector's */
	const struct cv_resource **filters; /* BGPFilter; owned array */
	size_t filter_count;
};

/* A session of ours, by BIRD's name of it. An external BIRD has its operator's, too. */
static inline bool cv_bgp_is_ours(const char *name)
{
	return !strncmp(name, CV_BGP_PREFIX, sizeof(CV_BGP_PREFIX) - 1);
}

/* A prefix of ours that is announced. */
struct cv_bgp_export {
	struct cv_prefix prefix;
	const struct cv_resource *resource; /* BlockAffinity, Workload, or Node (tunnel address) */
};

struct cv_bgp_pool {
	const struct cv_resource *pool;
	struct cv_prefix cidr;
	uint8_t block_size;
	/* To Nodes at those addresses: what ipipMode says. CrossSubnet: each node's own decision
	 * (cv_bgp_node.cross_subnet). */
	enum cv_ipip_mode mode;
};

/* A Node other than this one, sorted by address. */
struct cv_bgp_node {
	const struct cv_resource *node;
	__be32 address;
	enum cv_path cross_subnet; /* TUNNEL or DIRECT */
	bool on_link;		   /* on one of the links below, and the kernel says so */
	uint32_t mtu;		   /* of routes to it through the tunnel, bytes; 0: the device's */
};

/*
 * What is declared, ours or another node's: a block (BlockAffinity, confirmed, in a pool), and of
 * ours what Workloads have, and tunnel addresses. Sorted by prefix.
 */
struct cv_bgp_block {
	struct cv_prefix prefix;
	const struct cv_resource *node; /* NULL: a Node that there is not */
	bool is_ours;
	/* A Workload's of ours, or a node's tunnel address: it is nobody else's, and says nothing
	 * of what is around it. */
	bool is_workload;
};

/* A connected network of this host, on which next hops are. */
struct cv_bgp_link {
	struct cv_prefix prefix;
	char device[IFNAMSIZ];
};

struct cv_bgp_intent {
	bool wanted; /* there is a BGPConfiguration "default", and this node has an address */
	enum cv_programs programs;	 /* AGENT where it is not wanted */
	char problem[CV_ERROR_TEXT_MAX]; /* why it is not, though there is a BGPConfiguration; "" */
	struct cv_snapshot *snapshot;	 /* a reference: pointers above and below are its */
	__be32 router_id, local;	 /* this node's address */
	char node_name[64];
	uint32_t as_number;
	uint16_t listen_port;
	bool listen_at_local;	    /* bindMode NodeIP */
	__be32 cluster_id;	    /* 0: no route reflector */
	char pool_device[IFNAMSIZ]; /* "": no pool encapsulates (or ipipEnabled is false) */
	bool tunnel_forbidden;	    /* ipipEnabled: false: what would go by tunnel is not routed */
	char **ignored_interfaces;  /* the snapshot's */
	size_t ignored_interface_count;
	struct cv_bgp_session *sessions; /* sorted by name */
	size_t session_count;
	struct cv_bgp_export *exports; /* sorted by prefix */
	size_t export_count;
	struct cv_bgp_pool *pools; /* sorted by cidr */
	size_t pool_count;
	struct cv_bgp_node *nodes;
	size_t node_count;
	struct cv_bgp_block *blocks; /* sorted by prefix */
	size_t block_count;
	const struct cv_resource *self; /* this node's; NULL: there is none */
	/* Never taken: whatever covers one of these addresses (all Nodes', ours, external nodes'
	 * and gateways'); what lies in, is, or covers one of these prefixes, inside of pools
	 * (overlay.h's holes but reservations and what is in hosts), and outside of them (all that
	 * Nodes publish and this host is connected to). Sorted. */
	__be32 *hosts;
	size_t host_count;
	struct cv_prefix *holes, *underlay;
	size_t hole_count, underlay_count;
	struct cv_bgp_link *links; /* not of our devices, nor pods' own bridges; sorted */
	size_t link_count;
	struct cv_messages warnings;
};

struct cv_bgp_input {
	const struct cv_intent *intent; /* what cv_decide has made */
	const struct cv_facts *facts;
	const char *pool_device; /* its name */
	/*
	 * Read a secret's file. 0 and text that the caller frees, or -errno and why in error (which
	 * never has any of the contents).
	 */
	int (*read_secret)(const struct cv_bgp_secret *secret, void *data, char **ret_text,
			   struct cv_error *error);
	void *data;
};

/* 0 or -ENOMEM. cv_bgp_intent_fini frees. */
int cv_bgp_decide(const struct cv_bgp_input *input, struct cv_bgp_intent *ret_bgp);
void cv_bgp_intent_fini(struct cv_bgp_intent *bgp); /* zeroed is fine */

/* Who programs, by the resources alone. */
enum cv_programs cv_bgp_programs(const struct cv_snapshot *snapshot, const char *node_name);

/* "agent", "BIRD". */
const char *cv_programs_name(enum cv_programs programs);

const struct cv_bgp_node *cv_bgp_node_at(const struct cv_bgp_intent *bgp, __be32 address);
const struct cv_bgp_session *cv_bgp_session_named(const struct cv_bgp_intent *bgp,
						  const char *name);

#endif
