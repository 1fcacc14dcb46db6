/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: what each kind has, decoded and with its defaults. Immutable once made, and counted:
 * files, snapshots and decisions share them.
 *
 * Kinds of projectcalico.org/v3 have Calico's fields and defaults
 * (https://docs.tigera.io/calico/latest/reference/resources); what Calico has no word for is of
 * culvert/v1.
 */
#ifndef CV_MODEL_RESOURCE_H
#define CV_MODEL_RESOURCE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "net/prefix.h"
#include "path/config.h"
#include "tunnel/config.h"

enum cv_kind {
	CV_KIND_IP_POOL,
	CV_KIND_NODE,
	CV_KIND_BLOCK_AFFINITY,
	CV_KIND_IP_RESERVATION,
	CV_KIND_FELIX_CONFIGURATION,
	CV_KIND_TUNNEL,
	CV_KIND_WORKLOAD,
	CV_KIND_PATH_CONFIGURATION,
	CV_KIND_BGP_CONFIGURATION,
	CV_KIND_BGP_PEER,
	CV_KIND_BGP_FILTER,
	CV_KIND_IPAM_CONFIGURATION,
	CV_KIND_MAX
};

/* Where a resource, or what is said of it, stands. */
struct cv_origin {
	const char *file;	   /* as the caller named it; owned by the resource */
	unsigned int line, column; /* from 1; of its first line */
};

struct cv_label {
	char *name, *value; /* owned by the resource */
};

enum cv_ipip_mode {
	CV_IPIP_NEVER,
	CV_IPIP_ALWAYS,
	CV_IPIP_CROSS_SUBNET,
};

enum cv_allowed_use {
	CV_USE_WORKLOAD = 1 << 0,
	CV_USE_TUNNEL = 1 << 1,
	CV_USE_LOAD_BALANCER = 1 << 2,
};

struct cv_ip_pool {
	struct cv_prefix cidr;
	enum cv_ipip_mode ipip_mode; /* Never, as Calico's default */
	bool nat_outgoing;	     /* false */
	uint8_t block_size;	     /* 26; 20 … 32, and not shorter than the cidr */
	bool disabled;
	bool disable_bgp_export;
	bool manual;	       /* assignmentMode: Manual */
	uint32_t allowed_uses; /* set of enum cv_allowed_use; Workload and Tunnel */
	char *node_selector;   /* "all()"; parses (model/selector.h) */
};

struct cv_node {
	__be32 address;	       /* bgp.ipv4Address; 0: not given */
	uint8_t prefix_length; /* of address; 32 if it was given without one */
	bool has_prefix;       /* it was given with one */
	__be32 tunnel_address; /* bgp.ipv4IPIPTunnelAddr; 0: not given */
	uint32_t as_number;    /* bgp.asNumber; 0: not given */
	__be32 cluster_id;     /* bgp.routeReflectorClusterID; 0: it is no route reflector */
};

enum cv_affinity_state {
	CV_AFFINITY_CONFIRMED,
	CV_AFFINITY_PENDING,
	CV_AFFINITY_PENDING_DELETION,
};

struct cv_block_affinity {
	struct cv_prefix cidr;
	char *node;
	enum cv_affinity_state state; /* confirmed, where it is not given */
	bool deleted;
};

struct cv_ip_reservation {
	struct cv_prefix *cidrs; /* reservedCIDRs */
	size_t count;
};

enum cv_nat_exclusions {
	CV_NAT_EXCLUDE_POOLS,		/* IPPoolsOnly */
	CV_NAT_EXCLUDE_POOLS_AND_HOSTS, /* IPPoolsAndHostIPs */
};

/* "default", and "node.NAME", which wins field by field. */
struct cv_felix_configuration {
	bool has_ipip_enabled, ipip_enabled;
	uint32_t ipip_mtu;	 /* bytes; 0: not given, follow the underlay */
	char *mtu_iface_pattern; /* POSIX extended regular expression; NULL: not given */
	uint16_t nat_port_first, nat_port_last; /* 0, 0: not given */
	__be32 nat_outgoing_address;		/* 0: not given */
	bool has_nat_exclusions;
	enum cv_nat_exclusions nat_exclusions;
	struct cv_prefix *external_nodes; /* externalNodesList; addresses are /32 */
	size_t external_count;
	bool has_external_nodes;
	int device_route_protocol; /* 0: not given */
	/* Not acted on, but for a warning: BGPConfiguration says who programs. */
	bool has_program_cluster_routes, program_cluster_routes;
};

/* A permanent `culvert tunnel add`. */
struct cv_tunnel_resource {
	struct cv_tunnel_config config; /* named as the resource */
	char *node;			/* whose; NULL: every node's that has this store */
	bool up;			/* true; the device is set up */
	struct cv_prefix *addresses;	/* of the device */
	size_t address_count;
	struct cv_prefix *routes; /* into the device */
	size_t route_count;
};

/* "These addresses live on this node, behind this device." */
struct cv_workload {
	char *node;
	char device[IFNAMSIZ];	     /* "": not given: the node's own routing knows */
	struct cv_prefix *addresses; /* single ones are /32 */
	size_t count;
};

/* How paths to remote ends are probed, and what follows of it; "default" alone. */
struct cv_path_configuration {
	struct cv_prober_config prober;
	uint16_t mss_clamp;	  /* of the pool device; CV_TCP_MSS_AUTO (wire/tcp.h) */
	bool skip_dead_next_hops; /* Disabled */
};

/* What holds where there is no such resource. */
void cv_path_configuration_init(struct cv_path_configuration *ret_path);

/* How nodes come by blocks; "default" alone. */
struct cv_ipam_configuration {
	bool strict_affinity;	   /* false: addresses of other nodes' blocks are borrowed */
	bool auto_allocate_blocks; /* true: blocks are claimed on demand, where there is etcd */
	uint32_t max_blocks;	   /* maxBlocksPerHost; 0: no limit */
};

/* What holds where there is no such resource. */
void cv_ipam_configuration_init(struct cv_ipam_configuration *ret_ipam);

/* ---- BGP (https://docs.tigera.io/calico/latest/reference/resources/bgpconfig, bgppeer, bgpfilter)
 */

/* secretKeyRef: the file <config>/secrets/NAME/KEY, as Kubernetes mounts a secret. */
struct cv_bgp_secret {
	char *name, *key; /* both NULL: not given */
};

enum cv_bgp_bind_mode {
	CV_BGP_BIND_NONE,    /* at all addresses */
	CV_BGP_BIND_NODE_IP, /* at the node's own */
};

/* "default", and "node.NAME", which wins field by field; has_*, or NULL or 0: what is given. */
struct cv_bgp_configuration {
	uint32_t as_number;   /* 0: not given; 64512 */
	bool has_mesh, mesh;  /* nodeToNodeMeshEnabled; true */
	uint16_t listen_port; /* 0: not given; 179 */
	bool has_bind_mode;
	enum cv_bgp_bind_mode bind_mode; /* None */
	struct cv_bgp_secret mesh_password;
	bool has_mesh_restart_time;
	uint32_t mesh_restart_time_s; /* 120 */
	bool has_program_cluster_routes;
	bool program_cluster_routes; /* Enabled: BIRD programs routes to nodes, the agent does not
				      */
	char **ignored_interfaces;   /* patterns with *, as Calico's */
	size_t ignored_interface_count;
};

enum cv_bgp_next_hop_mode {
	CV_BGP_NEXT_HOP_AUTO, /* ourselves towards another AS, else as it came */
	CV_BGP_NEXT_HOP_SELF,
	CV_BGP_NEXT_HOP_KEEP,
};

struct cv_bgp_peer {
	char *node;		  /* whose peer it is; NULL: see node_selector */
	char *node_selector;	  /* NULL, without node: all nodes */
	__be32 address;		  /* peerIP; 0: peer_selector says who */
	uint16_t port;		  /* of peerIP; 0: not given (a node's listenPort, else 179) */
	char *peer_selector;	  /* among Nodes; NULL */
	uint32_t as_number;	  /* 0: not given; a selected node's own */
	uint32_t local_as_number; /* 0: not given; the node's own */
	struct cv_bgp_secret password;
	bool use_node_ip; /* sourceAddress UseNodeIP (default), not None */
	enum cv_bgp_next_hop_mode next_hop_mode;
	bool has_restart_time;
	uint32_t restart_time_s;
	uint32_t keepalive_s;	  /* 0: not given; the hold time is three times it */
	uint8_t ttl_security;	  /* hops; 0: none */
	uint8_t allowed_local_as; /* numAllowedLocalASNumbers */
	__be32 reachable_by;	  /* gateway towards peerIP; 0: not given */
	char **filters;		  /* names of BGPFilters, in their order */
	size_t filter_count;
};

enum cv_bgp_match {
	CV_BGP_MATCH_ANY, /* no cidr is given */
	CV_BGP_MATCH_EQUAL,
	CV_BGP_MATCH_NOT_EQUAL,
	CV_BGP_MATCH_IN,
	CV_BGP_MATCH_NOT_IN,
};

/* A rule matches where all that it has does; the first that matches decides. */
struct cv_bgp_filter_rule {
	enum cv_bgp_match match;
	struct cv_prefix cidr;
	/* prefixLength: cidr.length ≤ min ≤ max ≤ 32. IN: within cidr and of such a length; NOT_IN:
	 * all others. Not of EQUAL and NOT_EQUAL. */
	uint8_t length_min, length_max;
	bool has_lengths;
	bool remote_peers;	  /* source RemotePeers: learned by BGP, not this node's own */
	char interface[IFNAMSIZ]; /* "": not given; may have * for any characters, anywhere */
	bool accept;
};

struct cv_bgp_filter {
	struct cv_bgp_filter_rule *export_rules, *import_rules; /* exportV4, importV4 */
	size_t export_count, import_count;
};

enum {
	CV_BGP_AS_DEFAULT = 64512,
	CV_BGP_PORT = 179,
	CV_BGP_RESTART_TIME_S = 120,
};

enum {
	CV_RESOURCE_DIGEST = 32
};

struct cv_resource {
	enum cv_kind kind;
	unsigned int references;
	char *name;
	char *text; /* canonical: compact JSON, keys in the schema's order, without what only a
		       server writes (uid, managedFields …); what `get`, `diff` and the digest show
		     */
	struct cv_origin origin;
	struct cv_label *labels; /* sorted by name */
	size_t label_count;
	bool has_digest; /* for snapshots: they make it when they first need it */
	uint8_t digest[CV_RESOURCE_DIGEST]; /* SHA-256 of kind, name and text */
	union {
		struct cv_ip_pool pool;
		struct cv_node node;
		struct cv_block_affinity affinity;
		struct cv_ip_reservation reservation;
		struct cv_felix_configuration *felix; /* owned */
		struct cv_tunnel_resource *tunnel;    /* owned */
		struct cv_workload workload;
		struct cv_path_configuration path;
		struct cv_ipam_configuration ipam;
		struct cv_bgp_configuration *bgp_configuration; /* owned */
		struct cv_bgp_peer *bgp_peer;			/* owned */
		struct cv_bgp_filter bgp_filter;
	};
};

/* Take a part of the ownership, and give it back; the last one frees. NULL is fine. */
struct cv_resource *cv_resource_get(struct cv_resource *resource);
void cv_resource_put(struct cv_resource *resource);

/* "IPPool", "Node", …, as manifests have it; "projectcalico.org/v3" or "culvert/v1". */
const char *cv_kind_name(enum cv_kind kind);
const char *cv_kind_api_version(enum cv_kind kind);

/* "CrossSubnet", as manifests have it; NULL: there is no such mode. */
const char *cv_ipip_mode_name(unsigned int mode);

/*
 * What people type: any case, plural, short forms ("ippools", "pool", "no", "felixconfig"). 0 or
 * -EINVAL with what was probably meant.
 */
int cv_kind_parse(const char *word, enum cv_kind *ret_kind, struct cv_error *error);

/* As strcmp: by kind, then by name. */
int cv_resource_compare(const struct cv_resource *a, const struct cv_resource *b);

/* A Node's label, or NULL. */
const char *cv_resource_label(const struct cv_resource *resource, const char *name);

#endif
