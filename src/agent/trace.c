/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace asks the kernel what it would ask itself: the route of the inner packet, then, where that
 * leads into a tunnel, the route of the outer one. What resources say (pool, owner, decision) is
 * told before it, and a "conflict" where another route than ours was found.
 *
 * NAT alone is not asked but judged here, by the same intent as the rules are made of
 * (routing/nat.c), in their order; tests/packet/trace.t holds all of it against real packets.
 */
#include "agent/trace.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/json_text.h"
#include "agent/node.h"
#include "net/route.h"
#include "wire/ipip.h"
#include "wire/ipv4.h"

struct trace {
	const struct cv_commands *commands;
	const struct cv_intent *intent;
	const struct cv_facts *facts;
	struct cv_request_trace question;
	bool is_local; /* the packet is this host's own */
	__be32 source; /* inner; 0: not known */
	struct cv_route_flow flow;
	struct cv_route route;		       /* the kernel's choice */
	const struct cv_tunnel_config *tunnel; /* it leads into; NULL: into none */
	__be32 outer_destination;
	__be32 nat_source; /* what the source becomes; 0: it stays, or nobody knows */
	uint32_t mtu;	   /* of the inner packet, bytes */
	const char *verdict;
	json_t *steps;
};

__attribute__((format(printf, 4, 5))) static void step(struct trace *trace, const char *name,
						       const char *reason, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_array_append_new(trace->steps,
			      json_pack("{s:s, s:o, s:o}", "step", name, "text", cv_json_text(text),
					"reason", cv_json_text_or_null(reason)));
}

static const char *device_name(const struct trace *trace, int index)
{
	const struct cv_fact_interface *interface = cv_facts_interface(trace->facts, index);

	return interface ? interface->name : "a device";
}

/* ---- where it comes from --------------------------------------------------------------------- */

static int find_source(struct trace *trace, struct cv_error *error)
{
	const struct cv_request_trace *question = &trace->question;
	const struct cv_fact_interface *interface = NULL;
	struct cv_route_flow back = {.destination = question->from};
	char text[CV_ADDRESS_TEXT_MAX];
	struct cv_route route;

	trace->flow.destination = question->to;
	if (question->device[0]) {
		interface = cv_facts_interface_named(trace->facts, question->device);
		if (!interface)
			return cv_error_set(error, -ENODEV, "there is no device %s here",
					    question->device);
	}
	trace->is_local =
		!interface && (!question->from || cv_facts_address(trace->facts, question->from));
	trace->source = question->from;
	trace->flow.source = question->from;
	if (trace->is_local) {
		if (question->from)
			step(trace, "source", NULL, "%s is this host's own",
			     cv_address_format(question->from, text));
		return 0;
	}
	if (!interface) {
		if (cv_route_get(trace->commands->nl, &back, &route))
			return cv_error_set(error, -EHOSTUNREACH,
					    "there is no way back to %s, so nothing from there is "
					    "forwarded; say by which device it comes: dev NAME",
					    cv_address_format(question->from, text));
		interface = cv_facts_interface(trace->facts, route.oif);
	}
	trace->flow.iif = interface ? interface->index : 0;
	step(trace, "source", NULL, "%s, forwarded from %s",
	     question->from ? cv_address_format(question->from, text) : "any address",
	     interface ? interface->name : "a device");
	return 0;
}

/* ---- what resources say ---------------------------------------------------------------------- */

static void tell_pool(struct trace *trace)
{
	const struct cv_resource *pool =
		cv_snapshot_pool_of(trace->intent->snapshot, trace->question.to);
	const struct cv_hole *hole =
		cv_overlay_hole_of(&trace->intent->overlay, trace->question.to);
	char text[CV_ADDRESS_TEXT_MAX], cidr[CV_PREFIX_TEXT_MAX];

	cv_address_format(trace->question.to, text);
	if (!pool) {
		step(trace, "pool", NULL, "%s is in no IPPool", text);
		return;
	}
	cv_prefix_format(&pool->pool.cidr, cidr);
	if (hole)
		step(trace, "pool", cv_hole_reason_text(hole->reason),
		     "%s is in IPPool %s (%s), but not of the overlay", text, pool->name, cidr);
	else
		step(trace, "pool", NULL, "%s is in IPPool %s (%s, ipipMode %s)", text, pool->name,
		     cidr, cv_ipip_mode_name(pool->pool.ipip_mode));
}

static const struct cv_decision *tell_owner(struct trace *trace)
{
	const struct cv_decision *decision = cv_intent_decision(trace->intent, trace->question.to);
	const struct cv_hole *hole =
		cv_overlay_hole_of(&trace->intent->overlay, trace->question.to);
	const struct cv_claim *claim;
	char prefix[CV_PREFIX_TEXT_MAX];

	if (hole && (hole->reason == CV_HOLE_NODE || hole->reason == CV_HOLE_EXTERNAL)) {
		step(trace, "owner", NULL, "it is the host's, whoever has declared what it is in");
		return NULL;
	}
	if (!decision) {
		step(trace, "owner", NULL, "no node has declared it (BlockAffinity, Workload)%s",
		     trace->intent->programs == CV_PROGRAMS_BIRD ? ", nor announced it by BGP"
								 : "");
		return NULL;
	}
	claim = &decision->claim;
	cv_prefix_format(&claim->prefix, prefix);
	if (!claim->resource) {
		step(trace, "owner", NULL, "%s is node %s's (learned by BGP)", prefix,
		     claim->node->name);
		step(trace, "decision", cv_path_reason_text(decision->reason), "%s",
		     cv_path_name(decision->path));
		return decision;
	}
	step(trace, "owner", NULL, "%s is node %s's (%s %s)", prefix,
	     claim->resource->kind == CV_KIND_WORKLOAD ? claim->resource->workload.node
						       : claim->resource->affinity.node,
	     cv_kind_name(claim->resource->kind), claim->resource->name);
	step(trace, "decision", cv_path_reason_text(decision->reason), "%s",
	     cv_path_name(decision->path));
	return decision;
}

/* ---- what the kernel says -------------------------------------------------------------------- */

static void tell_refusal(struct trace *trace, int err)
{
	const char *why = err == -EHOSTUNREACH
				  ? "an unreachable route, or the device does not forward"
			  : err == -EINVAL	? "a blackhole route, or a source that cannot be"
			  : err == -ENETUNREACH ? "no route"
			  : err == -EACCES	? "a prohibit route or rule"
			  : err == -EXDEV	? "rp_filter: the source came the wrong way"
						: strerror(-err);
	trace->verdict = "refused";
	step(trace, "route", why, "the kernel does not route it");
}

static void tell_next_hop(struct trace *trace)
{
	struct cv_route_entry entry = {.count = 0};
	char gateway[CV_ADDRESS_TEXT_MAX], prefix[CV_PREFIX_TEXT_MAX] = "?";
	struct cv_prefix matched;

	if (!cv_route_match(trace->commands->nl, &trace->flow, &entry)) {
		matched = (struct cv_prefix){entry.prefix, entry.prefix_length};
		cv_prefix_format(&matched, prefix);
	}
	if (trace->route.gateway)
		step(trace, "route", NULL, "%s via %s dev %s%s", prefix,
		     cv_address_format(trace->route.gateway, gateway),
		     device_name(trace, trace->route.oif),
		     entry.count > 1 ? " (one of several next hops)" : "");
	else
		step(trace, "route", NULL, "%s dev %s", prefix,
		     device_name(trace, trace->route.oif));
}

static const struct cv_tunnel_config *tunnel_of(const struct trace *trace, int ifindex)
{
	const struct cv_tunnel_set *set = trace->commands->set;

	for (size_t i = 0; i < cv_tunnel_set_count(set); i++) {
		const struct cv_tunnel_config *config = cv_tunnel_set_config(set, i);

		if (cv_tunnel_set_ifindex(set, config->name) == ifindex)
			return config;
	}
	return NULL;
}

static bool tell_route(struct trace *trace)
{
	const struct cv_fact_interface *interface;
	int rc = cv_route_get(trace->commands->nl, &trace->flow, &trace->route);

	if (rc || (trace->route.type != RTN_UNICAST && trace->route.type != RTN_LOCAL)) {
		tell_refusal(trace, rc ? rc : -EHOSTUNREACH);
		return false;
	}
	if (trace->route.type == RTN_LOCAL) {
		trace->verdict = "local";
		step(trace, "route", NULL, "it is an address of this host");
		return false;
	}
	if (!trace->source)
		trace->source = trace->route.source;
	trace->tunnel = tunnel_of(trace, trace->route.oif);
	interface = cv_facts_interface(trace->facts, trace->route.oif);
	trace->mtu = trace->route.mtu ? trace->route.mtu : interface ? interface->mtu : 0;
	tell_next_hop(trace);
	return true;
}

/* ---- the tunnel ------------------------------------------------------------------------------ */

/* The outer packet's way may be narrower than the device says: by its route, or as ICMP has told.
 */
static void tell_path_mtu(struct trace *trace, uint32_t route_mtu)
{
	uint32_t learned = cv_engine_path_mtu(trace->commands->engine, trace->outer_destination);
	uint32_t outer = learned && learned < route_mtu ? learned : route_mtu;

	if (outer == learned && learned)
		step(trace, "path-mtu", "learned of ICMP", "%u bytes to the other end", learned);
	if (outer < CV_IPV4_MTU_MIN)
		outer = CV_IPV4_MTU_MIN;
	if (outer - CV_IPIP_OVERHEAD < trace->mtu)
		trace->mtu = outer - CV_IPIP_OVERHEAD;
}

static void tell_tunnel(struct trace *trace)
{
	const struct cv_tunnel_config *tunnel = trace->tunnel;
	char outer_source[CV_ADDRESS_TEXT_MAX], outer[CV_ADDRESS_TEXT_MAX],
		gateway[CV_ADDRESS_TEXT_MAX];
	const struct cv_peer_intent *peer;
	struct cv_route_flow flow = {.protocol = CV_IPV4_PROTO_IPIP, .source = tunnel->local};
	struct cv_route route;
	int rc;

	trace->outer_destination = tunnel->remote	  ? tunnel->remote
				   : trace->route.gateway ? trace->route.gateway
							  : trace->question.to;
	flow.destination = trace->outer_destination;
	rc = cv_route_get(trace->commands->nl, &flow, &route);
	cv_address_format(trace->outer_destination, outer);
	if (rc || tunnel_of(trace, route.oif)) {
		trace->verdict = "refused";
		trace->outer_destination = 0;
		step(trace, "outer", rc ? strerror(-rc) : "it would go into a tunnel again",
		     "there is no way to %s", outer);
		return;
	}
	peer = cv_intent_peer(trace->intent, trace->outer_destination);
	step(trace, "tunnel", peer ? peer->node->name : NULL, "%s: %s > %s, protocol 4",
	     tunnel->name,
	     cv_address_format(tunnel->local ? tunnel->local : route.source, outer_source), outer);
	if (route.gateway)
		step(trace, "outer", NULL, "via %s dev %s",
		     cv_address_format(route.gateway, gateway), device_name(trace, route.oif));
	else
		step(trace, "outer", NULL, "on link, dev %s", device_name(trace, route.oif));
	tell_path_mtu(trace, route.mtu);
}

/* ---- NAT ------------------------------------------------------------------------------------- */

static bool is_in(const struct cv_prefix *prefixes, size_t count, __be32 address)
{
	for (size_t i = 0; i < count; i++) {
		if (cv_prefix_has(&prefixes[i], address))
			return true;
	}
	return false;
}

/*
 * The kernel's own choice for "masquerade" (inet_select_addr): of the device's addresses the one
 * whose network has the next hop, else the first. A route's "src" has no say in it.
 */
static __be32 masquerade_address(const struct trace *trace)
{
	__be32 next_hop = trace->route.gateway ? trace->route.gateway : trace->question.to;
	const struct cv_facts *facts = trace->facts;
	__be32 first = 0;

	for (size_t i = 0; i < facts->address_count; i++) {
		const struct cv_fact_address *have = &facts->addresses[i];
		struct cv_prefix network =
			cv_prefix_of(have->address.address, have->address.length);

		if (have->ifindex != trace->route.oif)
			continue;
		if (cv_prefix_has(&network, next_hop))
			return have->address.address;
		if (!first)
			first = have->address.address;
	}
	return first;
}

static void tell_translation(struct trace *trace, __be32 source, const char *reason)
{
	char from[CV_ADDRESS_TEXT_MAX], to[CV_ADDRESS_TEXT_MAX];

	trace->nat_source = source;
	step(trace, "nat", reason, "%s becomes %s", cv_address_format(trace->source, from),
	     source ? cv_address_format(source, to) : "an address of another device");
}

/* In the order of the rules (routing/nat.c): the first that fits has the say. */
static void tell_nat(struct trace *trace)
{
	const struct cv_nat_intent *nat = &trace->intent->nat;
	bool is_pool_device =
		trace->tunnel && nat->device[0] && !strcmp(trace->tunnel->name, nat->device);
	bool is_overlays = is_in(nat->overlay, nat->overlay_count, trace->source);
	bool is_to_overlay = is_in(nat->overlay, nat->overlay_count, trace->question.to);
	const char *kept = NULL;
	char from[CV_ADDRESS_TEXT_MAX];

	if (!nat->wanted || !trace->source)
		return;
	if (is_overlays && is_to_overlay)
		kept = "from overlay to overlay";
	else if (is_overlays && is_in(nat->hosts, nat->host_count, trace->question.to))
		kept = "natOutgoingExclusions: IPPoolsAndHostIPs";
	else if (is_overlays && is_pool_device)
		kept = "from the overlay, by the tunnel";
	if (kept)
		step(trace, "nat", kept, "%s stays", cv_address_format(trace->source, from));
	else if (is_pool_device && trace->is_local && nat->tunnel_address &&
		 trace->source != nat->tunnel_address)
		tell_translation(trace, nat->tunnel_address,
				 "answers must come back by the tunnel");
	else if (is_in(nat->sources, nat->source_count, trace->source) && !is_to_overlay)
		tell_translation(trace, nat->address ? nat->address : masquerade_address(trace),
				 "natOutgoing, out of the overlay");
}

/* ---- how it is carried ----------------------------------------------------------------------- */

static void tell_carriage(struct trace *trace)
{
	const struct cv_commands *commands = trace->commands;
	struct cv_tunnel_status tunnel = {.no_fastpath = NULL};
	struct cv_endpoint_status endpoint;

	for (size_t i = 0; i < cv_endpoint_set_count(commands->endpoints); i++) {
		cv_endpoint_set_status(commands->endpoints, i, &endpoint);
		if (trace->is_local || !cv_endpoint_has_address(endpoint.config, trace->source))
			continue;
		step(trace, "endpoint", endpoint.in_force ? NULL : endpoint.reason,
		     "the source is behind %s, %s", endpoint.config->dev,
		     endpoint.in_force && trace->tunnel ? "past the host's stack"
							: "through the host's stack");
	}
	if (!trace->tunnel)
		return;
	for (size_t i = 0; i < cv_tunnel_set_count(commands->set); i++) {
		if (cv_tunnel_set_config(commands->set, i) == trace->tunnel)
			cv_tunnel_set_status(commands->set, i, &tunnel);
	}
	if (!tunnel.active) {
		trace->verdict = "refused";
		step(trace, "carried", tunnel.reason, "by nothing: the tunnel is suspended");
		return;
	}
	step(trace, "carried", tunnel.no_fastpath, "by the %s",
	     tunnel.no_fastpath ? "engine" : "fast path");
}

/* ---- all ------------------------------------------------------------------------------------- */

static const char *verdict_without_tunnel(const struct trace *trace,
					  const struct cv_decision *decision)
{
	const struct cv_peer_intent *peer = cv_intent_peer(trace->intent, trace->route.gateway);

	if (decision && decision->path == CV_PATH_LOCAL)
		return peer ? "direct" : "local";
	if (decision && peer && decision->claim.node == peer->node)
		return "direct";
	if (decision || cv_ranges_has(&trace->intent->overlay.space, trace->question.to))
		return "underlay";
	return "outside";
}

/* What the kernel's choice should be by our decision, and is not. */
static bool differs(const struct trace *trace, const struct cv_decision *decision)
{
	switch (decision->path) {
	case CV_PATH_TUNNEL:
	case CV_PATH_DIRECT:
		return strcmp(trace->verdict, cv_path_name(decision->path)) != 0;
	case CV_PATH_LOCAL:
		/* Refused: an address of our block that nobody has. */
		return strcmp(trace->verdict, "local") != 0 &&
		       strcmp(trace->verdict, "refused") != 0;
	case CV_PATH_UNDERLAY:
		return !strcmp(trace->verdict, "tunnel");
	case CV_PATH_NONE:
		break;
	}
	return false;
}

static void tell_conflict(struct trace *trace, const struct cv_decision *decision)
{
	if (decision && differs(trace, decision))
		step(trace, "conflict",
		     "another route, rule or setting wins over our route; see culvert doctor",
		     "decided: %s, but the kernel: %s", cv_path_name(decision->path),
		     trace->verdict);
}

/* Beyond the kernel's choice of a route. */
static void tell_rest(struct trace *trace)
{
	if (trace->tunnel)
		tell_tunnel(trace);
	if (!strcmp(trace->verdict, "refused"))
		return;
	tell_nat(trace);
	tell_carriage(trace);
	if (trace->mtu && strcmp(trace->verdict, "refused"))
		step(trace, "mtu", NULL, "%u bytes", trace->mtu);
}

int cv_trace(const struct cv_commands *commands, const struct cv_request_trace *question,
	     json_t **ret_result, struct cv_error *error)
{
	struct trace trace = {
		.commands = commands,
		.intent = cv_node_intent(commands->node),
		.facts = cv_node_facts(commands->node),
		.question = *question,
		.steps = json_array(),
	};
	const struct cv_decision *decision;
	char source[CV_ADDRESS_TEXT_MAX], outer[CV_ADDRESS_TEXT_MAX], nat[CV_ADDRESS_TEXT_MAX];
	bool is_routed;
	int rc = find_source(&trace, error);

	if (rc) {
		json_decref(trace.steps);
		return rc;
	}
	tell_pool(&trace);
	decision = tell_owner(&trace);
	is_routed = tell_route(&trace);
	if (is_routed)
		trace.verdict = trace.tunnel ? "tunnel" : verdict_without_tunnel(&trace, decision);
	tell_conflict(&trace, decision);
	if (is_routed)
		tell_rest(&trace);
	*ret_result = json_pack(
		"{s:s, s:s?, s:s?, s:o, s:s?, s:I, s:o}", "verdict", trace.verdict, "source",
		trace.source ? cv_address_format(trace.source, source) : NULL, "nat_source",
		trace.nat_source ? cv_address_format(trace.nat_source, nat) : NULL, "device",
		cv_json_text(trace.route.oif ? device_name(&trace, trace.route.oif) : NULL),
		"outer_destination",
		trace.outer_destination ? cv_address_format(trace.outer_destination, outer) : NULL,
		"mtu", (json_int_t)trace.mtu, "steps", trace.steps);
	return 0;
}
