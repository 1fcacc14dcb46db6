/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which peer owns which addresses, as resources declare it: what a pool's tunnel may receive
 * beside what routing says. So both ends need not change between tunnel, direct and underlay in the
 * same instant: a packet from its owner is taken whichever way the answer would go.
 */
#ifndef CV_ENGINE_OWNERS_H
#define CV_ENGINE_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

/* A range of addresses and whose it is. */
struct cv_owner_range {
	uint32_t first, last; /* host byte order, both belong to it */
	__be32 owner;	      /* a peer's outer address */
};

/* An address that a peer had until a moment ago: others may not have heard of the new one yet. */
struct cv_owner_former {
	__be32 former;
	__be32 now;
};

struct cv_owners {
	__be32 *peers; /* sorted as numbers (ntohl): who may send at all */
	size_t peer_count;
	struct cv_owner_range
		*ranges; /* sorted, without overlaps: of nested prefixes the longest has its part */
	size_t range_count;
	struct cv_owner_former *formers; /* sorted by former as numbers */
	size_t former_count;
};

void cv_owners_fini(struct cv_owners *owners);

/* 0 or -ENOMEM; *ret_copy is the caller's. */
int cv_owners_copy(const struct cv_owners *owners, struct cv_owners *ret_copy);

bool cv_owners_equal(const struct cv_owners *a, const struct cv_owners *b);

/* Who may send: peers, also from an address that one had before. */
bool cv_owners_has_peer(const struct cv_owners *owners, __be32 address);

/* A peer's place in the list, or peer_count: it is none. */
size_t cv_owners_peer_index(const struct cv_owners *owners, __be32 address);

/* A peer's address, where it may be a former one; else the address itself. */
__be32 cv_owners_now(const struct cv_owners *owners, __be32 address);

/*
 * Let a peer also send from an address that it had before. Nothing, if that is a peer's now, or is
 * there already. 0 or -ENOMEM.
 */
int cv_owners_add_former(struct cv_owners *owners, __be32 former, __be32 now);

/* The peer that owns an inner address; 0: none. */
__be32 cv_owners_find(const struct cv_owners *owners, __be32 inner);

/* A prefix, whose it is. */
struct cv_owned_prefix {
	uint32_t first, last; /* host byte order */
	uint8_t length;
	__be32 owner; /* 0: nobody may send from there (this node's own) */
};

/* Make ranges of prefixes that may be nested, sorted by first, then shorter ones first. 0 or
 * -ENOMEM. */
int cv_owners_make(const struct cv_owned_prefix *prefixes, size_t count, const __be32 *peers,
		   size_t peer_count, struct cv_owners *ret_owners);

#endif
