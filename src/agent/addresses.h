/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's addresses, on a thread of their own: neither a slow disk nor an etcd that is away
 * holds up the main loop. Jobs wait in a queue; assignments that wait together are made in one
 * commit.
 *
 * Functions are for the main thread, and callbacks come there, from the loop, in the order of the
 * jobs. Local documents are written before the assignments and releases that wait beside them; who
 * needs it the other way round waits for done.
 */
#ifndef CV_AGENT_ADDRESSES_H
#define CV_AGENT_ADDRESSES_H

#include <event2/event.h>

#include "ipam/ipam.h"
#include "store/datastore.h"

struct cv_addresses;

struct cv_addresses_options {
	struct event_base *base; /* the caller's; outlives this */
	const char *state_dir;	 /* absolute; its database is CV_ADDRESSES_FILE in it; copied */
	const struct cv_datastore_config *datastore; /* copied */
};

#define CV_ADDRESSES_FILE "addresses.db"

/*
 * 0 or -errno: what the state directory has cannot be read. One that is not there, or empty, is no
 * failure yet: it is made, and its database, by the first job that needs it. Nor is an etcd that is
 * away. The caller owns *ret_addresses.
 */
int cv_addresses_create(const struct cv_addresses_options *options,
			struct cv_addresses **ret_addresses, struct cv_error *error);

/* Waits for the job at hand, a second at most where that asks etcd; jobs that wait are dropped,
 * their callbacks told -ECANCELED. NULL is fine. */
void cv_addresses_destroy(struct cv_addresses *addresses);

/* For jobs from now on. Takes what is in world over. */
void cv_addresses_configure(struct cv_addresses *addresses, struct cv_ipam_world *world);

/* What is done when a job is. result is valid during the call: what its pointer is stands at each.
 */
typedef void (*cv_addresses_done)(void *context, int rc, const struct cv_error *error,
				  const void *result);

/*
 * What is asked for while it is held waits, and is begun together then: a note and the assignments
 * behind it are one commit, where they are in one file. Never across a return to the loop.
 */
void cv_addresses_hold(struct cv_addresses *addresses, bool held);

/* Strings of request are copied. result: const struct cv_ipam_result *. */
void cv_addresses_assign(struct cv_addresses *addresses, const struct cv_ipam_request *request,
			 cv_addresses_done done, void *context);
/*
 * note (may be NULL): the key of a local document that is deleted once that is done, in one commit
 * where both are in one file. result: const size_t *, addresses released; of many that were done
 * together, 1.
 */
void cv_addresses_release(struct cv_addresses *addresses, const char *handle, const char *note,
			  cv_addresses_done done, void *context);
void cv_addresses_release_address(struct cv_addresses *addresses, __be32 address,
				  const char *handle, cv_addresses_done done, void *context);
/* result: struct cv_ipam_view *, which done may keep (and set to all zero). */
void cv_addresses_look(struct cv_addresses *addresses, cv_addresses_done done, void *context);
/* faults are copied; result: const size_t *. */
void cv_addresses_fix(struct cv_addresses *addresses, const struct cv_ipam_fault *faults,
		      size_t count, cv_addresses_done done, void *context);
/* Any other work on the documents (migration): run is called on the thread, and what it finds is
 * left in its context. result: NULL. */
void cv_addresses_run(struct cv_addresses *addresses,
		      int (*run)(void *context, struct cv_kv *kv, struct cv_error *error),
		      cv_addresses_done done, void *context);

/*
 * Addresses are being moved to etcd, or were (migration): from now on what is released is noted,
 * and released there as well once culvertd works with it. False: it has come to nothing.
 */
void cv_addresses_set_moving(struct cv_addresses *addresses, bool moving);

/* Local documents that are no addresses (attachments of pods), in the state directory's database
 * also where addresses are in etcd. Blocking, about a millisecond: for the start alone. */
int cv_addresses_local_list(struct cv_addresses *addresses, const char *prefix,
			    struct cv_kv_list *ret_list, struct cv_error *error);
/* Set, or delete (value NULL), and be told when it is on the disk. */
void cv_addresses_local_put(struct cv_addresses *addresses, const char *key, const char *value,
			    cv_addresses_done done, void *context);

/* For status and metrics. */
struct cv_addresses_status {
	bool is_etcd;
	char problem[CV_ERROR_TEXT_MAX];     /* of the last job, if it was the store's fault; "" */
	uint64_t assigned, released, failed; /* since the start */
	size_t waiting;			     /* jobs */
	int64_t last_us, longest_us;	     /* a commit */
};
void cv_addresses_status(const struct cv_addresses *addresses,
			 struct cv_addresses_status *ret_status);

#endif
