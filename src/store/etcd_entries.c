/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, in a sorted array. Invariants:
 * - an entry's value and revision are the newest that are known; its manifest is of the newest
 * value that was good;
 * - has_changed is set if a resource came, went or has another text: a block whose addresses are
 *   assigned all day changes nothing as long as none is borrowed.
 */
#include "store/etcd_entries.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/etcd_documents.h"

static void free_entry(struct cv_etcd_entry *entry)
{
	if (!entry)
		return;
	cv_manifest_fini(&entry->manifest);
	free(entry->key);
	free(entry->value);
	free(entry->text);
	free(entry);
}

void cv_etcd_entries_fini(struct cv_etcd_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free_entry(entries->items[i]);
	free(entries->items);
	*entries = (struct cv_etcd_entries){.items = NULL};
}

/* Where a key is, or would be. */
static size_t place_of(const struct cv_etcd_entries *entries, const char *key, bool *ret_is_there)
{
	size_t low = 0, high = entries->count;

	*ret_is_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(entries->items[middle]->key, key);

		if (!order) {
			*ret_is_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct cv_etcd_entry *cv_etcd_entries_find(const struct cv_etcd_entries *entries, const char *key)
{
	bool is_there;
	size_t at = place_of(entries, key, &is_there);

	return is_there ? entries->items[at] : NULL;
}

/* ---- values ------------------------------------------------------------------------------ */

static void set_problem(struct cv_etcd_entries *entries, struct cv_etcd_entry *entry,
			const struct cv_error *problem)
{
	bool was_broken = *entry->problem.text;

	entry->problem = *problem;
	entries->broken += !!*problem->text;
	entries->broken -= was_broken;
}

static size_t count_applied(const struct cv_manifest *manifest)
{
	size_t count = 0;

	for (size_t i = 0; i < manifest->count; i++)
		count += cv_etcd_is_applied(manifest->resources[i]);
	return count;
}

static void set_manifest(struct cv_etcd_entries *entries, struct cv_etcd_entry *entry,
			 const struct cv_manifest *manifest)
{
	bool is_same = entry->manifest.count == manifest->count;

	for (size_t i = 0; i < manifest->count && is_same; i++)
		is_same = !strcmp(entry->manifest.resources[i]->text, manifest->resources[i]->text);
	entries->has_changed = entries->has_changed || !is_same;
	entries->resources += manifest->count;
	entries->resources -= entry->manifest.count;
	entries->applied += count_applied(manifest);
	entries->applied -= count_applied(&entry->manifest);
	cv_manifest_fini(&entry->manifest);
	entry->manifest = *manifest;
}

/* Make resources of a value. 0, -EINVAL with the place, -ENOENT or -ENOMEM. */
static int parse(const struct cv_etcd_entries *entries, const char *key, const char *value,
		 char **ret_text, struct cv_manifest *ret_manifest, struct cv_error *error)
{
	struct cv_manifest manifest = {.resources = NULL};
	struct cv_error what = {.text = ""};
	char file[sizeof(CV_ETCD_ORIGIN) + CV_ETCD_KEY_MAX + 64];
	const char *text;
	int rc;

	snprintf(file, sizeof(file), CV_ETCD_ORIGIN "%s%s", entries->prefix, key);
	*ret_text = NULL;
	if (!value)
		return cv_error_set(error, -EINVAL, "%.256s:1:1: the value is no text", file);
	rc = cv_etcd_document_read(key, value, ret_text, &what);
	if (!rc) {
		text = *ret_text ? *ret_text : value;
		rc = cv_manifest_parse(file, text, strlen(text), &manifest, error);
		if (rc)
			return rc;
		rc = cv_etcd_document_check(key, &manifest, &what);
	}
	if (rc) {
		cv_manifest_fini(&manifest);
		return rc == -ENOENT ? rc : cv_error_set(error, rc, "%.256s:%s", file, what.text);
	}
	*ret_manifest = manifest;
	return 0;
}

/* Give an entry another value. 0 or -ENOMEM; -ENOENT: the key means nothing to us. */
static int set_value(struct cv_etcd_entries *entries, struct cv_etcd_entry *entry,
		     const char *value, int64_t revision)
{
	static const struct cv_error none;
	struct cv_manifest manifest = {.resources = NULL};
	struct cv_error problem = none;
	char *copy = value ? strdup(value) : NULL, *text = NULL;
	int rc;

	if (value && !copy)
		return -ENOMEM;
	rc = parse(entries, entry->key, value, &text, &manifest, &problem);
	if (rc == -ENOMEM || rc == -ENOENT) {
		free(copy);
		free(text);
		return rc;
	}
	free(entry->value);
	free(entry->text);
	entry->value = copy;
	entry->text = text;
	entry->revision = revision;
	if (!rc)
		set_manifest(entries, entry, &manifest);
	set_problem(entries, entry, &problem);
	return 0;
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void remove_at(struct cv_etcd_entries *entries, size_t at)
{
	static const struct cv_manifest nothing;
	static const struct cv_error none;
	struct cv_etcd_entry *entry = entries->items[at];

	set_manifest(entries, entry, &nothing);
	set_problem(entries, entry, &none);
	memmove(&entries->items[at], &entries->items[at + 1],
		(entries->count - at - 1) * sizeof(entries->items[0]));
	entries->count--;
	free_entry(entry);
}

static int insert_at(struct cv_etcd_entries *entries, size_t at, struct cv_etcd_entry *entry)
{
	if (entries->count >= entries->capacity) {
		size_t capacity = entries->capacity ? entries->capacity * 2 : 64;
		struct cv_etcd_entry **grown = realloc(entries->items, capacity * sizeof(grown[0]));

		if (!grown)
			return -ENOMEM;
		entries->items = grown;
		entries->capacity = capacity;
	}
	memmove(&entries->items[at + 1], &entries->items[at],
		(entries->count - at) * sizeof(entries->items[0]));
	entries->items[at] = entry;
	entries->count++;
	return 0;
}

static int add_entry(struct cv_etcd_entries *entries, size_t at, const char *key, const char *value,
		     int64_t revision)
{
	struct cv_etcd_entry *entry = calloc(1, sizeof(*entry));
	int rc = -ENOMEM;

	if (entry)
		entry->key = strdup(key);
	if (entry && entry->key)
		rc = insert_at(entries, at, entry);
	if (rc) {
		free_entry(entry);
		return rc;
	}
	entry->round = entries->round;
	rc = set_value(entries, entry, value, revision);
	if (rc)
		remove_at(entries, at);
	return rc == -ENOENT ? 0 : rc;
}

static bool is_same(const struct cv_etcd_entry *entry, const char *value, int64_t revision)
{
	return revision == entry->revision && value && entry->value && !strcmp(value, entry->value);
}

/* A key of a list: what that says is so, also of a store that is not the one that it was. */
static int take_listed(struct cv_etcd_entries *entries, const struct cv_etcd_event *event)
{
	size_t length = strlen(entries->prefix), at;
	const char *key = event->key + length;
	bool is_there;

	if (strncmp(event->key, entries->prefix, length) != 0)
		return 0;
	at = place_of(entries, key, &is_there);
	if (!is_there)
		return add_entry(entries, at, key, event->value, event->revision);
	entries->items[at]->round = entries->round;
	return is_same(entries->items[at], event->value, event->revision)
		       ? 0
		       : set_value(entries, entries->items[at], event->value, event->revision);
}

int cv_etcd_entries_take(struct cv_etcd_entries *entries, const char *key, const char *value,
			 int64_t revision, bool is_deleted)
{
	size_t length = strlen(entries->prefix), at;
	bool is_there;

	if (strncmp(key, entries->prefix, length) != 0)
		return 0;
	key += length;
	if (revision > entries->revision)
		entries->revision = revision;
	at = place_of(entries, key, &is_there);
	if (!is_there)
		return is_deleted ? 0 : add_entry(entries, at, key, value, revision);
	if (revision <= entries->items[at]->revision)
		return 0;
	if (is_deleted) {
		remove_at(entries, at);
		return 0;
	}
	return set_value(entries, entries->items[at], value, revision);
}

/* What a list does not have is gone. */
static void remove_unseen(struct cv_etcd_entries *entries)
{
	static const struct cv_manifest nothing;
	static const struct cv_error none;
	size_t kept = 0;

	for (size_t i = 0; i < entries->count; i++) {
		struct cv_etcd_entry *entry = entries->items[i];

		if (entry->round == entries->round) {
			entries->items[kept++] = entry;
			continue;
		}
		set_manifest(entries, entry, &nothing);
		set_problem(entries, entry, &none);
		free_entry(entry);
	}
	entries->count = kept;
}

int cv_etcd_entries_take_news(struct cv_etcd_entries *entries, const struct cv_etcd_news *news)
{
	size_t first = news->is_whole ? news->whole_count : 0;
	int rc = 0;

	if (news->is_whole)
		entries->round++;
	for (size_t i = 0; i < first && !rc; i++)
		rc = take_listed(entries, &news->events[i]);
	if (!rc && news->is_whole) {
		remove_unseen(entries);
		entries->revision = news->whole_revision;
	}
	for (size_t i = first; i < news->count && !rc; i++) {
		const struct cv_etcd_event *event = &news->events[i];

		rc = cv_etcd_entries_take(entries, event->key, event->value, event->revision,
					  event->is_deleted);
	}
	return rc;
}

int cv_etcd_entries_resources(const struct cv_etcd_entries *entries,
			      struct cv_resource ***ret_resources, size_t *ret_count)
{
	struct cv_resource **resources = calloc(entries->resources + 1, sizeof(resources[0]));
	size_t count = 0;

	if (!resources)
		return -ENOMEM;
	for (size_t i = 0; i < entries->count; i++) {
		const struct cv_manifest *manifest = &entries->items[i]->manifest;

		for (size_t j = 0; j < manifest->count; j++)
			resources[count++] = manifest->resources[j];
	}
	*ret_resources = resources;
	*ret_count = count;
	return 0;
}
