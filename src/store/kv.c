/* SPDX-License-Identifier: Apache-2.0 */
/* What all stores of documents have in common: what a commit may be, and the end of what they gave.
 */
#include "store/kv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Its address is what counts. */
const char cv_kv_keep[] = "(keep)";

void cv_kv_item_fini(struct cv_kv_item *item)
{
	free(item->key);
	free(item->value);
	*item = (struct cv_kv_item){0};
}

void cv_kv_list_fini(struct cv_kv_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		cv_kv_item_fini(&list->items[i]);
	free(list->items);
	*list = (struct cv_kv_list){0};
}

int cv_kv_get(struct cv_kv *kv, const char *key, struct cv_kv_item *ret_item,
	      struct cv_error *error)
{
	return kv->ops->get(kv, key, ret_item, error);
}

int cv_kv_list(struct cv_kv *kv, const char *prefix, struct cv_kv_list *ret_list,
	       struct cv_error *error)
{
	return kv->ops->list(kv, prefix, ret_list, error);
}

/* etcd takes a key once in a transaction; SQLite would let the last one win. */
static int check_operations(const struct cv_kv_operation *operations, size_t count,
			    struct cv_error *error)
{
	if (!count || count > CV_KV_OPERATIONS)
		return cv_error_set(error, -EINVAL, "a commit of %zu changes; 1 to %d are allowed",
				    count, CV_KV_OPERATIONS);
	for (size_t i = 0; i < count; i++) {
		if (operations[i].revision < CV_KV_WHATEVER)
			return cv_error_set(error, -EINVAL, "%s: revision %lld", operations[i].key,
					    (long long)operations[i].revision);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(operations[i].key, operations[j].key))
				return cv_error_set(error, -EINVAL, "%s: twice in one commit",
						    operations[i].key);
	}
	return 0;
}

int cv_kv_commit(struct cv_kv *kv, const struct cv_kv_operation *operations, size_t count,
		 int64_t *ret_revision, struct cv_error *error)
{
	int64_t revision = 0;
	int rc = check_operations(operations, count, error);

	if (!rc)
		rc = kv->ops->commit(kv, operations, count, &revision, error);
	if (!rc && ret_revision)
		*ret_revision = revision;
	return rc;
}

void cv_kv_cancel(struct cv_kv *kv)
{
	if (kv && kv->ops->cancel)
		kv->ops->cancel(kv);
}

void cv_kv_destroy(struct cv_kv *kv)
{
	if (kv)
		kv->ops->destroy(kv);
}
