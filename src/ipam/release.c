/* SPDX-License-Identifier: Apache-2.0 */
/* Releasing: by handle, by address; and giving blocks back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/state.h"

static struct cv_ipam_entry *entry_at(const struct cv_ipam *ipam, size_t i)
{
	return *(struct cv_ipam_entry **)cv_vector_at(&ipam->entries, i);
}

/* ---- by handle ------------------------------------------------------------------- */

struct release {
	size_t count;  /* of the commit at hand */
	bool is_whole; /* all of the last handle fitted into it */
	/* A document that could not be read: its addresses stay. */
	int damaged;
	struct cv_error error;
};

/* All addresses that a handle has in a block. Returns how many. */
static uint32_t release_in(struct cv_ipam_entry *entry, const char *handle)
{
	uint32_t count = 0, ordinal = 0;

	while ((ordinal = cv_block_find(&entry->block, handle, ordinal)) < entry->block.size) {
		cv_block_release(&entry->block, ordinal);
		entry->is_touched = true;
		count++;
	}
	return count;
}

static uint32_t count_in(const struct cv_block *block, const char *handle)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < block->size; i++)
		count += cv_block_has(block, i, handle);
	return count;
}

/* One block that the handle counts. 0, or of the kv. */
static int release_counted(struct cv_ipam *ipam, struct cv_ipam_held *held,
			   const struct cv_prefix *cidr, struct release *release,
			   struct cv_error *error)
{
	struct cv_ipam_entry *entry;
	int rc = cv_ipam_load(ipam, cidr, false, &entry, error);

	/* A block that has nothing of the handle is not in the commit, so nothing would say that
	 * it was not what we remember. */
	if (!rc && count_in(&entry->block, held->name) != cv_handle_in(&held->handle, cidr))
		rc = cv_ipam_load(ipam, cidr, true, &entry, error);
	if (rc == -EUCLEAN) {
		release->damaged = rc;
		release->error = *error;
		return 0;
	}
	if (rc && rc != -ENOENT)
		return rc;
	if (!rc)
		release->count += release_in(entry, held->name);
	held->is_touched = true;
	cv_handle_set(&held->handle, cidr, 0);
	return 0;
}

/* What the handle's document does not count, but a block of ours in memory has. */
static void release_uncounted(struct cv_ipam *ipam, struct cv_ipam_held *held,
			      struct release *release)
{
	for (size_t i = 0; i < ipam->entries.count && cv_ipam_has_room(ipam); i++)
		release->count += release_in(entry_at(ipam, i), held->name);
}

/* One handle into the batch. 0, or of the kv. */
static int release_handle(struct cv_ipam *ipam, const char *handle, struct release *release,
			  struct cv_error *error)
{
	struct cv_ipam_held *held;
	int rc = cv_ipam_hold(ipam, handle, &held, error);
	size_t i = 0;

	release->is_whole = true;
	if (rc == -EUCLEAN) {
		release->damaged = rc;
		release->error = *error;
		return 0;
	}
	while (!rc && i < held->handle.count) {
		struct cv_handle_count count = held->handle.counts[i];
		size_t before = held->handle.count;

		if (count.is_ipv4 && !cv_ipam_has_room(ipam)) {
			release->is_whole = false;
			return 0;
		}
		if (count.is_ipv4)
			rc = release_counted(ipam, held, &count.block, release, error);
		/* What stays is not ours, or could not be read. */
		i += held->handle.count == before;
	}
	if (!rc)
		release_uncounted(ipam, held, release);
	/* An empty document that counts nothing goes, too. */
	if (!rc && held->revision != CV_KV_ABSENT && cv_handle_is_empty(&held->handle))
		held->is_touched = true;
	return rc;
}

/* As many handles as fit. *ret_next: the first that is to do yet. */
static int release_batch(struct cv_ipam *ipam, const char *const *handles, size_t count,
			 struct release *release, size_t *ret_next, struct cv_error *error)
{
	size_t i = 0;
	int rc = 0;

	release->count = 0;
	release->is_whole = true;
	while (!rc && i < count && release->is_whole && cv_ipam_has_room(ipam)) {
		rc = cv_ipam_key_allows_handle(handles[i])
			     ? release_handle(ipam, handles[i], release, error)
			     : 0; /* which nobody can have */
		i += release->is_whole;
	}
	*ret_next = i;
	if (rc)
		cv_ipam_abandon(ipam);
	else
		rc = cv_ipam_commit(ipam, error);
	return rc;
}

int cv_ipam_release(struct cv_ipam *ipam, const char *const *handles, size_t count,
		    size_t *ret_count, struct cv_error *error)
{
	struct release release = {.count = 0};
	unsigned int lost = 0, timeouts = 0;
	size_t next, released = 0, unsure = 0;
	struct cv_error own_error;
	int rc = 0;

	if (!error)
		error = &own_error;
	cv_ipam_begin(ipam);
	while (!rc && count) {
		rc = release_batch(ipam, handles, count, &release, &next, error);
		if (!rc) {
			/* Nothing is left to release of what nobody knew whether it was. */
			released += release.count ? release.count : unsure;
			unsure = 0;
			handles += next;
			count -= next;
		} else if (rc == -EAGAIN && lost < CV_IPAM_ATTEMPTS) {
			cv_ipam_wait(lost++);
			rc = 0;
		} else if (rc == -ETIMEDOUT && timeouts++ < CV_IPAM_TIMEOUTS) {
			unsure = release.count;
			rc = 0;
		}
	}
	if (ret_count)
		*ret_count = released;
	if (!rc && release.damaged) {
		*error = release.error;
		rc = release.damaged;
	}
	return rc;
}

/* ---- by address ------------------------------------------------------------------ */

static int not_assigned(__be32 address, struct cv_error *error)
{
	char text[CV_ADDRESS_TEXT_MAX];

	return cv_error_set(error, -ENOENT, "%s is not assigned", cv_address_format(address, text));
}

/* The block that has an address: of its pool's size, or of any, where the pool is gone or another.
 */
static int find_block(struct cv_ipam *ipam, __be32 address, struct cv_ipam_entry **ret_entry,
		      struct cv_error *error)
{
	struct cv_prefix single = {address, 32};
	const struct cv_ipam_pool *pool = cv_ipam_pool_of(ipam, &single);
	struct cv_prefix cidr;
	int rc = -ENOENT;

	if (pool && pool->block_size >= CV_BLOCK_LENGTH_MIN) {
		cidr = cv_prefix_of(address, pool->block_size);
		rc = cv_ipam_load(ipam, &cidr, true, ret_entry, error);
	}
	for (uint8_t length = 32; rc == -ENOENT && length >= CV_BLOCK_LENGTH_MIN; length--) {
		cidr = cv_prefix_of(address, length);
		rc = cv_ipam_load(ipam, &cidr, true, ret_entry, error);
	}
	return rc == -ENOENT ? not_assigned(address, error) : rc;
}

int cv_ipam_release_ordinal(struct cv_ipam *ipam, struct cv_ipam_entry *entry, uint32_t ordinal,
			    struct cv_error *error)
{
	const struct cv_block_attribute *attribute = cv_block_attribute_of(&entry->block, ordinal);
	struct cv_ipam_held *held;
	uint32_t count;
	int rc;

	if (!attribute->handle || !cv_ipam_key_allows_handle(attribute->handle)) {
		cv_block_release(&entry->block, ordinal);
		entry->is_touched = true;
		return 0;
	}
	rc = cv_ipam_hold(ipam, attribute->handle, &held, error);
	if (rc)
		return rc;
	cv_block_release(&entry->block, ordinal);
	entry->is_touched = true;
	count = cv_handle_in(&held->handle, &entry->block.cidr);
	if (count) {
		held->is_touched = true;
		cv_handle_set(&held->handle, &entry->block.cidr, count - 1);
	}
	return 0;
}

static int release_address(struct cv_ipam *ipam, __be32 address, const char *handle,
			   struct cv_error *error)
{
	const struct cv_block_attribute *attribute;
	struct cv_ipam_entry *entry;
	char text[CV_ADDRESS_TEXT_MAX];
	uint32_t ordinal;
	int rc = find_block(ipam, address, &entry, error);

	if (rc)
		return rc;
	ordinal = cv_block_ordinal(&entry->block, address);
	attribute = cv_block_attribute_of(&entry->block, ordinal);
	if (!attribute)
		return not_assigned(address, error);
	if (handle && !cv_block_has(&entry->block, ordinal, handle))
		return cv_error_set(error, -EPERM, "%s is assigned to %.200s, not to %.100s",
				    cv_address_format(address, text),
				    attribute->handle ? attribute->handle : "nobody by name",
				    handle);
	rc = cv_ipam_release_ordinal(ipam, entry, ordinal, error);
	return rc ? rc : cv_ipam_commit(ipam, error);
}

int cv_ipam_release_address(struct cv_ipam *ipam, __be32 address, const char *handle,
			    struct cv_error *error)
{
	unsigned int lost = 0, timeouts = 0;
	bool is_unsure = false;

	for (;;) {
		int rc;

		cv_ipam_begin(ipam);
		rc = release_address(ipam, address, handle, error);
		if (rc)
			cv_ipam_abandon(ipam);
		if (rc == -EAGAIN && lost < CV_IPAM_ATTEMPTS) {
			cv_ipam_wait(lost++);
			continue;
		}
		if (rc == -ETIMEDOUT && timeouts++ < CV_IPAM_TIMEOUTS) {
			is_unsure = true;
			continue;
		}
		/* It was done, as it turns out. */
		return rc == -ENOENT && is_unsure ? 0 : rc;
	}
}
