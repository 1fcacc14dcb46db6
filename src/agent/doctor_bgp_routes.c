/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of routes by BGP: those that were refused, blocks that nobody announces, prefixes that two
 * nodes announce; and whether the kernel has what was learned, and sends it the way it should go.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/doctor_bgp.h"
#include "routing/bird_question.h"
#include "routing/decide.h"

enum {
	LINES_MAX = 10,	     /* of one kind */
	ASK_TIMEOUT_MS = 500 /* nothing else is done meanwhile */
};

/* Tells the first of a kind, and counts the rest. */
struct lines {
	struct cv_findings *findings;
	size_t count;
};

static bool has_room(struct lines *lines)
{
	return lines->count++ < LINES_MAX;
}

static void finish(const struct lines *lines, const char *remedy, const char *what)
{
	if (lines->count > LINES_MAX)
		cv_finding_add(lines->findings, CV_FINDING_WARNING, remedy, "... and %zu %s more",
			       lines->count - LINES_MAX, what);
}

/* ---- what was refused -------------------------------------------------------------------- */

/*
 * A top-of-rack router announces its default and its networks as a matter of course, and what a
 * filter rejects is as somebody wished. The rest is a mistake of somebody, or worse.
 */
static bool is_harmless(enum cv_bgp_verdict verdict)
{
	return verdict == CV_BGP_TAKEN || verdict == CV_BGP_REFUSED_DEFAULT ||
	       verdict == CV_BGP_REFUSED_UNDERLAY || verdict == CV_BGP_REFUSED_NO_POOL ||
	       verdict == CV_BGP_REFUSED_FILTER;
}

static void tell_refused(const struct cv_bgp_intent *bgp, const struct cv_bird_route *route,
			 struct lines *harmful, size_t *harmless)
{
	struct cv_bgp_pair pair = {.wanted = cv_bgp_session_named(bgp, route->protocol)};
	const struct cv_resource *about = NULL;
	char words[CV_BGP_WORDS_MAX], why[CV_BGP_EXPLAIN_MAX], prefix[CV_PREFIX_TEXT_MAX],
		remedy[CV_REMEDY_MAX];
	enum cv_bgp_verdict verdict;

	if (!pair.wanted || !route->next_hop)
		return;
	verdict = cv_bgp_judge(bgp, pair.wanted, &route->prefix, route->next_hop, &about);
	if (is_harmless(verdict)) {
		++*harmless;
		return;
	}
	if (!has_room(harmful))
		return;
	cv_prefix_format(&route->prefix, prefix);
	cv_finding_add(harmful->findings, CV_FINDING_WARNING,
		       cv_remedy(remedy,
				 "culvert bgp routes --refused %s; find out who announces "
				 "it, and why",
				 prefix),
		       "%s announces %s, which is refused: %s", cv_bgp_peer_words(&pair, words),
		       prefix, cv_bgp_explain(bgp, verdict, &route->prefix, about, why));
}

void cv_doctor_judge_refused(const struct cv_bgp_intent *bgp, const struct cv_bird_route *routes,
			     size_t count, struct cv_findings *findings)
{
	struct lines harmful = {.findings = findings};
	size_t harmless = 0;

	for (size_t i = 0; i < count; i++)
		tell_refused(bgp, &routes[i], &harmful, &harmless);
	finish(&harmful, "culvert bgp routes --refused", "routes that are refused");
	if (harmless)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%zu route%s of peers %s not the overlay's, and not taken "
			       "(culvert bgp routes --refused)",
			       harmless, harmless == 1 ? "" : "s", harmless == 1 ? "is" : "are");
}

static uint64_t count_refused(const struct cv_bgp_view *view)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < view->session_count; i++) {
		if (cv_bgp_is_ours(view->sessions[i].name))
			sum += view->sessions[i].filtered;
	}
	return sum;
}

static void check_refused(const struct cv_bgp_look *look, struct cv_findings *findings)
{
	const struct cv_bgp_view *view = &look->view;
	struct cv_bird_route *routes = NULL;
	uint64_t refused = count_refused(view);
	char question[CV_BIRD_QUESTION_ROUTES_MAX], *text = NULL;
	size_t size, count = 0;
	bool is_told = false;

	if (!refused || look->state != CV_BIRD_UP || !view->bird)
		return;
	if (refused <= CV_BGP_ROUTES_MAX &&
	    !cv_bird_ask_now(view->bird, cv_bird_question_routes(true, NULL, question),
			     ASK_TIMEOUT_MS, &text, &size) &&
	    !cv_bird_read_routes(text, size, &routes, &count)) {
		cv_doctor_judge_refused(view->intent, routes, count, findings);
		is_told = true;
	}
	free(routes);
	free(text);
	if (!is_told)
		cv_finding_add(findings, CV_FINDING_WARNING, "culvert bgp peers",
			       "%llu routes of peers are refused, too many to name them here",
			       (unsigned long long)refused);
}

/* ---- what was learned -------------------------------------------------------------------- */

static const char *node_words(const struct cv_bgp_intent *bgp, __be32 address,
			      char text[CV_BGP_WORDS_MAX])
{
	const struct cv_bgp_node *node = cv_bgp_node_at(bgp, address);
	char buffer[CV_ADDRESS_TEXT_MAX];

	cv_address_format(address, buffer);
	if (node)
		snprintf(text, CV_BGP_WORDS_MAX, "node %s", node->node->name);
	else
		snprintf(text, CV_BGP_WORDS_MAX, "%s", buffer);
	return text;
}

static bool is_exported(const struct cv_bgp_intent *bgp, const struct cv_prefix *prefix)
{
	for (size_t i = 0; i < bgp->pool_count; i++) {
		if (cv_prefix_contains(&bgp->pools[i].cidr, prefix))
			return !bgp->pools[i].pool->pool.disable_bgp_export;
	}
	return false;
}

/* Blocks of others that nobody announces: with BIRD, no packet finds them. */
static void check_blocks(const struct cv_bgp_view *view, struct cv_findings *findings)
{
	const struct cv_bgp_intent *bgp = view->intent;
	struct lines lines = {.findings = findings};
	char prefix[CV_PREFIX_TEXT_MAX], remedy[CV_REMEDY_MAX];

	for (size_t i = 0; i < bgp->block_count; i++) {
		const struct cv_bgp_block *block = &bgp->blocks[i];

		if (block->is_ours || block->is_workload || !block->node ||
		    !is_exported(bgp, &block->prefix) ||
		    cv_learned_has(view->learned, &block->prefix) || !has_room(&lines))
			continue;
		cv_finding_add(findings, CV_FINDING_WARNING,
			       cv_remedy(remedy,
					 "on node %s: culvert bgp status; culvert bgp "
					 "routes --exported",
					 block->node->name),
			       "%s is node %s's block, and nobody announces it",
			       cv_prefix_format(&block->prefix, prefix), block->node->name);
	}
	finish(&lines, "culvert bgp routes", "blocks that nobody announces");
}

/* A prefix within another one, and of another node. A /32 is a borrowed address. */
static void check_overlap(const struct cv_bgp_view *view, const struct cv_learned_route *outer,
			  const struct cv_learned_route *inner, struct lines *lines)
{
	char a[CV_PREFIX_TEXT_MAX], b[CV_PREFIX_TEXT_MAX], of_a[CV_BGP_WORDS_MAX],
		of_b[CV_BGP_WORDS_MAX];

	if (inner->prefix.length == 32 || inner->next_hop == outer->next_hop ||
	    inner->prefix.length == outer->prefix.length || !has_room(lines))
		return;
	cv_finding_add(lines->findings, CV_FINDING_WARNING, "culvert bgp routes",
		       "%s of %s lies in %s of %s: the longer one wins, and one of them errs",
		       cv_prefix_format(&inner->prefix, b),
		       node_words(view->intent, inner->next_hop, of_b),
		       cv_prefix_format(&outer->prefix, a),
		       node_words(view->intent, outer->next_hop, of_a));
}

/* Sorted by prefix: what contains a route is among those before it that contain each other. */
static void check_overlaps(const struct cv_bgp_view *view, struct cv_findings *findings)
{
	const struct cv_learned *learned = view->learned;
	const struct cv_learned_route *stack[34];
	struct lines lines = {.findings = findings};
	size_t depth = 0;

	for (size_t i = 0; i < learned->count; i++) {
		const struct cv_learned_route *route = &learned->items[i];

		while (depth && !cv_prefix_contains(&stack[depth - 1]->prefix, &route->prefix))
			depth--;
		if (depth)
			check_overlap(view, stack[depth - 1], route, &lines);
		/* Several next hops of one prefix are one level. */
		if (!depth || cv_prefix_compare(&stack[depth - 1]->prefix, &route->prefix) != 0)
			stack[depth++] = route;
	}
	finish(&lines, "culvert bgp routes", "prefixes that overlap");
}

/* ---- the kernel -------------------------------------------------------------------------- */

struct table {
	struct cv_table_route *routes;
	size_t count, capacity;
};

static int add_route(const struct cv_table_route *route, void *data)
{
	struct table *table = data;

	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : 256;
		struct cv_table_route *more = reallocarray(table->routes, capacity, sizeof(*more));

		if (!more)
			return -1;
		table->routes = more;
		table->capacity = capacity;
	}
	table->routes[table->count++] = *route;
	return 0;
}

static bool is_in_pool(const struct cv_doctor_input *input, const struct cv_prefix *prefix)
{
	const struct cv_resource *pool =
		cv_snapshot_pool_of(input->intent->snapshot, prefix->address);

	return pool && cv_prefix_contains(&pool->pool.cidr, prefix);
}

static const struct cv_learned_route *find_learned(const struct cv_learned *learned,
						   const struct cv_prefix *prefix)
{
	size_t low = 0, high = learned->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (cv_prefix_compare(&learned->items[middle].prefix, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == learned->count || cv_prefix_compare(&learned->items[low].prefix, prefix) != 0)
		return NULL;
	return &learned->items[low];
}

/* Which way what the route leads to should go, by what was learned or by what is decided. */
static enum cv_path wanted_path(const struct cv_doctor_input *input,
				const struct cv_table_route *route)
{
	const struct cv_bgp_view *view = &input->bgp->view;
	const struct cv_learned_route *learned =
		view->intent->wanted ? find_learned(view->learned, &route->prefix) : NULL;
	const struct cv_decision *decision =
		cv_intent_decision(input->intent, route->prefix.address);

	if (learned)
		return cv_bgp_path(view->intent, &learned->prefix, learned->next_hop);
	return decision ? decision->path : CV_PATH_NONE;
}

/* NULL: no routing daemon's; what people route by hand doctor_routes.c tells of. */
static const char *daemon_of(uint8_t protocol)
{
	switch (protocol) {
	case RTPROT_BIRD:
		return "bird";
	case RTPROT_ZEBRA:
		return "zebra (FRR)";
	case RTPROT_BGP:
		return "bgp (FRR)";
	default:
		return NULL;
	}
}

static void check_way(const struct cv_doctor_input *input, const struct cv_table_route *route,
		      struct lines *lines)
{
	const struct cv_fact_interface *interface = cv_facts_interface(input->facts, route->oif);
	char prefix[CV_PREFIX_TEXT_MAX], gateway[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];

	if (route->type != RTN_UNICAST || route->multipath || route->device_count ||
	    !daemon_of(route->protocol) || !input->pool_ifindex ||
	    route->oif == input->pool_ifindex || !is_in_pool(input, &route->prefix) ||
	    wanted_path(input, route) != CV_PATH_TUNNEL || !has_room(lines))
		return;
	cv_prefix_format(&route->prefix, prefix);
	cv_address_format(route->gateway, gateway);
	if (route->protocol == RTPROT_BIRD)
		cv_remedy(remedy, "culvert bgp status; ip route show %s", prefix);
	else
		cv_remedy(remedy,
			  "keep that daemon from installing pool prefixes (FRR: ip protocol bgp "
			  "route-map with a deny of them); culvertd programs them");
	cv_finding_add(lines->findings, CV_FINDING_ERROR, remedy,
		       "route %s via %s dev %s, of %s, leads past the tunnel by which it should "
		       "go%s",
		       prefix, gateway, interface ? interface->name : "?",
		       daemon_of(route->protocol),
		       route->protocol == RTPROT_BGP || route->protocol == RTPROT_ZEBRA
			       ? " (FRR resolves the next hop away)"
			       : "");
}

static int compare_routes(const void *a, const void *b)
{
	return cv_prefix_compare(&((const struct cv_table_route *)a)->prefix,
				 &((const struct cv_table_route *)b)->prefix);
}

static int compare_to_route(const void *key, const void *item)
{
	return cv_prefix_compare(key, &((const struct cv_table_route *)item)->prefix);
}

/* birds: BIRD's routes in the kernel, sorted. */
static void check_missing(const struct cv_doctor_input *input, const struct table *birds,
			  struct cv_findings *findings)
{
	const struct cv_bgp_view *view = &input->bgp->view;
	const struct cv_learned *learned = view->learned;
	struct lines lines = {.findings = findings};
	char prefix[CV_PREFIX_TEXT_MAX], words[CV_BGP_WORDS_MAX];

	for (size_t i = 0; i < learned->count; i++) {
		const struct cv_learned_route *route = &learned->items[i];
		enum cv_path path = cv_bgp_path(view->intent, &route->prefix, route->next_hop);

		if ((i && !cv_prefix_compare(&learned->items[i - 1].prefix, &route->prefix)) ||
		    (path != CV_PATH_TUNNEL && path != CV_PATH_DIRECT) ||
		    (birds->count && bsearch(&route->prefix, birds->routes, birds->count,
					     sizeof(*birds->routes), compare_to_route)) ||
		    !has_room(&lines))
			continue;
		cv_finding_add(findings, CV_FINDING_ERROR,
			       "culvert bgp status; bird/bird.log in the run directory",
			       "%s of %s was learned, and BIRD has no route in the kernel for it",
			       cv_prefix_format(&route->prefix, prefix),
			       node_words(view->intent, route->next_hop, words));
	}
	finish(&lines, "culvert bgp routes", "learned prefixes that are not in the kernel");
}

/* The agent programs, from resources: what was learned and none of them tells of goes nowhere. */
static void check_undeclared(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_bgp_view *view = &input->bgp->view;
	struct lines lines = {.findings = findings};
	char prefix[CV_PREFIX_TEXT_MAX], words[CV_BGP_WORDS_MAX];

	for (size_t i = 0; i < view->learned->count; i++) {
		const struct cv_learned_route *route = &view->learned->items[i];

		if ((i &&
		     !cv_prefix_compare(&view->learned->items[i - 1].prefix, &route->prefix)) ||
		    !is_in_pool(input, &route->prefix) ||
		    cv_intent_decision(input->intent, route->prefix.address) || !has_room(&lines))
			continue;
		cv_finding_add(
			findings, CV_FINDING_WARNING,
			"declare its block here (BlockAffinity), or set "
			"programClusterRoutes: Enabled in BGPConfiguration default",
			"%s of %s was learned by BGP, but no resource has it, and resources are "
			"what the agent programs routes from: nothing leads there",
			cv_prefix_format(&route->prefix, prefix),
			node_words(view->intent, route->next_hop, words));
	}
	finish(&lines, "culvert bgp routes", "learned prefixes that no resource has");
}

void cv_doctor_judge_bgp_table(const struct cv_doctor_input *input,
			       const struct cv_table_route *routes, size_t count,
			       struct cv_findings *findings)
{
	struct lines lines = {.findings = findings};
	struct table birds = {.count = 0};
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		check_way(input, &routes[i], &lines);
		if (routes[i].protocol == RTPROT_BIRD)
			rc = add_route(&routes[i], &birds);
	}
	finish(&lines, "ip route show", "routes that lead past the tunnel");
	if (!rc && input->bgp->view.programs_now == CV_PROGRAMS_BIRD &&
	    input->bgp->state == CV_BIRD_UP) {
		if (birds.count)
			qsort(birds.routes, birds.count, sizeof(*birds.routes), compare_routes);
		check_missing(input, &birds, findings);
	}
	/* Not while it is handed over: BIRD's routes are there yet. */
	if (input->bgp->view.intent->wanted && input->bgp->view.programs_now == CV_PROGRAMS_AGENT &&
	    input->bgp->view.programs_wanted == CV_PROGRAMS_AGENT)
		check_undeclared(input, findings);
	free(birds.routes);
}

/* ---- all --------------------------------------------------------------------------------- */

void cv_doctor_check_bgp_routes(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_bgp_look *look = input->bgp;
	size_t before = findings->troubles;
	struct table table = {.count = 0};

	if (!look || !input->intent->snapshot->count)
		return;
	if (input->nl && !cv_route_table_for_each(input->nl, 0, add_route, &table))
		cv_doctor_judge_bgp_table(input, table.routes, table.count, findings);
	free(table.routes);
	/* A routing daemon may be in the way of a node that has no BGP of ours, too. */
	if (!cv_bgp_is_asked_for(&look->view))
		return;
	check_refused(look, findings);
	if (look->view.programs_now == CV_PROGRAMS_BIRD && look->state == CV_BIRD_UP)
		check_blocks(&look->view, findings);
	check_overlaps(&look->view, findings);
	if (findings->troubles == before)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%zu route%s learned by BGP: as announced, and as the kernel has "
			       "them",
			       look->view.learned->count,
			       look->view.learned->count == 1 ? "" : "s");
}
