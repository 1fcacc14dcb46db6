/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cni.add, the first step of an ADD: the note and the assignment are one batch of the thread of
 * addresses, the note first. Whatever fails takes the entry back by the same way as a DEL, and is
 * answered after that.
 */
#include "agent/pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/log.h"
#include "agent/pods_state.h"

/* ---- cni.add --------------------------------------------------------------------------------- */

struct addition {
	struct cv_pod_entry *entry;
	cv_pods_answer answer;
	void *context;
	unsigned int waiting; /* jobs */
	bool is_new;	      /* the entry is: without success it goes again */
	int rc;		      /* the first failure */
	struct cv_error error;
	unsigned int count;
	struct cv_prefix addresses[CV_PODS_ADDRESSES]; /* /32 */
	/* On a bridge: */
	struct cv_prefix blocks[CV_PODS_ADDRESSES];
	bool is_asked_for; /* these very addresses are */
	unsigned int at;   /* whose block has the bridge by now */
	unsigned int attempts;
	bool is_given_back; /* that address is: another one is to be had */
	char **pools;	    /* that it may have another one of; owned */
	size_t pool_count;
};

/* Of a bridge, what it has; NULL: it is none. */
static json_t *bridge_addresses(const struct cv_pod_entry *entry)
{
	struct cv_vector addresses;
	char text[CV_PREFIX_TEXT_MAX];
	json_t *list = json_array();

	cv_vector_init(&addresses, sizeof(struct cv_prefix));
	cv_bridges_addresses(entry->pods->bridges, entry->pod.bridge, &addresses);
	for (size_t i = 0; i < addresses.count; i++)
		json_array_append_new(
			list, json_string(cv_prefix_format(cv_vector_at(&addresses, i), text)));
	cv_vector_fini(&addresses);
	return list;
}

/* bridge: the gateway on it; 0: routed, or another address management knows it. */
static json_t *addition_result(const struct cv_pod_entry *entry, __be32 bridge)
{
	const struct cv_pods *pods = entry->pods;
	char text[CV_PREFIX_TEXT_MAX], gateway[CV_ADDRESS_TEXT_MAX] = CV_PODS_GATEWAY;
	json_t *addresses = json_array(), *result;

	if (bridge)
		cv_address_format(bridge, gateway);

	for (unsigned int i = 0; i < entry->pod.count; i++)
		json_array_append_new(
			addresses, json_string(cv_prefix_format(&entry->pod.addresses[i], text)));
	result =
		json_pack("{s:o, s:s, s:I, s:s}", "addresses", addresses, "gateway", gateway, "mtu",
			  (json_int_t)pods->ops->mtu(pods->data), "device", entry->pod.device);
	if (entry->pod.bridge[0])
		json_object_set_new(result, "bridge_addresses", bridge_addresses(entry));
	return result;
}

static void end_addition(struct addition *addition, json_t *result)
{
	struct cv_pod_entry *entry = addition->entry;

	addition->answer(addition->context, addition->rc, &addition->error, result);
	cv_pod_put(entry);
	for (size_t i = 0; i < addition->pool_count; i++)
		free(addition->pools[i]);
	free(addition->pools);
	free(addition);
}

/* Why it failed is what counts, whatever became of taking it back. */
static void on_taken_back(void *context, int rc, const struct cv_error *error, json_t *result)
{
	(void)rc;
	(void)error;
	json_decref(result);
	end_addition(context, NULL);
}

static void finish_addition(struct addition *addition);

/* ---- on a bridge ----------------------------------------------------------------------------- */

static void fail_addition(struct addition *addition, int rc, const char *text)
{
	addition->rc = cv_error_set(&addition->error, rc, "%s", text);
	finish_addition(addition);
}

static void prepare_bridge(struct addition *addition);

/* A bridge has a gateway in each block of its pods, so in another node's there are none. 0 or
 * -ENODATA. */
static int check_bridged(const struct addition *addition, const struct cv_ipam_result *assigned,
			 struct cv_error *error)
{
	if (!assigned->is_borrowed || !addition->entry->pod.bridge[0])
		return 0;
	return cv_error_set(error, -ENODATA,
			    "no address is free in this node's own blocks, and none of another "
			    "node's can be on a bridge");
}

static void on_other_address(void *context, int rc, const struct cv_error *error,
			     const void *result)
{
	const struct cv_ipam_result *assigned = result;
	struct addition *addition = context;
	struct cv_error problem;

	if (!rc) {
		rc = cv_pods_reclaim(addition->entry, assigned->address, &problem);
		rc = rc ? rc : check_bridged(addition, assigned, &problem);
		error = rc ? &problem : error;
	}
	if (rc) {
		addition->error = *error;
		addition->rc = cv_pods_error(rc);
		finish_addition(addition);
		return;
	}
	addition->addresses[addition->at] = cv_prefix_of(assigned->address, 32);
	addition->blocks[addition->at] = assigned->block;
	prepare_bridge(addition);
}

/* The first or last of its block: it goes to the bridge's handle before it could come back. */
static void take_another(struct addition *addition, cv_addresses_done done);

static void on_bridge(void *context, int rc, const struct cv_error *error)
{
	struct addition *addition = context;

	if (rc) {
		addition->error = *error;
		addition->rc = cv_pods_error(rc);
		finish_addition(addition);
	} else if (!addition->is_given_back) {
		addition->at++;
		prepare_bridge(addition);
	} else if (addition->is_asked_for) {
		fail_addition(
			addition, -EADDRNOTAVAIL,
			"the first and the last address of a block can be no pod's on a bridge");
	} else {
		take_another(addition, on_other_address);
	}
}

/* The first pod in a block may have got what the bridge is to have there: its gateway is the first
 * address that can be one, where people look for it. */
static bool is_bridges_own(const struct addition *addition)
{
	const struct cv_pod_entry *entry = addition->entry;
	const struct cv_prefix *block = &addition->blocks[addition->at];
	__be32 address = addition->addresses[addition->at].address;

	return cv_bridges_is_edge(block, address) ||
	       (!addition->is_asked_for && block->length < 31 &&
		cv_ntohl(address) == cv_prefix_first(block) + 1 &&
		!cv_bridges_gateway(entry->pods->bridges, entry->pod.bridge, block));
}

/* One that has such an address gives it back first, so that the bridge can have it. */
static void prepare_bridge(struct addition *addition)
{
	struct cv_pod_entry *entry = addition->entry;
	struct cv_pods *pods = entry->pods;
	char handle[CV_IPAM_HANDLE_MAX];

	if (addition->at == addition->count) {
		finish_addition(addition);
		return;
	}
	addition->is_given_back = is_bridges_own(addition);
	if (addition->is_given_back) {
		if (addition->attempts++ > CV_PODS_ADDRESSES)
			return fail_addition(addition, -ENODATA, "no address is free for it");
		cv_pod_handle(&entry->pod, handle);
		cv_addresses_release_address(pods->addresses,
					     addition->addresses[addition->at].address, handle,
					     NULL, NULL);
	}
	cv_bridges_prepare(pods->bridges, entry->pod.bridge, &addition->blocks[addition->at],
			   pods->ops->mtu(pods->data), on_bridge, addition);
}

/* Once all have addresses: what on a bridge is still to be done. False: nothing. */
static bool needs_bridge(const struct addition *addition)
{
	return addition->entry->pod.bridge[0] && !addition->entry->pod.is_delegated &&
	       addition->at < addition->count;
}

static void complete_addition(struct addition *addition)
{
	struct cv_pod_entry *entry = addition->entry;
	struct cv_pods *pods = entry->pods;
	__be32 gateway = 0;

	if (needs_bridge(addition))
		return prepare_bridge(addition);
	if (entry->pod.bridge[0] && entry->pod.is_delegated) {
		addition->rc = cv_bridges_ensure(pods->bridges, entry->pod.bridge,
						 pods->ops->mtu(pods->data), &addition->error);
		if (addition->rc)
			return finish_addition(addition);
	}
	entry->pod.count = addition->count;
	for (unsigned int i = 0; i < addition->count; i++) {
		entry->pod.addresses[i] = addition->addresses[i];
		if (entry->pod.bridge[0])
			entry->pod.addresses[i].length = addition->blocks[i].length;
	}
	if (entry->pod.bridge[0] && addition->count)
		gateway =
			cv_bridges_gateway(pods->bridges, entry->pod.bridge, &addition->blocks[0]);
	end_addition(addition, addition_result(entry, gateway));
}

static void finish_addition(struct addition *addition)
{
	struct cv_pod_entry *entry = addition->entry;

	if (!addition->rc && (entry->is_deleting || entry->is_gone))
		addition->rc =
			cv_error_set(&addition->error, -EBUSY, "it was deleted while it was added");
	if (addition->rc && addition->is_new && !entry->is_deleting && !entry->is_gone &&
	    addition->rc != -ECANCELED)
		return cv_pod_delete(entry, on_taken_back, addition);
	if (addition->rc)
		return end_addition(addition, NULL);
	complete_addition(addition);
}

static void note_job(struct addition *addition, int rc, const struct cv_error *error)
{
	if (rc && !addition->rc) {
		addition->rc = rc;
		addition->error = *error;
	}
	if (!--addition->waiting)
		finish_addition(addition);
}

static void on_noted(void *context, int rc, const struct cv_error *error, const void *result)
{
	(void)result;
	note_job(context, rc, error);
}

static void on_assigned(void *context, int rc, const struct cv_error *error, const void *result)
{
	const struct cv_ipam_result *assigned = result;
	struct addition *addition = context;
	struct cv_error problem;

	if (!rc) {
		rc = cv_pods_reclaim(addition->entry, assigned->address, &problem);
		error = rc ? &problem : error;
	}
	if (!rc) {
		addition->blocks[addition->count] = assigned->block;
		addition->addresses[addition->count++] = cv_prefix_of(assigned->address, 32);
	}
	if (!rc) {
		rc = check_bridged(addition, assigned, &problem);
		error = rc ? &problem : error;
	}
	note_job(addition, cv_pods_error(rc), error);
}

static void assign(struct addition *addition, __be32 address, const char *const *pools,
		   size_t pool_count, cv_addresses_done done)
{
	const struct cv_ipam_request request = {
		.address = address,
		.pools = pools,
		.pool_count = pool_count,
	};

	cv_pod_assign(addition->entry, &request, done, addition);
}

static void take_another(struct addition *addition, cv_addresses_done done)
{
	assign(addition, 0, (const char *const *)addition->pools, addition->pool_count, done);
}

static int set_text(char **text, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

/* What an ADD says of its pod; that of an earlier one with the same key holds no longer. */
static int describe(struct cv_pod *pod, const struct cv_pods_add *add)
{
	int rc = set_text(&pod->netns, add->netns);

	if (!rc)
		rc = set_text(&pod->name, add->name);
	if (!rc)
		rc = set_text(&pod->name_space, add->name_space);
	snprintf(pod->bridge, sizeof(pod->bridge), "%s", add->bridge ? add->bridge : "");
	pod->is_delegated = add->is_delegated;
	pod->bypass = add->bypass;
	return rc;
}

static bool is_same_kind(const struct cv_pod *pod, const struct cv_pods_add *add)
{
	return pod->is_delegated == add->is_delegated &&
	       !strcmp(pod->bridge, add->bridge ? add->bridge : "");
}

static int copy_pools(struct addition *addition, const struct cv_pods_add *add)
{
	if (!add->pools)
		return 0;
	addition->pools = calloc(add->pool_count + 1, sizeof(*addition->pools));
	for (size_t i = 0; addition->pools && i < add->pool_count; i++) {
		addition->pools[i] = strdup(add->pools[i]);
		if (!addition->pools[i])
			return -ENOMEM;
		addition->pool_count++;
	}
	return addition->pools ? 0 : -ENOMEM;
}

static void assign_all(struct addition *addition, const struct cv_pods_add *add)
{
	if (add->bridge && copy_pools(addition, add))
		cv_log(LOG_ERR, "pods: out of memory");
	addition->is_asked_for = add->count;
	addition->waiting += add->count ? add->count : 1;
	for (unsigned int i = 0; i < add->count; i++)
		assign(addition, add->addresses[i], add->pools, add->pool_count, on_assigned);
	if (!add->count)
		assign(addition, 0, add->pools, add->pool_count, on_assigned);
}

static void begin_addition(struct cv_pod_entry *entry, const struct cv_pods_add *add, bool is_new,
			   cv_pods_answer answer, void *context)
{
	struct addition *addition = calloc(1, sizeof(*addition));

	if (!addition) {
		cv_pods_refuse(answer, context, -ENOMEM, "out of memory");
		return;
	}
	addition->entry = entry;
	addition->answer = answer;
	addition->context = context;
	addition->is_new = is_new;
	addition->waiting = 1;
	cv_pod_get(entry);
	cv_addresses_hold(entry->pods->addresses, true);
	cv_pod_note(entry, on_noted, addition);
	if (!add->is_delegated)
		assign_all(addition, add);
	cv_addresses_hold(entry->pods->addresses, false);
}

void cv_pods_add(struct cv_pods *pods, const struct cv_pods_add *add, cv_pods_answer answer,
		 void *context)
{
	struct cv_pod_entry *entry = cv_pods_entry(pods, &add->key);
	bool is_new = !entry;

	if (entry && (entry->is_deleting || entry->pod.state == CV_POD_DELETING))
		return cv_pods_refuse(answer, context, -EBUSY,
				      "an earlier one of this name is being deleted; try again");
	if (entry && entry->pod.state == CV_POD_ATTACHED && !is_same_kind(&entry->pod, add))
		return cv_pods_refuse(answer, context, -EEXIST,
				      "it is attached already, in another way; delete it first");
	if (!entry)
		entry = cv_pods_new_entry(pods, &add->key);
	if (!entry)
		return cv_pods_refuse(answer, context, -ENOMEM, "out of memory");
	if (describe(&entry->pod, add)) {
		if (is_new)
			cv_pods_remove_entry(entry);
		return cv_pods_refuse(answer, context, -ENOMEM, "out of memory");
	}
	if (is_new || entry->pod.state == CV_POD_PENDING) {
		entry->pod.since = time(NULL);
		entry->pending_us = cv_pods_now_us();
	}
	begin_addition(entry, add, is_new, answer, context);
}
