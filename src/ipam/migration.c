/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be moved: a list, compared with the target and written in order. */
#include "ipam/migration.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/key.h"
#include "net/prefix.h"

enum {
	/* Bytes of a commit: etcd takes 1.5 MiB by default. */
	COMMIT_BYTES = 512 << 10,
};

/* ---- the list ---------------------------------------------------------------------------- */

static void free_item(struct cv_migration_item *item)
{
	free(item->key);
	free(item->value);
}

void cv_migration_fini(struct cv_migration *migration)
{
	for (size_t i = 0; i < migration->count; i++)
		free_item(&migration->items[i]);
	free(migration->items);
	cv_messages_fini(&migration->skipped);
	cv_messages_fini(&migration->conflicts);
	*migration = (struct cv_migration){.items = NULL};
}

static int make_room(struct cv_migration *migration)
{
	size_t capacity = migration->capacity ? 2 * migration->capacity : 64;
	struct cv_migration_item *items;

	if (migration->count < migration->capacity)
		return 0;
	items = realloc(migration->items, capacity * sizeof(*items));
	if (!items)
		return -ENOMEM;
	migration->items = items;
	migration->capacity = capacity;
	return 0;
}

int cv_migration_add(struct cv_migration *migration, enum cv_migration_kind kind, const char *key,
		     const char *value, bool is_placeholder, struct cv_error *error)
{
	struct cv_migration_item item = {
		.key = strdup(key),
		.value = strdup(value),
		.kind = kind,
		.is_placeholder = is_placeholder,
	};

	if (!item.key || !item.value || make_room(migration)) {
		free_item(&item);
		return cv_error_set(error, -ENOMEM, "out of memory");
	}
	migration->items[migration->count++] = item;
	migration->is_arranged = false;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct cv_migration_item *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	/* What a node has before what is only declared. */
	return order ? order : x->is_placeholder - y->is_placeholder;
}

/* By key; of two with the same key the first counts. */
static void sort_by_key(struct cv_migration *migration)
{
	size_t kept = 0;

	if (!migration->count)
		return;
	qsort(migration->items, migration->count, sizeof(migration->items[0]), compare_keys);
	for (size_t i = 0; i < migration->count; i++) {
		struct cv_migration_item *item = &migration->items[i];

		if (kept && !strcmp(migration->items[kept - 1].key, item->key))
			free_item(item);
		else
			migration->items[kept++] = *item;
	}
	migration->count = kept;
	memset(migration->counts, 0, sizeof(migration->counts));
	for (size_t i = 0; i < kept; i++)
		migration->counts[migration->items[i].kind]++;
}

static struct cv_migration_item *find(const struct cv_migration *migration, const char *key)
{
	const struct cv_migration_item wanted = {.key = (char *)(uintptr_t)key};
	size_t low = 0, high = migration->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(migration->items[middle].key, wanted.key);

		if (!order)
			return &migration->items[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ---- what belongs together --------------------------------------------------------------- */

static void join(const struct cv_migration *migration, const char *key, size_t group)
{
	struct cv_migration_item *item = find(migration, key);

	if (item && !item->group)
		item->group = group;
}

/* Its affinity and the handles of its addresses. */
static void join_block(const struct cv_migration *migration, const struct cv_migration_item *block)
{
	json_t *json = json_loads(block->value, 0, NULL), *attribute;
	const char *affinity = json_string_value(json_object_get(json, "affinity"));
	char key[CV_IPAM_KEY_MAX];
	struct cv_prefix cidr;
	size_t i;

	if (affinity && !strncmp(affinity, "host:", 5) && cv_ipam_key_is_block(block->key, &cidr))
		join(migration, cv_ipam_key_affinity(affinity + 5, &cidr, key), block->group);
	json_array_foreach(json_object_get(json, "attributes"), i, attribute)
	{
		const char *handle = json_string_value(json_object_get(attribute, "handle_id"));

		if (handle)
			join(migration, cv_ipam_key_handle(handle, key), block->group);
	}
	json_decref(json);
}

/* Resources first; of a group the block last: it is what gives the addresses their meaning. */
static int compare_groups(const void *a, const void *b)
{
	const struct cv_migration_item *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->key, y->key);
}

static void arrange(struct cv_migration *migration)
{
	size_t group = 0;

	sort_by_key(migration);
	for (size_t i = 0; i < migration->count; i++) {
		struct cv_migration_item *item = &migration->items[i];

		item->group = 0;
		if (item->kind == CV_MIGRATION_RESOURCE)
			item->group = ++group;
	}
	for (size_t i = 0; i < migration->count; i++) {
		struct cv_migration_item *item = &migration->items[i];

		if (item->kind != CV_MIGRATION_BLOCK)
			continue;
		item->group = ++group;
		join_block(migration, item);
	}
	for (size_t i = 0; i < migration->count; i++) {
		if (!migration->items[i].group)
			migration->items[i].group = ++group;
	}
	if (migration->count)
		qsort(migration->items, migration->count, sizeof(migration->items[0]),
		      compare_groups);
	migration->is_arranged = true;
}

/* ---- comparing --------------------------------------------------------------------------- */

/* The canonical text of a resource; NULL: it is none. The caller frees. */
static char *canonical(const char *key, const char *text)
{
	struct cv_manifest manifest;
	struct cv_error error;
	char *copy = NULL;

	if (cv_manifest_parse(key, text, strlen(text), &manifest, &error))
		return NULL;
	if (manifest.count == 1)
		copy = strdup(manifest.resources[0]->text);
	cv_manifest_fini(&manifest);
	return copy;
}

static bool is_same_resource(const struct cv_migration_item *item, const char *value)
{
	char *ours = canonical(item->key, item->value), *theirs = canonical(item->key, value);
	bool is_same = ours && theirs && !strcmp(ours, theirs);

	free(ours);
	free(theirs);
	return is_same;
}

static bool is_same_member(const json_t *a, const json_t *b, const char *name)
{
	const json_t *x = json_object_get(a, name), *y = json_object_get(b, name);

	return x && y && json_equal(x, y);
}

static bool is_empty(const json_t *block)
{
	const json_t *allocations = json_object_get(block, "allocations"), *each;
	size_t i;

	json_array_foreach(allocations, i, each)
	{
		if (!json_is_null(each))
			return false;
	}
	return json_is_array(allocations);
}

enum verdict {
	SAME,
	REPLACE, /* what is there is a placeholder */
	DIFFERENT,
};

static enum verdict compare_documents(const struct cv_migration_item *item, const json_t *ours,
				      const json_t *theirs)
{
	if (json_equal(ours, theirs))
		return SAME;
	/* Other members of an affinity say nothing that counts. */
	if (item->kind == CV_MIGRATION_AFFINITY)
		return is_same_member(ours, theirs, "state") ? SAME : DIFFERENT;
	if (item->kind != CV_MIGRATION_BLOCK || !is_same_member(ours, theirs, "affinity"))
		return DIFFERENT;
	/* That node has come already, or another has made the placeholder. */
	if (item->is_placeholder)
		return SAME;
	return is_empty(theirs) ? REPLACE : DIFFERENT;
}

static enum verdict compare_values(const struct cv_migration_item *item, const char *value)
{
	enum verdict verdict = DIFFERENT;
	json_t *ours, *theirs;

	if (!strcmp(item->value, value))
		return SAME;
	if (item->kind == CV_MIGRATION_RESOURCE)
		return is_same_resource(item, value) ? SAME : DIFFERENT;
	ours = json_loads(item->value, 0, NULL);
	theirs = json_loads(value, 0, NULL);
	if (ours && theirs)
		verdict = compare_documents(item, ours, theirs);
	json_decref(ours);
	json_decref(theirs);
	return verdict;
}

static int compare_list_keys(const void *a, const void *b)
{
	const char *key = a;
	const struct cv_kv_item *item = b;

	return strcmp(key, item->key);
}

static void compare_item(struct cv_migration *migration, struct cv_migration_item *item,
			 const struct cv_kv_list *list)
{
	const struct cv_kv_item *there =
		list->count ? bsearch(item->key, list->items, list->count, sizeof(list->items[0]),
				      compare_list_keys)
			    : NULL;

	item->is_there = false;
	item->revision = CV_KV_ABSENT;
	if (!there)
		return;
	switch (compare_values(item, there->value)) {
	case SAME:
		item->is_there = true;
		migration->equal++;
		break;
	case REPLACE:
		item->revision = there->revision;
		break;
	case DIFFERENT:
		cv_messages_add(&migration->conflicts, "%.400s is there, and differs", item->key);
		break;
	}
}

/* ---- blocks that lie in each other ------------------------------------------------------- */

struct place {
	struct cv_prefix cidr;
	const char *key; /* of whom it is */
	bool is_ours;
};

static bool parse_place(const char *key, bool is_ours, struct place *ret_place)
{
	*ret_place = (struct place){.key = key, .is_ours = is_ours};
	return cv_ipam_key_is_block(key, &ret_place->cidr);
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return cv_prefix_compare(&x->cidr, &y->cidr);
}

/* Sorted, what contains another comes right before it, or before others that it contains. */
static void judge_places(struct cv_migration *migration, struct place *places, size_t count)
{
	const struct place *outer = NULL;

	if (count)
		qsort(places, count, sizeof(places[0]), compare_places);
	for (size_t i = 0; i < count; i++) {
		const struct place *place = &places[i];

		if (!outer || !cv_prefix_contains(&outer->cidr, &place->cidr)) {
			outer = place;
			continue;
		}
		if (strcmp(outer->key, place->key) != 0 && (outer->is_ours || place->is_ours))
			cv_messages_add(&migration->conflicts, "%.400s lies in %.400s", place->key,
					outer->key);
	}
}

static int compare_blocks(struct cv_migration *migration, const struct cv_kv_list *list)
{
	struct place *places = calloc(migration->count + list->count + 1, sizeof(*places));
	size_t count = 0;

	if (!places)
		return -ENOMEM;
	for (size_t i = 0; i < migration->count; i++)
		count += parse_place(migration->items[i].key, true, &places[count]);
	for (size_t i = 0; i < list->count; i++)
		count += parse_place(list->items[i].key, false, &places[count]);
	judge_places(migration, places, count);
	free(places);
	return 0;
}

int cv_migration_compare(struct cv_migration *migration, struct cv_kv *target,
			 struct cv_error *error)
{
	static const char *const prefixes[] = {"resources/v3/", "ipam/v2/"};

	if (!migration->is_arranged)
		arrange(migration);
	migration->equal = 0;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct cv_kv_list list;
		int rc = cv_kv_list(target, prefixes[i], &list, error);

		if (rc)
			return rc;
		for (size_t j = 0; j < migration->count; j++) {
			struct cv_migration_item *item = &migration->items[j];

			if (!strncmp(item->key, prefixes[i], strlen(prefixes[i])))
				compare_item(migration, item, &list);
		}
		rc = i ? compare_blocks(migration, &list) : 0;
		cv_kv_list_fini(&list);
		if (rc)
			return cv_error_set(error, rc, "out of memory");
	}
	return 0;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* How many items from the first make the next commit: whole groups, as long as they fit. */
static size_t next_batch(const struct cv_migration *migration, size_t first,
			 struct cv_kv_operation operations[CV_KV_OPERATIONS],
			 size_t *ret_operations)
{
	size_t bytes = 0, count = 0, whole = first, whole_count = 0, i = first;

	for (; i < migration->count; i++) {
		const struct cv_migration_item *item = &migration->items[i];

		if (i > first && item->group != migration->items[i - 1].group) {
			whole = i;
			whole_count = count;
		}
		if (item->is_there)
			continue;
		bytes += strlen(item->key) + strlen(item->value);
		if (count == CV_KV_OPERATIONS || (count && bytes > COMMIT_BYTES))
			break;
		operations[count++] =
			(struct cv_kv_operation){item->key, item->value, item->revision};
	}
	/* A group that is larger than a commit goes in parts. */
	if (i < migration->count && whole_count) {
		i = whole;
		count = whole_count;
	}
	*ret_operations = count;
	return i - first;
}

int cv_migration_write(struct cv_migration *migration, struct cv_kv *target,
		       struct cv_migration_progress *progress, struct cv_error *error)
{
	struct cv_kv_operation operations[CV_KV_OPERATIONS];
	size_t first = 0;

	while (first < migration->count) {
		size_t count, items = next_batch(migration, first, operations, &count);
		int rc = 0;

		if (atomic_load(&progress->stop))
			return cv_error_set(error, -ECANCELED, "culvertd ends");
		if (count)
			rc = cv_kv_commit(target, operations, count, NULL, error);

		if (rc == -ETIMEDOUT)
			return -EAGAIN;
		if (rc)
			return rc;
		for (size_t i = first; i < first + items; i++)
			migration->items[i].is_there = true;
		atomic_fetch_add(&progress->written, count);
		first += items;
	}
	return 0;
}
