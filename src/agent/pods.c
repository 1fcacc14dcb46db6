/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of this node: the list, its notes on the disk, routes and endpoints.
 *
 * Invariants, whenever the loop waits:
 * - what was made of an attachment (address, route, endpoint) has a note on the disk, or an
 *   operation under way that writes it first;
 * - the notes are what counts: endpoints of pods are in no other file (cv_endpoint_set_host), and
 *   routes are those of the notes that say "attached";
 * - an entry that an operation has a pointer to is not freed.
 */
#include "agent/pods.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/log.h"
#include "agent/pod_handle.h"
#include "agent/pod_json.h"
#include "agent/pods_state.h"
#include "net/link.h"

int64_t cv_pods_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void cv_pod_handle(const struct cv_pod *pod, char ret_handle[CV_IPAM_HANDLE_MAX])
{
	cv_pod_handle_format(pod->network, pod->container, pod->interface, ret_handle);
}

int cv_pods_error(int rc)
{
	switch (rc) {
	case -ENOSPC: /* of an assignment; a full disk has its own words */
		return -ENODATA;
	/* Nothing is wrong with the request: it works when the store is mended. */
	case -ETIMEDOUT:
	case -EDQUOT: /* a full disk, etcd's quota */
	case -EACCES: /* a certificate that has expired */
		return -EHOSTUNREACH;
	default:
		return rc;
	}
}

void cv_pods_refuse(cv_pods_answer answer, void *context, int rc, const char *text)
{
	struct cv_error error;

	cv_error_set(&error, rc, "%s", text);
	answer(context, rc, &error, NULL);
}

/* ---- entries ------------------------------------------------------------------------------- */

static struct cv_pod_entry *entry_at(const struct cv_pods *pods, size_t i)
{
	return *(struct cv_pod_entry **)cv_vector_at(&pods->entries, i);
}

static bool has_key(const struct cv_pod *pod, const struct cv_pods_key *key)
{
	return !strcmp(pod->container, key->container) && !strcmp(pod->interface, key->interface) &&
	       !strcmp(pod->network, key->network);
}

struct cv_pod_entry *cv_pods_entry(const struct cv_pods *pods, const struct cv_pods_key *key)
{
	for (size_t i = 0; i < pods->entries.count; i++) {
		if (has_key(&entry_at(pods, i)->pod, key))
			return entry_at(pods, i);
	}
	return NULL;
}

static void free_entry(struct cv_pod_entry *entry)
{
	cv_pod_fini(&entry->pod);
	cv_vector_fini(&entry->waiters);
	free(entry);
}

/* Takes pod over. */
static struct cv_pod_entry *take_pod(struct cv_pods *pods, struct cv_pod *pod)
{
	struct cv_pod_entry *entry = calloc(1, sizeof(*entry));

	if (!entry || cv_vector_append(&pods->entries, &entry)) {
		free(entry);
		cv_pod_fini(pod);
		return NULL;
	}
	entry->pod = *pod;
	entry->pods = pods;
	entry->pending_us = cv_pods_now_us();
	cv_vector_init(&entry->waiters, sizeof(struct cv_pod_waiter));
	cv_attachment_name(pod->network, pod->container, pod->interface, &entry->names);
	memcpy(entry->pod.device, entry->names.device, sizeof(entry->pod.device));
	return entry;
}

struct cv_pod_entry *cv_pods_new_entry(struct cv_pods *pods, const struct cv_pods_key *key)
{
	struct cv_pod pod = {
		.network = strdup(key->network),
		.container = strdup(key->container),
		.interface = strdup(key->interface),
		.netns = strdup(""),
		.since = time(NULL),
	};

	if (pod.network && pod.container && pod.interface && pod.netns)
		return take_pod(pods, &pod);
	cv_pod_fini(&pod);
	return NULL;
}

void cv_pod_get(struct cv_pod_entry *entry)
{
	entry->operations++;
}

void cv_pod_put(struct cv_pod_entry *entry)
{
	if (!--entry->operations && entry->is_gone)
		free_entry(entry);
}

void cv_pods_remove_entry(struct cv_pod_entry *entry)
{
	struct cv_vector *entries = &entry->pods->entries;
	struct cv_pod_entry **items = entries->items;
	size_t i = 0;

	while (i < entries->count && items[i] != entry)
		i++;
	if (i < entries->count) {
		memmove(items + i, items + i + 1, (entries->count - i - 1) * sizeof(*items));
		entries->count--;
	}
	entry->is_gone = true;
	if (!entry->operations)
		free_entry(entry);
}

void cv_pod_note(struct cv_pod_entry *entry, cv_addresses_done done, void *context)
{
	struct cv_pods *pods = entry->pods;
	char key[sizeof(CV_PODS_NOTES) + CV_ATTACHMENT_HASH_TEXT];
	char *text = cv_pod_to_note(&entry->pod, pods->namespace_id);

	snprintf(key, sizeof(key), "%s%s", CV_PODS_NOTES, entry->names.hash);
	cv_addresses_local_put(pods->addresses, key, text, done, context);
	free(text);
}

/* ---- routes -------------------------------------------------------------------------------- */

static struct cv_table_route route_of(const struct cv_pod_entry *entry, unsigned int i)
{
	return (struct cv_table_route){
		.prefix = cv_prefix_of(entry->pod.addresses[i].address, 32),
		.type = RTN_UNICAST,
		.metric = CV_PODS_METRIC,
		.oif = entry->ifindex,
	};
}

/* On a bridge, the bridge's own address leads to them. */
static bool has_routes(const struct cv_pod_entry *entry)
{
	return entry->pod.state == CV_POD_ATTACHED && !entry->pod.bridge[0] && entry->ifindex;
}

int cv_pod_route(struct cv_pod_entry *entry, bool add, struct cv_error *error)
{
	struct cv_pods *pods = entry->pods;
	int rc = 0;

	if (!has_routes(entry))
		return 0;
	for (unsigned int i = 0; i < entry->pod.count; i++) {
		const struct cv_table_route route = route_of(entry, i);
		struct cv_error later;
		int err = pods->ops->route(pods->data, &route, add, rc ? &later : error);

		rc = rc ? rc : err;
	}
	return rc;
}

/* The kernel refuses routes through a device that is down, and deletes those of one that goes: what
 * is right at this moment is asked for now, at a microsecond or two. */
int cv_pods_add_routes(const struct cv_pods *pods, struct cv_vector *routes)
{
	int rc = 0;

	for (size_t i = 0; i < pods->entries.count && !rc; i++) {
		const struct cv_pod_entry *entry = entry_at(pods, i);

		if (!has_routes(entry) || entry->is_deleting ||
		    !cv_link_is_up(pods->nl, entry->ifindex))
			continue;
		for (unsigned int k = 0; k < entry->pod.count && !rc; k++) {
			const struct cv_table_route route = route_of(entry, k);

			rc = cv_vector_append(routes, &route);
		}
	}
	return rc;
}

/* ---- endpoints ------------------------------------------------------------------------------ */

/* Those that are due, all at once: what the kernel is asked for is asked for once for all. */
static void add_endpoints(struct cv_pods *pods, int64_t until_us)
{
	struct cv_endpoint_config *configs = calloc(pods->entries.count + 1, sizeof(*configs));
	size_t count = 0;

	for (size_t i = 0; configs && i < pods->entries.count; i++) {
		struct cv_pod_entry *entry = entry_at(pods, i);
		struct cv_endpoint_config *config = &configs[count];

		if (!entry->endpoint_due_us || entry->endpoint_due_us > until_us)
			continue;
		entry->endpoint_due_us = 0;
		memcpy(config->dev, entry->pod.device, sizeof(config->dev));
		config->bypass = entry->pod.bypass;
		config->count = entry->pod.count;
		for (unsigned int k = 0; k < entry->pod.count; k++)
			config->addresses[k] = entry->pod.addresses[k].address;
		count++;
	}
	if (count)
		cv_endpoint_set_host(pods->endpoints, configs, count);
	free(configs);
}

static void wait_for_endpoints(struct cv_pods *pods)
{
	int64_t first_us = INT64_MAX, now_us = cv_pods_now_us();
	struct timeval delay;

	for (size_t i = 0; i < pods->entries.count; i++) {
		int64_t due_us = entry_at(pods, i)->endpoint_due_us;

		if (due_us && due_us < first_us)
			first_us = due_us;
	}
	if (first_us == INT64_MAX)
		return;
	/* Those that become due soon after it wait for the next time. */
	first_us = first_us > now_us ? first_us - now_us : 0;
	delay.tv_sec = first_us / 1000000;
	delay.tv_usec = first_us % 1000000;
	event_add(pods->endpoint_timer, &delay);
}

static void on_endpoints(evutil_socket_t fd, short what, void *data)
{
	struct cv_pods *pods = data;

	(void)fd;
	(void)what;
	/* A little ahead: of many that come one after the other, tens are one. */
	add_endpoints(pods, cv_pods_now_us() + CV_PODS_ENDPOINT_DELAY_MS * 1000 / 4);
	wait_for_endpoints(pods);
}

/* A port of a bridge is none: the bridge's own forwarding is not passed by. Nor is one that is
 * never to be bypassed: a chained plugin may need the hooks of its device. */
static bool has_endpoint(const struct cv_pod_entry *entry)
{
	return entry->pod.state == CV_POD_ATTACHED && !entry->pod.bridge[0] && entry->ifindex &&
	       entry->pod.count && entry->pod.bypass != CV_ENDPOINT_BYPASS_OFF;
}

void cv_pod_endpoint_later(struct cv_pod_entry *entry)
{
	struct cv_pods *pods = entry->pods;

	if (!has_endpoint(entry))
		return;
	entry->endpoint_due_us = cv_pods_now_us() + CV_PODS_ENDPOINT_DELAY_MS * 1000;
	if (!event_pending(pods->endpoint_timer, EV_TIMEOUT, NULL))
		wait_for_endpoints(pods);
}

void cv_pod_endpoint_forget(struct cv_pod_entry *entry)
{
	entry->endpoint_due_us = 0;
	cv_endpoint_set_unhost(entry->pods->endpoints, entry->pod.device);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* "BOOT-ID/COOKIE": the part before the slash. One that could not be read says nothing. */
static bool is_same_boot(const char *id, const char *other)
{
	size_t length = strcspn(id, "/"), other_length = strcspn(other, "/");

	return !length || !other_length || (length == other_length && !strncmp(id, other, length));
}

/* Devices' indices may be other ones now, and the machine may have been started again. */
static void take_up(struct cv_pod_entry *entry, const char *namespace_id)
{
	struct cv_pods *pods = entry->pods;
	struct cv_link link;

	if (!is_same_boot(namespace_id, pods->namespace_id)) {
		entry->was_missing = true;
		return;
	}
	/* This culvertd may have another mount namespace than the one before it, where the paths of
	 * pods that live lead nowhere. */
	entry->pod.netns_seen = cv_pod_sees_netns(&entry->pod);
	if (cv_link_get(pods->nl, entry->pod.device, &link) ||
	    !cv_attachment_is_device(&entry->names, &link))
		return;
	entry->ifindex = link.index;
	if (has_endpoint(entry))
		entry->endpoint_due_us = 1;
}

static const char *bridges_node(void *data)
{
	const struct cv_pods *pods = data;

	return pods->ops->node_name(pods->data);
}

static void on_bridges(void *data)
{
	const struct cv_pods *pods = data;

	pods->ops->changed(pods->data);
}

/* Of one that is being added, or was when an earlier daemon ended, the address may not be known
 * yet. */
static bool is_in_block(const struct cv_pod_entry *entry, const struct cv_prefix *block)
{
	const struct cv_pod *pod = &entry->pod;

	if (entry->operations || !pod->count)
		return true;
	for (unsigned int i = 0; i < pod->count; i++) {
		if (cv_prefix_has(block, pod->addresses[i].address))
			return true;
	}
	return false;
}

static bool is_block_used(void *data, const char *bridge, const struct cv_prefix *block)
{
	const struct cv_pods *pods = data;

	/* A pod whose note could not be read may be anywhere. */
	if (pods->has_unread)
		return true;
	for (size_t i = 0; i < pods->entries.count; i++) {
		const struct cv_pod_entry *entry = entry_at(pods, i);

		if (!strcmp(entry->pod.bridge, bridge) && is_in_block(entry, block))
			return true;
	}
	return false;
}

static int open_bridges(struct cv_pods *pods, struct cv_error *error)
{
	const struct cv_bridges_options options = {
		.nl = pods->nl,
		.addresses = pods->addresses,
		.node_name = bridges_node,
		.changed = on_bridges,
		.is_used = is_block_used,
		.data = pods,
	};

	return cv_bridges_create(&options, &pods->bridges, error);
}

static int load(struct cv_pods *pods, struct cv_error *error)
{
	struct cv_kv_list list = {.count = 0};
	int rc = cv_addresses_local_list(pods->addresses, CV_PODS_NOTES, &list, error);

	for (size_t i = 0; i < list.count && !rc; i++) {
		struct cv_pod_entry *entry;
		struct cv_error problem;
		struct cv_pod pod;
		char *namespace_id;

		/* What cannot be read is left as it is, and does not keep the others down. */
		if (cv_pod_from_note(list.items[i].value, &pod, &namespace_id, &problem)) {
			cv_log(LOG_ERR,
			       "%s in %s: %s; as long as it is there, no address is taken for a "
			       "leftover",
			       list.items[i].key, CV_ADDRESSES_FILE, problem.text);
			pods->has_unread = true;
			continue;
		}
		entry = take_pod(pods, &pod);
		if (entry)
			take_up(entry, namespace_id);
		else
			rc = cv_error_set(error, -ENOMEM, "out of memory");
		free(namespace_id);
	}
	cv_kv_list_fini(&list);
	return rc;
}

int cv_pods_create(const struct cv_pods_options *options, struct cv_pods **ret_pods,
		   struct cv_error *error)
{
	struct cv_pods *pods = calloc(1, sizeof(*pods));
	int rc;

	if (!pods)
		return cv_error_set(error, -ENOMEM, "out of memory");
	pods->base = options->base;
	pods->nl = options->nl;
	pods->addresses = options->addresses;
	pods->endpoints = options->endpoints;
	pods->ops = options->ops;
	pods->data = options->data;
	cv_vector_init(&pods->entries, sizeof(struct cv_pod_entry *));
	cv_vector_init(&pods->orphans, sizeof(char *));
	cv_namespace_id(pods->nl, pods->namespace_id);
	pods->run_dir = strdup(options->run_dir);
	pods->endpoint_timer = evtimer_new(pods->base, on_endpoints, pods);
	if (pods->run_dir && pods->endpoint_timer)
		rc = cv_reaper_create(pods->base, &pods->reaper, error);
	else
		rc = cv_error_set(error, -ENOMEM, "out of memory");
	if (!rc)
		rc = load(pods, error);
	if (!rc)
		rc = open_bridges(pods, error);
	if (rc) {
		cv_pods_destroy(pods);
		return rc;
	}
	/* At once: the fast path goes on with them. */
	add_endpoints(pods, 1);
	*ret_pods = pods;
	return 0;
}

/* What a restart of the machine, or a DEL that could not be completed, has left. */
static void clean_up(struct cv_pods *pods)
{
	size_t gone = 0;

	for (size_t i = 0; i < pods->entries.count; i++)
		gone += entry_at(pods, i)->was_missing;
	if (gone)
		cv_log(LOG_NOTICE, "pods: %zu of before the machine was restarted are deleted",
		       gone);
	for (size_t i = 0; i < pods->entries.count; i++) {
		struct cv_pod_entry *entry = entry_at(pods, i);

		if (entry->was_missing || entry->pod.state == CV_POD_DELETING)
			cv_pod_delete(entry, NULL, NULL);
	}
}

void cv_pods_start(struct cv_pods *pods)
{
	pods->is_started = true;
	clean_up(pods);
	pods->tombstones = cv_tombstones_create(pods);
}

void cv_pods_destroy(struct cv_pods *pods)
{
	if (!pods)
		return;
	cv_tombstones_destroy(pods->tombstones);
	cv_reaper_destroy(pods->reaper);
	if (pods->endpoint_timer)
		event_free(pods->endpoint_timer);
	for (size_t i = 0; i < pods->orphans.count; i++)
		free(*(char **)cv_vector_at(&pods->orphans, i));
	cv_vector_fini(&pods->orphans);
	for (size_t i = 0; i < pods->entries.count; i++)
		free_entry(entry_at(pods, i));
	cv_vector_fini(&pods->entries);
	cv_bridges_destroy(pods->bridges);
	free(pods->run_dir);
	free(pods);
}

/* ---- looking -------------------------------------------------------------------------------- */

size_t cv_pods_count(const struct cv_pods *pods)
{
	return pods->entries.count;
}

const struct cv_pod *cv_pods_at(const struct cv_pods *pods, size_t index)
{
	return &entry_at(pods, index)->pod;
}

const struct cv_pod *cv_pods_find(const struct cv_pods *pods, const char *network,
				  const char *container, const char *interface)
{
	const struct cv_pods_key key = {network, container, interface};
	const struct cv_pod_entry *entry = cv_pods_entry(pods, &key);

	return entry ? &entry->pod : NULL;
}

int cv_pods_bridge_addresses(const struct cv_pods *pods, struct cv_prefix **ret_addresses,
			     size_t *ret_count)
{
	struct cv_vector addresses;
	int rc;

	cv_vector_init(&addresses, sizeof(struct cv_prefix));
	rc = cv_bridges_addresses(pods->bridges, NULL, &addresses);
	if (rc) {
		cv_vector_fini(&addresses);
		return rc;
	}
	*ret_addresses = addresses.items;
	*ret_count = addresses.count;
	return 0;
}
