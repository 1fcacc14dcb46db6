/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/register.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/log.h"
#include "store/resource_key.h"

enum {
	RETRY_S = 2, /* after a failure; twice as long each time */
	RETRY_MAX_S = 60,
};

/* What the thread of addresses works on. */
struct job {
	struct cv_registrar *registrar;
	struct cv_registration registration;
};

struct cv_registrar {
	struct cv_addresses *addresses;
	struct cv_node_agent *node;
	struct job *job; /* under way, or NULL */
	unsigned int retry_s;
	int64_t not_before_us;
	char problem[CV_ERROR_TEXT_MAX];
};

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- the resource ------------------------------------------------------------------------ */

/* "192.168.100.1/24": with the host's bits. */
static json_t *address_to_json(const struct cv_registration *registration)
{
	char text[CV_PREFIX_TEXT_MAX];

	return json_string(cv_prefix_format(&registration->address, text));
}

static char *make_node(const struct cv_registration *registration)
{
	json_t *json = json_pack("{s:s, s:s, s:{s:s, s:{s:s}}, s:{s:{s:o}}}", "apiVersion",
				 cv_kind_api_version(CV_KIND_NODE), "kind",
				 cv_kind_name(CV_KIND_NODE), "metadata", "name", registration->name,
				 "annotations", CV_REGISTER_ANNOTATION, registration->method,
				 "spec", "bgp", "ipv4Address", address_to_json(registration));
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	return text;
}

static bool has_annotation(const json_t *node)
{
	const json_t *metadata = json_object_get(node, "metadata");

	return json_is_string(
		json_object_get(json_object_get(metadata, "annotations"), CV_REGISTER_ANNOTATION));
}

bool cv_register_is_ours(const char *text)
{
	json_t *node = json_loads(text, 0, NULL);
	bool is_ours = has_annotation(node);

	json_decref(node);
	return is_ours;
}

/* With the new address, all else as it is. NULL: it is not ours, or has that address. */
static char *change_node(const struct cv_registration *registration, const char *text)
{
	json_t *node = json_loads(text, 0, NULL), *address = address_to_json(registration);
	json_t *bgp = json_object_get(json_object_get(node, "spec"), "bgp");
	char *changed = NULL;

	if (has_annotation(node) && json_is_object(bgp) &&
	    !json_equal(json_object_get(bgp, "ipv4Address"), address) &&
	    !json_object_set(bgp, "ipv4Address", address))
		changed = json_dumps(node, JSON_COMPACT);
	json_decref(address);
	json_decref(node);
	return changed;
}

static int commit(struct cv_kv *kv, const char *key, char *text, int64_t revision,
		  struct cv_error *error)
{
	const struct cv_kv_operation operation = {key, text, revision};
	int rc;

	if (!text)
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = cv_kv_commit(kv, &operation, 1, NULL, error);
	free(text);
	return rc;
}

int cv_register_write(const struct cv_registration *registration, struct cv_kv *kv,
		      struct cv_error *error)
{
	char key[CV_RESOURCE_KEY_MAX];
	struct cv_kv_item item;
	char *text;
	int rc;

	cv_resource_key(CV_KIND_NODE, registration->name, key);
	rc = cv_kv_get(kv, key, &item, error);
	if (rc == -ENOENT)
		return commit(kv, key, make_node(registration), CV_KV_ABSENT, error);
	if (rc)
		return rc;
	text = change_node(registration, item.value);
	if (text)
		rc = commit(kv, key, text, item.revision, error);
	cv_kv_item_fini(&item);
	return rc;
}

/* ---- when -------------------------------------------------------------------------------- */

static int run(void *context, struct cv_kv *kv, struct cv_error *error)
{
	const struct job *job = context;

	return cv_register_write(&job->registration, kv, error);
}

static void on_done(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct job *job = context;
	struct cv_registrar *registrar = job->registrar;
	char address[CV_PREFIX_TEXT_MAX];

	(void)result;
	registrar->job = NULL;
	/* Who was first is seen by the watch. */
	if (rc && rc != -EAGAIN) {
		registrar->retry_s = registrar->retry_s ? 2 * registrar->retry_s : RETRY_S;
		if (registrar->retry_s > RETRY_MAX_S)
			registrar->retry_s = RETRY_MAX_S;
		snprintf(registrar->problem, sizeof(registrar->problem), "%s", error->text);
	} else {
		registrar->retry_s = RETRY_S;
		registrar->problem[0] = '\0';
		if (!rc)
			cv_log(LOG_NOTICE, "register: Node %s has address %s (%s)",
			       job->registration.name,
			       cv_prefix_format(&job->registration.address, address),
			       job->registration.method);
	}
	registrar->not_before_us = now_us() + (int64_t)registrar->retry_s * 1000000;
	free(job);
}

/* Another node that has the address: two with the same are an error for all. NULL: none. */
static const char *find_owner(const struct cv_snapshot *snapshot, const char *name, __be32 address)
{
	size_t count;
	struct cv_resource *const *nodes = cv_snapshot_kind(snapshot, CV_KIND_NODE, &count);

	for (size_t i = 0; i < count; i++) {
		if (nodes[i]->node.address == address && strcmp(nodes[i]->name, name) != 0)
			return nodes[i]->name;
	}
	return NULL;
}

/* Whether something is to be written. With a problem if it cannot be. */
static bool is_due(struct cv_registrar *registrar, const struct cv_self *detected)
{
	const struct cv_snapshot *snapshot = cv_store_snapshot(cv_node_store(registrar->node));
	const struct cv_resource *node = cv_snapshot_find(snapshot, CV_KIND_NODE, detected->name);
	char address[CV_ADDRESS_TEXT_MAX];
	const char *owner;

	if (node && (!cv_register_is_ours(node->text) || !detected->address ||
		     node->node.address == detected->address)) {
		registrar->problem[0] = '\0';
		return false;
	}
	if (!detected->address) {
		snprintf(registrar->problem, sizeof(registrar->problem), "%s", detected->problem);
		return false;
	}
	owner = find_owner(snapshot, detected->name, detected->address);
	if (!owner)
		return true;
	snprintf(registrar->problem, sizeof(registrar->problem),
		 "the address that was detected, %s, is Node %.200s's",
		 cv_address_format(detected->address, address), owner);
	return false;
}

static bool may_be_due(const struct cv_registrar *registrar)
{
	struct cv_addresses_status status;

	if (registrar->job || now_us() < registrar->not_before_us)
		return false;
	cv_addresses_status(registrar->addresses, &status);
	/* What is there already is not known while etcd is away. */
	return status.is_etcd && !cv_store_problem(cv_node_store(registrar->node));
}

void cv_registrar_consider(struct cv_registrar *registrar)
{
	struct cv_self detected;
	struct job *job;

	if (!may_be_due(registrar))
		return;
	if (cv_node_detect(registrar->node, &detected) || !is_due(registrar, &detected))
		return;
	job = calloc(1, sizeof(*job));
	if (!job)
		return;
	job->registrar = registrar;
	memcpy(job->registration.name, detected.name, sizeof(job->registration.name));
	job->registration.address = (struct cv_prefix){detected.address, detected.prefix_length};
	memcpy(job->registration.method, detected.how, sizeof(job->registration.method));
	registrar->job = job;
	cv_addresses_run(registrar->addresses, run, on_done, job);
}

const char *cv_registrar_problem(const struct cv_registrar *registrar)
{
	return registrar->problem[0] ? registrar->problem : NULL;
}

struct cv_registrar *cv_registrar_create(struct cv_addresses *addresses, struct cv_node_agent *node)
{
	struct cv_registrar *registrar = calloc(1, sizeof(*registrar));

	if (!registrar)
		return NULL;
	registrar->addresses = addresses;
	registrar->node = node;
	return registrar;
}

void cv_registrar_destroy(struct cv_registrar *registrar)
{
	free(registrar);
}
