/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot: all resources of a store at one moment, checked against each other. Immutable.
 *
 * Errors (nothing is taken):
 * - the same kind and name twice;
 * - pools that overlap;
 * - an address that two nodes have, as bgp.ipv4Address or as ipv4IPIPTunnelAddr, or one node as
 *   both;
 * - a tunnel address that another node owns by a Workload;
 * - a prefix that two nodes own, also a part of it: only a single address (/32) of a Workload may
 *   lie within what another node owns, as an address that was borrowed;
 * - a prefix that two Workloads have;
 * - two Tunnels of one node with the same remote and local;
 * - two BGPPeers by which one node has a session with the same address and port;
 * - a BlockAffinity that is smaller than its pool's blockSize, or larger than the pool; it may be
 *   larger than one block: a whole pod CIDR.
 *
 * Warnings: a block, a Workload or a tunnel address in no pool; a block, a Workload or a Tunnel of
 * a node that there is not; a node's address within a block; a node's address without a prefix
 * where CrossSubnet would need it; one prefix in two BlockAffinities of a node; a tunnel address
 * that is borrowed from another node's block; of BGP: no BGPConfiguration "default" for BGPPeers
 * and BGPFilters; a BGPFilter or a Node that is named and is not there; a selector that selects no
 * Node; a peer whose AS nobody knows, or that is the node itself; a route reflector, or all nodes,
 * that nobody speaks with; a large mesh; a FelixConfiguration that says otherwise who programs.
 */
#ifndef CV_MODEL_SNAPSHOT_H
#define CV_MODEL_SNAPSHOT_H

#include "model/manifest.h"
#include "model/resource.h"

enum {
	CV_SNAPSHOT_DIGEST_MAX = 65 /* SHA-256 in hexadecimal */
};

struct cv_snapshot {
	unsigned int references;
	struct cv_resource **resources; /* sorted by cv_resource_compare; a reference each */
	size_t count;
	size_t first[CV_KIND_MAX + 1];	    /* of each kind, in resources */
	struct cv_resource **pools_by_cidr; /* sorted by cidr; not counted */
	struct cv_claim *claims;	    /* what cv_snapshot_claims hands out */
	size_t claim_count;
	struct cv_messages warnings;
	char *digest; /* CV_SNAPSHOT_DIGEST_MAX; "": not asked for yet. By cv_snapshot_digest */
};

/*
 * Make a snapshot of count resources, in any order; takes references of its own. 0, or -EINVAL,
 * -EEXIST (twice) with both places in error, or -ENOMEM. cv_snapshot_put.
 */
int cv_snapshot_create(struct cv_resource *const *resources, size_t count,
		       struct cv_snapshot **ret_snapshot, struct cv_error *error);
/*
 * The same of resources that may contradict each other: to find one among them, when they are to be
 * mended. 0 or -ENOMEM.
 */
int cv_snapshot_create_unchecked(struct cv_resource *const *resources, size_t count,
				 struct cv_snapshot **ret_snapshot);
struct cv_snapshot *cv_snapshot_get(struct cv_snapshot *snapshot);
void cv_snapshot_put(struct cv_snapshot *snapshot);

/*
 * SHA-256, in hexadecimal, of the resources' digests in their order: two stores with the same have
 * the same resources. Made when it is first asked for: a change need not wait for it.
 */
const char *cv_snapshot_digest(const struct cv_snapshot *snapshot);

/*
 * Whether one may become the other: what Calico calls immutable (a pool's cidr, its blockSize while
 * it has blocks) stays. 0 or -EINVAL.
 */
int cv_snapshot_check_change(const struct cv_snapshot *before, const struct cv_snapshot *after,
			     struct cv_error *error);

/* NULL: there is none. */
struct cv_resource *cv_snapshot_find(const struct cv_snapshot *snapshot, enum cv_kind kind,
				     const char *name);

/* The resources of a kind: *ret_count of them, sorted by name. */
struct cv_resource *const *cv_snapshot_kind(const struct cv_snapshot *snapshot, enum cv_kind kind,
					    size_t *ret_count);

/* The pool that an address, or a whole prefix, is in; NULL: none. */
const struct cv_resource *cv_snapshot_pool_of(const struct cv_snapshot *snapshot, __be32 address);
const struct cv_resource *cv_snapshot_pool_of_prefix(const struct cv_snapshot *snapshot,
						     const struct cv_prefix *prefix);

/* PathConfiguration "default", or what holds without it. */
void cv_snapshot_path(const struct cv_snapshot *snapshot, struct cv_path_configuration *ret_path);

/* IPAMConfiguration "default", or what holds without it. */
void cv_snapshot_ipam(const struct cv_snapshot *snapshot, struct cv_ipam_configuration *ret_ipam);

/* FelixConfiguration "default" with "node.NAME" over it. Pointers in it are the snapshot's. */
void cv_snapshot_felix(const struct cv_snapshot *snapshot, const char *node,
		       struct cv_felix_configuration *ret_felix);

/*
 * BGPConfiguration "default" with "node.NAME" over it and Calico's defaults where neither says
 * anything. Pointers in it are the snapshot's. False: there is no "default", so no BGP; *ret_bgp
 * then has the defaults.
 */
bool cv_snapshot_bgp(const struct cv_snapshot *snapshot, const char *node,
		     struct cv_bgp_configuration *ret_bgp);

/*
 * Who owns what, for one pass over all of it: confirmed affinities and workloads, sorted by prefix,
 * an affinity before the Workloads with the same prefix.
 */
struct cv_claim {
	struct cv_prefix prefix;
	const struct cv_resource *resource; /* BlockAffinity or Workload */
	const struct cv_resource *node;	    /* NULL: there is no such Node */
	const struct cv_resource *pool;	    /* NULL: in none */
};

/* The caller frees *ret_claims. 0 or -ENOMEM. */
int cv_snapshot_claims(const struct cv_snapshot *snapshot, struct cv_claim **ret_claims,
		       size_t *ret_count);

/* The smallest claim that all of a prefix is in, and the smallest that is a block. NULL: none. */
const struct cv_claim *cv_snapshot_claim_of(const struct cv_snapshot *snapshot,
					    const struct cv_prefix *prefix);
const struct cv_claim *cv_snapshot_block_of(const struct cv_snapshot *snapshot,
					    const struct cv_prefix *prefix);

#endif
