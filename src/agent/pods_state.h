/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of pods share. For pods*.c alone. */
#ifndef CV_AGENT_PODS_STATE_H
#define CV_AGENT_PODS_STATE_H

#include "agent/bridges.h"
#include "agent/pods.h"
#include "agent/reaper.h"
#include "net/namespace.h"

#define CV_PODS_NOTES "attachment/" /* before the hash: keys of the notes */

struct cv_pod_waiter {
	cv_pods_answer answer;
	void *context;
};

struct cv_pod_entry {
	struct cv_pod pod;
	struct cv_pods *pods;
	struct cv_attachment names;
	int ifindex;		  /* of the host end; 0: not known */
	int64_t pending_us;	  /* CLOCK_MONOTONIC: of its last ADD, or since we know it */
	int64_t endpoint_due_us;  /* CLOCK_MONOTONIC; 0: none is to be made */
	unsigned int operations;  /* under way, that have a pointer to this */
	bool is_gone;		  /* not in the list any more; freed with the last operation */
	bool was_missing;	  /* at the last observation */
	bool is_deleting;	  /* right now; waiters are told when that is over */
	int reaped;		  /* index of the device that is being deleted, or was last; 0 */
	bool is_awaited;	  /* all of the deletion is done but for the device … */
	bool is_forgotten;	  /* … and the note is gone */
	struct cv_vector waiters; /* struct cv_pod_waiter */
};

struct cv_pods {
	char *run_dir;
	char namespace_id[CV_NAMESPACE_ID_MAX]; /* this boot's, and this network namespace's */
	struct event_base *base;
	struct cv_nl *nl;
	struct cv_addresses *addresses;
	struct cv_endpoint_set *endpoints;
	struct cv_reaper *reaper;
	const struct cv_pods_ops *ops;
	void *data;
	struct cv_bridges *bridges;
	struct cv_vector entries; /* struct cv_pod_entry *; in the order of their ADDs */
	struct event *endpoint_timer;
	struct cv_vector orphans; /* char *: handles without an attachment at the last look */
	struct cv_tombstones *tombstones;
	bool has_unread; /* notes that cannot be read: their addresses have pods, perhaps */
	bool is_started;
};

int64_t cv_pods_now_us(void);

/* NULL: there is none. */
struct cv_pod_entry *cv_pods_entry(const struct cv_pods *pods, const struct cv_pods_key *key);

/* A new one at the end. NULL: no memory. */
struct cv_pod_entry *cv_pods_new_entry(struct cv_pods *pods, const struct cv_pods_key *key);

/* An operation begins and ends to have a pointer to it. */
void cv_pod_get(struct cv_pod_entry *entry);
void cv_pod_put(struct cv_pod_entry *entry);

/* Out of the list; freed when nothing has it any more. */
void cv_pods_remove_entry(struct cv_pod_entry *entry);

/* Write the note as it is now. */
void cv_pod_note(struct cv_pod_entry *entry, cv_addresses_done done, void *context);

/* Whether its path leads to its namespace; in our mount namespace it may lead elsewhere, or
 * nowhere. */
bool cv_pod_sees_netns(const struct cv_pod *pod);

/* Its routes, into the kernel or out of it. Of several, as many as can be; the first error. */
int cv_pod_route(struct cv_pod_entry *entry, bool add, struct cv_error *error);

/* The endpoint: a moment from now; not at all, and no longer. */
void cv_pod_endpoint_later(struct cv_pod_entry *entry);
void cv_pod_endpoint_forget(struct cv_pod_entry *entry);

/* Assign an address to it, with what Calico says of a pod's: request has which one, and pools. */
void cv_pod_assign(struct cv_pod_entry *entry, const struct cv_ipam_request *request,
		   cv_addresses_done done, void *context);

/*
 * An address was given to newcomer that another attachment has: the store does not know of that one
 * any more. Then all attachments get theirs back, and it is -EBUSY with the reason; else 0.
 */
int cv_pods_reclaim(struct cv_pod_entry *newcomer, __be32 address, struct cv_error *error);

/* Delete; answer may be NULL. */
void cv_pod_delete(struct cv_pod_entry *entry, cv_pods_answer answer, void *context);
/* Those whose addresses could not be released: try again. */
void cv_pods_retry(struct cv_pods *pods);

/* Answer with an error. */
void cv_pods_refuse(cv_pods_answer answer, void *context, int rc, const char *text);

/* An error of addresses as one of requests. */
int cv_pods_error(int rc);

/* ---- tombstones -------------------------------------------------------------------------- */

struct cv_tombstones;
struct cv_tombstones *cv_tombstones_create(struct cv_pods *pods); /* NULL: it cannot */
void cv_tombstones_read(struct cv_tombstones *tombstones);
void cv_tombstones_destroy(struct cv_tombstones *tombstones); /* NULL is fine */

#endif
