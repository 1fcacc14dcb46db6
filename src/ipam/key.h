/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of documents about addresses, made and read. */
#ifndef CV_IPAM_KEY_H
#define CV_IPAM_KEY_H

#include <stdbool.h>

#include "net/prefix.h"

enum {
	CV_IPAM_KEY_MAX = 640, /* with its NUL: a handle's is the longest */
	CV_IPAM_NODE_MAX = 254,
};

#define CV_IPAM_KEY_BLOCKS  "ipam/v2/assignment/ipv4/block/"
#define CV_IPAM_KEY_HOSTS   "ipam/v2/host/"
#define CV_IPAM_KEY_HANDLES "ipam/v2/handle/"

/* All return buffer. */
const char *cv_ipam_key_block(const struct cv_prefix *cidr, char buffer[CV_IPAM_KEY_MAX]);
const char *cv_ipam_key_affinity(const char *node, const struct cv_prefix *cidr,
				 char buffer[CV_IPAM_KEY_MAX]);
const char *cv_ipam_key_handle(const char *handle, char buffer[CV_IPAM_KEY_MAX]);

/* What all affinities of a node begin with. */
const char *cv_ipam_key_affinities(const char *node, char buffer[CV_IPAM_KEY_MAX]);

/* Read a key; false: it is another's. handle points into key. */
bool cv_ipam_key_is_block(const char *key, struct cv_prefix *ret_cidr);
bool cv_ipam_key_is_affinity(const char *key, char ret_node[CV_IPAM_NODE_MAX],
			     struct cv_prefix *ret_cidr);
bool cv_ipam_key_is_handle(const char *key, const char **ret_handle);

/*
 * Whether a text may be a handle, or a node's name, and so a part of a key: not empty, not too
 * long, printable ASCII, without "/".
 */
bool cv_ipam_key_allows_handle(const char *handle);
bool cv_ipam_key_allows_node(const char *node);

#endif
