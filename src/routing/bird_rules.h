/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of BGPFilters in BIRD's language. For bird_filter.c alone. */
#ifndef CV_ROUTING_BIRD_RULES_H
#define CV_ROUTING_BIRD_RULES_H

#include <stdio.h>

#include "routing/bgp.h"

/* Those of a session, for import or export: statements that accept, reject, or do neither. */
void cv_bird_put_rules(FILE *out, const struct cv_bgp_intent *bgp,
		       const struct cv_bgp_session *session, bool is_import);

#endif
