/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and pods in the form of protocol.md ("Addresses"). */
#ifndef CV_AGENT_IPAM_JSON_H
#define CV_AGENT_IPAM_JSON_H

#include <jansson.h>

#include "agent/leaks.h"
#include "routing/decide.h"
#include "tunnel/endpoint_set.h"

struct cv_ipam_show {
	const struct cv_ipam_view *view;
	const struct cv_intent *intent; /* pools and holes */
	const char *node;		/* this one */
	bool is_etcd;
	bool blocks;	/* all of them, too */
	__be32 address; /* this one alone; 0: none */
};

/* The result of ipam.show. NULL without memory. */
json_t *cv_ipam_show_to_json(const struct cv_ipam_show *show);

/* The findings of ipam.check: a list, in the order of leaks. */
json_t *cv_leaks_to_json(const struct cv_leaks *leaks, int64_t now_us);

/* Add to a pod's record whether its packets go past the host's stack, and why not. */
void cv_pod_add_bypass(const struct cv_pod *pod, const struct cv_endpoint_set *endpoints,
		       json_t *json);

/* The endpoint of a device, or false: there is none. */
bool cv_pod_endpoint(const struct cv_pod *pod, const struct cv_endpoint_set *endpoints,
		     struct cv_endpoint_status *ret_status);

#endif
