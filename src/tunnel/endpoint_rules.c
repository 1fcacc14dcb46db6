/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of an endpoint among the others, and on this host. */
#include "tunnel/endpoint_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "tunnel/config.h"

/* No address may be in two endpoints, and all must fit into the fast path. */
static int check_others(const struct cv_endpoint_list *list,
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
				    "all endpoints together can have %d addresses; delete an "
				    "endpoint, or give fewer",
				    CV_FP_ENDPOINTS_MAX);
	return 0;
}

/* ---- addresses of this host --------------------------------------------------- */

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

/* ---- all ----------------------------------------------------------------------- */

int cv_endpoint_check_others(const struct cv_endpoint_list *list,
			     const struct cv_endpoint_config *config,
			     const struct cv_endpoint *self, struct cv_error *error)
{
	int rc = cv_endpoint_config_check(config, error);

	return rc ? rc : check_others(list, config, self, error);
}

int cv_endpoint_check(const struct cv_endpoint_list *list, struct cv_nl *nl,
		      const struct cv_endpoint_config *config, const struct cv_endpoint *self,
		      struct cv_error *error)
{
	struct cv_own_addresses own;
	int rc = cv_endpoint_check_others(list, config, self, error);

	if (rc)
		return rc;
	rc = cv_own_addresses_init(&own, nl);
	if (rc)
		return cv_error_set(error, rc,
				    "cannot ask the kernel for this host's addresses: %s",
				    strerror(-rc));
	rc = cv_own_addresses_check(&own, config, error);
	cv_own_addresses_fini(&own);
	return rc;
}

int cv_endpoint_find_device(struct cv_nl *nl, const struct cv_tunnel_set *tunnels, const char *dev,
			    struct cv_link *ret_link, struct cv_error *error)
{
	int rc = cv_link_get(nl, dev, ret_link);

	if (rc == -ENODEV)
		return cv_error_set(error, rc, "there is no device %s; \"ip link\" lists them",
				    dev);
	if (rc)
		return cv_error_set(error, rc, "cannot ask the kernel for device %s: %s", dev,
				    strerror(-rc));
	if (ret_link->flags & IFF_LOOPBACK)
		return cv_error_set(error, -EINVAL,
				    "%s is the loopback device; give the host's end of a pod's or "
				    "machine's device",
				    ret_link->name);
	if (tunnels && cv_tunnel_set_has_device(tunnels, ret_link->index))
		return cv_error_set(
			error, -EINVAL,
			"%s is a tunnel's own device; give the host's end of a pod's or "
			"machine's device",
			ret_link->name);
	return 0;
}
