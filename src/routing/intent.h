/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this node's kernel should have, decided from resources and facts. Plain data: nothing here
 * asks or changes anything, so it can be printed, compared and tested.
 */
#ifndef CV_ROUTING_INTENT_H
#define CV_ROUTING_INTENT_H

#include "engine/engine.h"
#include "engine/owners.h"
#include "model/overlay.h"
#include "net/route_table.h"
#include "routing/facts.h"
#include "routing/self.h"

enum {
	/* Metrics of our routes: people's routes to the same prefix, of metric 0, come before them.
	 */
	CV_METRIC_NODE = 64,	 /* towards other nodes, and to workloads */
	CV_METRIC_BLOCK = 65000, /* blackhole: addresses of our blocks that nobody has */
	CV_METRIC_GUARD = 65001, /* unreachable: overlay addresses that no node has */
	CV_ROUTE_PROTOCOL = 84,	 /* unless deviceRouteProtocol says otherwise */
};

/* Who makes the kernel's routes to other nodes' prefixes: one of them, never both. */
enum cv_programs {
	CV_PROGRAMS_AGENT, /* from resources */
	CV_PROGRAMS_BIRD,  /* from what it learned by BGP */
};

/* How packets go to a prefix of a node. */
enum cv_path {
	CV_PATH_LOCAL, /* it is ours */
	CV_PATH_TUNNEL,
	CV_PATH_DIRECT,	  /* via the node, on a link of ours */
	CV_PATH_UNDERLAY, /* Never: the underlay's own routing */
	CV_PATH_NONE,	  /* cannot be: no address, no pool, … */
};

enum cv_path_reason {
	CV_REASON_LOCAL,	     /* this node's */
	CV_REASON_ALWAYS,	     /* ipipMode Always */
	CV_REASON_NEVER,	     /* ipipMode Never */
	CV_REASON_SAME_SUBNET,	     /* CrossSubnet, each prefix has the other, and it is on link */
	CV_REASON_OTHER_SUBNET,	     /* CrossSubnet, our prefix does not have it */
	CV_REASON_OTHER_SUBNET_BACK, /* CrossSubnet, its prefix does not have us */
	CV_REASON_NO_PREFIX,	     /* CrossSubnet, it or we have a /32 */
	CV_REASON_NOT_ON_LINK,	     /* CrossSubnet, the kernel routes to it by a gateway */
	CV_REASON_NO_NODE,	     /* there is no such Node */
	CV_REASON_NO_ADDRESS,	     /* the Node has no address */
	CV_REASON_NO_POOL,	     /* the prefix is in no pool */
	CV_REASON_NO_SELF,	     /* this node has no address */
	CV_REASON_IPIP_DISABLED,     /* FelixConfiguration ipipEnabled: false */
};

/* "tunnel"; "CrossSubnet, not in our subnet". */
const char *cv_path_name(enum cv_path path);
const char *cv_path_reason_text(enum cv_path_reason reason);

/* A warning, and what `apply` says next. */
extern const char cv_intent_ipip_off_text[];

/*
 * One claimed prefix and what is decided about it; sorted by prefix, as the claims are. A claim
 * whose resource is NULL was learned by BGP; of several next hops, each has one.
 */
struct cv_decision {
	struct cv_claim claim; /* pointers are the snapshot's */
	enum cv_path path;
	enum cv_path_reason reason;
};

/* One other node. */
struct cv_peer_intent {
	const struct cv_resource *node;
	__be32 address;
	uint8_t prefix_length;	   /* published */
	bool on_link;		   /* the kernel reaches it without a gateway */
	int oif;		   /* by this device; 0: no route */
	enum cv_path cross_subnet; /* what CrossSubnet means for it: TUNNEL or DIRECT */
	enum cv_path_reason cross_subnet_reason;
	uint32_t prefixes;		      /* that it owns */
	uint32_t tunnelled, direct, underlay; /* of these */
	enum cv_path_reason reason;	      /* of the decision about its first prefix */
};

/* The path of all its prefixes; "mixed": they are in pools that differ; "none": it owns none, or
 * none that is reached. */
const char *cv_peer_path_name(const struct cv_peer_intent *peer);

/* NAT: what the rules are made of. */
struct cv_nat_intent {
	bool wanted;
	struct cv_prefix *sources; /* of pools with natOutgoing, less holes */
	size_t source_count;
	struct cv_prefix *overlay; /* never translated as destinations */
	size_t overlay_count;
	struct cv_prefix
		*hosts; /* nodes and external nodes: excluded with IPPoolsAndHostIPs; else empty */
	size_t host_count;
	uint16_t port_first, port_last;
	__be32 address;	       /* natOutgoingAddress; 0: masquerade */
	char device[IFNAMSIZ]; /* pool device: local sources other than tunnel_address are
				  masqueraded on it */
	__be32 tunnel_address;
	__be32 outer_source; /* whose packets of protocol 4 are not tracked; 0: nobody's */
};

struct cv_intent {
	struct cv_snapshot *snapshot; /* a reference */
	struct cv_self self;
	struct cv_overlay overlay;
	struct cv_felix_configuration felix; /* in force here; pointers are the snapshot's */
	enum cv_programs programs;
	bool is_handing_over; /* to BIRD: our routes stay until its own are there */
	/* The pool device. */
	bool has_device;		     /* some pool encapsulates */
	__be32 tunnel_address;		     /* 0: none */
	bool tunnel_address_chosen;	     /* by us, of a block; not by the Node */
	__be32 others[CV_ENGINE_OTHERS_MAX]; /* of our addresses, where it receives, too */
	unsigned int other_count;
	uint32_t mtu;		       /* bytes */
	char mtu_how[96];	       /* "ipipMTU", "eth0's 1500 less 20" */
	uint32_t route_mtu_max;	       /* of routes' own mtus, bytes; 0: they have none */
	uint8_t protocol;	       /* of our routes */
	struct cv_table_route *routes; /* sorted by prefix, then metric; oif -1: the pool device */
	size_t route_count;
	struct cv_peer_intent *peers; /* sorted by address */
	size_t peer_count;
	struct cv_decision *decisions;
	size_t decision_count;
	struct cv_owners owners; /* for the engine: who may send from where */
	struct cv_nat_intent nat;
	struct cv_messages warnings;
	const char *no_block; /* of these: this node owns no block, and what to do; or NULL */
};

enum {
	CV_OIF_POOL_DEVICE = -1
};

#endif
