/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of one node's pods: assigned, released, accounted for. The documents are those of
 * Calico's IPAM (libcalico-go, lib/backend/model: block.go, block_affinity.go, ipam_handle.go):
 *
 *   ipam/v2/assignment/ipv4/block/10.244.1.0-26	a block: who has which address, and since
 * when ipam/v2/host/NODE/ipv4/block/10.244.1.0-26		whose block it is
 *   ipam/v2/handle/HANDLE				in which blocks a handle has how many
 * addresses
 *
 * What belongs together is changed in one commit. So a crash, a lost race or a lost answer leaves
 * either all of it or nothing, and no address is given twice: an address is given by the commit
 * that takes it out of its block's list of unallocated ones, at the block's revision.
 *
 * - A block's unallocated addresses are a queue: what is released goes to its end.
 * - With claims (etcd) blocks are claimed from pools that select the node, when its own are full,
 *   and given back when they are empty (the last one stays). Without (SQLite) they are the parts,
 * of the pool's blockSize, of prefixes that BlockAffinity resources declare.
 * - With claims and without strict_affinity an address of another node's block is borrowed when no
 *   block can be had; not of one that is empty and strict, as that may be kept (migration.h).
 * - Holes of the overlay space and reservations are never given, nor borrowed, nor taken by name.
 *
 * Blocking; for one thread. What is cached is only ever used at the revision that it was read at.
 */
#ifndef CV_IPAM_IPAM_H
#define CV_IPAM_IPAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "net/prefix.h"
#include "store/kv.h"
#include "tunnel/error.h"

enum {
	CV_IPAM_HANDLE_MAX = 512,    /* with its NUL */
	CV_IPAM_ATTRIBUTES_MAX = 16, /* of an assignment */
};

/* A pool, as far as this node may use it. */
struct cv_ipam_pool {
	char name[254];
	struct cv_prefix cidr;
	uint8_t block_size;
	bool selects_us;   /* nodeSelector; not disabled */
	bool is_manual;	   /* assignmentMode: only for who asks for it, or for an address of it */
	bool for_workload; /* allowedUses */
	bool for_tunnel;
};

/* What resources and the host say: plain data, of which a thread may have its own. */
struct cv_ipam_world {
	char node[254];
	bool claims;	    /* blocks are claimed on demand, and borrowed from */
	bool no_new_blocks; /* autoAllocateBlocks is false: those that it has must do */
	bool strict_affinity;
	uint32_t max_blocks; /* per node; 0: no limit */
	struct cv_ipam_pool *pools;
	size_t pool_count;
	struct cv_prefix *declared; /* this node's confirmed BlockAffinities; without claims */
	size_t declared_count;
	struct cv_prefix *holes; /* never to be given */
	size_t hole_count;
	char (*nodes)[254]; /* all there are: whose blocks are orphans? */
	size_t node_count;
};
void cv_ipam_world_fini(struct cv_ipam_world *world);

struct cv_ipam;

/* kv: the caller's; outlives the ipam. Nothing is read yet. NULL: no memory. */
struct cv_ipam *cv_ipam_create(struct cv_kv *kv);
void cv_ipam_destroy(struct cv_ipam *ipam);

/* From now on so; takes what is in world over, which is empty then. 0, or -ENOMEM: nothing is
 * changed.
 */
int cv_ipam_configure(struct cv_ipam *ipam, struct cv_ipam_world *world);

/* Forget what was read: the kv may have changed under us (the next call reads it again anyway where
 * a commit fails for that). */
void cv_ipam_doubt(struct cv_ipam *ipam);

struct cv_ipam_attribute {
	const char *name, *value; /* "pod", "namespace", "node", "timestamp", "type" … */
};

struct cv_ipam_request {
	const char
		*handle; /* whose: "NETWORK.CONTAINER.INTERFACE"; several addresses may have one */
	/* "node" need not be among them: it is this one. */
	struct cv_ipam_attribute attributes[CV_IPAM_ATTRIBUTES_MAX];
	size_t attribute_count;
	__be32 address;		  /* this one; 0: any */
	const char *const *pools; /* names or CIDRs: from these alone; NULL: all that select us */
	size_t pool_count;
	bool for_tunnel;  /* not for a pod */
	bool is_nobodys;  /* without a node: no route leads to it; else this node, where the
			     attributes name none */
	bool is_repeated; /* if the handle has an address already (the one asked for, if one is),
			     that is the answer (an ADD after an interrupted one); else it gets one
			     more */
};

struct cv_ipam_result {
	int rc; /* 0, or as below */
	struct cv_error error;
	__be32 address;
	struct cv_prefix block;
	bool is_borrowed; /* the block is another node's */
	bool was_there;	  /* is_repeated, and it had it */
};

/*
 * Assign one address for each request; many in one commit where that is possible. Of each result rc
 * is 0 or: -ENOSPC (no address is free; the error says in which blocks and pools was looked),
 * -EADDRINUSE (the address asked for is another handle's, which the error names), -EADDRNOTAVAIL
 * (in no pool or block of ours, or a hole, which the error names), -ENOENT (no such pool), -EINVAL
 * (what cannot be a handle), -EUCLEAN (a document that it needs is malformed; the error names it),
 * or an error of the kv (its -ENOSPC, no room on the disk, is -EDQUOT here), after which the
 * address of that handle is not known: it is to be released. The return value is the number of
 * failures.
 */
size_t cv_ipam_assign(struct cv_ipam *ipam, const struct cv_ipam_request *requests, size_t count,
		      struct cv_ipam_result *ret_results);

/*
 * Release all addresses of these handles; those that have none are no failure. 0 or an error of the
 * kv: then some may be released. *ret_count (may be NULL): how many addresses.
 */
int cv_ipam_release(struct cv_ipam *ipam, const char *const *handles, size_t count,
		    size_t *ret_count, struct cv_error *error);

/*
 * Release one address, whosever it is; with handle only if it is that handle's (-EPERM, naming the
 * other). -ENOENT: it is not assigned.
 */
int cv_ipam_release_address(struct cv_ipam *ipam, __be32 address, const char *handle,
			    struct cv_error *error);

/* Give back blocks of ours that are empty (but the last one) or that no pool has any more. With
 * claims alone. */
int cv_ipam_give_back(struct cv_ipam *ipam, size_t *ret_count, struct cv_error *error);

/* ---- looking --------------------------------------------------------------------- */

struct cv_ipam_assignment {
	__be32 address;
	char *handle;
	struct {
		char *name, *value;
	} attributes[CV_IPAM_ATTRIBUTES_MAX];
	size_t attribute_count;
};

struct cv_ipam_block {
	struct cv_prefix cidr;
	char *node; /* NULL: nobody's */
	bool is_strict;
	bool has_affinity; /* ipam/v2/host/NODE/… says the same */
	size_t free;	   /* unallocated, holes not counted */
	size_t holes;
	struct cv_ipam_assignment *assignments; /* sorted by address */
	size_t assignment_count;
};

/* The documents of a whole cluster, or of the host alone (SQLite), decoded. */
struct cv_ipam_view {
	struct cv_ipam_block *blocks; /* sorted by cidr */
	size_t block_count;
	/* What does not fit together in the documents, in words; what fix would do about each. */
	struct cv_ipam_fault {
		enum cv_ipam_fault_kind {
			CV_IPAM_FAULT_HANDLE_COUNT, /* a handle counts others than the blocks have
						     */
			CV_IPAM_FAULT_HANDLE_MISSING,
			CV_IPAM_FAULT_AFFINITY_MISSING, /* the block names a node, no affinity does
							 */
			CV_IPAM_FAULT_AFFINITY_STRAY,	/* an affinity without its block */
			CV_IPAM_FAULT_NODE_GONE, /* a block, or addresses, of a node that there is
						    not */
			CV_IPAM_FAULT_OVERLAP,	 /* two blocks have one address: never mended */
			CV_IPAM_FAULT_NO_POOL,
			CV_IPAM_FAULT_MALFORMED, /* never mended */
		} kind;
		char key[640];
		char node[254]; /* NODE_GONE: which; several of one block are several faults */
		char text[256];
		bool is_fixable;
	} * faults;
	size_t fault_count;
};

int cv_ipam_look(struct cv_ipam *ipam, struct cv_ipam_view *ret_view, struct cv_error *error);
void cv_ipam_view_fini(struct cv_ipam_view *view);

/* "handle-count", …: stable, for JSON. */
const char *cv_ipam_fault_name(enum cv_ipam_fault_kind kind);

/* Mend those of faults that can be, each only if it is still so; when it returns, none of them is
 * left but what cannot be mended, and what others keep changing. Of no node that a fault does not
 * name, anything is taken back: one that is new may be at work before the world here has it. 0 or
 * an error of the kv: then some may be. *ret_count: how many were. */
int cv_ipam_fix(struct cv_ipam *ipam, const struct cv_ipam_fault *faults, size_t count,
		size_t *ret_count, struct cv_error *error);

#endif
