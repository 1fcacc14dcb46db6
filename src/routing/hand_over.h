/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the agent's routes to other nodes may go, because BIRD has its own by now. */
#ifndef CV_ROUTING_HAND_OVER_H
#define CV_ROUTING_HAND_OVER_H

#include "net/vector.h"
#include "routing/intent.h"

struct cv_hand_over {
	size_t missing;		/* the agent's routes that BIRD has none for … */
	struct cv_prefix first; /* … of which one waits for a route to this */
	bool has_news;		/* more has been handed over: decide again */
};

/*
 * Hand over what of intent's routes BIRD has some for: their prefixes are added to handed, once
 * each, so that this comes to an end. birds: the prefixes of BIRD's routes in the kernel; both are
 * sorted struct cv_prefix. 0 or -ENOMEM.
 */
int cv_hand_over(const struct cv_intent *intent, const struct cv_vector *birds,
		 struct cv_vector *handed, struct cv_hand_over *ret_over);

#endif
