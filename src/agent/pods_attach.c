/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni.attach, the second step of an ADD: of the plugin's device a pod is made. The route is in the
 * kernel before the note says "attached", and goes again if the disk does not take that.
 */
#include "agent/pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pods_state.h"
#include "net/link.h"

struct attachment {
	struct cv_pod_entry *entry;
	cv_pods_answer answer;
	void *context;
	struct cv_pod before; /* in force again where it fails; but its strings, the entry's */
	int ifindex_before;
	unsigned int waiting; /* assignments that are asked for again */
	int rc;
	struct cv_error error;
};

static void finish_attachment(struct attachment *attachment, int rc, const struct cv_error *error)
{
	struct cv_pod_entry *entry = attachment->entry;

	if (!rc)
		cv_pod_endpoint_later(entry);
	attachment->answer(attachment->context, rc, error, rc ? NULL : json_object());
	cv_pod_put(entry);
	free(attachment);
}

static void take_back(struct attachment *attachment)
{
	const struct cv_pod *before = &attachment->before;
	struct cv_pod_entry *entry = attachment->entry;
	struct cv_pod *pod = &entry->pod;
	struct cv_error error;

	cv_pod_route(entry, false, &error);
	entry->ifindex = attachment->ifindex_before;
	pod->state = before->state;
	pod->count = before->count;
	memcpy(pod->addresses, before->addresses, sizeof(pod->addresses));
	memcpy(pod->mac, before->mac, sizeof(pod->mac));
	pod->netns_device = before->netns_device;
	pod->netns_inode = before->netns_inode;
	pod->netns_seen = before->netns_seen;
}

static void on_attached(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct attachment *attachment = context;
	struct cv_pod_entry *entry = attachment->entry;
	struct cv_error problem;

	(void)result;
	if (entry->is_deleting || entry->is_gone) {
		rc = cv_error_set(&problem, -EBUSY, "it was deleted while it was attached");
		error = &problem;
	} else if (rc) {
		take_back(attachment);
	}
	finish_attachment(attachment, rc, error);
}

static int find_device(struct cv_pod_entry *entry, struct cv_error *error)
{
	struct cv_link link;
	int rc = cv_link_get(entry->pods->nl, entry->pod.device, &link);

	if (rc)
		return cv_error_set(error, rc, "there is no device %s", entry->pod.device);
	if (!cv_attachment_is_device(&entry->names, &link))
		return cv_error_set(error, -EINVAL,
				    "device %s is not this attachment's, by its kind and alias",
				    entry->pod.device);
	if (entry->pod.bridge[0] && !link.master)
		return cv_error_set(error, -EINVAL, "device %s is no port of a bridge",
				    entry->pod.device);
	entry->ifindex = link.index;
	return 0;
}

/* Once its addresses are known to be its own. */
static void make(struct attachment *attachment)
{
	struct cv_pod_entry *entry = attachment->entry;
	struct cv_error error;
	int rc = find_device(entry, &error);

	if (!rc) {
		entry->pod.state = CV_POD_ATTACHED;
		entry->pod.netns_seen = cv_pod_sees_netns(&entry->pod);
		rc = cv_pod_route(entry, true, &error);
	}
	if (rc) {
		take_back(attachment);
		finish_attachment(attachment, rc, &error);
		return;
	}
	cv_pod_note(entry, on_attached, attachment);
}

static void on_known(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct attachment *attachment = context;
	struct cv_pod_entry *entry = attachment->entry;

	(void)result;
	if (rc && !attachment->rc) {
		attachment->rc = cv_pods_error(rc);
		attachment->error = *error;
	}
	if (--attachment->waiting)
		return;
	if (!attachment->rc && (entry->is_deleting || entry->is_gone))
		attachment->rc = cv_error_set(&attachment->error, -EBUSY,
					      "it was deleted while it was attached");
	if (!attachment->rc)
		return make(attachment);
	take_back(attachment);
	finish_attachment(attachment, attachment->rc, &attachment->error);
}

/* The agent was killed between the two steps: which address it had given is in IPAM alone. */
static void ask_again(struct attachment *attachment)
{
	const struct cv_pod *pod = &attachment->entry->pod;

	attachment->waiting = pod->count;
	for (unsigned int i = 0; i < pod->count; i++) {
		const struct cv_ipam_request request = {.address = pod->addresses[i].address};

		cv_pod_assign(attachment->entry, &request, on_known, attachment);
	}
}

static bool has_address(const struct cv_pod *pod, __be32 address)
{
	for (unsigned int i = 0; i < pod->count; i++) {
		if (pod->addresses[i].address == address)
			return true;
	}
	return false;
}

/* A host's, by its number alone (RFC 1122, 3.2.1.3). */
static bool is_unicast(__be32 address)
{
	const uint32_t first = cv_ntohl(address) >> 24;

	return first && first != 127 && first < 224;
}

/*
 * What another address management gives is not checked against pools; but a route to the host's
 * own gateway, into a pod, would cut the host off.
 */
static int check_delegated(const struct cv_pod_entry *entry, __be32 address, struct cv_error *error)
{
	struct cv_pods *pods = entry->pods;
	const char *owner = pods->ops->owner(pods->data, address);
	char text[CV_ADDRESS_TEXT_MAX];

	cv_address_format(address, text);
	if (!is_unicast(address))
		return cv_error_set(error, -EADDRNOTAVAIL, "%s can be no host's address", text);
	if (owner)
		return cv_error_set(error, -EADDRNOTAVAIL,
				    "%s is %s address, and no pod's: mend the plugin that gives "
				    "addresses (\"ipam\" in its configuration)",
				    text, owner);
	for (size_t i = 0; i < pods->entries.count; i++) {
		const struct cv_pod_entry *other =
			*(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);

		if (other != entry && other->pod.state == CV_POD_ATTACHED && !other->is_deleting &&
		    !other->is_gone && has_address(&other->pod, address))
			return cv_error_set(error, -EADDRINUSE, "%s is container %.64s's", text,
					    other->pod.container);
	}
	return 0;
}

static int check_attach(const struct cv_pod_entry *entry, const struct cv_pods_attach *attach,
			struct cv_error *error)
{
	const struct cv_pod *pod = &entry->pod;
	char text[CV_ADDRESS_TEXT_MAX];

	if (strcmp(attach->device, pod->device) != 0)
		return cv_error_set(error, -EINVAL, "its device is to be called %s, not %.15s",
				    pod->device, attach->device);
	for (unsigned int i = 0; pod->is_delegated && i < attach->count; i++) {
		int rc = check_delegated(entry, attach->addresses[i].address, error);

		if (rc)
			return rc;
	}
	if (pod->is_delegated || !pod->count)
		return 0;
	if (attach->count != pod->count)
		return cv_error_set(error, -EINVAL, "it was given %u addresses, not %u", pod->count,
				    attach->count);
	for (unsigned int i = 0; i < attach->count; i++) {
		if (!has_address(pod, attach->addresses[i].address))
			return cv_error_set(error, -EINVAL, "%s is no address that it was given",
					    cv_address_format(attach->addresses[i].address, text));
	}
	return 0;
}

static void take_attach(struct cv_pod *pod, const struct cv_pods_attach *attach)
{
	if (pod->is_delegated || !pod->count) {
		pod->count = attach->count;
		memcpy(pod->addresses, attach->addresses, sizeof(pod->addresses));
	}
	snprintf(pod->mac, sizeof(pod->mac), "%s", attach->mac ? attach->mac : "");
	pod->netns_device = attach->netns_device;
	pod->netns_inode = attach->netns_inode;
}

/* On a bridge, of another address management. */
static int give_gateways(struct cv_pod_entry *entry, const struct cv_pods_attach *attach,
			 struct cv_error *error)
{
	int rc = 0;

	if (attach->gateway_count && !(entry->pod.bridge[0] && entry->pod.is_delegated))
		return cv_error_set(error, -EINVAL,
				    "\"gateways\" are for a bridge whose addresses another plugin "
				    "gives");
	for (unsigned int i = 0; i < attach->gateway_count && !rc; i++)
		rc = cv_bridges_give(entry->pods->bridges, entry->pod.bridge, &attach->gateways[i],
				     error);
	return rc;
}

void cv_pods_attach(struct cv_pods *pods, const struct cv_pods_attach *attach,
		    cv_pods_answer answer, void *context)
{
	struct cv_pod_entry *entry = cv_pods_entry(pods, &attach->key);
	struct attachment *attachment;
	struct cv_error error;
	bool is_unknown;
	int rc;

	if (!entry || entry->is_deleting || entry->pod.state == CV_POD_DELETING)
		return cv_pods_refuse(answer, context, -ENOENT,
				      "it was not added, or has been deleted since");
	rc = check_attach(entry, attach, &error);
	if (rc) {
		answer(context, rc, &error, NULL);
		return;
	}
	attachment = calloc(1, sizeof(*attachment));
	if (!attachment)
		return cv_pods_refuse(answer, context, -ENOMEM, "out of memory");
	*attachment = (struct attachment){
		.entry = entry,
		.answer = answer,
		.context = context,
		.before = entry->pod,
		.ifindex_before = entry->ifindex,
	};
	rc = give_gateways(entry, attach, &error);
	if (rc) {
		free(attachment);
		answer(context, rc, &error, NULL);
		return;
	}
	cv_pod_get(entry);
	is_unknown = !entry->pod.is_delegated && !entry->pod.count;
	take_attach(&entry->pod, attach);
	if (is_unknown && entry->pod.count)
		ask_again(attachment);
	else
		make(attachment);
}
