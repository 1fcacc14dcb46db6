/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of etcd that mean something, with the resources that they came to. */
#ifndef CV_STORE_ETCD_ENTRIES_H
#define CV_STORE_ETCD_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/manifest.h"
#include "store/etcd_watch.h"

#define CV_ETCD_ORIGIN "etcd:" /* what the origin of such resources begins with */

struct cv_etcd_entry {
	char *key;   /* relative */
	char *value; /* NULL: it is no text */
	char *text;  /* the manifest that it came to; NULL: the value itself */
	int64_t revision;
	struct cv_manifest manifest; /* of its last good value */
	struct cv_error problem;     /* of its value now: "FILE:LINE:COLUMN: …"; "": none */
	unsigned int round;	     /* of the list that had it last */
};

struct cv_etcd_entries {
	const char *prefix;	      /* "/culvert/"; the caller's */
	struct cv_etcd_entry **items; /* sorted by key */
	size_t count, capacity;
	size_t resources; /* in all manifests */
	size_t applied;	  /* of these, what somebody has applied */
	size_t broken;	  /* entries with a problem */
	int64_t revision; /* of the last change of any key */
	unsigned int round;
	bool has_changed; /* a resource; for the caller to clear */
};
void cv_etcd_entries_fini(struct cv_etcd_entries *entries);

/* NULL: there is none. */
struct cv_etcd_entry *cv_etcd_entries_find(const struct cv_etcd_entries *entries, const char *key);

/*
 * Take a change of a key (whole key; value NULL: no text, or deleted), unless it is older
 * than what is known. 0 or -ENOMEM.
 */
int cv_etcd_entries_take(struct cv_etcd_entries *entries, const char *key, const char *value,
			 int64_t revision, bool is_deleted);

/* Take all that the watcher has found. 0 or -ENOMEM. */
int cv_etcd_entries_take_news(struct cv_etcd_entries *entries, const struct cv_etcd_news *news);

/* All resources: *ret_resources, which the caller frees, without references. 0 or -ENOMEM. */
int cv_etcd_entries_resources(const struct cv_etcd_entries *entries,
			      struct cv_resource ***ret_resources, size_t *ret_count);

#endif
