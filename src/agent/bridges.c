/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bridges. The note of an address is on the disk before the device has it, and the address is
 * assigned before that; so whatever is interrupted is found, and gone on with, by the next call:
 * the same names are asked for, and address management says that the handle has them.
 */
#include "agent/bridges.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "agent/bridges_state.h"
#include "agent/log.h"
#include "agent/pod_handle.h"
#include "net/link.h"

#define NOTES "bridge/"

enum {
	NOTE_VERSION = 1
};

static struct cv_bridge *bridge_at(const struct cv_bridges *bridges, size_t i)
{
	return *(struct cv_bridge **)cv_vector_at(&bridges->bridges, i);
}

struct cv_bridge *cv_bridges_find(const struct cv_bridges *bridges, const char *name)
{
	for (size_t i = 0; i < bridges->bridges.count; i++) {
		if (!strcmp(bridge_at(bridges, i)->name, name))
			return bridge_at(bridges, i);
	}
	return NULL;
}

static struct cv_bridge *find_or_make(struct cv_bridges *bridges, const char *name)
{
	struct cv_bridge *bridge = cv_bridges_find(bridges, name);

	if (bridge)
		return bridge;
	bridge = calloc(1, sizeof(*bridge));
	if (!bridge || cv_vector_append(&bridges->bridges, &bridge)) {
		free(bridge);
		return NULL;
	}
	snprintf(bridge->name, sizeof(bridge->name), "%s", name);
	cv_vector_init(&bridge->gateways, sizeof(struct cv_bridge_gateway));
	return bridge;
}

static const struct cv_bridge_gateway *find_gateway(const struct cv_bridge *bridge,
						    const struct cv_prefix *block)
{
	for (size_t i = 0; i < bridge->gateways.count; i++) {
		const struct cv_bridge_gateway *gateway = cv_vector_at(&bridge->gateways, i);

		if (!gateway->is_leaving && !cv_prefix_compare(&gateway->block, block))
			return gateway;
	}
	return NULL;
}

bool cv_bridge_has_address(const struct cv_bridge *bridge, const struct cv_prefix *address)
{
	for (size_t i = 0; i < bridge->gateways.count; i++) {
		const struct cv_bridge_gateway *gateway = cv_vector_at(&bridge->gateways, i);

		if (!gateway->is_leaving && !cv_prefix_compare(&gateway->address, address))
			return true;
	}
	return false;
}

bool cv_bridges_is_edge(const struct cv_prefix *block, __be32 address)
{
	return block->length < 31 && (cv_ntohl(address) == cv_prefix_first(block) ||
				      cv_ntohl(address) == cv_prefix_last(block));
}

/* ---- notes ---------------------------------------------------------------------------------- */

static json_t *gateway_to_json(const struct cv_bridge_gateway *gateway)
{
	char block[CV_PREFIX_TEXT_MAX], address[CV_PREFIX_TEXT_MAX];
	json_t *json =
		json_pack("{s:s?, s:s, s:s?}", "block",
			  gateway->block.length ? cv_prefix_format(&gateway->block, block) : NULL,
			  "address", cv_prefix_format(&gateway->address, address), "handle",
			  *gateway->handle ? gateway->handle : NULL);

	if (gateway->is_leaving)
		json_object_set_new(json, "leaving", json_true());
	return json;
}

static char *to_note(const struct cv_bridge *bridge)
{
	json_t *list = json_array(), *note;
	char *text;

	for (size_t i = 0; i < bridge->gateways.count; i++)
		json_array_append_new(list, gateway_to_json(cv_vector_at(&bridge->gateways, i)));
	note = json_pack("{s:i, s:s, s:o}", "version", NOTE_VERSION, "name", bridge->name,
			 "gateways", list);
	text = json_dumps(note, JSON_COMPACT);
	json_decref(note);
	return text;
}

/* Of one that has nothing of us there is none. */
void cv_bridge_note(struct cv_bridges *bridges, const struct cv_bridge *bridge,
		    cv_addresses_done done, void *context)
{
	char key[sizeof(NOTES) + IFNAMSIZ];
	char *text = bridge->gateways.count ? to_note(bridge) : NULL;

	snprintf(key, sizeof(key), "%s%s", NOTES, bridge->name);
	cv_addresses_local_put(bridges->options.addresses, key, text, done, context);
	free(text);
}

static int read_gateway(const json_t *json, struct cv_bridge_gateway *gateway)
{
	const char *block = json_string_value(json_object_get(json, "block"));
	const char *address = json_string_value(json_object_get(json, "address"));
	const char *handle = json_string_value(json_object_get(json, "handle"));
	int rc = address ? cv_prefix_parse(address, &gateway->address) : -EINVAL;

	if (rc && rc != -ERANGE)
		return -EBADMSG;
	gateway->is_leaving = json_is_true(json_object_get(json, "leaving"));
	snprintf(gateway->handle, sizeof(gateway->handle), "%s", handle ? handle : "");
	return block && cv_prefix_parse(block, &gateway->block) ? -EBADMSG : 0;
}

static int read_note(struct cv_bridges *bridges, const char *text)
{
	json_t *note = json_loads(text, 0, NULL), *item;
	const char *name = json_string_value(json_object_get(note, "name"));
	struct cv_bridge *bridge;
	size_t i;
	int rc = -EBADMSG;

	if (name && strlen(name) < IFNAMSIZ &&
	    json_integer_value(json_object_get(note, "version")) == NOTE_VERSION) {
		bridge = find_or_make(bridges, name);
		rc = bridge ? 0 : -ENOMEM;
		json_array_foreach(json_object_get(note, "gateways"), i, item)
		{
			struct cv_bridge_gateway gateway = {.block = {.length = 0}};

			if (!rc)
				rc = read_gateway(item, &gateway);
			if (!rc)
				rc = cv_vector_append(&bridge->gateways, &gateway);
		}
	}
	json_decref(note);
	return rc;
}

static int load(struct cv_bridges *bridges, struct cv_error *error)
{
	struct cv_kv_list list = {.count = 0};
	int rc = cv_addresses_local_list(bridges->options.addresses, NOTES, &list, error);

	for (size_t i = 0; i < list.count && !rc; i++) {
		if (read_note(bridges, list.items[i].value))
			cv_log(LOG_ERR, "%s in %s: it is no bridge that this culvertd has noted",
			       list.items[i].key, CV_ADDRESSES_FILE);
	}
	cv_kv_list_fini(&list);
	return rc;
}

/* ---- the device ------------------------------------------------------------------------------ */

static int make_device(struct cv_nl *nl, const char *name, uint32_t mtu, struct cv_link *ret_link,
		       struct cv_error *error)
{
	int rc = cv_link_get(nl, name, ret_link);

	if (rc == -ENODEV) {
		rc = cv_link_add_bridge(nl, name);
		if (!rc)
			rc = cv_link_get(nl, name, ret_link);
		if (!rc)
			rc = cv_link_set_alias(nl, ret_link->index, CV_BRIDGES_ALIAS);
		if (!rc && mtu)
			rc = cv_link_set_mtu(nl, ret_link->index, mtu);
		if (!rc)
			cv_log(LOG_INFO, "pods: bridge %s made", name);
	}
	if (rc)
		return cv_error_set(error, rc, "cannot make bridge %s: %s", name, strerror(-rc));
	if (strcmp(ret_link->kind, "bridge") != 0)
		return cv_error_set(error, -EEXIST,
				    "%s is no bridge, but another sort of device; give the network "
				    "another \"bridge\"",
				    name);
	return 0;
}

static int set_up(struct cv_nl *nl, struct cv_bridge *bridge, const struct cv_link *link)
{
	int rc = link->flags & IFF_UP ? 0 : cv_link_set_up(nl, link->index, true);

	for (size_t i = 0; i < bridge->gateways.count && !rc; i++) {
		const struct cv_bridge_gateway *gateway = cv_vector_at(&bridge->gateways, i);

		if (gateway->is_leaving)
			continue;
		rc = cv_address_add(nl, link->index, &gateway->address);
		if (rc == -EEXIST)
			rc = 0;
	}
	if (!rc)
		bridge->ifindex = link->index;
	return rc;
}

int cv_bridges_ensure(struct cv_bridges *bridges, const char *name, uint32_t mtu,
		      struct cv_error *error)
{
	struct cv_nl *nl = bridges->options.nl;
	struct cv_bridge *bridge = find_or_make(bridges, name);
	struct cv_link link;
	int rc;

	if (!bridge)
		return cv_error_set(error, -ENOMEM, "out of memory");
	rc = make_device(nl, name, mtu, &link, error);
	if (rc)
		return rc;
	/* Whoever takes an address of it away has his reasons, or is told by CHECK. */
	if (link.index == bridge->ifindex && link.flags & IFF_UP)
		return 0;
	rc = set_up(nl, bridge, &link);
	return rc ? cv_error_set(error, rc, "cannot set up bridge %s with its addresses: %s", name,
				 strerror(-rc))
		  : 0;
}

/* ---- an address in a block --------------------------------------------------------------- */

/* First the block's first and last address, then as many for the gateway as it takes. */
enum step {
	STEP_FIRST,
	STEP_LAST,
	STEP_GATEWAY,
};

struct preparation {
	struct cv_bridges *bridges;
	char name[IFNAMSIZ];
	struct cv_prefix block;
	uint32_t mtu;
	char handle[CV_IPAM_HANDLE_MAX];
	enum step step;
	uint32_t candidate;	  /* host byte order */
	struct cv_vector waiters; /* struct cv_bridges_waiter */
};

static void finish(struct preparation *preparation, int rc, const struct cv_error *error)
{
	struct cv_vector *all = &preparation->bridges->preparations;
	struct preparation **items = all->items;
	size_t i = 0;

	while (items[i] != preparation)
		i++;
	items[i] = items[--all->count];
	/* What it got on the way goes back before anybody asks again. */
	if (rc && rc != -ECANCELED &&
	    !cv_bridges_gateway(preparation->bridges, preparation->name, &preparation->block))
		cv_addresses_release(preparation->bridges->options.addresses, preparation->handle,
				     NULL, NULL, NULL);
	for (i = 0; i < preparation->waiters.count; i++) {
		const struct cv_bridges_waiter *waiter = cv_vector_at(&preparation->waiters, i);

		waiter->done(waiter->context, rc, error);
	}
	cv_vector_fini(&preparation->waiters);
	free(preparation);
}

static void on_noted(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct preparation *preparation = context;
	struct cv_bridges *bridges = preparation->bridges;
	struct cv_error problem;

	(void)result;
	if (!rc) {
		rc = cv_bridges_ensure(bridges, preparation->name, preparation->mtu, &problem);
		error = &problem;
	}
	if (!rc)
		bridges->options.changed(bridges->options.data);
	finish(preparation, rc, error);
}

static void take_gateway(struct preparation *preparation)
{
	struct cv_bridge *bridge = find_or_make(preparation->bridges, preparation->name);
	struct cv_bridge_gateway gateway = {
		.block = preparation->block,
		.address = {cv_htonl(preparation->candidate), preparation->block.length},
	};
	struct cv_error error;

	memcpy(gateway.handle, preparation->handle, sizeof(gateway.handle));
	if (!bridge || cv_vector_append(&bridge->gateways, &gateway)) {
		cv_error_set(&error, -ENOMEM, "out of memory");
		finish(preparation, -ENOMEM, &error);
		return;
	}
	/* It has one more, which the device has not: also if that cannot be noted now. */
	bridge->ifindex = 0;
	cv_bridge_note(preparation->bridges, bridge, on_noted, preparation);
}

static void ask(struct preparation *preparation);

/* An address that cannot be had is passed over, but the broadcast address that a pod has. */
static void on_assigned(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct preparation *preparation = context;
	bool is_unavailable = rc == -EADDRINUSE || rc == -EADDRNOTAVAIL;
	struct cv_error problem;

	(void)result;
	if (rc && !is_unavailable) {
		finish(preparation, rc, error);
	} else if (preparation->step == STEP_FIRST) {
		preparation->step = STEP_LAST;
		ask(preparation);
	} else if (preparation->step == STEP_LAST) {
		if (rc == -EADDRINUSE) {
			cv_error_set(&problem, rc,
				     "bridge %s cannot be in this block: its last address would be "
				     "the broadcast address, and %.200s",
				     preparation->name, error->text);
			finish(preparation, rc, &problem);
			return;
		}
		preparation->step = STEP_GATEWAY;
		ask(preparation);
	} else if (!rc) {
		take_gateway(preparation);
	} else if (++preparation->candidate >= cv_prefix_last(&preparation->block)) {
		cv_error_set(&problem, -ENOSPC, "no address is free for bridge %s in its block",
			     preparation->name);
		finish(preparation, -ENOSPC, &problem);
	} else {
		ask(preparation);
	}
}

static void ask(struct preparation *preparation)
{
	const struct cv_bridges_options *options = &preparation->bridges->options;
	struct cv_ipam_request request = {
		.handle = preparation->handle,
		.attributes = {{"node", options->node_name(options->data)},
			       {"type", "bridgeGateway"},
			       {"bridge", preparation->name}},
		.attribute_count = 3,
		.is_repeated = true,
	};
	uint32_t address = preparation->candidate;

	if (preparation->step == STEP_FIRST)
		address = cv_prefix_first(&preparation->block);
	else if (preparation->step == STEP_LAST)
		address = cv_prefix_last(&preparation->block);
	request.address = cv_htonl(address);
	cv_addresses_assign(options->addresses, &request, on_assigned, preparation);
}

void cv_bridges_handle(const struct cv_bridges *bridges, const char *name,
		       const struct cv_prefix *block, char ret_handle[CV_IPAM_HANDLE_MAX])
{
	char text[CV_PREFIX_TEXT_MAX];
	char *slash;

	cv_prefix_format(block, text);
	slash = strchr(text, '/');
	if (slash)
		*slash = '-';
	snprintf(ret_handle, CV_IPAM_HANDLE_MAX, "%s%s-%s-%s", CV_HANDLE_GATEWAY,
		 bridges->options.node_name(bridges->options.data), name, text);
}

static struct preparation *find_preparation(const struct cv_bridges *bridges, const char *name,
					    const struct cv_prefix *block)
{
	for (size_t i = 0; i < bridges->preparations.count; i++) {
		struct preparation *each =
			*(struct preparation **)cv_vector_at(&bridges->preparations, i);

		if (!strcmp(each->name, name) && !cv_prefix_compare(&each->block, block))
			return each;
	}
	return NULL;
}

bool cv_bridges_is_preparing(const struct cv_bridges *bridges, const char *name,
			     const struct cv_prefix *block)
{
	return find_preparation(bridges, name, block) != NULL;
}

static struct preparation *begin(struct cv_bridges *bridges, const char *name,
				 const struct cv_prefix *block, uint32_t mtu)
{
	struct preparation *preparation = calloc(1, sizeof(*preparation));

	if (!preparation || cv_vector_append(&bridges->preparations, &preparation)) {
		free(preparation);
		return NULL;
	}
	preparation->bridges = bridges;
	preparation->block = *block;
	preparation->mtu = mtu;
	/* Blocks of two addresses have neither of the two. */
	preparation->step = block->length < 31 ? STEP_FIRST : STEP_GATEWAY;
	preparation->candidate = cv_prefix_first(block) + (block->length < 31);
	snprintf(preparation->name, sizeof(preparation->name), "%s", name);
	cv_vector_init(&preparation->waiters, sizeof(struct cv_bridges_waiter));
	cv_bridges_handle(bridges, name, block, preparation->handle);
	return preparation;
}

void cv_bridges_prepare(struct cv_bridges *bridges, const char *name, const struct cv_prefix *block,
			uint32_t mtu, cv_bridges_done done, void *context)
{
	struct preparation *preparation = find_preparation(bridges, name, block);
	const struct cv_bridges_waiter waiter = {done, context};
	struct cv_error error;
	bool is_new = !preparation;
	int rc;

	if (cv_bridges_wait_for_leaving(bridges, name, block, mtu, &waiter))
		return;
	if (is_new && cv_bridges_gateway(bridges, name, block)) {
		rc = cv_bridges_ensure(bridges, name, mtu, &error);
		done(context, rc, &error);
		return;
	}
	if (is_new)
		preparation = begin(bridges, name, block, mtu);
	if (!preparation || cv_vector_append(&preparation->waiters, &waiter)) {
		cv_error_set(&error, -ENOMEM, "out of memory");
		done(context, -ENOMEM, &error);
		if (preparation && is_new)
			finish(preparation, -ENOMEM, &error);
		return;
	}
	if (is_new)
		ask(preparation);
}

/* ---- looking ----------------------------------------------------------------------------- */

__be32 cv_bridges_gateway(const struct cv_bridges *bridges, const char *name,
			  const struct cv_prefix *block)
{
	const struct cv_bridge *bridge = cv_bridges_find(bridges, name);
	const struct cv_bridge_gateway *gateway = bridge ? find_gateway(bridge, block) : NULL;

	return gateway ? gateway->address.address : 0;
}

int cv_bridges_give(struct cv_bridges *bridges, const char *name, const struct cv_prefix *address,
		    struct cv_error *error)
{
	const struct cv_bridge_gateway gateway = {.block = {.length = 0}, .address = *address};
	struct cv_bridge *bridge = find_or_make(bridges, name);

	if (!bridge)
		return cv_error_set(error, -ENOMEM, "out of memory");
	if (!cv_bridge_has_address(bridge, address)) {
		if (cv_vector_append(&bridge->gateways, &gateway))
			return cv_error_set(error, -ENOMEM, "out of memory");
		cv_bridge_note(bridges, bridge, NULL, NULL);
		bridge->ifindex = 0;
	}
	return cv_bridges_ensure(bridges, name, 0, error);
}

int cv_bridges_addresses(const struct cv_bridges *bridges, const char *name,
			 struct cv_vector *addresses)
{
	int rc = 0;

	for (size_t i = 0; i < bridges->bridges.count; i++) {
		const struct cv_bridge *bridge = bridge_at(bridges, i);

		for (size_t k = 0; k < bridge->gateways.count && !rc; k++) {
			const struct cv_bridge_gateway *gateway =
				cv_vector_at(&bridge->gateways, k);

			if (!gateway->is_leaving && (!name || !strcmp(name, bridge->name)))
				rc = cv_vector_append(addresses, &gateway->address);
		}
	}
	return rc;
}

/* ---- beginning and end ------------------------------------------------------------------- */

int cv_bridges_create(const struct cv_bridges_options *options, struct cv_bridges **ret_bridges,
		      struct cv_error *error)
{
	struct cv_bridges *bridges = calloc(1, sizeof(*bridges));
	int rc;

	if (!bridges)
		return cv_error_set(error, -ENOMEM, "out of memory");
	bridges->options = *options;
	cv_vector_init(&bridges->bridges, sizeof(struct cv_bridge *));
	cv_vector_init(&bridges->preparations, sizeof(struct preparation *));
	cv_vector_init(&bridges->departures, sizeof(struct cv_bridges_departure *));
	rc = load(bridges, error);
	if (rc) {
		cv_bridges_destroy(bridges);
		return rc;
	}
	*ret_bridges = bridges;
	return 0;
}

void cv_bridges_destroy(struct cv_bridges *bridges)
{
	if (!bridges)
		return;
	for (size_t i = 0; i < bridges->bridges.count; i++) {
		cv_vector_fini(&bridge_at(bridges, i)->gateways);
		free(bridge_at(bridges, i));
	}
	cv_vector_fini(&bridges->bridges);
	cv_vector_fini(&bridges->preparations);
	cv_vector_fini(&bridges->departures);
	free(bridges);
}
