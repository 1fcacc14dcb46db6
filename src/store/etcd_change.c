/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes as transactions.
 *
 * A transaction compares each key that it writes with the revision that is known, and all resources
 * with the newest: so what was checked against each other is what is there. Up to
 * CV_KV_OPERATIONS keys, and BYTES_MAX, are one transaction. What is more is cut, deletions first,
 * the rest by kind; each part is then all or nothing, the whole is not.
 */
#include "store/etcd_change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/etcd_documents.h"
#include "store/resource_key.h"

enum {
	BYTES_MAX = 1 << 20, /* of values; etcd's limit for a request is 1.5 MiB */
};

/* A key to be written; those of one change stand together. */
struct item {
	char *key, *value; /* relative; value NULL: delete, or (is_kept) only compare */
	int64_t revision;
	size_t change;
};

struct work {
	struct cv_etcd_entries *entries;
	const struct cv_snapshot *base;
	const struct cv_store_changes *changes;
	struct item *items; /* room for two of each change */
	size_t count;
};

static int no_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

/* value: becomes the item's. */
static int add_item(struct work *work, size_t change, const char *key, char *value, bool is_delete,
		    struct cv_error *error)
{
	const struct cv_etcd_entry *entry = cv_etcd_entries_find(work->entries, key);
	struct item *item = &work->items[work->count];

	if (!is_delete && !value)
		return no_memory(error);
	*item = (struct item){
		.key = strdup(key),
		.value = value,
		.revision = entry ? entry->revision : CV_KV_ABSENT,
		.change = change,
	};
	work->count++;
	return item->key ? 0 : no_memory(error);
}

/* ---- affinities ------------------------------------------------------------------------------ */

/* The pool that a block is, or will be, in. */
static const struct cv_resource *pool_of(const struct work *work, const struct cv_prefix *cidr)
{
	const struct cv_resource *pool = cv_snapshot_pool_of_prefix(work->base, cidr);

	for (size_t i = 0; i < work->changes->count && !pool; i++) {
		const struct cv_resource *after = work->changes->items[i].after;

		if (after && after->kind == CV_KIND_IP_POOL &&
		    cv_prefix_contains(&after->pool.cidr, cidr))
			pool = after;
	}
	return pool;
}

static int check_affinity(const struct work *work, const struct cv_resource *resource,
			  struct cv_error *error)
{
	const struct cv_block_affinity *affinity = &resource->affinity;
	const struct cv_resource *pool = pool_of(work, &affinity->cidr);
	char name[CV_ETCD_KEY_MAX], cidr[CV_PREFIX_TEXT_MAX];

	cv_etcd_affinity_name(affinity->node, &affinity->cidr, name);
	if (strcmp(resource->name, name) != 0)
		return cv_error_set(error, -EINVAL,
				    "%.200s:%u: in etcd, BlockAffinity %.80s is named %.100s; name "
				    "it so",
				    resource->origin.file, resource->origin.line, resource->name,
				    name);
	if (pool && pool->pool.block_size != affinity->cidr.length)
		return cv_error_set(
			error, -EINVAL,
			"%.200s:%u: in etcd, a block is of its pool's blockSize, /%u in "
			"%.80s: cut %s into such blocks",
			resource->origin.file, resource->origin.line, pool->pool.block_size,
			pool->name, cv_prefix_format(&affinity->cidr, cidr));
	return 0;
}

/* A block comes with its affinity; it may be there, of nobody, or of the same node. */
static int add_block(struct work *work, size_t change, const struct cv_block_affinity *affinity,
		     struct cv_error *error)
{
	char key[CV_ETCD_KEY_MAX], owner[256] = "", cidr[CV_PREFIX_TEXT_MAX];
	const struct cv_etcd_entry *entry =
		cv_etcd_entries_find(work->entries, cv_etcd_block_key(&affinity->cidr, key));
	size_t assigned;

	if (entry && (!entry->value || cv_etcd_block_look(entry->value, owner, &assigned)))
		return cv_error_set(error, -EINVAL, "the block under %s%s is broken",
				    work->entries->prefix, key);
	if (entry && !strcmp(owner, affinity->node))
		return 0;
	if (*owner)
		return cv_error_set(error, -EEXIST,
				    "block %s is node %s's; delete its BlockAffinity first",
				    cv_prefix_format(&affinity->cidr, cidr), owner);
	return add_item(
		work, change, key,
		cv_etcd_block_value(&affinity->cidr, affinity->node, entry ? entry->value : NULL),
		false, error);
}

static int add_affinity(struct work *work, size_t change, const struct cv_resource *resource,
			struct cv_error *error)
{
	char key[CV_ETCD_KEY_MAX];
	int rc = check_affinity(work, resource, error);

	if (!rc)
		rc = add_item(work, change,
			      cv_etcd_affinity_key(resource->affinity.node,
						   &resource->affinity.cidr, key),
			      cv_etcd_affinity_value(&resource->affinity), false, error);
	return rc ? rc : add_block(work, change, &resource->affinity, error);
}

/* The block goes with it, if nothing in it is assigned. */
static int delete_affinity(struct work *work, size_t change,
			   const struct cv_block_affinity *affinity, struct cv_error *error)
{
	char key[CV_ETCD_KEY_MAX], owner[256], cidr[CV_PREFIX_TEXT_MAX];
	const struct cv_etcd_entry *entry;
	size_t assigned = 0;
	int rc = add_item(work, change, cv_etcd_affinity_key(affinity->node, &affinity->cidr, key),
			  NULL, true, error);

	if (rc)
		return rc;
	entry = cv_etcd_entries_find(work->entries, cv_etcd_block_key(&affinity->cidr, key));
	if (!entry || !entry->value || cv_etcd_block_look(entry->value, owner, &assigned) ||
	    strcmp(owner, affinity->node) != 0)
		return 0;
	if (assigned)
		return cv_error_set(error, -EBUSY,
				    "block %s of node %s has %zu addresses that are assigned; they "
				    "must be released first",
				    cv_prefix_format(&affinity->cidr, cidr), owner, assigned);
	return add_item(work, change, key, NULL, true, error);
}

/* ---- resources ------------------------------------------------------------------------------- */

static int check_borrowed(const struct cv_resource *resource, struct cv_error *error)
{
	if (resource->kind != CV_KIND_WORKLOAD ||
	    strncmp(resource->name, CV_ETCD_BORROWED, strlen(CV_ETCD_BORROWED)) != 0)
		return 0;
	return cv_error_set(
		error, -EPERM,
		"Workload %.200s: such names are of addresses that a node has borrowed, "
		"by which they come and go",
		resource->name);
}

static int add_resource(struct work *work, size_t change, const struct cv_resource *resource,
			struct cv_error *error)
{
	char key[CV_RESOURCE_KEY_MAX];
	const struct cv_etcd_entry *entry = cv_etcd_entries_find(
		work->entries, cv_resource_key(resource->kind, resource->name, key));

	return add_item(work, change, key,
			cv_etcd_resource_value(resource, entry ? entry->value : NULL), false,
			error);
}

static int delete_resource(struct work *work, size_t change, const struct cv_resource *resource,
			   struct cv_error *error)
{
	char key[CV_RESOURCE_KEY_MAX];

	return add_item(work, change, cv_resource_key(resource->kind, resource->name, key), NULL,
			true, error);
}

static int add_change(struct work *work, size_t change, const struct cv_store_change *what,
		      struct cv_error *error)
{
	const struct cv_resource *resource = what->after ? what->after : what->before;
	bool is_affinity = resource->kind == CV_KIND_BLOCK_AFFINITY;
	int rc = check_borrowed(resource, error);

	if (rc)
		return rc;
	if (what->after)
		return is_affinity ? add_affinity(work, change, resource, error)
				   : add_resource(work, change, resource, error);
	return is_affinity ? delete_affinity(work, change, &resource->affinity, error)
			   : delete_resource(work, change, resource, error);
}

/* ---- transactions ------------------------------------------------------------------------ */

struct ordered {
	const struct cv_store_change *change;
	size_t index;
};

/* Deletions first; then by kind, and as they were. */
static int by_order(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	bool one = !x->change->after, other = !y->change->after;
	enum cv_kind kind = (one ? x->change->before : x->change->after)->kind;
	enum cv_kind other_kind = (other ? y->change->before : y->change->after)->kind;

	if (one != other)
		return one ? -1 : 1;
	if (kind != other_kind)
		return kind < other_kind ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int add_changes(struct work *work, const struct cv_store_changes *changes,
		       struct cv_error *error)
{
	struct ordered *ordered = calloc(changes->count + 1, sizeof(ordered[0]));
	size_t count = 0;
	int rc = 0;

	work->items = calloc(2 * changes->count + 1, sizeof(work->items[0]));
	if (!ordered || !work->items)
		rc = no_memory(error);
	for (size_t i = 0; i < changes->count && !rc; i++) {
		if (changes->items[i].action != CV_STORE_UNCHANGED)
			ordered[count++] = (struct ordered){&changes->items[i], i};
	}
	if (!rc)
		qsort(ordered, count, sizeof(ordered[0]), by_order);
	for (size_t i = 0; i < count && !rc; i++)
		rc = add_change(work, i, ordered[i].change, error);
	free(ordered);
	return rc;
}

/* How many of the items from at on go into one transaction: whole changes. */
static size_t batch_size(const struct work *work, size_t at)
{
	size_t count = 0, bytes = 0;

	while (at + count < work->count) {
		const struct item *item = &work->items[at + count];
		bool has_more = at + count + 1 < work->count && item[1].change == item->change;
		size_t size = 1U + has_more, more = item->value ? strlen(item->value) : 0;

		if (has_more && item[1].value)
			more += strlen(item[1].value);
		if (count && (count + size > CV_KV_OPERATIONS || bytes + more > BYTES_MAX))
			break;
		count += size;
		bytes += more;
	}
	return count;
}

/* Our own changes are known at once; the watch brings them once more. */
static int take(struct work *work, const struct cv_kv_operation *operations, size_t count,
		int64_t revision)
{
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++)
		rc = cv_etcd_entries_take(work->entries, operations[i].key, operations[i].value,
					  revision, !operations[i].value);
	return rc;
}

static int commit_batch(struct work *work, struct cv_etcd *etcd, const struct item *items,
			size_t count, struct cv_error *error)
{
	struct cv_kv_operation operations[CV_KV_OPERATIONS];
	char(*keys)[CV_ETCD_KEY_MAX + 64] = calloc(count, sizeof(keys[0]));
	char begin[128], end[128];
	const struct cv_etcd_guard guard = {{begin, end}, work->entries->revision};
	int64_t revision = 0;
	int rc;

	if (!keys)
		return no_memory(error);
	for (size_t i = 0; i < count; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%s%s", work->entries->prefix, items[i].key);
		operations[i] =
			(struct cv_kv_operation){keys[i], items[i].value, items[i].revision};
	}
	snprintf(begin, sizeof(begin), "%s" CV_RESOURCE_KEYS, work->entries->prefix);
	snprintf(end, sizeof(end), "%s", begin);
	end[strlen(end) - 1]++;
	rc = cv_etcd_commit(etcd, operations, count, &guard, &revision, error);
	if (!rc && take(work, operations, count, revision))
		rc = no_memory(error);
	free(keys);
	return rc;
}

static int commit(struct work *work, struct cv_etcd *etcd, struct cv_error *error)
{
	struct cv_error why;
	int rc = 0;

	for (size_t at = 0, count; at < work->count && !rc; at += count) {
		count = batch_size(work, at);
		/* Whose items are freed by cv_etcd_change.
		 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		rc = commit_batch(work, etcd, &work->items[at], count, &why);
		if (rc == -ETIMEDOUT)
			cv_error_set(
				error, rc,
				"etcd has not said whether it was done; see what is there with "
				"\"culvert get\", and do it again: %s",
				why.text);
		else if (rc && (rc != -EAGAIN || at))
			cv_error_set(error, rc, "%s", why.text);
		if (rc && at) {
			why = *error;
			/* Not to be tried again in silence: some of it is done. */
			rc = rc == -EAGAIN ? -EBUSY : rc;
			cv_error_set(error, rc,
				     "%zu of %zu keys were changed before this; do it again to go "
				     "on: %s",
				     at, work->count, why.text);
		}
	}
	return rc;
}

int cv_etcd_change(struct cv_etcd *etcd, struct cv_etcd_entries *entries,
		   const struct cv_snapshot *base, const struct cv_store_changes *changes,
		   bool dry_run, struct cv_error *error)
{
	struct work work = {.entries = entries, .base = base, .changes = changes};
	int rc = add_changes(&work, changes, error);

	if (!rc && !dry_run)
		rc = commit(&work, etcd, error);
	for (size_t i = 0; i < work.count; i++) {
		free(work.items[i].key);
		free(work.items[i].value);
	}
	free(work.items);
	return rc;
}
