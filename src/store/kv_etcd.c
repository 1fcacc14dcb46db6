/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents in etcd: relative keys become whole ones, and back.
 *
 * Invariant: a list is as it was at one revision.
 */
#include "store/kv_etcd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/etcd.h"

struct kv_etcd {
	struct cv_kv kv;
	struct cv_etcd *etcd;
	char *prefix; /* "/culvert/" */
};

static struct kv_etcd *of(struct cv_kv *kv)
{
	return (struct kv_etcd *)kv;
}

static int no_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

/* A whole key; the caller frees it. NULL: no memory. */
static char *whole_key(const struct kv_etcd *kv, const char *key)
{
	char *whole;

	return asprintf(&whole, "%s%s", kv->prefix, key) < 0 ? NULL : whole;
}

/*
 * Make the keys relative. A value that is no text becomes an empty one, which is no document
 * either: so that one, and not the whole list, is malformed.
 */
static int take_items(const struct kv_etcd *kv, struct cv_kv_list *list, struct cv_error *error)
{
	size_t length = strlen(kv->prefix);

	for (size_t i = 0; i < list->count; i++) {
		struct cv_kv_item *item = &list->items[i];

		if (!item->value)
			item->value = strdup("");
		if (!item->value)
			return no_memory(error);
		if (strncmp(item->key, kv->prefix, length) != 0)
			return cv_error_set(error, -EPROTO,
					    "etcd has answered with another key: %s", item->key);
		memmove(item->key, item->key + length, strlen(item->key + length) + 1);
	}
	return 0;
}

static int list_range(struct kv_etcd *kv, const struct cv_etcd_range *range,
		      struct cv_kv_list *ret_list, struct cv_error *error)
{
	struct cv_kv_list list;
	int64_t revision = 0;
	int rc = cv_etcd_list(kv->etcd, range, &revision, &list, error);

	/* It has no end there. */
	if (rc == -E2BIG)
		cv_etcd_move_on(kv->etcd);
	if (rc)
		return rc;
	rc = take_items(kv, &list, error);
	if (rc)
		cv_kv_list_fini(&list);
	else
		*ret_list = list;
	return rc;
}

static int get_item(struct cv_kv *kv, const char *key, struct cv_kv_item *ret_item,
		    struct cv_error *error)
{
	struct cv_etcd_range range = {whole_key(of(kv), key), NULL};
	struct cv_kv_list list;
	int rc = range.begin ? list_range(of(kv), &range, &list, error) : no_memory(error);

	free((void *)(uintptr_t)range.begin);
	if (rc)
		return rc;
	if (!list.count) {
		cv_kv_list_fini(&list);
		return cv_error_set(error, -ENOENT, "there is no key %s", key);
	}
	*ret_item = list.items[0];
	list.items[0] = (struct cv_kv_item){.key = NULL};
	cv_kv_list_fini(&list);
	return 0;
}

static int list_items(struct cv_kv *kv, const char *prefix, struct cv_kv_list *ret_list,
		      struct cv_error *error)
{
	char *begin = whole_key(of(kv), prefix), *end = begin ? cv_etcd_prefix_end(begin) : NULL;
	const struct cv_etcd_range range = {begin, end};
	int rc = end ? list_range(of(kv), &range, ret_list, error) : no_memory(error);

	free(begin);
	free(end);
	return rc;
}

static int commit(struct cv_kv *kv, const struct cv_kv_operation *operations, size_t count,
		  int64_t *ret_revision, struct cv_error *error)
{
	struct cv_kv_operation *whole = calloc(count + 1, sizeof(whole[0]));
	char **keys = calloc(count + 1, sizeof(keys[0]));
	int rc = whole && keys ? 0 : no_memory(error);

	for (size_t i = 0; i < count && !rc; i++) {
		keys[i] = whole_key(of(kv), operations[i].key);
		if (!keys[i])
			rc = no_memory(error);
		whole[i] = operations[i];
		whole[i].key = keys[i];
	}
	if (!rc)
		rc = cv_etcd_commit(of(kv)->etcd, whole, count, NULL, ret_revision, error);
	for (size_t i = 0; keys && i < count; i++)
		free(keys[i]);
	free(keys);
	free(whole);
	return rc;
}

static void cancel(struct cv_kv *kv)
{
	cv_etcd_cancel(of(kv)->etcd);
}

static void destroy(struct cv_kv *kv)
{
	cv_etcd_destroy(of(kv)->etcd);
	free(of(kv)->prefix);
	free(of(kv));
}

int cv_kv_etcd_create(const struct cv_datastore_config *config, const char *prefix,
		      struct cv_kv **ret_kv, struct cv_error *error)
{
	static const struct cv_kv_ops ops = {
		.get = get_item,
		.list = list_items,
		.commit = commit,
		.cancel = cancel,
		.destroy = destroy,
	};
	const struct cv_etcd_options options = {.config = config};
	struct kv_etcd *kv = calloc(1, sizeof(*kv));
	int rc;

	if (!kv)
		return no_memory(error);
	kv->kv.ops = &ops;
	if (asprintf(&kv->prefix, "%s/", prefix ? prefix : CV_DATASTORE_PREFIX) < 0) {
		kv->prefix = NULL;
		destroy(&kv->kv);
		return no_memory(error);
	}
	rc = cv_etcd_create(&options, &kv->etcd, error);
	if (rc) {
		destroy(&kv->kv);
		return rc;
	}
	*ret_kv = &kv->kv;
	return 0;
}
