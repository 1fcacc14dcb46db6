/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Newest keys. Invariant: every key of the range that is not in items is older than each of them;
 * so what is deleted may be left out, and as long as one is there the newest is known.
 */
#include "store/etcd_recent.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: it tells texts apart that nobody has made to look alike. */
static uint64_t hash_of(const char *value)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; value && *value; value++)
		hash = (hash ^ (unsigned char)*value) * UINT64_C(0x100000001b3);
	return value ? hash : 0;
}

void cv_etcd_recent_fini(struct cv_etcd_recent *recent)
{
	for (size_t i = 0; i < recent->count; i++)
		free(recent->items[i].key);
	*recent = (struct cv_etcd_recent){.count = 0};
}

static void remove_at(struct cv_etcd_recent *recent, size_t at)
{
	free(recent->items[at].key);
	recent->count--;
	memmove(&recent->items[at], &recent->items[at + 1],
		(recent->count - at) * sizeof(recent->items[0]));
}

/* *ret_at is its place. */
static bool find(const struct cv_etcd_recent *recent, const char *key, size_t *ret_at)
{
	for (size_t i = 0; i < recent->count; i++) {
		if (!strcmp(recent->items[i].key, key)) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

static void append(struct cv_etcd_recent *recent, const char *key, const char *value,
		   int64_t revision)
{
	char *copy = strdup(key);

	if (!copy) {
		recent->is_lost = true;
		return;
	}
	if (recent->count == CV_ETCD_RECENT_MAX)
		remove_at(recent, 0);
	recent->items[recent->count++] =
		(struct cv_etcd_recent_key){copy, revision, hash_of(value)};
}

static int by_revision(const void *a, const void *b)
{
	const struct cv_kv_item *const *one = a, *const *other = b;

	return (*one)->revision < (*other)->revision ? -1 : (*one)->revision > (*other)->revision;
}

void cv_etcd_recent_reset(struct cv_etcd_recent *recent, const struct cv_kv_list *list)
{
	const struct cv_kv_item **sorted = calloc(list->count + 1, sizeof(sorted[0]));
	size_t first = list->count > CV_ETCD_RECENT_MAX ? list->count - CV_ETCD_RECENT_MAX : 0;

	cv_etcd_recent_fini(recent);
	recent->keys = list->count;
	recent->is_lost = !sorted;
	if (!sorted)
		return;
	for (size_t i = 0; i < list->count; i++)
		sorted[i] = &list->items[i];
	qsort(sorted, list->count, sizeof(sorted[0]), by_revision);
	for (size_t i = first; i < list->count; i++)
		append(recent, sorted[i]->key, sorted[i]->value, sorted[i]->revision);
	free(sorted);
}

void cv_etcd_recent_put(struct cv_etcd_recent *recent, const char *key, const char *value,
			int64_t revision, bool is_new)
{
	size_t at;

	recent->keys += is_new;
	if (find(recent, key, &at))
		remove_at(recent, at);
	append(recent, key, value, revision);
}

void cv_etcd_recent_delete(struct cv_etcd_recent *recent, const char *key)
{
	size_t at;

	if (recent->keys)
		recent->keys--;
	if (find(recent, key, &at))
		remove_at(recent, at);
}

static bool has(const struct cv_etcd_recent *recent, const struct cv_kv_item *item)
{
	size_t at;

	return find(recent, item->key, &at) && recent->items[at].revision == item->revision &&
	       recent->items[at].hash == hash_of(item->value);
}

bool cv_etcd_recent_agrees(const struct cv_etcd_recent *recent, size_t keys,
			   const struct cv_kv_list *newest)
{
	int64_t oldest = recent->count ? recent->items[0].revision : 0;
	bool has_all = recent->count == recent->keys;

	/* With keys, but none of the newest: too much was deleted to tell. */
	if (recent->is_lost || recent->keys != keys || (keys && !recent->count))
		return false;
	for (size_t i = 0; i < newest->count; i++) {
		if ((has_all || newest->items[i].revision > oldest) &&
		    !has(recent, &newest->items[i]))
			return false;
	}
	/* The newest of ours is among theirs. */
	for (size_t i = 0; recent->count && i < newest->count; i++) {
		if (newest->items[i].revision == recent->items[recent->count - 1].revision)
			return true;
	}
	return !recent->count;
}
