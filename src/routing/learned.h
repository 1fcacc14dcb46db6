/* SPDX-License-Identifier: Apache-2.0 */
/* What BIRD has learned of other nodes' prefixes, as an input of decisions. */
#ifndef CV_ROUTING_LEARNED_H
#define CV_ROUTING_LEARNED_H

#include <stdbool.h>
#include <stddef.h>

#include "net/prefix.h"
#include "routing/bird_reply.h"

struct cv_learned_route {
	struct cv_prefix prefix;
	__be32 next_hop; /* BGP's */
};

/* Zeroed: nothing. Sorted by prefix, then next hop; each once. cv_learned_fini frees. */
struct cv_learned {
	struct cv_learned_route *items;
	size_t count;
};

/* Of routes as BIRD lists them: those of BGP. 0 or -ENOMEM. */
int cv_learned_make(const struct cv_bird_route *routes, size_t count,
		    struct cv_learned *ret_learned);
void cv_learned_fini(struct cv_learned *learned);
bool cv_learned_equal(const struct cv_learned *a, const struct cv_learned *b);
bool cv_learned_has(const struct cv_learned *learned, const struct cv_prefix *prefix);

#endif
