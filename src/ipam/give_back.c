/* SPDX-License-Identifier: Apache-2.0 */
/* Giving blocks back: the block and its affinity go in one commit, at the revisions at which the
 * block was seen to be empty. */
#include <errno.h>

#include "ipam/state.h"

static int delete_block(struct cv_ipam *ipam, struct cv_ipam_entry *entry, int64_t affinity,
			struct cv_error *error)
{
	char block_key[CV_IPAM_KEY_MAX], affinity_key[CV_IPAM_KEY_MAX];
	struct cv_kv_operation operations[] = {
		{cv_ipam_key_block(&entry->block.cidr, block_key), NULL, entry->revision},
		{cv_ipam_key_affinity(ipam->world.node, &entry->block.cidr, affinity_key), NULL,
		 affinity},
	};
	int rc = cv_kv_commit(ipam->kv, operations, affinity == CV_KV_ABSENT ? 1 : 2, NULL, error);

	/* Whatever came of it, what is in memory is in doubt. */
	cv_ipam_forget(ipam, entry);
	ipam->knows_own = false;
	return rc;
}

/* Give one back if it is empty. *ret_is_given. 0, or of the kv. */
static int give_one(struct cv_ipam *ipam, const struct cv_prefix *cidr, int64_t affinity,
		    bool *ret_is_given, struct cv_error *error)
{
	struct cv_ipam_entry *entry;
	int rc = cv_ipam_load(ipam, cidr, true, &entry, error);

	*ret_is_given = false;
	if (rc)
		return cv_ipam_is_store_error(rc) ? rc : 0;
	if (!cv_block_is_of(&entry->block, ipam->world.node) ||
	    cv_block_count_allocated(&entry->block))
		return 0;
	rc = delete_block(ipam, entry, affinity, error);
	*ret_is_given = !rc;
	/* Somebody has got an address of it: it stays. */
	return rc == -EAGAIN ? 0 : rc;
}

/* Those of the store that are ours, a copy: what is known of them is forgotten on the way. */
static int copy_own(struct cv_ipam *ipam, struct cv_vector *own, struct cv_error *error)
{
	int rc = cv_ipam_know_own(ipam, error);

	cv_vector_init(own, sizeof(struct cv_ipam_own));
	for (size_t i = 0; !rc && i < ipam->own.count; i++)
		if (cv_vector_append(own, cv_vector_at(&ipam->own, i)))
			rc = cv_error_set(error, -ENOMEM, "no memory");
	return rc;
}

/* How many there really are: an affinity may be stray. 0, or of the kv. */
static int count_ours(struct cv_ipam *ipam, const struct cv_vector *own, size_t *ret_count,
		      struct cv_error *error)
{
	size_t count = 0;

	for (size_t i = 0; i < own->count; i++) {
		const struct cv_ipam_own *item = cv_vector_at(own, i);
		struct cv_ipam_entry *entry;
		int rc = cv_ipam_load(ipam, &item->cidr, true, &entry, error);

		if (rc && cv_ipam_is_store_error(rc))
			return rc;
		count += !rc && cv_block_is_of(&entry->block, ipam->world.node);
	}
	*ret_count = count;
	return 0;
}

int cv_ipam_give_back(struct cv_ipam *ipam, size_t *ret_count, struct cv_error *error)
{
	struct cv_vector own;
	size_t count = 0, ours = 0;
	int rc;

	if (ret_count)
		*ret_count = 0;
	if (!ipam->world.claims)
		return 0;
	cv_ipam_begin(ipam);
	ipam->knows_own = false;
	rc = copy_own(ipam, &own, error);
	if (!rc)
		rc = count_ours(ipam, &own, &ours, error);
	/* From the last: of several empty ones the first stays. */
	for (size_t i = own.count; !rc && i-- > 0;) {
		const struct cv_ipam_own *item = cv_vector_at(&own, i);
		bool is_given = false;

		if (ours - count > 1 || !cv_ipam_pool_of(ipam, &item->cidr))
			rc = give_one(ipam, &item->cidr, item->revision, &is_given, error);
		count += is_given;
	}
	cv_vector_fini(&own);
	if (ret_count)
		*ret_count = count;
	return rc;
}
