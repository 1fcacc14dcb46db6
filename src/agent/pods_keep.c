/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod keeps its address, whatever becomes of the store.
 *
 * A store can go back in time: etcd restored from a backup, a state directory from a copy. Then it
 * takes the addresses of pods that came after that for free, and may give them again. But the pods
 * are there, and their notes too: so what is assigned is held against them before it is believed,
 * and what a look at the store does not show is assigned to them again.
 */
#include "agent/pods.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/log.h"
#include "agent/pods_state.h"

/* ---- assigning ----------------------------------------------------------------------------- */

static void add_attribute(struct cv_ipam_request *request, const char *name, const char *value)
{
	if (value && *value)
		request->attributes[request->attribute_count++] =
			(struct cv_ipam_attribute){name, value};
}

void cv_pod_assign(struct cv_pod_entry *entry, const struct cv_ipam_request *request,
		   cv_addresses_done done, void *context)
{
	const struct cv_pod *pod = &entry->pod;
	struct cv_pods *pods = entry->pods;
	struct cv_ipam_request whole = *request;
	char handle[CV_IPAM_HANDLE_MAX], timestamp[64];
	struct tm then;

	cv_pod_handle(pod, handle);
	gmtime_r(&(time_t){pod->since}, &then);
	strftime(timestamp, sizeof(timestamp), "%Y-%m-%d %H:%M:%S +0000 UTC", &then);
	whole.handle = handle;
	whole.is_repeated = true;
	whole.attribute_count = 0;
	add_attribute(&whole, "node", pods->ops->node_name(pods->data));
	add_attribute(&whole, "pod", pod->name);
	add_attribute(&whole, "namespace", pod->name_space);
	add_attribute(&whole, "timestamp", timestamp);
	cv_addresses_assign(pods->addresses, &whole, done, context);
}

/* ---- keeping ------------------------------------------------------------------------------- */

/* What is being deleted is not to come back. */
static bool is_to_be_kept(const struct cv_pod_entry *entry)
{
	return entry->pod.state == CV_POD_ATTACHED && !entry->pod.is_delegated &&
	       !entry->is_deleting && !entry->is_gone;
}

static bool has_own_address(const struct cv_pod_entry *entry, __be32 address)
{
	const struct cv_pod *pod = &entry->pod;

	/* That of one that is being deleted may be released by now, and rightly another's. */
	if (!is_to_be_kept(entry))
		return false;
	for (unsigned int i = 0; i < pod->count; i++) {
		if (pod->addresses[i].address == address)
			return true;
	}
	return false;
}

static void on_kept(void *context, int rc, const struct cv_error *error, const void *result)
{
	const struct cv_ipam_result *assigned = result;
	struct cv_pod_entry *entry = context;

	if (rc && rc != -ECANCELED)
		cv_log(LOG_ERR,
		       "pods: %s/%s lives with an address that the store does not have "
		       "as its: %s",
		       entry->pod.container, entry->pod.interface, error->text);
	else if (!rc && !assigned->was_there)
		cv_log(LOG_NOTICE,
		       "pods: %s/%s has its address assigned again: the store did not "
		       "know it",
		       entry->pod.container, entry->pod.interface);
	cv_pod_put(entry);
}

static void keep(struct cv_pod_entry *entry)
{
	for (unsigned int i = 0; i < entry->pod.count; i++) {
		const struct cv_ipam_request request = {
			.address = entry->pod.addresses[i].address,
		};

		cv_pod_get(entry);
		cv_pod_assign(entry, &request, on_kept, entry);
	}
}

int cv_pods_reclaim(struct cv_pod_entry *newcomer, __be32 address, struct cv_error *error)
{
	struct cv_pods *pods = newcomer->pods;
	struct cv_pod_entry *holder = NULL;
	char handle[CV_IPAM_HANDLE_MAX], text[CV_ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < pods->entries.count && !holder; i++) {
		struct cv_pod_entry *entry =
			*(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);

		if (entry != newcomer && has_own_address(entry, address))
			holder = entry;
	}
	if (!holder)
		return 0;
	cv_pod_handle(&newcomer->pod, handle);
	cv_addresses_release_address(pods->addresses, address, handle, NULL, NULL);
	for (size_t i = 0; i < pods->entries.count; i++) {
		struct cv_pod_entry *entry =
			*(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);

		if (is_to_be_kept(entry))
			keep(entry);
	}
	return cv_error_set(error, -EBUSY,
			    "%s is %.64s's, which the store has forgotten (was it restored from a "
			    "backup?); it is assigned to that again: try again",
			    cv_address_format(address, text), holder->pod.container);
}

/* ---- looking at the store ------------------------------------------------------------------ */

static const struct cv_ipam_assignment *find_assignment(const struct cv_ipam_view *view,
							__be32 address)
{
	for (size_t i = 0; i < view->block_count; i++) {
		const struct cv_ipam_block *block = &view->blocks[i];

		if (!cv_prefix_has(&block->cidr, address))
			continue;
		for (size_t k = 0; k < block->assignment_count; k++) {
			if (block->assignments[k].address == address)
				return &block->assignments[k];
		}
	}
	return NULL;
}

static bool is_known(const struct cv_pod_entry *entry, const struct cv_ipam_view *view)
{
	char handle[CV_IPAM_HANDLE_MAX];

	cv_pod_handle(&entry->pod, handle);
	for (unsigned int i = 0; i < entry->pod.count; i++) {
		const struct cv_ipam_assignment *assignment =
			find_assignment(view, entry->pod.addresses[i].address);

		if (!assignment || !assignment->handle || strcmp(assignment->handle, handle) != 0)
			return false;
	}
	return true;
}

void cv_pods_keep(struct cv_pods *pods, const struct cv_ipam_view *view)
{
	for (size_t i = 0; i < pods->entries.count; i++) {
		struct cv_pod_entry *entry =
			*(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);

		/* The view is of a moment ago: what is under way may not be in it. */
		if (is_to_be_kept(entry) && !entry->operations && !is_known(entry, view))
			keep(entry);
	}
}
