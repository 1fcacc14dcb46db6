/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that are one commit: blocks, their affinities, handles. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipam/affinity.h"
#include "ipam/state.h"

static struct cv_ipam_entry *entry_at(const struct cv_ipam *ipam, size_t i)
{
	return *(struct cv_ipam_entry **)cv_vector_at(&ipam->entries, i);
}

static struct cv_ipam_held *held_at(const struct cv_ipam *ipam, size_t i)
{
	return cv_vector_at(&ipam->held, i);
}

/* ---- handles --------------------------------------------------------------------- */

static int read_handle(struct cv_ipam *ipam, struct cv_ipam_held *held, struct cv_error *error)
{
	char key[CV_IPAM_KEY_MAX];
	struct cv_kv_item item;
	struct cv_error why;
	int rc = cv_kv_get(ipam->kv, cv_ipam_key_handle(held->name, key), &item, error);

	if (rc && rc != -ENOENT)
		return rc;
	held->is_read = true;
	held->revision = CV_KV_ABSENT;
	if (rc == -ENOENT)
		return 0;
	held->revision = item.revision;
	rc = cv_handle_parse(item.value, &held->handle, &why);
	cv_kv_item_fini(&item);
	return rc ? cv_error_set(error, rc, "%s: %s", key, why.text) : 0;
}

/* Whether a block in memory has addresses of it: then its document is there. */
static bool is_known(const struct cv_ipam *ipam, const char *name)
{
	for (size_t i = 0; i < ipam->entries.count; i++) {
		const struct cv_block *block = &entry_at(ipam, i)->block;

		for (uint32_t j = 0; j < block->attribute_count; j++)
			if (block->attributes[j].handle &&
			    !strcmp(block->attributes[j].handle, name))
				return true;
	}
	return false;
}

static void free_held(struct cv_ipam_held *held)
{
	cv_handle_fini(&held->handle);
	free(held->name);
}

int cv_ipam_hold(struct cv_ipam *ipam, const char *name, struct cv_ipam_held **ret_held,
		 struct cv_error *error)
{
	struct cv_ipam_held held = {.revision = CV_KV_ABSENT};
	int rc = 0;

	for (size_t i = 0; i < ipam->held.count; i++)
		if (!strcmp(held_at(ipam, i)->name, name)) {
			*ret_held = held_at(ipam, i);
			return 0;
		}
	held.name = strdup(name);
	if (!held.name)
		return cv_error_set(error, -ENOMEM, "no memory");
	if (!ipam->is_optimistic || is_known(ipam, name))
		rc = read_handle(ipam, &held, error);
	if (!rc && cv_vector_append(&ipam->held, &held))
		rc = cv_error_set(error, -ENOMEM, "no memory");
	if (rc)
		free_held(&held);
	else
		*ret_held = held_at(ipam, ipam->held.count - 1);
	return rc;
}

/* ---- the commit ------------------------------------------------------------------ */

/* Operations, whose keys and values are ours. */
struct operations {
	struct cv_kv_operation list[CV_KV_OPERATIONS];
	size_t count;
};

static int add_operation(struct operations *operations, const char *key, char *value,
			 int64_t revision)
{
	struct cv_kv_operation *operation = &operations->list[operations->count];

	if (operations->count == CV_KV_OPERATIONS) {
		free(value);
		return -E2BIG;
	}
	*operation = (struct cv_kv_operation){.value = value, .revision = revision};
	operation->key = strdup(key);
	operations->count++;
	return operation->key ? 0 : -ENOMEM;
}

static void free_operations(struct operations *operations)
{
	for (size_t i = 0; i < operations->count; i++) {
		free((void *)(uintptr_t)operations->list[i].key);
		free((void *)(uintptr_t)operations->list[i].value);
	}
}

static int add_block(const struct cv_ipam *ipam, struct cv_ipam_entry *entry,
		     struct operations *operations)
{
	static const struct cv_affinity confirmed = {0};
	char key[CV_IPAM_KEY_MAX];
	char *text;
	int rc;

	/* What is in force is in the configuration; Calico's older versions read it here. */
	if (entry->block.strict != CV_BLOCK_STRICT_ABSENT &&
	    cv_block_is_of(&entry->block, ipam->world.node))
		entry->block.strict =
			ipam->world.strict_affinity ? CV_BLOCK_STRICT_TRUE : CV_BLOCK_STRICT_FALSE;
	cv_block_count_change(&entry->block);
	text = cv_block_print(&entry->block);
	if (!text)
		return -ENOMEM;
	entry->length = strlen(text);
	rc = add_operation(operations, cv_ipam_key_block(&entry->block.cidr, key), text,
			   entry->revision);
	if (rc || !entry->needs_affinity)
		return rc;
	text = cv_affinity_print(&confirmed);
	if (!text)
		return -ENOMEM;
	return add_operation(operations,
			     cv_ipam_key_affinity(ipam->world.node, &entry->block.cidr, key), text,
			     entry->affinity_revision);
}

static int add_handle(struct cv_ipam_held *held, struct operations *operations)
{
	char key[CV_IPAM_KEY_MAX];
	char *text = NULL;

	if (cv_handle_is_empty(&held->handle)) {
		if (held->revision == CV_KV_ABSENT)
			return 0;
	} else {
		held->handle.is_deleted = false;
		text = cv_handle_print(&held->handle);
		if (!text)
			return -ENOMEM;
	}
	return add_operation(operations, cv_ipam_key_handle(held->name, key), text, held->revision);
}

static int collect(struct cv_ipam *ipam, struct operations *operations)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < ipam->entries.count; i++)
		if (entry_at(ipam, i)->is_touched)
			rc = add_block(ipam, entry_at(ipam, i), operations);
	for (size_t i = 0; !rc && i < ipam->held.count; i++)
		if (held_at(ipam, i)->is_touched)
			rc = add_handle(held_at(ipam, i), operations);
	return rc;
}

bool cv_ipam_has_room(const struct cv_ipam *ipam)
{
	size_t operations = 0, bytes = 0;

	for (size_t i = 0; i < ipam->entries.count; i++) {
		const struct cv_ipam_entry *entry = entry_at(ipam, i);

		if (!entry->is_touched)
			continue;
		operations += 1 + entry->needs_affinity;
		bytes += entry->length;
	}
	for (size_t i = 0; i < ipam->held.count; i++)
		operations += held_at(ipam, i)->is_touched;
	return operations + CV_IPAM_OPERATIONS_EACH <= CV_KV_OPERATIONS && bytes < CV_IPAM_BYTES;
}

static void drop_held(struct cv_ipam *ipam)
{
	for (size_t i = 0; i < ipam->held.count; i++)
		free_held(held_at(ipam, i));
	ipam->held.count = 0;
}

void cv_ipam_abandon(struct cv_ipam *ipam)
{
	for (size_t i = ipam->entries.count; i-- > 0;) {
		struct cv_ipam_entry *entry = entry_at(ipam, i);

		if (!entry->is_touched)
			continue;
		/* Which blocks are ours was changed, too. */
		if (entry->needs_affinity)
			ipam->knows_own = false;
		cv_ipam_forget(ipam, entry);
	}
	drop_held(ipam);
}

/* What was changed is stored now. */
static int settle(struct cv_ipam *ipam, int64_t revision)
{
	int rc = 0;

	for (size_t i = 0; i < ipam->entries.count; i++) {
		struct cv_ipam_entry *entry = entry_at(ipam, i);
		struct cv_ipam_own own = {entry->block.cidr, revision, true};

		if (!entry->is_touched)
			continue;
		entry->is_touched = false;
		entry->revision = revision;
		if (entry->needs_affinity && cv_ipam_add_own(ipam, &own))
			rc = -ENOMEM;
		entry->needs_affinity = false;
	}
	drop_held(ipam);
	if (rc) /* it is stored all the same: read again what is ours */
		ipam->knows_own = false;
	return 0;
}

int cv_ipam_commit(struct cv_ipam *ipam, struct cv_error *error)
{
	struct operations operations = {.count = 0};
	int64_t revision = 0;
	int rc = collect(ipam, &operations);

	if (rc)
		cv_error_set(error, rc, rc == -ENOMEM ? "no memory" : "too many changes at once");
	else if (operations.count)
		rc = cv_kv_commit(ipam->kv, operations.list, operations.count, &revision, error);
	free_operations(&operations);
	if (rc == -ENOSPC)
		rc = -EDQUOT; /* of addresses there may be enough */
	if (rc)
		cv_ipam_abandon(ipam);
	else
		rc = settle(ipam, revision);
	return rc;
}

bool cv_ipam_is_store_error(int rc)
{
	switch (rc) {
	case 0:
	case -ENOSPC:
	case -EADDRINUSE:
	case -EADDRNOTAVAIL:
	case -ENOENT:
	case -EINVAL:
	case -EUCLEAN:
	case -EEXIST:
	case -EPERM:
		return false;
	default:
		return true;
	}
}

void cv_ipam_wait(unsigned int attempt)
{
	enum {
		STEADY = 6, /* attempts after which it gets no longer */
	};
	struct timespec now, wait = {0, 0};
	unsigned int limit_us = 250U << (attempt < STEADY ? attempt : STEADY);

	/* The first time at once: mostly one has lost to somebody who is done now. */
	if (!attempt)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	wait.tv_nsec = (long)((uint64_t)now.tv_nsec * 2654435761U % limit_us) * 1000;
	nanosleep(&wait, NULL);
}
