/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block: a prefix whose addresses are given one by one, and the document that says to whom
 * (libcalico-go, lib/backend/model/block.go, AllocationBlock). An address is an ordinal here, from
 * 0.
 *
 * Invariants: an ordinal is either allocated, or stands once in the queue of the unallocated; an
 * attribute's references are the ordinals that have it.
 */
#ifndef CV_IPAM_BLOCK_H
#define CV_IPAM_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "net/prefix.h"
#include "tunnel/error.h"

enum {
	CV_BLOCK_LENGTH_MIN = 20, /* of its prefix: 4096 addresses at most */
	CV_BLOCK_FREE = -1,	  /* of allocations: nobody's */
};

/* What stands beside an address: whose, and what else is known. */
struct cv_block_attribute {
	char *handle;	     /* NULL: nobody said */
	char *node;	     /* secondary.node; NULL */
	char *text;	     /* all of it, compact JSON, as it goes into the document */
	uint32_t references; /* addresses */
};

enum cv_block_strict {
	CV_BLOCK_STRICT_ABSENT, /* as Calico writes it since 3.24 */
	CV_BLOCK_STRICT_FALSE,
	CV_BLOCK_STRICT_TRUE,
};

struct cv_block {
	struct cv_prefix cidr;
	uint32_t size;	/* addresses */
	char *affinity; /* "host:NODE"; NULL: nobody's */
	enum cv_block_strict strict;
	bool is_deleted;
	int32_t *allocations; /* of each ordinal: index of its attribute, or CV_BLOCK_FREE */
	uint32_t *queue;      /* unallocated ordinals; the first is given next */
	uint32_t queue_count;
	struct cv_block_attribute *attributes;
	uint32_t attribute_count, attribute_capacity;
	uint64_t sequence;   /* counts the document's changes */
	uint64_t *sequences; /* of each ordinal: the block's when it was given */
	bool *has_sequence;
	char *others; /* members that we do not know: ",\"NAME\":VALUE…"; NULL */
};

/* An empty block, all of whose addresses are free. node: NULL, or whose it is. 0 or -ENOMEM. */
int cv_block_init(struct cv_block *ret_block, const struct cv_prefix *cidr, const char *node,
		  bool is_strict);
void cv_block_fini(struct cv_block *block); /* zeroed is fine */

/*
 * Read a document. 0, -ENOMEM, or -EUCLEAN with what is wrong with it: it is not to be overwritten
 * then. An ordinal that is neither allocated nor unallocated is nobody's: it is the queue's last.
 */
int cv_block_parse(const char *text, const struct cv_prefix *cidr, struct cv_block *ret_block,
		   struct cv_error *error);

/* The document, compact; the caller frees it. NULL: no memory. */
char *cv_block_print(const struct cv_block *block);

/* ---- questions ------------------------------------------------------------------- */

/* Whose block it is; NULL: nobody's, or no host's. */
const char *cv_block_node(const struct cv_block *block);
bool cv_block_is_of(const struct cv_block *block, const char *node);

__be32 cv_block_address(const struct cv_block *block, uint32_t ordinal);
uint32_t cv_block_ordinal(const struct cv_block *block, __be32 address); /* which is in it */

/* The attribute of an ordinal, or NULL: it is free. */
const struct cv_block_attribute *cv_block_attribute_of(const struct cv_block *block,
						       uint32_t ordinal);

/* Whether an address is a handle's; NULL: anybody's. */
bool cv_block_has(const struct cv_block *block, uint32_t ordinal, const char *handle);

/* The first ordinal, from first on, that a handle has; the block's size: none. */
uint32_t cv_block_find(const struct cv_block *block, const char *handle, uint32_t first);

/* The next ordinal that may be given: the queue's first that is in no hole. False: there is none.
 */
bool cv_block_next(const struct cv_block *block, const struct cv_ranges *holes,
		   uint32_t *ret_ordinal);

/* Unallocated and in no hole. */
uint32_t cv_block_count_free(const struct cv_block *block, const struct cv_ranges *holes);
uint32_t cv_block_count_allocated(const struct cv_block *block);

/* ---- changes --------------------------------------------------------------------- */

/*
 * Give an ordinal that is free. attribute: compact JSON (cv_block_attribute_text), of that handle
 * and node. 0 or -ENOMEM, and nothing is changed.
 */
int cv_block_assign(struct cv_block *block, uint32_t ordinal, const char *handle, const char *node,
		    const char *attribute);

/* Take an ordinal that is allocated back, to the queue's end. */
void cv_block_release(struct cv_block *block, uint32_t ordinal);

/* The block is this node's from now on; NULL: nobody's. 0 or -ENOMEM. */
int cv_block_set_node(struct cv_block *block, const char *node);

/* Before a changed block is printed: it is another one now. */
void cv_block_count_change(struct cv_block *block);

#endif
