/* SPDX-License-Identifier: Apache-2.0 */
/* Of routes that want the same place, one. For wanted.c alone. */
#ifndef CV_ROUTING_MERGE_H
#define CV_ROUTING_MERGE_H

#include "routing/decide.h"

/*
 * Sort routes by prefix and metric, and merge those that have both in common. Routes of Tunnels
 * come as one of their `devices`, whatever is given to `oif` for it; devices of input->dead are
 * left out as PathConfiguration says, but never the last one. Returns how many are left.
 */
size_t cv_merge_routes(const struct cv_decide_input *input, struct cv_intent *intent,
		       struct cv_table_route *routes, size_t count);

#endif
