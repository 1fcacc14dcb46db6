/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attachment as JSON. A note of ours is
 *
 *   {"version": 1, "namespace": "BOOT-ID/COOKIE", "network": "pods", "container": "4f0c…", …}
 *
 * with the members of the record (protocol.md, "A pod").
 */
#include "agent/pod_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	NOTE_VERSION = 1
};

static const char *const state_names[] = {
	[CV_POD_PENDING] = "pending",
	[CV_POD_ATTACHED] = "attached",
	[CV_POD_DELETING] = "deleting",
};

const char *cv_pod_state_name(enum cv_pod_state state)
{
	return state_names[state];
}

/* ---- writing ------------------------------------------------------------------------------- */

static json_t *addresses_to_json(const struct cv_pod *pod)
{
	json_t *list = json_array();
	char text[CV_PREFIX_TEXT_MAX];

	for (unsigned int i = 0; i < pod->count; i++)
		json_array_append_new(list,
				      json_string(cv_prefix_format(&pod->addresses[i], text)));
	return list;
}

static json_t *pod_name_to_json(const struct cv_pod *pod)
{
	if (!pod->name)
		return json_null();
	return json_pack("{s:s, s:s?}", "name", pod->name, "namespace", pod->name_space);
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

json_t *cv_pod_to_json(const struct cv_pod *pod)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:o, s:s, s:s?, s:s, s:s?, s:b, s:o, "
			 "s:s, s:s, "
			 "s:I}",
			 "network", pod->network, "container", pod->container, "interface",
			 pod->interface, "netns", pod->netns, "netns_device",
			 (json_int_t)pod->netns_device, "netns_inode", (json_int_t)pod->netns_inode,
			 "netns_seen", (int)pod->netns_seen, "pod", pod_name_to_json(pod), "device",
			 pod->device, "mac", or_null(pod->mac), "mode",
			 pod->bridge[0] ? "bridge" : "routed", "bridge", or_null(pod->bridge),
			 "ipam", (int)!pod->is_delegated, "addresses", addresses_to_json(pod),
			 "bypass", cv_endpoint_bypass_name(pod->bypass), "state",
			 state_names[pod->state], "since", (json_int_t)pod->since);
}

char *cv_pod_to_note(const struct cv_pod *pod, const char *namespace_id)
{
	json_t *note = cv_pod_to_json(pod);
	char *text;

	json_object_set_new(note, "version", json_integer(NOTE_VERSION));
	json_object_set_new(note, "namespace", json_string(namespace_id));
	text = json_dumps(note, JSON_COMPACT);
	json_decref(note);
	return text;
}

/* ---- reading ------------------------------------------------------------------------------- */

static char *take_text(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text ? strdup(text) : NULL;
}

/* Into an array of size bytes; without it, or one that is too long: "". */
static void take_name(const json_t *json, const char *name, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(json, name));

	if (text && strlen(text) < size)
		memcpy(to, text, strlen(text) + 1);
}

static int take_addresses(const json_t *list, struct cv_pod *pod)
{
	size_t i;
	json_t *item;

	if (!json_is_array(list) || json_array_size(list) > CV_PODS_ADDRESSES)
		return -EBADMSG;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);
		int rc = text ? cv_prefix_parse(text, &pod->addresses[i]) : -EINVAL;

		if (rc && rc != -ERANGE)
			return -EBADMSG;
		pod->count++;
	}
	return 0;
}

static int take_state(const char *name, enum cv_pod_state *ret_state)
{
	for (size_t i = 0; name && i < sizeof(state_names) / sizeof(state_names[0]); i++) {
		if (strcmp(name, state_names[i]) != 0)
			continue;
		*ret_state = (enum cv_pod_state)i;
		return 0;
	}
	return -EBADMSG;
}

static int read_pod(const json_t *json, struct cv_pod *pod)
{
	const json_t *name = json_object_get(json, "pod");
	const char *bypass = json_string_value(json_object_get(json, "bypass"));

	pod->network = take_text(json, "network");
	pod->container = take_text(json, "container");
	pod->interface = take_text(json, "interface");
	pod->netns = take_text(json, "netns");
	pod->name = take_text(name, "name");
	pod->name_space = take_text(name, "namespace");
	pod->netns_device = (uint64_t)json_integer_value(json_object_get(json, "netns_device"));
	pod->netns_inode = (uint64_t)json_integer_value(json_object_get(json, "netns_inode"));
	pod->netns_seen = json_is_true(json_object_get(json, "netns_seen"));
	pod->is_delegated = json_is_false(json_object_get(json, "ipam"));
	pod->since = json_integer_value(json_object_get(json, "since"));
	take_name(json, "device", pod->device, sizeof(pod->device));
	take_name(json, "mac", pod->mac, sizeof(pod->mac));
	take_name(json, "bridge", pod->bridge, sizeof(pod->bridge));
	if (!pod->network || !pod->container || !pod->interface || !pod->netns ||
	    !cv_attachment_name_is_valid(pod->network) ||
	    !cv_attachment_name_is_valid(pod->container) ||
	    !cv_attachment_interface_is_valid(pod->interface) || !bypass ||
	    cv_endpoint_parse_bypass(bypass, &pod->bypass, NULL) ||
	    take_state(json_string_value(json_object_get(json, "state")), &pod->state))
		return -EBADMSG;
	return take_addresses(json_object_get(json, "addresses"), pod);
}

int cv_pod_from_note(const char *text, struct cv_pod *ret_pod, char **ret_namespace_id,
		     struct cv_error *error)
{
	struct cv_pod pod = {.network = NULL};
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	char *id = take_text(json, "namespace");
	int rc = -EBADMSG;

	if (json_integer_value(json_object_get(json, "version")) == NOTE_VERSION && id)
		rc = read_pod(json, &pod);
	json_decref(json);
	if (rc) {
		free(id);
		cv_pod_fini(&pod);
		return cv_error_set(error, rc, "it is no attachment that this culvertd has noted");
	}
	*ret_pod = pod;
	*ret_namespace_id = id;
	return 0;
}

void cv_pod_fini(struct cv_pod *pod)
{
	free(pod->network);
	free(pod->container);
	free(pod->interface);
	free(pod->netns);
	free(pod->name);
	free(pod->name_space);
	*pod = (struct cv_pod){.network = NULL};
}
