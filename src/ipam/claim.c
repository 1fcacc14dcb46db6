/* SPDX-License-Identifier: Apache-2.0 */
/*
 * More addresses than a node's blocks have: a block that is nobody's yet, or an address out of
 * another node's block.
 *
 * Where to look for a block: at places that follow from the node's name, by double hashing, so that
 * 5,000 nodes that start at once do not all race for the first one; a few of them one by one, and
 * only then, in a pool that is nearly full, with a list of all blocks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipam/state.h"
#include "wire/bytes.h"

enum {
	PROBES = 8 /* of a pool, before all blocks are listed */
};

bool cv_ipam_pool_is_wanted(const struct cv_ipam_pool *pool, const struct cv_ipam_request *request)
{
	char text[CV_PREFIX_TEXT_MAX];

	if (!pool->selects_us || !(request->for_tunnel ? pool->for_tunnel : pool->for_workload))
		return false;
	if (!request->pools)
		return !pool->is_manual;
	cv_prefix_format(&pool->cidr, text);
	for (size_t i = 0; i < request->pool_count; i++)
		if (!strcmp(request->pools[i], pool->name) || !strcmp(request->pools[i], text))
			return true;
	return false;
}

static struct cv_ipam_entry *entry_at(const struct cv_ipam *ipam, size_t i)
{
	return *(struct cv_ipam_entry **)cv_vector_at(&ipam->entries, i);
}

bool cv_ipam_may_claim(const struct cv_ipam *ipam)
{
	size_t count = ipam->own.count;

	if (!ipam->world.claims || ipam->world.no_new_blocks)
		return false;
	/* Those that the commit at hand brings. */
	for (size_t i = 0; i < ipam->entries.count; i++)
		count += entry_at(ipam, i)->needs_affinity &&
			 !cv_ipam_find_own(ipam, &entry_at(ipam, i)->block.cidr);
	return !ipam->world.max_blocks || count < ipam->world.max_blocks;
}

int cv_ipam_adopt(struct cv_ipam *ipam, struct cv_ipam_entry *entry)
{
	const struct cv_ipam_own *own = cv_ipam_find_own(ipam, &entry->block.cidr);

	if (cv_block_set_node(&entry->block, ipam->world.node))
		return -ENOMEM;
	entry->is_touched = true;
	entry->needs_affinity = true;
	entry->affinity_revision = own ? own->revision : CV_KV_ABSENT;
	return 0;
}

/* ---- where to look --------------------------------------------------------------- */

/* FNV-1a (draft-eastlake-fnv): spread, not secrecy. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
	return hash ^ hash >> 32;
}

static uint32_t count_blocks(const struct cv_ipam_pool *pool)
{
	return UINT32_C(1) << (pool->block_size - pool->cidr.length);
}

/* The i-th block to look at: their number is a power of two, so every odd step meets all. */
static struct cv_prefix candidate(const struct cv_ipam *ipam, const struct cv_ipam_pool *pool,
				  uint32_t i)
{
	uint64_t hash = hash_of(ipam->world.node);
	uint32_t step = (uint32_t)(hash >> 32) | 1;
	uint32_t index = ((uint32_t)hash + i * step) & (count_blocks(pool) - 1);
	uint32_t first = cv_prefix_first(&pool->cidr) +
			 (uint32_t)((uint64_t)index << (32 - pool->block_size));

	return (struct cv_prefix){cv_htonl(first), pool->block_size};
}

static bool is_all_holes(const struct cv_ipam *ipam, const struct cv_prefix *cidr)
{
	uint32_t first = cv_prefix_first(cidr), last = cv_prefix_last(cidr);

	for (uint32_t at = first;; at++) {
		if (!cv_ranges_has(&ipam->holes, cv_htonl(at)))
			return false;
		if (at == last)
			return true;
	}
}

static bool is_good_pool(const struct cv_ipam_pool *pool, const struct cv_ipam_request *request)
{
	return pool->block_size >= CV_BLOCK_LENGTH_MIN && pool->block_size >= pool->cidr.length &&
	       cv_ipam_pool_is_wanted(pool, request);
}

/* All blocks, read once in a call. */
static int list_all(struct cv_ipam *ipam, struct cv_error *error)
{
	int rc;

	if (ipam->has_all)
		return 0;
	rc = cv_kv_list(ipam->kv, CV_IPAM_KEY_BLOCKS, &ipam->all, error);
	ipam->has_all = !rc;
	return rc;
}

static int compare_items(const void *a, const void *b)
{
	const struct cv_kv_item *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static const struct cv_kv_item *find_in_all(const struct cv_ipam *ipam,
					    const struct cv_prefix *cidr)
{
	char key[CV_IPAM_KEY_MAX];
	struct cv_kv_item wanted = {.key = key};

	cv_ipam_key_block(cidr, key);
	if (!ipam->all.count)
		return NULL;
	return bsearch(&wanted, ipam->all.items, ipam->all.count, sizeof(wanted), compare_items);
}

/* ---- claiming -------------------------------------------------------------------- */

/* Whether a block that is there can become ours. */
static bool is_for_us(const struct cv_ipam *ipam, const struct cv_block *block)
{
	uint32_t ordinal;

	return !block->is_deleted &&
	       (!block->affinity || cv_block_is_of(block, ipam->world.node)) &&
	       cv_block_next(block, &ipam->holes, &ordinal);
}

/* Claim that very block. 0; -ENOSPC: it cannot be had; or of the kv. */
static int try_block(struct cv_ipam *ipam, const struct cv_prefix *cidr,
		     struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	struct cv_ipam_entry *entry;
	int rc;

	/* Ours were looked at before. */
	if (cv_ipam_find_own(ipam, cidr) || is_all_holes(ipam, cidr))
		return -ENOSPC;
	rc = cv_ipam_load(ipam, cidr, true, &entry, error);
	if (!rc && is_for_us(ipam, &entry->block)) {
		*ret_entry = entry;
		return entry->needs_affinity ? 0 : cv_ipam_adopt(ipam, entry);
	}
	if (!rc) {
		if (!entry->is_touched)
			cv_ipam_forget(ipam, entry);
		return -ENOSPC;
	}
	if (rc == -ENOENT)
		rc = cv_ipam_make(ipam, cidr, CV_KV_ABSENT, ret_entry, error);
	return rc && !cv_ipam_is_store_error(rc) ? -ENOSPC : rc;
}

static int probe(struct cv_ipam *ipam, const struct cv_ipam_pool *pool,
		 struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	int rc = -ENOSPC;

	for (uint32_t i = 0; rc == -ENOSPC && i < PROBES && i < count_blocks(pool); i++) {
		struct cv_prefix cidr = candidate(ipam, pool, i);

		rc = try_block(ipam, &cidr, ret_entry, error);
	}
	return rc;
}

/* Where the list has no block, or one of nobody's. */
static int search(struct cv_ipam *ipam, const struct cv_ipam_pool *pool,
		  struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	int rc = -ENOSPC;

	for (uint32_t i = 0; rc == -ENOSPC && i < count_blocks(pool); i++) {
		struct cv_prefix cidr = candidate(ipam, pool, i);
		const struct cv_kv_item *item = find_in_all(ipam, &cidr);

		/* Of thousands, only the few without an owner are worth reading. */
		if (!item || strstr(item->value, "\"affinity\":null"))
			rc = try_block(ipam, &cidr, ret_entry, error);
	}
	return rc;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int cv_ipam_claim(struct cv_ipam *ipam, const struct cv_ipam_request *request,
		  struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	const struct cv_ipam_world *world = &ipam->world;
	int rc = -ENOSPC;

	if (!cv_ipam_may_claim(ipam) || (!request->pools && now_ms() < ipam->full_until_ms))
		return -ENOSPC;
	for (size_t i = 0; rc == -ENOSPC && i < world->pool_count; i++)
		if (is_good_pool(&world->pools[i], request))
			rc = probe(ipam, &world->pools[i], ret_entry, error);
	if (rc == -ENOSPC) {
		int listed = list_all(ipam, error);

		if (listed)
			return listed;
	}
	for (size_t i = 0; rc == -ENOSPC && i < world->pool_count; i++)
		if (is_good_pool(&world->pools[i], request))
			rc = search(ipam, &world->pools[i], ret_entry, error);
	if (rc == -ENOSPC && !request->pools)
		ipam->full_until_ms = now_ms() + CV_IPAM_FULL_MS;
	return rc;
}

/* ---- borrowing ------------------------------------------------------------------- */

bool cv_ipam_is_kept(const struct cv_block *block)
{
	return block->strict == CV_BLOCK_STRICT_TRUE && !cv_block_count_allocated(block);
}

static bool can_lend(const struct cv_ipam *ipam, const struct cv_block *block,
		     const struct cv_ipam_request *request)
{
	const struct cv_ipam_pool *pool = cv_ipam_pool_of(ipam, &block->cidr);
	uint32_t ordinal;

	return pool && cv_ipam_pool_is_wanted(pool, request) && !block->is_deleted &&
	       !cv_block_is_of(block, ipam->world.node) && !cv_ipam_is_kept(block) &&
	       cv_block_next(block, &ipam->holes, &ordinal);
}

/* The document of a list, as it is now, if it can lend. 0; -ENOSPC: no; or of the kv. */
static int try_lender(struct cv_ipam *ipam, const struct cv_kv_item *item,
		      const struct cv_ipam_request *request, struct cv_ipam_entry **ret_entry,
		      struct cv_error *error)
{
	struct cv_ipam_entry *entry;
	struct cv_block block;
	struct cv_prefix cidr;
	bool is_good;
	int rc;

	if (!cv_ipam_key_is_block(item->key, &cidr) ||
	    cv_block_parse(item->value, &cidr, &block, NULL))
		return -ENOSPC;
	is_good = can_lend(ipam, &block, request);
	cv_block_fini(&block);
	if (!is_good)
		return -ENOSPC;
	rc = cv_ipam_load(ipam, &cidr, true, &entry, error);
	if (rc)
		return cv_ipam_is_store_error(rc) ? rc : -ENOSPC;
	if (!can_lend(ipam, &entry->block, request))
		return -ENOSPC;
	*ret_entry = entry;
	return 0;
}

int cv_ipam_borrow(struct cv_ipam *ipam, const struct cv_ipam_request *request,
		   struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	size_t start;
	int rc;

	/* Whoever has lent before. */
	for (size_t i = 0; i < ipam->entries.count; i++)
		if (can_lend(ipam, &entry_at(ipam, i)->block, request)) {
			*ret_entry = entry_at(ipam, i);
			return 0;
		}
	if (!request->pools && ipam->none_lends[request->for_tunnel])
		return -ENOSPC;
	rc = list_all(ipam, error);
	if (rc)
		return rc;
	start = ipam->all.count ? hash_of(ipam->world.node) % ipam->all.count : 0;
	rc = -ENOSPC;
	for (size_t i = 0; rc == -ENOSPC && i < ipam->all.count; i++)
		rc = try_lender(ipam, &ipam->all.items[(start + i) % ipam->all.count], request,
				ret_entry, error);
	if (rc == -ENOSPC && !request->pools)
		ipam->none_lends[request->for_tunnel] = true;
	return rc;
}
