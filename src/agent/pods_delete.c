/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DEL and GC: endpoint, route, device, addresses, note, in this order; each may be gone. A crash in
 * the middle leaves the note, so the next DEL, or the next look for leftovers, does the rest. Where
 * addresses cannot be released because their store is away, the note says "deleting", DEL is
 * answered, and it is tried again.
 */
#include "agent/pods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/log.h"
#include "agent/pods_state.h"
#include "net/link.h"

static void answer_waiters(struct cv_pod_entry *entry, int rc, const struct cv_error *error)
{
	struct cv_vector waiters = entry->waiters;

	/* They may ask for more. */
	cv_vector_init(&entry->waiters, sizeof(struct cv_pod_waiter));
	for (size_t i = 0; i < waiters.count; i++) {
		const struct cv_pod_waiter *waiter = cv_vector_at(&waiters, i);

		waiter->answer(waiter->context, rc, error, rc ? NULL : json_object());
	}
	cv_vector_fini(&waiters);
}

/*
 * Whoever waits is told when the device is gone for everybody's eyes, which it is some time before
 * the reaper is done with it.
 */
static void end_deletion(struct cv_pod_entry *entry)
{
	char name[IFNAMSIZ];

	entry->is_awaited =
		entry->reaped && cv_link_get_name(entry->pods->nl, entry->reaped, name) != -ENODEV;
	if (entry->is_awaited)
		return;
	entry->is_deleting = false;
	if (entry->is_forgotten)
		cv_pods_remove_entry(entry);
	answer_waiters(entry, 0, NULL);
	cv_pod_put(entry);
}

static void on_reaped(void *context, int rc)
{
	struct cv_pod_entry *entry = context;

	if (rc)
		cv_log(LOG_WARNING, "pods: cannot delete device %s: %s", entry->pod.device,
		       strerror(-rc));
	entry->reaped = 0;
	if (entry->is_awaited)
		end_deletion(entry);
	cv_pod_put(entry);
}

static void fail_deletion(struct cv_pod_entry *entry, int rc, const struct cv_error *error)
{
	entry->is_deleting = false;
	answer_waiters(entry, rc, error);
	cv_pod_put(entry);
}

static void on_forgotten(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct cv_pod_entry *entry = context;

	(void)result;
	/* The note stays, and so does the entry: whoever comes next finds it. */
	if (rc)
		return fail_deletion(entry, rc, error);
	entry->is_forgotten = true;
	end_deletion(entry);
}

/* The note says that addresses are to be released: that is enough for who waits. */
static void on_postponed(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct cv_pod_entry *entry = context;

	(void)result;
	if (rc)
		return fail_deletion(entry, rc, error);
	end_deletion(entry);
}

static void on_released(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct cv_pod_entry *entry = context;

	(void)result;
	if (!rc)
		return on_forgotten(entry, 0, NULL, NULL);
	if (rc != -ECANCELED && entry->pod.state != CV_POD_DELETING)
		cv_log(LOG_WARNING, "pods: %s/%s: its address is not released yet: %s",
		       entry->pod.container, entry->pod.interface, error->text);
	entry->pod.state = CV_POD_DELETING;
	cv_pod_note(entry, on_postponed, entry);
}

/* From the moment that it is down, nothing that is sent to its addresses finds the pod. */
static void delete_device(struct cv_pod_entry *entry)
{
	struct cv_link link;

	if (cv_link_get(entry->pods->nl, entry->pod.device, &link) ||
	    !cv_attachment_is_device(&entry->names, &link))
		return;
	(void)cv_link_set_up(entry->pods->nl, link.index, false);
	entry->reaped = link.index;
	cv_pod_get(entry);
	cv_reaper_delete(entry->pods->reaper, link.index, on_reaped, entry);
}

/* Addresses, and behind them the note. */
static void release(struct cv_pod_entry *entry)
{
	char note[sizeof(CV_PODS_NOTES) + CV_ATTACHMENT_HASH_TEXT], handle[CV_IPAM_HANDLE_MAX];

	snprintf(note, sizeof(note), "%s%s", CV_PODS_NOTES, entry->names.hash);
	if (entry->pod.is_delegated) {
		cv_addresses_local_put(entry->pods->addresses, note, NULL, on_forgotten, entry);
		return;
	}
	cv_pod_handle(&entry->pod, handle);
	cv_addresses_release(entry->pods->addresses, handle, note, on_released, entry);
}

static int add_waiter(struct cv_pod_entry *entry, cv_pods_answer answer, void *context)
{
	const struct cv_pod_waiter waiter = {answer, context};

	return answer ? cv_vector_append(&entry->waiters, &waiter) : 0;
}

void cv_pod_delete(struct cv_pod_entry *entry, cv_pods_answer answer, void *context)
{
	struct cv_error error;

	if (add_waiter(entry, answer, context)) {
		cv_error_set(&error, -ENOMEM, "out of memory");
		answer(context, -ENOMEM, &error, NULL);
		return;
	}
	if (entry->is_deleting)
		return;
	entry->is_deleting = true;
	cv_pod_get(entry);
	cv_pod_endpoint_forget(entry);
	if (cv_pod_route(entry, false, &error))
		cv_log(LOG_WARNING, "pods: %s: %s", entry->pod.device, error.text);
	delete_device(entry);
	release(entry);
}

/* One that nobody knows may have an address, or a device, all the same: of a lost database, say. */
void cv_pods_delete(struct cv_pods *pods, const struct cv_pods_key *key, cv_pods_answer answer,
		    void *context)
{
	struct cv_pod_entry *entry = cv_pods_entry(pods, key);
	struct cv_error error;

	if (!entry)
		entry = cv_pods_new_entry(pods, key);
	if (entry)
		return cv_pod_delete(entry, answer, context);
	cv_error_set(&error, -ENOMEM, "out of memory");
	answer(context, -ENOMEM, &error, NULL);
}

void cv_pods_retry(struct cv_pods *pods)
{
	for (size_t i = 0; i < pods->entries.count; i++) {
		struct cv_pod_entry *entry =
			*(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);

		if (entry->pod.state == CV_POD_DELETING)
			cv_pod_delete(entry, NULL, NULL);
	}
}

/* ---- GC -------------------------------------------------------------------------------------- */

struct collection {
	cv_pods_answer answer;
	void *context;
	size_t waiting, removed;
	int rc;
	struct cv_error error;
};

static void finish_one(struct collection *collection)
{
	if (--collection->waiting)
		return;
	collection->answer(
		collection->context, collection->rc, &collection->error,
		collection->rc ? NULL
			       : json_pack("{s:I}", "removed", (json_int_t)collection->removed));
	free(collection);
}

static void on_collected(void *context, int rc, const struct cv_error *error, json_t *result)
{
	struct collection *collection = context;

	json_decref(result);
	if (!rc)
		collection->removed++;
	else if (!collection->rc) {
		collection->rc = rc;
		collection->error = *error;
	}
	finish_one(collection);
}

static bool is_valid(const struct cv_pod *pod, const struct cv_pods_key *valid, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(valid[i].container, pod->container) &&
		    !strcmp(valid[i].interface, pod->interface))
			return true;
	}
	return false;
}

void cv_pods_gc(struct cv_pods *pods, const char *network, const struct cv_pods_key *valid,
		size_t count, cv_pods_answer answer, void *context)
{
	struct collection *collection = calloc(1, sizeof(*collection));
	struct cv_error error;

	if (!collection) {
		cv_error_set(&error, -ENOMEM, "out of memory");
		answer(context, -ENOMEM, &error, NULL);
		return;
	}
	collection->answer = answer;
	collection->context = context;
	collection->waiting = 1;
	for (size_t i = 0; i < pods->entries.count; i++) {
		struct cv_pod_entry *entry =
			*(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);

		if (strcmp(entry->pod.network, network) != 0 || is_valid(&entry->pod, valid, count))
			continue;
		/* It is not freed before the last call of finish_one(), which is ours or later. */
		collection->waiting++; /* NOLINT(clang-analyzer-unix.Malloc) */
		cv_pod_delete(entry, on_collected, collection);
	}
	finish_one(collection); /* NOLINT(clang-analyzer-unix.Malloc) */
}
