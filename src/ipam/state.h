/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an address management has in memory, for its own files: blocks as they were read, each at
 * its revision, and the changes that are to be one commit.
 *
 * Changes are made to the blocks in memory first. If the commit fails, for whatever reason, what
 * was changed is forgotten and read again: memory never says more than the store.
 */
#ifndef CV_IPAM_STATE_H
#define CV_IPAM_STATE_H

#include "ipam/block.h"
#include "ipam/handle.h"
#include "ipam/ipam.h"
#include "ipam/key.h"
#include "net/vector.h"

enum {
	/* Lost races, after which all is read again: each means that somebody else got on. */
	CV_IPAM_ATTEMPTS = 100,
	/* Commits whose outcome is not known: each has cost the store's time limit. */
	CV_IPAM_TIMEOUTS = 3,
	/* Of a new block: itself and its affinity; and the handle. */
	CV_IPAM_OPERATIONS_EACH = 3,
	/* How long no block is looked for after there was none in any pool. */
	CV_IPAM_FULL_MS = 1000,
	/* Bytes of blocks in one commit; etcd takes requests of 1.5 MiB. */
	CV_IPAM_BYTES = 1 << 20,
};

/* A block as it was read. */
struct cv_ipam_entry {
	struct cv_block block;
	int64_t revision; /* CV_KV_ABSENT: it is to be made */
	uint64_t call;	  /* in which it was read */
	size_t length;	  /* of its text */
	bool is_touched;
	bool needs_affinity;	   /* is to be written, too */
	int64_t affinity_revision; /* at which */
};

/* A block that is this node's, by an affinity in the store or by what is declared. */
struct cv_ipam_own {
	struct cv_prefix cidr;
	int64_t revision; /* of the affinity; CV_KV_ABSENT */
	bool is_confirmed;
};

/* A handle of which something changes. */
struct cv_ipam_held {
	char *name;
	struct cv_handle handle;
	int64_t revision;
	bool is_read; /* else it is taken to be absent, until a commit says that it is not */
	bool is_touched;
};

struct cv_ipam {
	struct cv_kv *kv;
	struct cv_ipam_world world;
	struct cv_ranges holes;
	struct cv_vector own; /* of struct cv_ipam_own, sorted by cidr */
	bool knows_own;
	struct cv_vector entries; /* of struct cv_ipam_entry * */
	struct cv_vector held;	  /* of struct cv_ipam_held */
	uint64_t call;		  /* counts calls */
	bool has_refreshed;	  /* in this call: own blocks were all read again */
	struct cv_kv_list all;	  /* all blocks, read in this call */
	bool has_all;
	bool none_lends[2];    /* in this call, no block of any pool: to pods, to tunnels */
	bool is_optimistic;    /* handles need not be read: they will not be there */
	int64_t full_until_ms; /* monotonic: until then no block can be claimed, as was seen */
};

/* ---- cache.c --------------------------------------------------------------------- */

/* A call begins: what was read before is of an earlier one. */
void cv_ipam_begin(struct cv_ipam *ipam);

void cv_ipam_forget_all(struct cv_ipam *ipam);
/* Forget a block; its entry is freed. */
void cv_ipam_forget(struct cv_ipam *ipam, struct cv_ipam_entry *entry);

/* The entry of a block that was read before, or NULL. */
struct cv_ipam_entry *cv_ipam_cached(const struct cv_ipam *ipam, const struct cv_prefix *cidr);

/*
 * A block, as it is in memory, or read. is_fresh: not as an earlier call has read it. 0, -ENOENT
 * (and no entry), -EUCLEAN (named by its key), or an error of the kv. The entry is the ipam's.
 */
int cv_ipam_load(struct cv_ipam *ipam, const struct cv_prefix *cidr, bool is_fresh,
		 struct cv_ipam_entry **ret_entry, struct cv_error *error);

/* A new block of this node, of which the store has none, with its affinity at that revision. */
int cv_ipam_make(struct cv_ipam *ipam, const struct cv_prefix *cidr, int64_t affinity_revision,
		 struct cv_ipam_entry **ret_entry, struct cv_error *error);

/* Know which blocks are ours. 0 or an error of the kv. */
int cv_ipam_know_own(struct cv_ipam *ipam, struct cv_error *error);
struct cv_ipam_own *cv_ipam_find_own(const struct cv_ipam *ipam, const struct cv_prefix *cidr);
/* One more, sorted in. 0 or -ENOMEM. */
int cv_ipam_add_own(struct cv_ipam *ipam, const struct cv_ipam_own *own);

/* Read own blocks again, but for what is changed in memory; once in a call. True: it was done. */
bool cv_ipam_refresh(struct cv_ipam *ipam);

/* Whether blocks of another size have addresses of this one: 0, -EEXIST naming it, or of the kv. */
int cv_ipam_check_overlap(struct cv_ipam *ipam, const struct cv_prefix *cidr,
			  struct cv_error *error);

/* The pool that a prefix is in, or NULL. */
const struct cv_ipam_pool *cv_ipam_pool_of(const struct cv_ipam *ipam,
					   const struct cv_prefix *prefix);

/* ---- batch.c --------------------------------------------------------------------- */

/* A handle in the batch; read, unless it is taken to be absent. 0, -EUCLEAN or of the kv. */
int cv_ipam_hold(struct cv_ipam *ipam, const char *name, struct cv_ipam_held **ret_held,
		 struct cv_error *error);

/* Whether changes of one more request fit into the commit. */
bool cv_ipam_has_room(const struct cv_ipam *ipam);

/* Make one commit of all that was touched; none if that is nothing. Afterwards nothing is held. 0
 * or an error of the kv: then it is forgotten. */
int cv_ipam_commit(struct cv_ipam *ipam, struct cv_error *error);

/* Forget the changes. */
void cv_ipam_abandon(struct cv_ipam *ipam);

/* An error of the store, and not of what was asked for: it is everybody's. */
bool cv_ipam_is_store_error(int rc);

/* Between two attempts, so that those who race do not go on in step. */
void cv_ipam_wait(unsigned int attempt);

/* ---- claim.c --------------------------------------------------------------------- */

/* A pool that a request may be served from. */
bool cv_ipam_pool_is_wanted(const struct cv_ipam_pool *pool, const struct cv_ipam_request *request);

/* Whether this node may have one more block. */
bool cv_ipam_may_claim(const struct cv_ipam *ipam);
/*
 * Empty and strict: kept, perhaps, for a node that has not moved to this store yet (migration.h),
 * and which of its addresses are free that node alone knows.
 */
bool cv_ipam_is_kept(const struct cv_block *block);

/* A block that exists and is nobody's becomes ours, with the next commit. */
int cv_ipam_adopt(struct cv_ipam *ipam, struct cv_ipam_entry *entry);

/* One more block for this node, made or adopted with the next commit. 0, -ENOSPC or of the kv. */
int cv_ipam_claim(struct cv_ipam *ipam, const struct cv_ipam_request *request,
		  struct cv_ipam_entry **ret_entry, struct cv_error *error);

/* Somebody else's block that has an address for us. 0, -ENOSPC or of the kv. */
int cv_ipam_borrow(struct cv_ipam *ipam, const struct cv_ipam_request *request,
		   struct cv_ipam_entry **ret_entry, struct cv_error *error);

/* ---- release.c ------------------------------------------------------------------- */

/* Take an address back, and count it out of its handle; with the next commit. 0, -EUCLEAN (the
 * handle's document) or of the kv. */
int cv_ipam_release_ordinal(struct cv_ipam *ipam, struct cv_ipam_entry *entry, uint32_t ordinal,
			    struct cv_error *error);

#endif
