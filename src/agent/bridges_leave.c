/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bridge has in a block goes back when no pod is in it, so that the block can be given back.
 *
 * The note says "leaving" before anything is undone, and is gone after all of it: device, then
 * address management. So whatever is interrupted is gone on with at the next observation, also
 * of another daemon. Meanwhile nobody gets the gateway: who wants one in that block waits for the
 * end, and gets a new one. An answer that is lost is no end: the release could still come, and
 * take what was assigned to the same handle again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bridges_state.h"
#include "agent/log.h"
#include "net/link.h"

struct late {
	struct cv_bridges_waiter waiter;
	uint32_t mtu;
};

struct cv_bridges_departure {
	struct cv_bridges *bridges;
	char name[IFNAMSIZ];
	struct cv_prefix block;
	struct cv_vector late; /* struct late */
};

static struct cv_bridges_departure *find_departure(const struct cv_bridges *bridges,
						   const char *name, const struct cv_prefix *block)
{
	for (size_t i = 0; i < bridges->departures.count; i++) {
		struct cv_bridges_departure *each =
			*(struct cv_bridges_departure **)cv_vector_at(&bridges->departures, i);

		if (!strcmp(each->name, name) && !cv_prefix_compare(&each->block, block))
			return each;
	}
	return NULL;
}

/* NULL: it is none that leaves. */
static struct cv_bridge_gateway *find_leaving(const struct cv_bridge *bridge,
					      const struct cv_prefix *block)
{
	for (size_t i = 0; bridge && i < bridge->gateways.count; i++) {
		struct cv_bridge_gateway *gateway = cv_vector_at(&bridge->gateways, i);

		if (gateway->is_leaving && !cv_prefix_compare(&gateway->block, block))
			return gateway;
	}
	return NULL;
}

/* ---- one after the other ------------------------------------------------------------------ */

static void end(struct cv_bridges_departure *departure, int rc, const struct cv_error *error)
{
	struct cv_bridges *bridges = departure->bridges;
	struct cv_bridges_departure **items = bridges->departures.items;
	size_t i = 0;

	while (items[i] != departure)
		i++;
	items[i] = items[--bridges->departures.count];
	for (i = 0; i < departure->late.count; i++) {
		const struct late *late = cv_vector_at(&departure->late, i);

		if (rc)
			late->waiter.done(late->waiter.context, rc, error);
		else
			cv_bridges_prepare(bridges, departure->name, &departure->block, late->mtu,
					   late->waiter.done, late->waiter.context);
	}
	cv_vector_fini(&departure->late);
	free(departure);
}

static void on_forgotten(void *context, int rc, const struct cv_error *error, const void *result)
{
	(void)result;
	end(context, rc, error);
}

static void on_released(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct cv_bridges_departure *departure = context;
	struct cv_bridge *bridge = cv_bridges_find(departure->bridges, departure->name);
	struct cv_bridge_gateway *gateway = find_leaving(bridge, &departure->block);
	struct cv_bridge_gateway *items;
	char text[CV_PREFIX_TEXT_MAX];

	(void)result;
	if (rc || !gateway) {
		end(departure, rc, error);
		return;
	}
	cv_log(LOG_INFO, "pods: bridge %s has given back its address in block %s, where no pod is",
	       bridge->name, cv_prefix_format(&departure->block, text));
	items = bridge->gateways.items;
	*gateway = items[--bridge->gateways.count];
	cv_bridge_note(departure->bridges, bridge, on_forgotten, departure);
}

/* From the device, unless another one has it there, too. What is gone is no failure. */
static int delete_address(const struct cv_bridges *bridges, const struct cv_bridge *bridge,
			  const struct cv_bridge_gateway *gateway, struct cv_error *error)
{
	struct cv_link link;
	int rc = cv_link_get(bridges->options.nl, bridge->name, &link);

	if (!rc && !strcmp(link.kind, "bridge") &&
	    !cv_bridge_has_address(bridge, &gateway->address))
		rc = cv_address_delete(bridges->options.nl, link.index, &gateway->address);
	if (!rc || rc == -ENODEV || rc == -EADDRNOTAVAIL)
		return 0;
	return cv_error_set(error, rc, "cannot delete bridge %s's address: %s", bridge->name,
			    strerror(-rc));
}

static void on_noted(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct cv_bridges_departure *departure = context;
	struct cv_bridges *bridges = departure->bridges;
	struct cv_bridge *bridge = cv_bridges_find(bridges, departure->name);
	struct cv_bridge_gateway *gateway = find_leaving(bridge, &departure->block);
	char handle[CV_IPAM_HANDLE_MAX];
	struct cv_error problem;

	(void)result;
	if (!rc && gateway) {
		rc = delete_address(bridges, bridge, gateway, &problem);
		error = &problem;
	}
	if (rc || !gateway) {
		end(departure, rc, error);
		return;
	}
	if (*gateway->handle)
		memcpy(handle, gateway->handle, sizeof(handle));
	else
		cv_bridges_handle(bridges, departure->name, &departure->block, handle);
	bridges->options.changed(bridges->options.data);
	cv_addresses_release(bridges->options.addresses, handle, NULL, on_released, departure);
}

/* NULL: no memory, and nothing has begun. */
static struct cv_bridges_departure *leave(struct cv_bridges *bridges,
					  const struct cv_bridge *bridge,
					  struct cv_bridge_gateway *gateway)
{
	struct cv_bridges_departure *departure = calloc(1, sizeof(*departure));

	if (!departure || cv_vector_append(&bridges->departures, &departure)) {
		free(departure);
		return NULL;
	}
	departure->bridges = bridges;
	departure->block = gateway->block;
	memcpy(departure->name, bridge->name, sizeof(departure->name));
	cv_vector_init(&departure->late, sizeof(struct late));
	gateway->is_leaving = true;
	cv_bridge_note(bridges, bridge, on_noted, departure);
	return departure;
}

/* ---- all ----------------------------------------------------------------------------------- */

bool cv_bridges_wait_for_leaving(struct cv_bridges *bridges, const char *name,
				 const struct cv_prefix *block, uint32_t mtu,
				 const struct cv_bridges_waiter *waiter)
{
	struct cv_bridges_departure *departure = find_departure(bridges, name, block);
	const struct cv_bridge *bridge = cv_bridges_find(bridges, name);
	struct cv_bridge_gateway *gateway = find_leaving(bridge, block);
	const struct late late = {*waiter, mtu};
	struct cv_error error;

	if (!departure && !gateway)
		return false;
	if (!departure)
		departure = leave(bridges, bridge, gateway);
	if (!departure || cv_vector_append(&departure->late, &late)) {
		cv_error_set(&error, -ENOMEM, "out of memory");
		waiter->done(waiter->context, -ENOMEM, &error);
	}
	return true;
}

static void observe(struct cv_bridges *bridges, const struct cv_bridge *bridge,
		    struct cv_bridge_gateway *gateway)
{
	const struct cv_bridges_options *options = &bridges->options;
	bool is_unused;

	if (!gateway->block.length || find_departure(bridges, bridge->name, &gateway->block))
		return;
	is_unused = !cv_bridges_is_preparing(bridges, bridge->name, &gateway->block) &&
		    !options->is_used(options->data, bridge->name, &gateway->block);
	if (gateway->is_leaving || (is_unused && gateway->was_unused))
		leave(bridges, bridge, gateway);
	gateway->was_unused = is_unused;
}

void cv_bridges_observe(struct cv_bridges *bridges)
{
	for (size_t i = 0; i < bridges->bridges.count; i++) {
		struct cv_bridge *bridge = *(struct cv_bridge **)cv_vector_at(&bridges->bridges, i);

		for (size_t k = 0; k < bridge->gateways.count; k++)
			observe(bridges, bridge, cv_vector_at(&bridge->gateways, k));
	}
}
