/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles, by which address management knows whose an address is (ipam/ipam.h): those of pods, and
 * those that the node itself has.
 */
#ifndef CV_AGENT_POD_HANDLE_H
#define CV_AGENT_POD_HANDLE_H

#include <stdbool.h>

#include "ipam/ipam.h"

/* The beginnings of handles that are no pod's; what follows: the node, and what it is for. */
#define CV_HANDLE_TUNNEL   "ipip-tunnel-addr-" /* Calico's name for it */
#define CV_HANDLE_GATEWAY  "bridge-gateway-"
#define CV_HANDLE_RESERVED "reserved-" /* ADDRESS: by `culvert ipam reserve` */

/*
 * "NETWORK.CONTAINER.INTERFACE"; where that is too long, where container or interface has a dot, or
 * network begins as one of those above, with a digest of the three in the middle. No two have the
 * same, and none is one that is no pod's. Returns buffer.
 */
const char *cv_pod_handle_format(const char *network, const char *container, const char *interface,
				 char buffer[CV_IPAM_HANDLE_MAX]);

/*
 * Whether an assignment is a pod's, by its handle and its attribute "type" (NULL: it has none), of
 * which pods have none. Those of Calico's pods ("k8s-pod-network.CONTAINER") are not ours; those
 * that culvertd gave to pods of a network "reserved-…" or "bridge-gateway-…" before these had
 * digests are.
 */
bool cv_pod_handle_is_ours(const char *handle, const char *type);

#endif
