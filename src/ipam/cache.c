/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks in memory, and which of them are ours. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/affinity.h"
#include "ipam/state.h"
#include "wire/bytes.h"

static struct cv_ipam_entry *entry_at(const struct cv_ipam *ipam, size_t i)
{
	return *(struct cv_ipam_entry **)cv_vector_at(&ipam->entries, i);
}

static struct cv_ipam_own *own_at(const struct cv_ipam *ipam, size_t i)
{
	return cv_vector_at(&ipam->own, i);
}

/* ---- forgetting ------------------------------------------------------------------ */

static void free_entry(struct cv_ipam_entry *entry)
{
	cv_block_fini(&entry->block);
	free(entry);
}

/* The place of a block among the entries, which are sorted by cidr, or where it would be. */
static size_t place_of(const struct cv_ipam *ipam, const struct cv_prefix *cidr)
{
	size_t low = 0, high = ipam->entries.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_compare(&entry_at(ipam, middle)->block.cidr, cidr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void cv_ipam_forget(struct cv_ipam *ipam, struct cv_ipam_entry *entry)
{
	size_t i = place_of(ipam, &entry->block.cidr);
	struct cv_ipam_entry **entries = ipam->entries.items;

	free_entry(entry);
	ipam->entries.count--;
	memmove(&entries[i], &entries[i + 1], (ipam->entries.count - i) * sizeof(*entries));
}

void cv_ipam_forget_all(struct cv_ipam *ipam)
{
	cv_ipam_abandon(ipam);
	for (size_t i = 0; i < ipam->entries.count; i++)
		free_entry(entry_at(ipam, i));
	ipam->entries.count = 0;
	ipam->own.count = 0;
	ipam->knows_own = false;
	cv_kv_list_fini(&ipam->all);
	ipam->has_all = false;
}

void cv_ipam_begin(struct cv_ipam *ipam)
{
	ipam->call++;
	ipam->has_refreshed = false;
	ipam->is_optimistic = false;
	cv_kv_list_fini(&ipam->all);
	ipam->has_all = false;
	ipam->none_lends[false] = ipam->none_lends[true] = false;
}

bool cv_ipam_refresh(struct cv_ipam *ipam)
{
	if (ipam->has_refreshed)
		return false;
	ipam->has_refreshed = true;
	for (size_t i = ipam->entries.count; i-- > 0;) {
		struct cv_ipam_entry *entry = entry_at(ipam, i);

		if (!entry->is_touched && entry->call != ipam->call &&
		    cv_block_is_of(&entry->block, ipam->world.node))
			cv_ipam_forget(ipam, entry);
	}
	return true;
}

/* ---- reading --------------------------------------------------------------------- */

struct cv_ipam_entry *cv_ipam_cached(const struct cv_ipam *ipam, const struct cv_prefix *cidr)
{
	size_t i = place_of(ipam, cidr);

	if (i == ipam->entries.count ||
	    cv_prefix_compare(&entry_at(ipam, i)->block.cidr, cidr) != 0)
		return NULL;
	return entry_at(ipam, i);
}

static int add_entry(struct cv_ipam *ipam, const struct cv_ipam_entry *made,
		     struct cv_ipam_entry **ret_entry)
{
	size_t i = place_of(ipam, &made->block.cidr);
	struct cv_ipam_entry *entry = malloc(sizeof(*entry)), **entries;

	if (!entry)
		return -ENOMEM;
	*entry = *made;
	if (cv_vector_append(&ipam->entries, &entry)) {
		free(entry);
		return -ENOMEM;
	}
	entries = ipam->entries.items;
	memmove(&entries[i + 1], &entries[i], (ipam->entries.count - 1 - i) * sizeof(*entries));
	entries[i] = entry;
	*ret_entry = entry;
	return 0;
}

/* Read a block that is not in memory. */
static int read_block(struct cv_ipam *ipam, const struct cv_prefix *cidr,
		      struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	struct cv_ipam_entry made = {.call = ipam->call};
	struct cv_kv_item item;
	struct cv_error why;
	char key[CV_IPAM_KEY_MAX];
	int rc = cv_kv_get(ipam->kv, cv_ipam_key_block(cidr, key), &item, error);

	if (rc)
		return rc;
	made.revision = item.revision;
	made.length = strlen(item.value);
	rc = cv_block_parse(item.value, cidr, &made.block, &why);
	cv_kv_item_fini(&item);
	if (rc)
		return cv_error_set(error, rc, "%s: %s", key, why.text);
	rc = add_entry(ipam, &made, ret_entry);
	if (rc) {
		cv_block_fini(&made.block);
		return cv_error_set(error, rc, "no memory");
	}
	return 0;
}

int cv_ipam_load(struct cv_ipam *ipam, const struct cv_prefix *cidr, bool is_fresh,
		 struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	struct cv_ipam_entry *entry = cv_ipam_cached(ipam, cidr);

	if (entry && (!is_fresh || entry->is_touched || entry->call == ipam->call)) {
		*ret_entry = entry;
		return 0;
	}
	if (entry)
		cv_ipam_forget(ipam, entry);
	return read_block(ipam, cidr, ret_entry, error);
}

int cv_ipam_make(struct cv_ipam *ipam, const struct cv_prefix *cidr, int64_t affinity_revision,
		 struct cv_ipam_entry **ret_entry, struct cv_error *error)
{
	struct cv_ipam_entry made = {
		.call = ipam->call,
		.revision = CV_KV_ABSENT,
		.needs_affinity = true,
		.affinity_revision = affinity_revision,
	};
	int rc = cv_ipam_check_overlap(ipam, cidr, error);

	if (rc)
		return rc;
	rc = cv_block_init(&made.block, cidr, ipam->world.node, ipam->world.strict_affinity);
	if (!rc)
		rc = add_entry(ipam, &made, ret_entry);
	if (rc) {
		cv_block_fini(&made.block);
		return cv_error_set(error, rc, "no memory");
	}
	return 0;
}

/* Whether a key that is listed is of a block within this one, but not this one. */
static bool is_within(const char *key, const struct cv_prefix *cidr)
{
	struct cv_prefix other;

	return cv_ipam_key_is_block(key, &other) && cv_prefix_compare(&other, cidr) != 0 &&
	       cv_prefix_contains(cidr, &other);
}

static int overlaps(const char *key, const struct cv_prefix *cidr, struct cv_error *error)
{
	char text[CV_PREFIX_TEXT_MAX];

	return cv_error_set(error, -EEXIST,
			    "block %s overlaps %s, which is of another size: the pool's blockSize "
			    "has changed while there were blocks",
			    cv_prefix_format(cidr, text), key);
}

/* Blocks within this one are those whose keys begin with "A.B.C.", for each of its /24. */
static int check_within(struct cv_ipam *ipam, const struct cv_prefix *cidr, struct cv_error *error)
{
	uint32_t last = cv_prefix_last(cidr);
	int rc = 0;

	for (uint32_t at = cv_prefix_first(cidr) & ~UINT32_C(0xff); !rc; at += 256) {
		struct cv_kv_list list;
		char prefix[CV_IPAM_KEY_MAX];

		snprintf(prefix, sizeof(prefix), CV_IPAM_KEY_BLOCKS "%u.%u.%u.", at >> 24,
			 at >> 16 & 0xff, at >> 8 & 0xff);
		rc = cv_kv_list(ipam->kv, prefix, &list, error);
		if (rc)
			return rc;
		for (size_t i = 0; !rc && i < list.count; i++)
			if (is_within(list.items[i].key, cidr))
				rc = overlaps(list.items[i].key, cidr, error);
		cv_kv_list_fini(&list);
		if (last - at < 256)
			break;
	}
	return rc;
}

int cv_ipam_check_overlap(struct cv_ipam *ipam, const struct cv_prefix *cidr,
			  struct cv_error *error)
{
	char key[CV_IPAM_KEY_MAX];

	for (uint8_t length = CV_BLOCK_LENGTH_MIN; length < cidr->length; length++) {
		struct cv_prefix larger = cv_prefix_of(cidr->address, length);
		struct cv_kv_item item;
		int rc = cv_kv_get(ipam->kv, cv_ipam_key_block(&larger, key), &item, error);

		if (!rc) {
			cv_kv_item_fini(&item);
			return overlaps(key, cidr, error);
		}
		if (rc != -ENOENT)
			return rc;
	}
	return cidr->length < 32 ? check_within(ipam, cidr, error) : 0;
}

/* ---- whose they are -------------------------------------------------------------- */

const struct cv_ipam_pool *cv_ipam_pool_of(const struct cv_ipam *ipam,
					   const struct cv_prefix *prefix)
{
	for (size_t i = 0; i < ipam->world.pool_count; i++)
		if (cv_prefix_contains(&ipam->world.pools[i].cidr, prefix))
			return &ipam->world.pools[i];
	return NULL;
}

static int compare_own(const void *a, const void *b)
{
	const struct cv_ipam_own *x = a, *y = b;

	return cv_prefix_compare(&x->cidr, &y->cidr);
}

struct cv_ipam_own *cv_ipam_find_own(const struct cv_ipam *ipam, const struct cv_prefix *cidr)
{
	struct cv_ipam_own wanted = {.cidr = *cidr};

	if (!ipam->own.count)
		return NULL;
	return bsearch(&wanted, ipam->own.items, ipam->own.count, sizeof(wanted), compare_own);
}

int cv_ipam_add_own(struct cv_ipam *ipam, const struct cv_ipam_own *own)
{
	struct cv_ipam_own *there = cv_ipam_find_own(ipam, &own->cidr);

	if (there) {
		*there = *own;
		return 0;
	}
	if (cv_vector_append(&ipam->own, own))
		return -ENOMEM;
	qsort(ipam->own.items, ipam->own.count, sizeof(*own), compare_own);
	return 0;
}

/* The affinities that the store has of this node. */
static int list_affinities(struct cv_ipam *ipam, struct cv_vector *own, struct cv_error *error)
{
	char prefix[CV_IPAM_KEY_MAX], node[CV_IPAM_NODE_MAX];
	struct cv_kv_list list;
	int rc = cv_kv_list(ipam->kv, cv_ipam_key_affinities(ipam->world.node, prefix), &list,
			    error);

	for (size_t i = 0; !rc && i < list.count; i++) {
		struct cv_ipam_own item = {.revision = list.items[i].revision};
		struct cv_affinity affinity;

		/* What is malformed is no block of ours until somebody mends it: look says so. */
		if (!cv_ipam_key_is_affinity(list.items[i].key, node, &item.cidr) ||
		    cv_affinity_parse(list.items[i].value, &affinity, NULL))
			continue;
		item.is_confirmed = affinity.state == CV_IPAM_CONFIRMED && !affinity.is_deleted;
		cv_affinity_fini(&affinity);
		if (cv_vector_append(own, &item))
			rc = cv_error_set(error, -ENOMEM, "no memory");
	}
	if (rc != 0 && rc != -ENOMEM)
		return rc;
	cv_kv_list_fini(&list);
	return rc;
}

static int cut_declared(const struct cv_ipam *ipam, const struct cv_prefix *declared,
			struct cv_vector *own)
{
	const struct cv_ipam_pool *pool = cv_ipam_pool_of(ipam, declared);
	uint32_t count;

	if (!pool || pool->block_size < declared->length || pool->block_size < CV_BLOCK_LENGTH_MIN)
		return 0;
	count = UINT32_C(1) << (pool->block_size - declared->length);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t first = cv_prefix_first(declared) + (i << (32 - pool->block_size));
		struct cv_ipam_own item = {
			{cv_htonl(first), pool->block_size}, CV_KV_ABSENT, false};

		if (cv_vector_append(own, &item))
			return -ENOMEM;
	}
	return 0;
}

/* What is declared, with what the store has of it already. */
static int know_declared(struct cv_ipam *ipam, const struct cv_vector *stored,
			 struct cv_error *error)
{
	struct cv_vector *own = &ipam->own;
	size_t count = 0;

	for (size_t i = 0; i < ipam->world.declared_count; i++)
		if (cut_declared(ipam, &ipam->world.declared[i], own))
			return cv_error_set(error, -ENOMEM, "no memory");
	if (own->count)
		qsort(own->items, own->count, sizeof(struct cv_ipam_own), compare_own);
	for (size_t i = 0; i < own->count; i++) {
		/* A prefix may be declared twice. */
		if (count && !compare_own(own_at(ipam, count - 1), own_at(ipam, i)))
			continue;
		*own_at(ipam, count++) = *own_at(ipam, i);
	}
	own->count = count;
	for (size_t i = 0; i < stored->count; i++) {
		const struct cv_ipam_own *item = cv_vector_at(stored, i);
		struct cv_ipam_own *there = cv_ipam_find_own(ipam, &item->cidr);

		if (there)
			*there = *item;
	}
	return 0;
}

int cv_ipam_know_own(struct cv_ipam *ipam, struct cv_error *error)
{
	struct cv_vector stored;
	int rc;

	if (ipam->knows_own)
		return 0;
	cv_vector_init(&stored, sizeof(struct cv_ipam_own));
	rc = list_affinities(ipam, &stored, error);
	if (!rc && ipam->world.claims) {
		cv_vector_fini(&ipam->own);
		ipam->own = stored;
		if (ipam->own.count)
			qsort(ipam->own.items, ipam->own.count, sizeof(struct cv_ipam_own),
			      compare_own);
		ipam->knows_own = true;
		return 0;
	}
	ipam->own.count = 0;
	if (!rc)
		rc = know_declared(ipam, &stored, error);
	cv_vector_fini(&stored);
	ipam->knows_own = !rc;
	return rc;
}
