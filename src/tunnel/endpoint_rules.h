/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of an endpoint among the others, and on this host. */
#ifndef CV_TUNNEL_ENDPOINT_RULES_H
#define CV_TUNNEL_ENDPOINT_RULES_H

#include "engine/address_set.h"
#include "net/link.h"
#include "net/netlink.h"
#include "tunnel/endpoint_list.h"
#include "tunnel/error.h"
#include "tunnel/set.h"

/*
 * Whether the endpoint that config will be, and self is now (NULL: a new one), is possible. 0,
 * -EINVAL, -EEXIST: an address is another's, or this host's own; -ENOSPC: too many addresses in
 * all.
 */
int cv_endpoint_check(const struct cv_endpoint_list *list, struct cv_nl *nl,
		      const struct cv_endpoint_config *config, const struct cv_endpoint *self,
		      struct cv_error *error);

/* The part of that which asks nobody: no address in two endpoints, and not too many. 0, -EINVAL,
 * -EEXIST, -ENOSPC. */
int cv_endpoint_check_others(const struct cv_endpoint_list *list,
			     const struct cv_endpoint_config *config,
			     const struct cv_endpoint *self, struct cv_error *error);

/*
 * The device of a new endpoint, by any of its names. tunnels, whose devices are none, may be NULL.
 * 0, -ENODEV, -EINVAL, -errno.
 */
int cv_endpoint_find_device(struct cv_nl *nl, const struct cv_tunnel_set *tunnels, const char *dev,
			    struct cv_link *ret_link, struct cv_error *error);

/* The addresses that this host has itself, and the broadcast addresses of its networks. */
struct cv_own_addresses {
	struct cv_address_set addresses;
	struct cv_address_set broadcasts;
};

/* Ask the kernel. 0 or -errno. cv_own_addresses_fini. */
int cv_own_addresses_init(struct cv_own_addresses *ret_own, struct cv_nl *nl);
void cv_own_addresses_fini(struct cv_own_addresses *own);

/* Whether an endpoint's addresses are none of them. 0, -EEXIST: own; -EINVAL: broadcast. */
int cv_own_addresses_check(const struct cv_own_addresses *own,
			   const struct cv_endpoint_config *config, struct cv_error *error);

#endif
