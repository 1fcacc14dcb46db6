/* SPDX-License-Identifier: Apache-2.0 */
/* BGP's routes as JSON: which way each goes and why, or why it is refused. */
#include <stdio.h>
#include <string.h>

#include "agent/bgp_json.h"
#include "agent/json_text.h"
#include "model/resource.h"
#include "routing/decide.h"

bool cv_bgp_is_asked(const struct cv_prefix *asked, const struct cv_prefix *prefix)
{
	return !asked || cv_prefix_contains(asked, prefix) ||
	       (asked->length == 32 && cv_prefix_contains(prefix, asked));
}

/* ---- ways -------------------------------------------------------------------------------- */

static const struct cv_bgp_pool *pool_of(const struct cv_bgp_intent *bgp,
					 const struct cv_prefix *prefix)
{
	for (size_t i = 0; i < bgp->pool_count; i++) {
		if (cv_prefix_contains(&bgp->pools[i].cidr, prefix))
			return &bgp->pools[i];
	}
	return NULL;
}

/* Why it goes as cv_bgp_path says, in the words that decisions have. */
static const char *reason_of(const struct cv_bgp_intent *bgp, const struct cv_intent *intent,
			     const struct cv_bird_route *route)
{
	const struct cv_bgp_pool *pool = pool_of(bgp, &route->prefix);
	const struct cv_bgp_node *node = cv_bgp_node_at(bgp, route->next_hop);
	const struct cv_peer_intent *peer = cv_intent_peer(intent, route->next_hop);

	if (route->is_unreachable)
		return "BIRD cannot resolve its next hop";
	if (!pool)
		return "in no pool: as the underlay does";
	if (!node)
		return "its next hop is no Node";
	if (pool->mode != CV_IPIP_NEVER && bgp->tunnel_forbidden)
		return cv_path_reason_text(CV_REASON_IPIP_DISABLED);
	switch (pool->mode) {
	case CV_IPIP_ALWAYS:
		return cv_path_reason_text(CV_REASON_ALWAYS);
	case CV_IPIP_NEVER:
		return cv_path_reason_text(CV_REASON_NEVER);
	case CV_IPIP_CROSS_SUBNET:
		return peer ? cv_path_reason_text(peer->cross_subnet_reason) : "CrossSubnet";
	}
	return NULL;
}

static const char *way_name(const struct cv_bgp_intent *bgp, const struct cv_bird_route *route)
{
	return route->is_unreachable
		       ? cv_path_name(CV_PATH_NONE)
		       : cv_path_name(cv_bgp_path(bgp, &route->prefix, route->next_hop));
}

/* ---- routes ------------------------------------------------------------------------------ */

static json_t *session_to_json(const struct cv_bgp_session *session,
			       const struct cv_bird_route *route)
{
	struct cv_bgp_pair pair = {.wanted = session};
	char words[CV_BGP_WORDS_MAX];

	return session ? cv_json_text(cv_bgp_peer_words(&pair, words))
		       : cv_json_text(route->protocol);
}

static json_t *route_to_json(const struct cv_bgp_intent *bgp, const struct cv_bird_route *route,
			     const struct cv_bgp_session *session)
{
	const struct cv_bgp_node *node = cv_bgp_node_at(bgp, route->next_hop);
	char prefix[CV_PREFIX_TEXT_MAX], next_hop[CV_ADDRESS_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s?, s:o, s:o, s:o, s:b, s:b}", "prefix",
			 cv_prefix_format(&route->prefix, prefix), "next_hop",
			 cv_address_format(route->next_hop, next_hop), "node",
			 node ? node->node->name : NULL, "session", cv_json_text(route->protocol),
			 "from", session_to_json(session, route), "as_path",
			 cv_json_text(route->as_path), "best", (int)route->is_best, "stale",
			 (int)route->is_stale);
}

static void add_way(json_t *json, const struct cv_bgp_view *view, const struct cv_intent *intent,
		    const struct cv_bird_route *route)
{
	json_object_set_new(json, "way", json_string(way_name(view->intent, route)));
	json_object_set_new(json, "reason", cv_json_text(reason_of(view->intent, intent, route)));
}

/* BIRD has refused it; who judges otherwise does not have the configuration that BIRD has yet. */
static void add_verdict(json_t *json, const struct cv_bgp_intent *bgp,
			const struct cv_bgp_session *session, const struct cv_bird_route *route)
{
	const struct cv_resource *about = NULL;
	enum cv_bgp_verdict verdict = CV_BGP_TAKEN;
	char text[CV_BGP_EXPLAIN_MAX];

	if (session)
		verdict = cv_bgp_judge(bgp, session, &route->prefix, route->next_hop, &about);
	if (verdict == CV_BGP_TAKEN) {
		json_object_set_new(json, "refused", json_string("other"));
		json_object_set_new(json, "reason",
				    json_string("BIRD has refused it; its configuration is being "
						"changed"));
		return;
	}
	json_object_set_new(json, "refused", json_string(cv_bgp_verdict_name(verdict)));
	json_object_set_new(
		json, "reason",
		cv_json_text(cv_bgp_explain(bgp, verdict, &route->prefix, about, text)));
}

static json_t *finish(json_t *list, const char *which, size_t left_out)
{
	return json_pack("{s:s, s:o, s:I}", "which", which, "routes", list, "left_out",
			 (json_int_t)left_out);
}

json_t *cv_bgp_routes_to_json(const struct cv_bgp_look *look, const struct cv_intent *intent,
			      enum cv_bgp_which which, const struct cv_prefix *asked,
			      const struct cv_bird_route *routes, size_t count)
{
	const struct cv_bgp_view *view = &look->view;
	json_t *list = json_array(), *json;
	size_t left_out = 0;

	for (size_t i = 0; i < count; i++) {
		const struct cv_bird_route *route = &routes[i];
		const struct cv_bgp_session *session =
			cv_bgp_session_named(view->intent, route->protocol);

		if (!route->next_hop || !cv_bgp_is_asked(asked, &route->prefix))
			continue;
		if (json_array_size(list) == CV_BGP_ROUTES_TOLD_MAX) {
			left_out++;
			continue;
		}
		json = route_to_json(view->intent, route, session);
		if (which == CV_BGP_REFUSED)
			add_verdict(json, view->intent, session, route);
		else
			add_way(json, view, intent, route);
		json_array_append_new(list, json);
	}
	return finish(list, which == CV_BGP_REFUSED ? "refused" : "learned", left_out);
}

json_t *cv_bgp_exports_to_json(const struct cv_bgp_look *look, const struct cv_prefix *asked)
{
	const struct cv_bgp_intent *bgp = look->view.intent;
	json_t *list = json_array();
	size_t left_out = 0;

	for (size_t i = 0; i < bgp->export_count; i++) {
		const struct cv_bgp_export *export = &bgp->exports[i];
		char prefix[CV_PREFIX_TEXT_MAX];

		if (!cv_bgp_is_asked(asked, &export->prefix))
			continue;
		if (json_array_size(list) == CV_BGP_ROUTES_TOLD_MAX) {
			left_out++;
			continue;
		}
		json_array_append_new(
			list,
			json_pack("{s:s, s:s?, s:s?}", "prefix",
				  cv_prefix_format(&export->prefix, prefix), "kind",
				  export->resource ? cv_kind_name(export->resource->kind) : NULL,
				  "resource", export->resource ? export->resource->name : NULL));
	}
	return finish(list, "exported", left_out);
}
