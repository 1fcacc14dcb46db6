/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHECK: whether of an attachment everything is as it was made, as far as the agent can see it. The
 * pod's side of it is the plugin's to look at.
 */
#include "agent/pods.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json_text.h"
#include "agent/pod_json.h"
#include "agent/pods_state.h"
#include "net/link.h"
#include "net/route.h"

struct inspection {
	struct cv_pod_entry *entry;
	cv_pods_answer answer;
	void *context;
	char key[CV_IPAM_HANDLE_MAX + 32]; /* of its handle */
	bool has_handle;
};

__attribute__((format(printf, 2, 3))) static void add_problem(json_t *problems, const char *format,
							      ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(problems, cv_json_text(text));
}

static void check_route(const struct cv_pod_entry *entry, __be32 address, json_t *problems)
{
	const struct cv_route_flow flow = {.destination = address};
	char text[CV_ADDRESS_TEXT_MAX], name[IFNAMSIZ];
	struct cv_nl *nl = entry->pods->nl;
	struct cv_route route;
	int rc = cv_route_get(nl, &flow, &route);

	cv_address_format(address, text);
	if (rc)
		add_problem(problems, "the host has no route to %s: %s", text, strerror(-rc));
	else if (route.oif != entry->ifindex || route.type != RTN_UNICAST)
		add_problem(problems, "the host's route to %s leads to %s, not to %s", text,
			    cv_link_get_name(nl, route.oif, name) ? "nowhere" : name,
			    entry->pod.device);
}

static void check_device(struct cv_pod_entry *entry, json_t *problems)
{
	const struct cv_pod *pod = &entry->pod;
	struct cv_link link;

	if (cv_link_get(entry->pods->nl, pod->device, &link)) {
		add_problem(problems, "its device %s is gone", pod->device);
		return;
	}
	if (link.index != entry->ifindex || !cv_attachment_is_device(&entry->names, &link))
		add_problem(problems, "device %s is another one now", pod->device);
	else if (!(link.flags & IFF_UP))
		add_problem(problems, "its device %s is down", pod->device);
	else if (pod->bridge[0] && !link.master)
		add_problem(problems, "its device %s is no port of bridge %s any more", pod->device,
			    pod->bridge);
	else
		for (unsigned int i = 0; i < pod->count && !pod->bridge[0]; i++)
			check_route(entry, pod->addresses[i].address, problems);
}

static void finish(struct inspection *inspection, const char *store)
{
	struct cv_pod_entry *entry = inspection->entry;
	json_t *result = cv_pod_to_json(&entry->pod), *problems = json_array();

	if (entry->pod.state != CV_POD_ATTACHED)
		add_problem(problems, "it is not attached, but %s",
			    cv_pod_state_name(entry->pod.state));
	else
		check_device(entry, problems);
	if (store)
		add_problem(problems, "whether its address is assigned is not known: %s", store);
	else if (!entry->pod.is_delegated && !inspection->has_handle)
		add_problem(problems, "its address is not assigned to it any more");
	json_object_set_new(result, "problems", problems);
	inspection->answer(inspection->context, 0, NULL, result);
	cv_pod_put(entry);
	free(inspection);
}

/* On the thread of addresses. */
static int look_up(void *context, struct cv_kv *kv, struct cv_error *error)
{
	struct inspection *inspection = context;
	struct cv_kv_item item;
	int rc = cv_kv_get(kv, inspection->key, &item, error);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	inspection->has_handle = true;
	cv_kv_item_fini(&item);
	return 0;
}

static void on_looked_up(void *context, int rc, const struct cv_error *error, const void *result)
{
	(void)result;
	finish(context, rc ? error->text : NULL);
}

void cv_pods_check(struct cv_pods *pods, const struct cv_pods_key *key, cv_pods_answer answer,
		   void *context)
{
	struct cv_pod_entry *entry = cv_pods_entry(pods, key);
	struct inspection *inspection = entry ? calloc(1, sizeof(*inspection)) : NULL;
	char handle[CV_IPAM_HANDLE_MAX];
	struct cv_error error;

	if (!inspection) {
		int rc = entry ? cv_error_set(&error, -ENOMEM, "out of memory")
			       : cv_error_set(&error, -ENOENT, "it is not attached here");

		answer(context, rc, &error, NULL);
		return;
	}
	*inspection = (struct inspection){.entry = entry, .answer = answer, .context = context};
	cv_pod_get(entry);
	if (entry->pod.is_delegated)
		return finish(inspection, NULL);
	cv_pod_handle(&entry->pod, handle);
	snprintf(inspection->key, sizeof(inspection->key), "ipam/v2/handle/%s", handle);
	cv_addresses_run(pods->addresses, look_up, on_looked_up, inspection);
}

json_t *cv_pods_to_json(const struct cv_pods *pods, size_t index)
{
	return cv_pod_to_json(cv_pods_at(pods, index));
}
