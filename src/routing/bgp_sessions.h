/* SPDX-License-Identifier: Apache-2.0 */
/* With whom BIRD speaks. For bgp.c alone. */
#ifndef CV_ROUTING_BGP_SESSIONS_H
#define CV_ROUTING_BGP_SESSIONS_H

#include "routing/bgp.h"

/* Fill in sessions, and the warnings that come of them; the rest but exports is there. 0 or
 * -ENOMEM. */
int cv_bgp_sessions(const struct cv_bgp_input *input, const struct cv_bgp_configuration *own,
		    struct cv_bgp_intent *bgp);

#endif
