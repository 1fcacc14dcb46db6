/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keys of etcd mean as resources, and the other way round. Keys are relative (store/kv.h).
 *
 *   resources/v3/…/NAME                        the resource, as Calico stores it
 *   ipam/v2/host/NODE/ipv4/block/CIDR          a BlockAffinity NODE-CIDR
 *   ipam/v2/assignment/ipv4/block/CIDR         a block: which of its addresses other nodes have is
 * a Workload borrowed-NODE-CIDR of each of these
 *
 * Of blocks only that is read here, and only an empty one is made: the documents of addresses are
 * src/ipam's.
 */
#ifndef CV_STORE_ETCD_DOCUMENTS_H
#define CV_STORE_ETCD_DOCUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "model/manifest.h"
#include "net/prefix.h"
#include "tunnel/error.h"

#define CV_ETCD_AFFINITIES "ipam/v2/host/"
#define CV_ETCD_BLOCKS	   "ipam/v2/assignment/ipv4/block/"
#define CV_ETCD_BORROWED   "borrowed-" /* what such Workloads' names begin with */

/* The annotation of a Node that its node has made by itself. */
#define CV_ETCD_DETECTED "culvert/address-detected-by"

enum {
	CV_ETCD_KEY_MAX = 640, /* with its NUL */
};

/*
 * The manifest that a key and its value come to: NULL if that is the value itself. The caller frees
 * *ret_text. 0; -ENOENT: the key is none of these; -EINVAL, with what is wrong; -ENOMEM.
 */
int cv_etcd_document_read(const char *key, const char *value, char **ret_text,
			  struct cv_error *error);

/* What was read must be the resource that the key says. 0 or -EINVAL. */
int cv_etcd_document_check(const char *key, const struct cv_manifest *manifest,
			   struct cv_error *error);

/*
 * Whether somebody has applied it. What is made of documents of addresses comes and goes with pods,
 * and Nodes that nodes have made of themselves with them.
 */
bool cv_etcd_is_applied(const struct cv_resource *resource);

/*
 * The value of a resource: with what only a server writes (uid, creationTimestamp, status …) as it
 * is in the old value (NULL: there is none), or made for the first time. The caller frees it; NULL:
 * no memory.
 */
char *cv_etcd_resource_value(const struct cv_resource *resource, const char *old);

/* ---- affinities and blocks ------------------------------------------------------------- */

/* Keys of a BlockAffinity and its block. Return buffer. */
const char *cv_etcd_affinity_key(const char *node, const struct cv_prefix *cidr,
				 char buffer[CV_ETCD_KEY_MAX]);
const char *cv_etcd_block_key(const struct cv_prefix *cidr, char buffer[CV_ETCD_KEY_MAX]);

/* "NODE-10-244-1-0-26", as Calico names it. Returns buffer. */
const char *cv_etcd_affinity_name(const char *node, const struct cv_prefix *cidr,
				  char buffer[CV_ETCD_KEY_MAX]);

/* The value of an affinity; the caller frees it. NULL: no memory. */
char *cv_etcd_affinity_value(const struct cv_block_affinity *affinity);

/*
 * The value of a node's block: an empty one, or (old) that with another owner, NULL for nobody. The
 * caller frees it; NULL: no memory, or old is no block.
 */
char *cv_etcd_block_value(const struct cv_prefix *cidr, const char *node, const char *old);

/* Whose a block is ("" nobody's), and how many of its addresses are assigned. 0 or -EINVAL. */
int cv_etcd_block_look(const char *value, char ret_node[256], size_t *ret_assigned);

#endif
