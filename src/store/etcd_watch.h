/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of etcd, followed by a thread: listed once, then watched from the revision behind that list
 * on. What comes of it are raw texts, for the caller to take; resources are made by its own thread.
 *
 * - A watch that ends goes on, at another member, behind the last event: nothing is left out, and
 *   nothing comes twice. Where that is compacted, all keys are listed anew.
 * - Every CV_ETCD_WATCH_PING_MS the member that is watched is asked for a key: one that has no
 *   majority, or stands still, keeps its connections and says nothing, and is left for another.
 *   With the request's time limit that takes 8 s at most; a network that swallows everything is
 *   noticed by the same, or by TCP (CV_ETCD_SILENCE_S).
 * - Before a watch goes on, the store is asked for its newest keys as they were then. Another one
 *   (a backup was restored), also one that has been written past that revision, is listed anew.
 */
#ifndef CV_STORE_ETCD_WATCH_H
#define CV_STORE_ETCD_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/datastore.h"
#include "store/etcd_reply.h"

enum {
	CV_ETCD_WATCH_PING_MS = 5000,
	CV_ETCD_WATCH_RANGES = 4,
};

struct cv_etcd_watcher;

struct cv_etcd_watcher_options {
	const struct cv_datastore_config *config; /* copied */
	/* What begins with these is listed, what begins with prefix is watched, at most
	 * CV_ETCD_WATCH_RANGES, sorted. Copied. */
	const char *prefix;
	const char *const *listed;
	size_t listed_count;
};

/* What has changed since the last time. */
struct cv_etcd_news {
	bool is_whole; /* the first whole_count events are all keys that there are */
	size_t whole_count;
	int64_t whole_revision;	      /* of that list */
	struct cv_etcd_event *events; /* behind them changes, in their order */
	size_t count;
};
void cv_etcd_news_fini(struct cv_etcd_news *news);

/* Start the thread. 0 or -errno. cv_etcd_watcher_destroy. */
int cv_etcd_watcher_create(const struct cv_etcd_watcher_options *options,
			   struct cv_etcd_watcher **ret_watcher, struct cv_error *error);
/* Ends what the thread is waiting for. NULL is fine. */
void cv_etcd_watcher_destroy(struct cv_etcd_watcher *watcher);

/* Readable when there is news, or etcd has come or gone; cv_etcd_watcher_take clears it. */
int cv_etcd_watcher_fd(const struct cv_etcd_watcher *watcher);
void cv_etcd_watcher_take(struct cv_etcd_watcher *watcher, struct cv_etcd_news *ret_news);

/* Make the descriptor readable: what was taken is still to be acted on. */
void cv_etcd_watcher_poke(struct cv_etcd_watcher *watcher);

/* List everything anew, soon. */
void cv_etcd_watcher_again(struct cv_etcd_watcher *watcher);

/* Go on at another member, from where the watch is: this one does not tell all that there is. */
void cv_etcd_watcher_leave(struct cv_etcd_watcher *watcher);

struct cv_etcd_watcher_status {
	bool is_away;		 /* etcd is not followed now, or was not yet */
	int64_t since;		 /* seconds since the epoch: of this state */
	struct cv_error why;	 /* it is away */
	char endpoint[256];	 /* in use, or the last that was */
	uint64_t lists, watches; /* since the start */
};
void cv_etcd_watcher_status(struct cv_etcd_watcher *watcher,
			    struct cv_etcd_watcher_status *ret_status);

#endif
