/* SPDX-License-Identifier: Apache-2.0 */
/* Invariant: no address is in two endpoints of a list, and all of them fit into the fast path. */
#include "tunnel/endpoint_list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/link.h"
#include "tunnel/config.h"

void cv_endpoint_list_fini(struct cv_endpoint_list *list)
{
	free(list->endpoints);
	*list = (struct cv_endpoint_list){.count = 0};
}

int cv_endpoint_list_reserve(struct cv_endpoint_list *list, size_t count)
{
	size_t size = list->size ? list->size : 16;
	struct cv_endpoint *endpoints;

	while (size < count)
		size *= 2;
	if (size == list->size)
		return 0;
	endpoints = realloc(list->endpoints, size * sizeof(*endpoints));
	if (!endpoints)
		return -ENOMEM;
	list->endpoints = endpoints;
	list->size = size;
	return 0;
}

void cv_endpoint_list_insert(struct cv_endpoint_list *list, size_t at,
			     const struct cv_endpoint *endpoint)
{
	memmove(&list->endpoints[at + 1], &list->endpoints[at],
		(list->count - at) * sizeof(*list->endpoints));
	list->endpoints[at] = *endpoint;
	list->count++;
}

void cv_endpoint_list_remove(struct cv_endpoint_list *list, size_t at)
{
	list->count--;
	memmove(&list->endpoints[at], &list->endpoints[at + 1],
		(list->count - at) * sizeof(*list->endpoints));
}

struct cv_endpoint *cv_endpoint_list_find(const struct cv_endpoint_list *list, const char *dev)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!strcmp(list->endpoints[i].config.dev, dev))
			return &list->endpoints[i];
	}
	return NULL;
}

struct cv_endpoint *cv_endpoint_list_find_by_index(const struct cv_endpoint_list *list, int ifindex)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->endpoints[i].ifindex == ifindex)
			return &list->endpoints[i];
	}
	return NULL;
}

/* ---- rules --------------------------------------------------------------------- */

int cv_endpoint_list_check(const struct cv_endpoint_list *list,
			   const struct cv_endpoint_config *config, const struct cv_endpoint *self,
			   struct cv_error *error)
{
	size_t addresses = config->count;
	char text[INET_ADDRSTRLEN];

	for (size_t i = 0; i < list->count; i++) {
		const struct cv_endpoint *other = &list->endpoints[i];

		if (other == self)
			continue;
		addresses += other->config.count;
		for (unsigned int k = 0; k < config->count; k++) {
			if (!cv_endpoint_has_address(&other->config, config->addresses[k]))
				continue;
			cv_tunnel_format_address(config->addresses[k], text);
			return cv_error_set(error, -EEXIST,
					    "ip %s is endpoint %s's already; delete or change that "
					    "one first",
					    text, other->config.dev);
		}
	}
	if (addresses > CV_FP_ENDPOINTS_MAX)
		return cv_error_set(error, -ENOSPC,
				    "the endpoints have %d addresses, the most that can be",
				    CV_FP_ENDPOINTS_MAX);
	return 0;
}

static int take_own(const struct cv_address *address, void *data)
{
	struct cv_own_addresses *own = data;
	int rc = cv_address_set_add(&own->addresses, address->address);

	if (!rc && address->broadcast)
		rc = cv_address_set_add(&own->broadcasts, address->broadcast);
	return rc;
}

int cv_own_addresses_init(struct cv_own_addresses *ret_own, struct cv_nl *nl)
{
	struct cv_own_addresses own = {.addresses = {.count = 0}};
	int rc = cv_address_for_each(nl, take_own, &own);

	if (rc) {
		cv_own_addresses_fini(&own);
		return rc;
	}
	cv_address_set_sort(&own.addresses);
	cv_address_set_sort(&own.broadcasts);
	*ret_own = own;
	return 0;
}

void cv_own_addresses_fini(struct cv_own_addresses *own)
{
	cv_address_set_fini(&own->addresses);
	cv_address_set_fini(&own->broadcasts);
}

int cv_own_addresses_check(const struct cv_own_addresses *own,
			   const struct cv_endpoint_config *config, struct cv_error *error)
{
	char text[INET_ADDRSTRLEN];

	for (unsigned int i = 0; i < config->count; i++) {
		cv_tunnel_format_address(config->addresses[i], text);
		if (cv_address_set_has(&own->addresses, config->addresses[i]))
			return cv_error_set(error, -EEXIST,
					    "ip %s is an address of this host itself; give an "
					    "address of the pod or machine behind the device",
					    text);
		if (cv_address_set_has(&own->broadcasts, config->addresses[i]))
			return cv_error_set(error, -EINVAL,
					    "ip %s is a broadcast address of this host's networks; "
					    "give an address of the pod or machine behind the "
					    "device",
					    text);
	}
	return 0;
}
