/* SPDX-License-Identifier: Apache-2.0 */
/* How BIRD is asked for routes, on its control socket. */
#ifndef CV_ROUTING_BIRD_QUESTION_H
#define CV_ROUTING_BIRD_QUESTION_H

#include <stdbool.h>

#include "net/prefix.h"

enum {
	CV_BIRD_QUESTION_ROUTES_MAX = 440
};

/*
 * Of all sessions of ours (an external BIRD has its operator's, too): what was learned by BGP, or
 * what our filters have refused of it. around: only what lies in this prefix, or contains this
 * address (/32); NULL: all. Returns text.
 */
const char *cv_bird_question_routes(bool is_refused, const struct cv_prefix *around,
				    char text[CV_BIRD_QUESTION_ROUTES_MAX]);

#endif
