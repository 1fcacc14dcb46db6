/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leftovers: what nobody will ever delete, because the runtime has forgotten it, or was killed.
 *
 * One observation proves nothing: a device is gone while its name space is taken down, and the DEL
 * is on its way. So what is missing at one is noted, and what is missing at the next one as well is
 * deleted. A host end lives as long as the pod's end, which lives as long as its namespace; the
 * path of the namespace may go before that, when a runtime has taken the container away and
 * somebody's process is still in it.
 */
#include "agent/pods.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/log.h"
#include "agent/pod_handle.h"
#include "agent/pods_state.h"
#include "net/link.h"

static bool has_device(struct cv_pod_entry *entry)
{
	char name[IFNAMSIZ];

	return entry->ifindex && !cv_link_get_name(entry->pods->nl, entry->ifindex, name);
}

bool cv_pod_sees_netns(const struct cv_pod *pod)
{
	struct stat st;

	return pod->netns_inode && !stat(pod->netns, &st) && st.st_dev == pod->netns_device &&
	       st.st_ino == pod->netns_inode;
}

/* A path below /proc is a process's, which may end before its namespace does. */
static bool has_netns(const struct cv_pod *pod)
{
	struct stat st;

	if (!pod->netns_seen || !strncmp(pod->netns, "/proc/", 6))
		return true;
	if (stat(pod->netns, &st))
		return errno != ENOENT;
	return st.st_dev == pod->netns_device && st.st_ino == pod->netns_inode;
}

/* Why it is a leftover, if it is so again the next time; NULL: it is none. */
static const char *find_missing(struct cv_pod_entry *entry, bool *ret_now)
{
	*ret_now = false;
	if (entry->pod.state == CV_POD_PENDING) {
		/* No time of day, which somebody may set. */
		*ret_now = cv_pods_now_us() - entry->pending_us >=
			   CV_PODS_PENDING_S * INT64_C(1000000);
		return *ret_now ? "it was added, and never attached" : NULL;
	}
	if (entry->pod.state != CV_POD_ATTACHED)
		return NULL;
	if (!has_device(entry))
		return "its device is gone";
	return has_netns(&entry->pod) ? NULL : "its network namespace is gone";
}

static void observe(struct cv_pod_entry *entry)
{
	bool now;
	const char *why = find_missing(entry, &now);

	if (why && (now || entry->was_missing)) {
		cv_log(LOG_NOTICE, "pods: %s of container %s in network %s is deleted: %s",
		       entry->pod.interface, entry->pod.container, entry->pod.network, why);
		cv_pod_delete(entry, NULL, NULL);
	}
	entry->was_missing = why != NULL;
}

void cv_pods_observe(struct cv_pods *pods)
{
	cv_pods_retry(pods);
	for (size_t i = 0; i < pods->entries.count; i++) {
		struct cv_pod_entry *entry =
			*(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);

		/* What is under way is none, whatever it looks like at this moment. */
		if (!entry->operations)
			observe(entry);
	}
	if (pods->tombstones)
		cv_tombstones_read(pods->tombstones);
	cv_bridges_observe(pods->bridges);
}

/* ---- addresses without an attachment --------------------------------------------------------- */

bool cv_pods_has_handle(const struct cv_pods *pods, const char *handle)
{
	for (size_t i = 0; i < pods->entries.count; i++) {
		const struct cv_pod_entry *entry =
			*(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);
		char own[CV_IPAM_HANDLE_MAX];

		cv_pod_handle(&entry->pod, own);
		if (!strcmp(own, handle))
			return true;
	}
	return false;
}

static const char *attribute(const struct cv_ipam_assignment *assignment, const char *name)
{
	for (size_t i = 0; i < assignment->attribute_count; i++) {
		if (!strcmp(assignment->attributes[i].name, name))
			return assignment->attributes[i].value;
	}
	return NULL;
}

bool cv_pods_is_orphan(const struct cv_pods *pods, const struct cv_ipam_assignment *assignment)
{
	const char *node = attribute(assignment, "node");

	return assignment->handle && node && !strcmp(node, pods->ops->node_name(pods->data)) &&
	       cv_pod_handle_is_ours(assignment->handle, attribute(assignment, "type")) &&
	       !cv_pods_has_handle(pods, assignment->handle);
}

static bool is_among(const struct cv_vector *handles, const char *handle)
{
	for (size_t i = 0; i < handles->count; i++) {
		if (!strcmp(*(char **)cv_vector_at(handles, i), handle))
			return true;
	}
	return false;
}

static void free_handles(struct cv_vector *handles)
{
	for (size_t i = 0; i < handles->count; i++)
		free(*(char **)cv_vector_at(handles, i));
	cv_vector_fini(handles);
}

static void note_orphan(struct cv_pods *pods, struct cv_vector *handles, const char *handle)
{
	char *copy = strdup(handle);

	if (is_among(&pods->orphans, handle)) {
		cv_log(LOG_NOTICE, "pods: the addresses of %s, which is not attached, are released",
		       handle);
		cv_addresses_release(pods->addresses, handle, NULL, NULL, NULL);
	}
	if (!copy || is_among(handles, handle) || cv_vector_append(handles, &copy))
		free(copy);
}

void cv_pods_observe_addresses(struct cv_pods *pods, const struct cv_ipam_view *view)
{
	struct cv_vector handles;

	/* It could be that of a pod whose note was written by a later culvertd, say, and that
	 * lives. */
	if (pods->has_unread)
		return;
	cv_vector_init(&handles, sizeof(char *));
	for (size_t i = 0; i < view->block_count; i++) {
		const struct cv_ipam_block *block = &view->blocks[i];

		for (size_t k = 0; k < block->assignment_count; k++) {
			if (cv_pods_is_orphan(pods, &block->assignments[k]))
				note_orphan(pods, &handles, block->assignments[k].handle);
		}
	}
	free_handles(&pods->orphans);
	pods->orphans = handles;
}
