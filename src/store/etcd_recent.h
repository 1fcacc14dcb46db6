/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By what one can tell whether etcd's store is still the one that was listed and watched: how many
 * keys a range has, and the newest of them. A restored backup may have the same cluster and member
 * IDs, and may have been written past the revision at which a watch would go on.
 */
#ifndef CV_STORE_ETCD_RECENT_H
#define CV_STORE_ETCD_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/kv.h"

enum {
	CV_ETCD_RECENT_MAX = 64,
	CV_ETCD_RECENT_ASKED = 8, /* that are compared */
};

/* The newest keys of a range: all that there are, or those that are newer than any other. */
struct cv_etcd_recent {
	struct cv_etcd_recent_key {
		char *key;
		int64_t revision;
		uint64_t hash;	     /* of its value */
	} items[CV_ETCD_RECENT_MAX]; /* the oldest first */
	size_t count;
	size_t keys;  /* of the range */
	bool is_lost; /* no memory: nothing can be told */
};
void cv_etcd_recent_fini(struct cv_etcd_recent *recent);

/* What a list has; value NULL as in struct cv_kv_item. */
void cv_etcd_recent_reset(struct cv_etcd_recent *recent, const struct cv_kv_list *list);

/* What a watch has brought. */
void cv_etcd_recent_put(struct cv_etcd_recent *recent, const char *key, const char *value,
			int64_t revision, bool is_new);
void cv_etcd_recent_delete(struct cv_etcd_recent *recent, const char *key);

/*
 * Whether a store that has so many keys, of which those of newest (CV_ETCD_RECENT_ASKED of them, or
 * all) are the newest, at the revision up to which recent is, can be the same.
 */
bool cv_etcd_recent_agrees(const struct cv_etcd_recent *recent, size_t keys,
			   const struct cv_kv_list *newest);

#endif
