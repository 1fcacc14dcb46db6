/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel says of this host.
 *
 * Invariants: interfaces are sorted by index; addresses are in the kernel's order, those of one
 * device beside each other; every address has its interface. The lists come one after the other:
 * an address whose device came in between is left out, for the notice of that device is already on
 * its way and the facts are read again.
 */
#include "routing/facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/route.h"
#include "net/vector.h"
#include "routing/bgp.h"
#include "wire/types.h"

/* ---- devices --------------------------------------------------------------------- */

struct reading {
	bool (*is_ours)(int ifindex, void *data);
	void *data;
	struct cv_facts *facts;
	struct cv_vector items;
};

static int take_interface(const struct cv_link *link, void *data)
{
	struct reading *reading = data;
	struct cv_fact_interface interface = {
		.index = link->index,
		.mtu = link->mtu,
		.flags = link->flags,
		.is_ours = reading->is_ours && reading->is_ours(link->index, reading->data),
	};

	memcpy(interface.name, link->name, sizeof(interface.name));
	memcpy(interface.kind, link->kind, sizeof(interface.kind));
	return cv_vector_append(&reading->items, &interface);
}

static int compare_interfaces(const void *a, const void *b)
{
	const struct cv_fact_interface *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int read_interfaces(struct cv_nl *nl, struct reading *reading)
{
	int err;

	cv_vector_init(&reading->items, sizeof(struct cv_fact_interface));
	err = cv_link_for_each(nl, take_interface, reading);
	if (reading->items.count)
		qsort(reading->items.items, reading->items.count, sizeof(struct cv_fact_interface),
		      compare_interfaces);
	reading->facts->interfaces = reading->items.items;
	reading->facts->interface_count = reading->items.count;
	return err;
}

/* ---- addresses ---------------------------------------------------------------------- */

static int take_address(const struct cv_address *address, void *data)
{
	struct reading *reading = data;
	const struct cv_fact_address fact = {
		.ifindex = address->ifindex,
		.address = {address->address, address->prefix_length},
		.interface = cv_facts_interface(reading->facts, address->ifindex),
	};

	return fact.interface ? cv_vector_append(&reading->items, &fact) : 0;
}

static int read_addresses(struct cv_nl *nl, struct reading *reading)
{
	int err;

	cv_vector_init(&reading->items, sizeof(struct cv_fact_address));
	err = cv_address_for_each(nl, take_address, reading);
	reading->facts->addresses = reading->items.items;
	reading->facts->address_count = reading->items.count;
	return err;
}

/* ---- gateways ------------------------------------------------------------------------ */

static int take_gateway(__be32 gateway, void *data)
{
	return cv_vector_append(data, &gateway);
}

/*
 * Not those that a BIRD of ours learned, either: they would be part of the filters that it takes
 * routes with, and a peer could have them changed, with a refresh of all sessions, by a route.
 */
static int read_gateways(struct cv_nl *nl, uint8_t protocol, struct cv_facts *facts)
{
	const struct cv_route_owner owners[] = {
		{.protocol = protocol},
		{.protocol = RTPROT_BIRD, .metric = CV_BGP_METRIC},
	};
	struct cv_vector gateways;
	int err;

	cv_vector_init(&gateways, sizeof(__be32));
	err = cv_route_for_each_gateway_except(nl, owners, 2, take_gateway, &gateways);
	facts->gateways = gateways.items;
	facts->gateway_count = gateways.count;
	return err;
}

/* ---- all ------------------------------------------------------------------------------ */

int cv_facts_read(struct cv_nl *nl, bool (*is_ours)(int ifindex, void *data), void *data,
		  uint8_t protocol, struct cv_facts *ret_facts)
{
	struct cv_facts facts = {.interface_count = 0};
	struct reading reading = {.is_ours = is_ours, .data = data, .facts = &facts};
	int err = read_interfaces(nl, &reading);

	if (!err)
		err = read_addresses(nl, &reading);
	if (!err)
		err = read_gateways(nl, protocol, &facts);
	if (err) {
		cv_facts_fini(&facts);
		return err;
	}
	*ret_facts = facts;
	return 0;
}

void cv_facts_fini(struct cv_facts *facts)
{
	free(facts->interfaces);
	free(facts->addresses);
	free(facts->gateways);
	free(facts->wider);
	*facts = (struct cv_facts){.interface_count = 0};
}

/* ---- paths ----------------------------------------------------------------------------- */

static int compare_paths(const void *a, const void *b)
{
	uint32_t x = cv_ntohl(((const struct cv_fact_path *)a)->remote);
	uint32_t y = cv_ntohl(((const struct cv_fact_path *)b)->remote);

	return (x > y) - (x < y);
}

static uint32_t smallest(const struct cv_fact_path *paths, size_t count)
{
	uint32_t mtu = 0;

	for (size_t i = 0; i < count; i++) {
		if (paths[i].link_mtu && (!mtu || paths[i].link_mtu < mtu))
			mtu = paths[i].link_mtu;
	}
	return mtu;
}

int cv_facts_set_paths(struct cv_facts *facts, const struct cv_fact_path *paths, size_t count)
{
	uint32_t mtu = smallest(paths, count);
	struct cv_vector wider;
	bool same;

	cv_vector_init(&wider, sizeof(struct cv_fact_path));
	for (size_t i = 0; i < count; i++) {
		if (paths[i].link_mtu > mtu && cv_vector_append(&wider, &paths[i])) {
			cv_vector_fini(&wider);
			return -ENOMEM;
		}
	}
	if (wider.count)
		qsort(wider.items, wider.count, sizeof(struct cv_fact_path), compare_paths);
	same = facts->link_mtu == mtu && facts->wider_count == wider.count &&
	       (!wider.count ||
		!memcmp(facts->wider, wider.items, wider.count * sizeof(struct cv_fact_path)));
	free(facts->wider);
	facts->link_mtu = mtu;
	facts->wider = wider.items;
	facts->wider_count = wider.count;
	return !same;
}

uint32_t cv_facts_wider(const struct cv_facts *facts, __be32 remote)
{
	const struct cv_fact_path key = {.remote = remote};
	const struct cv_fact_path *found = facts->wider_count
						   ? bsearch(&key, facts->wider, facts->wider_count,
							     sizeof(key), compare_paths)
						   : NULL;

	return found ? found->link_mtu : 0;
}

/* ---- looking ----------------------------------------------------------------------------- */

const struct cv_fact_interface *cv_facts_interface(const struct cv_facts *facts, int index)
{
	const struct cv_fact_interface key = {.index = index};

	if (!facts->interface_count)
		return NULL;
	return bsearch(&key, facts->interfaces, facts->interface_count, sizeof(key),
		       compare_interfaces);
}

const struct cv_fact_interface *cv_facts_interface_named(const struct cv_facts *facts,
							 const char *name)
{
	for (size_t i = 0; i < facts->interface_count; i++) {
		if (!strcmp(facts->interfaces[i].name, name))
			return &facts->interfaces[i];
	}
	return NULL;
}

const struct cv_fact_address *cv_facts_address(const struct cv_facts *facts, __be32 address)
{
	for (size_t i = 0; i < facts->address_count; i++) {
		if (facts->addresses[i].address.address == address)
			return &facts->addresses[i];
	}
	return NULL;
}
