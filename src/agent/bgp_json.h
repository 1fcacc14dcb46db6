/* SPDX-License-Identifier: Apache-2.0 */
/* BGP as JSON, in the form of protocol.md. */
#ifndef CV_AGENT_BGP_JSON_H
#define CV_AGENT_BGP_JSON_H

#include <jansson.h>

#include "agent/bgp_look.h"
#include "agent/request.h"
#include "routing/intent.h"

enum {
	CV_BGP_ROUTES_TOLD_MAX = 20000, /* in one answer; a prefix narrows */
};

/* All of them: the caller owns what is returned; NULL without memory. now_us: CLOCK_MONOTONIC. */
json_t *cv_bgp_status_to_json(const struct cv_bgp_look *look, int64_t now_us);
json_t *cv_bgp_peers_to_json(const struct cv_bgp_look *look, int64_t now_us);

/* For `status`: who programs, sessions, problems. */
json_t *cv_bgp_summary_to_json(const struct cv_bgp_look *look);

/* Which routes of a list are told: of prefix NULL, all. An address (length 32): those that have it
 * too; else those that are in it. */
bool cv_bgp_is_asked(const struct cv_prefix *asked, const struct cv_prefix *prefix);

/* `show route all` or `show route filtered all`, parsed; intent: for the reasons of ways. */
json_t *cv_bgp_routes_to_json(const struct cv_bgp_look *look, const struct cv_intent *intent,
			      enum cv_bgp_which which, const struct cv_prefix *asked,
			      const struct cv_bird_route *routes, size_t count);
json_t *cv_bgp_exports_to_json(const struct cv_bgp_look *look, const struct cv_prefix *asked);

#endif
