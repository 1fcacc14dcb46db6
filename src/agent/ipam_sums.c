/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ipam_sums.h"

#include <stdio.h>
#include <string.h>

#include "agent/leaks.h"

static bool is_of(const char *node, const char *name)
{
	return node && !strcmp(node, name);
}

static void add_block(struct cv_ipam_sums *sums, const struct cv_ipam_block *block,
		      const char *node)
{
	bool is_ours = is_of(block->node, node);

	for (size_t i = 0; i < block->assignment_count; i++) {
		const char *user = cv_leaks_attribute(&block->assignments[i], "node");

		sums->lent += is_ours && user && !is_of(user, node);
		sums->borrowed += !is_ours && is_of(user, node);
	}
	if (!is_ours)
		return;
	sums->blocks++;
	sums->assigned += block->assignment_count;
	sums->free += block->free;
	sums->holes += block->holes;
}

/* Every part of the pool is a block, and none of them has an address left. */
static bool is_exhausted(const struct cv_ip_pool *pool, const struct cv_ipam_view *view)
{
	size_t parts = (size_t)1 << (pool->block_size - pool->cidr.length);

	for (size_t i = 0; i < view->block_count; i++) {
		const struct cv_ipam_block *block = &view->blocks[i];

		if (!cv_prefix_contains(&pool->cidr, &block->cidr))
			continue;
		if (block->free)
			return false;
		parts -= parts > 0;
	}
	return !parts;
}

void cv_ipam_sums_of(const struct cv_ipam_view *view, const struct cv_snapshot *snapshot,
		     const char *node, bool is_etcd, int64_t now_us, struct cv_ipam_sums *ret_sums)
{
	size_t count;
	struct cv_resource *const *pools = cv_snapshot_kind(snapshot, CV_KIND_IP_POOL, &count);

	*ret_sums = (struct cv_ipam_sums){.is_known = true, .at_us = now_us};
	ret_sums->all_blocks = view->block_count;
	ret_sums->faults = view->fault_count;
	for (size_t i = 0; i < view->block_count; i++)
		add_block(ret_sums, &view->blocks[i], node);
	for (size_t i = 0; is_etcd && i < count; i++) {
		if (!pools[i]->pool.disabled && is_exhausted(&pools[i]->pool, view))
			snprintf(ret_sums->exhausted, sizeof(ret_sums->exhausted), "%s",
				 pools[i]->name);
	}
}
