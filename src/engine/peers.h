/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peers of NBMA tunnels: the gateways of all routes through their devices, remembered.
 *
 * There is no question for one gateway: all routes of a device must be listed, which takes
 * some 0.5 µs for each (10 ms for 20,000). While routes keep changing the lists are
 * therefore made again only so often that this takes a small part of the time; in
 * between, the last list counts, and the caller is told that it is not fresh.
 */
#ifndef CV_ENGINE_PEERS_H
#define CV_ENGINE_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

struct cv_peers;

/* Lists the gateways of a device, as struct cv_router_source. */
struct cv_peers_source {
	void *context;
	int (*gateways)(void *context, int oif, int (*cb)(__be32 gateway, void *data), void *data);
};

/* Create; NULL and errno. The caller owns it: _destroy (NULL is fine). */
struct cv_peers *cv_peers_create(const struct cv_peers_source *source);
void cv_peers_destroy(struct cv_peers *peers);

/*
 * Is address a gateway of a route through the device ifindex of the tunnel in slot? generation: of
 * the routing; an answer of another one is out of date. *ret_fresh: this answer is not.
 * now_ms: a monotonic clock.
 */
bool cv_peers_has(struct cv_peers *peers, unsigned int slot, int ifindex, __be32 address,
		  uint32_t generation, uint64_t now_ms, bool *ret_fresh);

/* The same of the last list, whatever its age: no question is asked. */
bool cv_peers_had(const struct cv_peers *peers, unsigned int slot, int ifindex, __be32 address);

#endif
