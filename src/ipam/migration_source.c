/* SPDX-License-Identifier: Apache-2.0 */
/* Where what is moved comes from: a node's resources and documents, or Calico's keys. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/affinity.h"
#include "ipam/block.h"
#include "ipam/key.h"
#include "ipam/migration.h"
#include "net/prefix.h"
#include "store/resource_key.h"

#define CONFIG "ipam/v2/config"

enum {
	SORTS_MAX = 32, /* of what is passed over, told apart */
};

static int no_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

/* ---- a node's resources ------------------------------------------------------------------ */

/* A block that nobody has an address of. The caller frees. */
static char *make_block(const struct cv_prefix *cidr, const char *node, bool is_strict)
{
	struct cv_block block;
	char *text;

	if (cv_block_init(&block, cidr, node, is_strict))
		return NULL;
	text = cv_block_print(&block);
	cv_block_fini(&block);
	return text;
}

static int add_block(struct cv_migration *migration, const struct cv_prefix *cidr, const char *node,
		     bool is_ours, struct cv_error *error)
{
	char *value = make_block(cidr, node, !is_ours);
	char key[CV_IPAM_KEY_MAX];
	int rc;

	if (!value)
		return no_memory(error);
	rc = cv_migration_add(migration, CV_MIGRATION_BLOCK, cv_ipam_key_block(cidr, key), value,
			      true, error);
	free(value);
	if (rc)
		return rc;
	value = cv_affinity_print(&(const struct cv_affinity){.state = CV_IPAM_CONFIRMED});
	if (!value)
		return no_memory(error);
	rc = cv_migration_add(migration, CV_MIGRATION_AFFINITY,
			      cv_ipam_key_affinity(node, cidr, key), value, true, error);
	free(value);
	return rc;
}

/* Cut into blocks of the pool's size. */
static int add_affinity(struct cv_migration *migration, const struct cv_snapshot *snapshot,
			const struct cv_resource *resource, const char *node,
			struct cv_error *error)
{
	const struct cv_block_affinity *affinity = &resource->affinity;
	const struct cv_resource *pool = cv_snapshot_pool_of_prefix(snapshot, &affinity->cidr);
	uint64_t step;
	int rc = 0;

	if (!pool || affinity->deleted || affinity->state != CV_AFFINITY_CONFIRMED) {
		cv_messages_add(&migration->skipped, "BlockAffinity %s: %s", resource->name,
				pool ? "it is not confirmed" : "it is in no IPPool");
		return 0;
	}
	step = (uint64_t)1 << (32 - pool->pool.block_size);
	for (uint64_t first = cv_prefix_first(&affinity->cidr);
	     !rc && first <= cv_prefix_last(&affinity->cidr); first += step) {
		const struct cv_prefix cidr = {cv_htonl((uint32_t)first), pool->pool.block_size};

		rc = add_block(migration, &cidr, affinity->node, !strcmp(affinity->node, node),
			       error);
	}
	return rc;
}

int cv_migration_add_snapshot(struct cv_migration *migration, const struct cv_snapshot *snapshot,
			      const char *node, struct cv_error *error)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < snapshot->count; i++) {
		const struct cv_resource *resource = snapshot->resources[i];
		char key[CV_RESOURCE_KEY_MAX];

		if (resource->kind == CV_KIND_BLOCK_AFFINITY)
			rc = add_affinity(migration, snapshot, resource, node, error);
		else
			rc = cv_migration_add(migration, CV_MIGRATION_RESOURCE,
					      cv_resource_key(resource->kind, resource->name, key),
					      resource->text, false, error);
	}
	return rc;
}

/* ---- documents of addresses -------------------------------------------------------------- */

/* What of which there may be many, by a word for it. */
struct sorts {
	struct {
		char name[64];
		size_t count;
	} items[SORTS_MAX];
	size_t count;
};

static void pass_over(struct sorts *sorts, const char *name, size_t length)
{
	char cut[64];
	size_t i = 0;

	snprintf(cut, sizeof(cut), "%.*s", (int)(length < 63 ? length : 63), name);
	while (i < sorts->count && strcmp(sorts->items[i].name, cut) != 0)
		i++;
	if (i == SORTS_MAX)
		i--;
	if (i == sorts->count) {
		memcpy(sorts->items[i].name, cut, sizeof(cut));
		sorts->count++;
	}
	sorts->items[i].count++;
}

static void tell_sorts(const struct sorts *sorts, const char *why, struct cv_messages *skipped)
{
	for (size_t i = 0; i < sorts->count; i++)
		cv_messages_add(skipped, "%s: %zu (%s)", sorts->items[i].name,
				sorts->items[i].count, why);
}

/* A handle's blocks of IPv6 go. *ret_value: NULL: it has no others. The caller frees. */
static int strip_handle(const char *value, char **ret_value)
{
	json_t *handle = json_loads(value, 0, NULL), *count;
	json_t *blocks = json_object_get(handle, "block");
	bool is_stripped = false;
	const char *cidr;
	void *next;

	*ret_value = NULL;
	json_object_foreach_safe(blocks, next, cidr, count)
	{
		if (!strchr(cidr, ':'))
			continue;
		json_object_del(blocks, cidr);
		is_stripped = true;
	}
	if (is_stripped && !json_object_size(blocks)) {
		json_decref(handle);
		return 0;
	}
	*ret_value = is_stripped ? json_dumps(handle, JSON_COMPACT) : strdup(value);
	json_decref(handle);
	return *ret_value ? 0 : -ENOMEM;
}

static int add_handle(struct cv_migration *migration, const struct cv_kv_item *item,
		      struct sorts *sorts, struct cv_error *error)
{
	char *value;
	int rc = strip_handle(item->value, &value);

	if (rc)
		return no_memory(error);
	if (!value) {
		pass_over(sorts, "handles of IPv6", sizeof("handles of IPv6") - 1);
		return 0;
	}
	rc = cv_migration_add(migration, CV_MIGRATION_HANDLE, item->key, value, false, error);
	free(value);
	return rc;
}

/* Strict affinity and the like are a resource with us. */
static int add_config(struct cv_migration *migration, const char *value, struct cv_error *error)
{
	json_t *config = json_loads(value, 0, NULL), *spec, *json;
	char *text, key[CV_RESOURCE_KEY_MAX];
	struct cv_manifest manifest;
	struct cv_error why;
	const json_t *max = json_object_get(config, "maxBlocksPerHost");
	int rc = 0;

	spec = json_pack("{s:b, s:b}", "strictAffinity",
			 json_is_true(json_object_get(config, "strict_affinity")),
			 "autoAllocateBlocks",
			 !json_is_false(json_object_get(config, "auto_allocate_blocks")));
	if (json_is_integer(max))
		json_object_set_new(spec, "maxBlocksPerHost",
				    json_integer(json_integer_value(max)));
	json = json_pack("{s:s, s:s, s:{s:s}, s:o}", "apiVersion", "projectcalico.org/v3", "kind",
			 "IPAMConfiguration", "metadata", "name", "default", "spec", spec);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	json_decref(config);
	if (!text)
		return no_memory(error);
	if (cv_manifest_parse(CONFIG, text, strlen(text), &manifest, &why)) {
		cv_messages_add(&migration->conflicts, "%s", why.text);
	} else {
		rc = cv_migration_add(migration, CV_MIGRATION_RESOURCE,
				      cv_resource_key(manifest.resources[0]->kind, "default", key),
				      manifest.resources[0]->text, false, error);
		cv_manifest_fini(&manifest);
	}
	free(text);
	return rc;
}

static int add_document(struct cv_migration *migration, const struct cv_kv_item *item,
			struct sorts *sorts, struct cv_error *error)
{
	char node[CV_IPAM_NODE_MAX];
	struct cv_prefix cidr;
	const char *handle;

	if (cv_ipam_key_is_block(item->key, &cidr))
		return cv_migration_add(migration, CV_MIGRATION_BLOCK, item->key, item->value,
					false, error);
	if (cv_ipam_key_is_handle(item->key, &handle))
		return add_handle(migration, item, sorts, error);
	if (cv_ipam_key_is_affinity(item->key, node, &cidr))
		return cv_migration_add(migration, CV_MIGRATION_AFFINITY, item->key, item->value,
					false, error);
	if (!strcmp(item->key, CONFIG))
		return add_config(migration, item->value, error);
	if (strstr(item->key, "/ipv6/"))
		pass_over(sorts, "blocks and affinities of IPv6",
			  sizeof("blocks and affinities of IPv6") - 1);
	else
		pass_over(sorts, "other documents of addresses",
			  sizeof("other documents of addresses") - 1);
	return 0;
}

int cv_migration_add_documents(struct cv_migration *migration, struct cv_kv *kv,
			       struct cv_error *error)
{
	struct sorts sorts = {.count = 0};
	struct cv_kv_list list;
	int rc = cv_kv_list(kv, "ipam/v2/", &list, error);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < list.count; i++)
		rc = add_document(migration, &list.items[i], &sorts, error);
	cv_kv_list_fini(&list);
	tell_sorts(&sorts, "not moved", &migration->skipped);
	return rc;
}

/* ---- Calico's resources ------------------------------------------------------------------ */

/* "networkpolicies" of "resources/v3/projectcalico.org/networkpolicies/default/x". */
static void pass_over_key(struct sorts *sorts, const char *key)
{
	const char *plural = key + strlen(CV_RESOURCE_KEYS);

	plural += strcspn(plural, "/");
	plural += *plural == '/';
	pass_over(sorts, plural, strcspn(plural, "/"));
}

static int add_resource(struct cv_migration *migration, const struct cv_kv_item *item,
			struct cv_manifest *all, struct sorts *sorts, struct cv_error *error)
{
	struct cv_manifest manifest;
	struct cv_error why;
	enum cv_kind kind;
	const char *name;
	int rc = 0;

	if (cv_resource_key_parse(item->key, &kind, &name) || kind == CV_KIND_BLOCK_AFFINITY) {
		pass_over_key(sorts, item->key);
		return 0;
	}
	if (cv_manifest_parse(item->key, item->value, strlen(item->value), &manifest, &why)) {
		cv_messages_add(&migration->conflicts, "it cannot be read: %s", why.text);
		return 0;
	}
	if (manifest.count != 1 || manifest.resources[0]->kind != kind ||
	    strcmp(manifest.resources[0]->name, name) != 0)
		cv_messages_add(&migration->conflicts, "%.400s: its value is another resource",
				item->key);
	else
		rc = cv_migration_add(migration, CV_MIGRATION_RESOURCE, item->key,
				      manifest.resources[0]->text, false, error);
	for (size_t i = 0; !rc && i < manifest.count; i++)
		rc = cv_manifest_add(all, cv_resource_get(manifest.resources[i]));
	cv_manifest_fini(&manifest);
	return rc == -ENOMEM ? no_memory(error) : rc;
}

/* Whether they can be in one store. */
static void judge_resources(struct cv_migration *migration, const struct cv_manifest *all)
{
	struct cv_snapshot *snapshot;
	struct cv_error why;

	if (cv_snapshot_create(all->resources, all->count, &snapshot, &why))
		cv_messages_add(&migration->conflicts, "%s", why.text);
	else
		cv_snapshot_put(snapshot);
}

int cv_migration_add_calico(struct cv_migration *migration, struct cv_kv *calico,
			    struct cv_error *error)
{
	struct cv_manifest all = {.resources = NULL};
	struct sorts sorts = {.count = 0};
	struct cv_kv_list list;
	int rc = cv_kv_list(calico, CV_RESOURCE_KEYS, &list, error);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < list.count; i++)
		rc = add_resource(migration, &list.items[i], &all, &sorts, error);
	cv_kv_list_fini(&list);
	if (!rc)
		judge_resources(migration, &all);
	cv_manifest_fini(&all);
	tell_sorts(&sorts, "culvert has no such kind", &migration->skipped);
	return rc ? rc : cv_migration_add_documents(migration, calico, error);
}
