/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of routes. A foreign route is in the way if it leads where one of ours towards another
 * node does, or to a part of that: it is more specific, or of the same prefix and a metric that is
 * not higher. In the overlay space, any route of a routing daemon is told of, as two programs
 * that both say where pods are will differ one day.
 */
#include "agent/doctor_routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rtnetlink.h>

#include "wire/types.h"

enum {
	LINES_MAX = 10,
	/* deviceRouteProtocol's default was 3 (boot); Calico's manifests have this. */
	PROTOCOL_FELIX = 80,
};

static const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case RTPROT_BIRD:
		return "bird";
	case RTPROT_ZEBRA:
		return "zebra";
	case RTPROT_BGP:
		return "bgp";
	case RTPROT_OSPF:
		return "ospf";
	case RTPROT_BABEL:
		return "babel";
	case PROTOCOL_FELIX:
		return "80 (Calico's felix)";
	default:
		return NULL;
	}
}

static int compare_to_route(const void *key, const void *item)
{
	const struct cv_table_route *route = item;

	return cv_prefix_compare(key, &route->prefix);
}

/* The route of ours towards another node whose prefix is this one, or NULL. */
static const struct cv_table_route *find_exact(const struct cv_intent *intent,
					       const struct cv_prefix *prefix)
{
	const struct cv_table_route *end = intent->routes + intent->route_count;
	const struct cv_table_route *route =
		intent->route_count ? bsearch(prefix, intent->routes, intent->route_count,
					      sizeof(*route), compare_to_route)
				    : NULL;

	/* Several metrics of one prefix lie side by side. */
	while (route && route > intent->routes && !cv_prefix_compare(&route[-1].prefix, prefix))
		route--;
	for (; route && route < end && !cv_prefix_compare(&route->prefix, prefix); route++) {
		if (route->type == RTN_UNICAST)
			return route;
	}
	return NULL;
}

/* The longest of ours that contains the prefix. */
static const struct cv_table_route *find_cover(const struct cv_intent *intent,
					       const struct cv_prefix *prefix)
{
	for (int length = prefix->length; length > 0; length--) {
		struct cv_prefix wider = cv_prefix_of(prefix->address, (uint8_t)length);
		const struct cv_table_route *route = find_exact(intent, &wider);

		if (route)
			return route;
	}
	return NULL;
}

static bool is_own(const struct cv_intent *intent, __be32 address)
{
	const struct cv_decision *decision = cv_intent_decision(intent, address);

	return decision && decision->path == CV_PATH_LOCAL;
}

static void print_route(const struct cv_doctor_input *input, const struct cv_table_route *route,
			char *text, size_t size)
{
	const struct cv_fact_interface *interface = cv_facts_interface(input->facts, route->oif);
	char prefix[CV_PREFIX_TEXT_MAX], metric[24] = "";

	if (route->metric)
		snprintf(metric, sizeof(metric), " metric %u", route->metric);
	snprintf(text, size, "%s%s%s%s", cv_prefix_format(&route->prefix, prefix),
		 interface ? " dev " : "", interface ? interface->name : "", metric);
}

/* What BIRD programs is as wanted, while it is to; bgp-routes looks at which way it leads. */
static bool is_birds(const struct cv_doctor_input *input, const struct cv_table_route *route)
{
	const struct cv_bgp_view *view = input->bgp ? &input->bgp->view : NULL;

	return view && route->protocol == RTPROT_BIRD &&
	       (view->programs_wanted == CV_PROGRAMS_BIRD ||
		view->programs_now == CV_PROGRAMS_BIRD);
}

bool cv_doctor_check_route(const struct cv_doctor_input *input, const struct cv_table_route *route,
			   struct cv_findings *findings)
{
	const struct cv_intent *intent = input->intent;
	const struct cv_table_route *ours;
	const char *daemon = protocol_name(route->protocol);
	char text[96], other[CV_PREFIX_TEXT_MAX], remedy[CV_REMEDY_MAX];

	if (route->protocol == intent->protocol || !route->prefix.length || is_birds(input, route))
		return false;
	print_route(input, route, text, sizeof(text));
	ours = find_cover(intent, &route->prefix);
	if (ours && (ours->prefix.length < route->prefix.length || route->metric <= ours->metric)) {
		cv_finding_add(findings, CV_FINDING_WARNING,
			       cv_remedy(remedy, "ip route del %s", text),
			       "route %s%s%s is not ours and comes before our %s", text,
			       daemon ? ", of " : "", daemon ? daemon : "",
			       cv_prefix_format(&ours->prefix, other));
		return true;
	}
	if (daemon && cv_ranges_has(&intent->overlay.space, route->prefix.address) &&
	    !is_own(intent, route->prefix.address)) {
		cv_finding_add(
			findings, CV_FINDING_WARNING,
			cv_remedy(remedy, "ip route show proto %u", route->protocol),
			"route %s, of %s, leads into the overlay's addresses: another program "
			"says where they are, too",
			text, daemon);
		return true;
	}
	return false;
}

struct listing {
	const struct cv_doctor_input *input;
	struct cv_findings *findings;
	size_t told, more;
};

static int check_listed(const struct cv_table_route *route, void *data)
{
	struct listing *listing = data;
	struct cv_findings unread;

	if (listing->told < LINES_MAX) {
		listing->told += cv_doctor_check_route(listing->input, route, listing->findings);
		return 0;
	}
	if (cv_findings_init(&unread))
		return -ENOMEM;
	listing->more += cv_doctor_check_route(listing->input, route, &unread);
	cv_findings_fini(&unread);
	return 0;
}

void cv_doctor_check_routes(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	struct listing listing = {.input = input, .findings = findings};
	const struct cv_node_report *report = input->report;
	size_t before = findings->troubles;
	int rc;

	if (!input->intent->snapshot->count)
		return;
	if (report->routes_failed)
		cv_finding_add(findings, CV_FINDING_ERROR,
			       "ip route show (then delete, or give a higher metric to, what is in "
			       "the way)",
			       "%zu route%s of ours could not be made%s: %s", report->routes_failed,
			       report->routes_failed == 1 ? "" : "s",
			       report->routes_failed == 1 ? "" : ", the first",
			       report->route_failure);
	rc = input->nl ? cv_route_table_for_each(input->nl, 0, check_listed, &listing) : 0;
	if (rc)
		cv_finding_add(findings, CV_FINDING_WARNING, NULL,
			       "the kernel's routes cannot be listed: %s", strerror(-rc));
	if (listing.more)
		cv_finding_add(findings, CV_FINDING_WARNING, "ip route show",
			       "... and %zu more routes like these", listing.more);
	if (findings->troubles == before)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%zu route%s of ours %s there, and nobody's is in the way",
			       input->intent->route_count,
			       input->intent->route_count == 1 ? "" : "s",
			       input->intent->route_count == 1 ? "is" : "are");
}
