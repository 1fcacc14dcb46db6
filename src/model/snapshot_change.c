/* SPDX-License-Identifier: Apache-2.0 */
/* Which snapshot may follow which: what Calico calls immutable stays as long as it has its name. */
#include <errno.h>

#include "model/place.h"
#include "model/snapshot.h"

/* A block in a pool, or NULL. Claims are sorted, and pools do not overlap. */
static const struct cv_resource *find_block(const struct cv_snapshot *snapshot,
					    const struct cv_ip_pool *pool)
{
	size_t low = 0, high = snapshot->claim_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_first(&snapshot->claims[middle].prefix) <
		    cv_prefix_first(&pool->cidr))
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < snapshot->claim_count; low++) {
		const struct cv_claim *claim = &snapshot->claims[low];

		if (cv_prefix_first(&claim->prefix) > cv_prefix_last(&pool->cidr))
			break;
		if (claim->resource->kind == CV_KIND_BLOCK_AFFINITY)
			return claim->resource;
	}
	return NULL;
}

static int check_pool_change(const struct cv_snapshot *after, const struct cv_resource *before,
			     const struct cv_resource *pool, struct cv_error *error)
{
	const struct cv_resource *block;
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], at[CV_PLACE_MAX];
	char cidr[CV_PREFIX_TEXT_MAX], other_cidr[CV_PREFIX_TEXT_MAX];

	if (cv_prefix_compare(&pool->pool.cidr, &before->pool.cidr))
		return cv_error_set(
			error, -EINVAL,
			"%s: its cidr is %s (%s) and cannot become %s; add a pool with "
			"another name, then delete this one",
			cv_place_here(pool, text), cv_prefix_format(&before->pool.cidr, cidr),
			cv_place_text(before, at), cv_prefix_format(&pool->pool.cidr, other_cidr));
	if (pool->pool.block_size == before->pool.block_size)
		return 0;
	block = find_block(after, &pool->pool);
	if (!block)
		return 0;
	return cv_error_set(
		error, -EINVAL,
		"%s: its blockSize is %u (%s) and cannot become %u while it has blocks, "
		"like %s; delete its BlockAffinities first",
		cv_place_here(pool, text), before->pool.block_size, cv_place_text(before, at),
		pool->pool.block_size, cv_place_there(block, other));
}

int cv_snapshot_check_change(const struct cv_snapshot *before, const struct cv_snapshot *after,
			     struct cv_error *error)
{
	size_t count;
	struct cv_resource *const *pools = cv_snapshot_kind(after, CV_KIND_IP_POOL, &count);

	for (size_t i = 0; i < count; i++) {
		const struct cv_resource *old =
			cv_snapshot_find(before, CV_KIND_IP_POOL, pools[i]->name);
		int rc = old ? check_pool_change(after, old, pools[i], error) : 0;

		if (rc)
			return rc;
	}
	return 0;
}
