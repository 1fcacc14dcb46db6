/* SPDX-License-Identifier: Apache-2.0 */
/* From decisions to routes, owners, NAT and the device's MTU. For decide.c alone. */
#ifndef CV_ROUTING_WANTED_H
#define CV_ROUTING_WANTED_H

#include "routing/decide.h"

enum {
	CV_WANTED_EXTERNAL_HOSTS_MAX =
		256 /* addresses of an externalNodesList entry that are peers */
};

/* How packets go to a peer for an address of this pool (not NULL). */
enum cv_path cv_decide_path(const struct cv_intent *intent, const struct cv_resource *pool,
			    const struct cv_peer_intent *peer, enum cv_path_reason *ret_reason);

bool cv_decide_is_ipip_off(const struct cv_felix_configuration *felix);

/* Fill in mtu, mtu_how and route_mtu_max. */
void cv_wanted_mtu(const struct cv_decide_input *input, struct cv_intent *intent);

/* Fill in routes, owners, nat and the warnings that come of them. 0 or -ENOMEM. */
int cv_wanted(const struct cv_decide_input *input, struct cv_intent *intent);

#endif
