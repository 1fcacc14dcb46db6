/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of address management share: worlds, requests, and what is in a store. */
#ifndef CV_TESTS_IPAM_WORLD_H
#define CV_TESTS_IPAM_WORLD_H

#include "ipam/ipam.h"
#include "kv_memory.h"

/* A world of one pool, "pool", for everything. */
struct cv_ipam_world ipam_world(const char *node, const char *pool, uint8_t block_size,
				bool claims);
void ipam_world_declare(struct cv_ipam_world *world, const char *cidr);
void ipam_world_hole(struct cv_ipam_world *world, const char *cidr);
void ipam_world_node(struct cv_ipam_world *world, const char *node);
/* One more pool, by its name. */
struct cv_ipam_pool *ipam_world_pool(struct cv_ipam_world *world, const char *name,
				     const char *cidr, uint8_t block_size);

/* An address management of that world, which it takes over. */
struct cv_ipam *ipam_open(struct cv_kv *kv, struct cv_ipam_world world);

__be32 ipam_address(const char *text);
struct cv_prefix ipam_prefix(const char *text);

/* One request; the result's rc, and *ret_address as text if it is 0 (may be NULL). */
int ipam_assign(struct cv_ipam *ipam, const char *handle, char ret_address[CV_ADDRESS_TEXT_MAX]);
struct cv_ipam_result ipam_request(struct cv_ipam *ipam, struct cv_ipam_request request);

/* It must succeed with that address. */
void ipam_expect(struct cv_ipam *ipam, const char *handle, const char *address);
/* Release it: so many addresses. */
void ipam_expect_released(struct cv_ipam *ipam, const char *handle, size_t count);

/* A document as it is, or NULL; the caller frees it. */
char *ipam_document(struct cv_kv *kv, const char *key);
void ipam_put(struct cv_kv *kv, const char *key, const char *value);

#endif
