/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP errors about outer packets.
 *
 * Anybody can send one, so it is believed only if what it quotes is a packet we can have
 * sent: from an outer address of ours, through a tunnel, to a remote that this tunnel sends to; and
 * if the inner header is quoted, one that routing takes into that tunnel and to that remote. Then
 * it changes soft state (RFC 2003, 5) and is relayed by the rules of section 4. An error that
 * quotes too little to know the inner sender waits for the next packet to that remote.
 */
#include "engine/relay.h"

#include "engine/prober.h"
#include "wire/icmp.h"
#include "wire/probe.h"

/*
 * Can the quoted packet have left through this tunnel? *ret_mtu: the path MTU used so far, as far
 * as it is known.
 */
static bool was_sent(struct cv_lane *lane, const struct cv_live_tunnel *tunnel,
		     const struct cv_ipip_quote *quote, const uint8_t *bytes, uint32_t *ret_mtu)
{
	struct cv_ipv4 inner = quote->inner;
	struct cv_flow flow = {0};
	struct cv_way_out way;

	*ret_mtu = CV_IPV4_LENGTH_MAX;
	if (quote->has_inner) {
		/* Of ports only what is quoted. */
		inner.payload_length = quote->inner_length - inner.header_length;
		cv_flow_read(&flow, &inner, bytes + quote->inner_offset);
	} else if (!tunnel->config.remote) {
		return cv_router_is_peer(lane->router, tunnel, quote->outer.destination);
	}
	if (quote->has_inner && tunnel->config.remote &&
	    !cv_router_is_routed_into(lane->router, tunnel, &flow))
		return false;
	/* With a fixed remote the way is the same for all flows. */
	if (cv_router_way_out(lane->router, tunnel, &flow, &way))
		return false;
	if (way.mtu)
		*ret_mtu = way.mtu;
	return way.destination == quote->outer.destination;
}

/* The error cannot be told to anybody yet: RFC 2003, 4, last paragraphs, and 5. */
static void keep(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
		 const struct cv_ipip_quote *quote, const struct cv_icmp_relay *relay)
{
	const struct cv_remote_error error = {
		.type = relay->type,
		.code = relay->code,
		.rest = 0,
	};

	if (relay->soft_state_unreachable)
		cv_remotes_set_error(lane->shared->remotes, quote->outer.destination, &error,
				     lane->now_ms);
	if (relay->soft_state_unreachable || relay->soft_state_mtu)
		cv_lane_count(lane, tunnel, CV_EVENT_ICMP_SOFT_STATE, 1);
	else
		cv_lane_count(lane, tunnel, CV_EVENT_ICMP_ABSORBED, 1);
}

static const enum cv_event mtu_events[] = {
	[CV_REMOTE_LOWERED] = CV_EVENT_PMTU_LOWERED,
	[CV_REMOTE_TINY] = CV_EVENT_ICMP_PMTU_TINY,
	[CV_REMOTE_LIMITED] = CV_EVENT_ICMP_PMTU_LIMITED,
};

/* False: it is not believed, and nobody is told. */
static bool take_mtu(struct cv_lane *lane, struct cv_live_tunnel *tunnel, __be32 remote,
		     uint32_t mtu, uint32_t current_mtu)
{
	enum cv_remote_verdict verdict;

	verdict = cv_remotes_lower_mtu(lane->shared->remotes, remote, mtu, current_mtu,
				       lane->now_ms, lane->shared->pmtu_lifetime_ms);
	if (verdict != CV_REMOTE_KEPT)
		cv_lane_count(lane, tunnel, mtu_events[verdict], 1);
	if (verdict == CV_REMOTE_LOWERED && lane->shared->prober)
		cv_prober_note_too_big(lane->shared->prober, remote, mtu);
	return verdict == CV_REMOTE_LOWERED || verdict == CV_REMOTE_KEPT;
}

static void relay_about(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
			const struct cv_raw_error *error, const struct cv_ipip_quote *quote,
			uint32_t current_mtu)
{
	struct cv_icmp_relay relay;
	uint32_t info = error->info;
	uint32_t rest;

	if (error->type == CV_ICMP_DEST_UNREACHABLE && error->code == CV_ICMP_FRAGMENTATION_NEEDED)
		info = cv_icmp_path_mtu(info, &quote->outer, current_mtu);
	relay = cv_icmp_relay_rule(error->type, error->code, info, &tunnel->config.ipip);
	if (relay.soft_state_mtu &&
	    !take_mtu(lane, tunnel, quote->outer.destination, info, current_mtu))
		return;
	if (relay.action == CV_ICMP_RELAY_NONE) {
		cv_lane_count(lane, tunnel, CV_EVENT_ICMP_ABSORBED, 1);
		return;
	}
	if (!quote->has_inner) {
		keep(lane, tunnel, quote, &relay);
		return;
	}
	rest = relay.type == CV_ICMP_PARAMETER_PROBLEM ? relay.pointer : relay.mtu;
	if (cv_lane_answer(lane, tunnel, &quote->inner, error->quote + quote->inner_offset,
			   quote->inner_length, relay.type, relay.code, rest))
		cv_lane_count(lane, tunnel, CV_EVENT_ICMP_RELAYED, 1);
}

/*
 * An error about a path probe: from our own inner address to the remote's outer one, which routing
 * would never take into a tunnel. Nobody is told; the prober knows its secret. What quotes too
 * little to have it is believed by nobody.
 */
static bool take_probe(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
		       const struct cv_raw_error *error, const struct cv_ipip_quote *quote)
{
	struct cv_probe_words words;
	uint32_t mtu = 0;
	uint32_t header_length = quote->inner.header_length;

	if (!lane->shared->prober || !quote->has_inner || !cv_probe_may_be(&quote->inner) ||
	    quote->inner.destination != quote->outer.destination ||
	    quote->inner_length < header_length ||
	    !cv_probe_parse(error->quote + quote->inner_offset + header_length,
			    quote->inner_length - header_length, CV_ICMP_ECHO, &words))
		return false;
	if (error->type == CV_ICMP_DEST_UNREACHABLE && error->code == CV_ICMP_FRAGMENTATION_NEEDED)
		mtu = cv_icmp_path_mtu(error->info, &quote->outer, CV_IPV4_LENGTH_MAX);
	cv_prober_note_error(lane->shared->prober, quote->outer.destination, tunnel->config.ifindex,
			     &words, mtu);
	cv_lane_count(lane, tunnel, CV_EVENT_ICMP_ABSORBED, 1);
	return true;
}

void cv_relay_error(struct cv_lane *lane, const struct cv_raw_error *error)
{
	struct cv_live_tunnel *tunnel;
	struct cv_ipip_quote quote;
	uint32_t current_mtu;

	/* Of an error only what it quotes can be shown. */
	if (cv_lane_is_captured(lane))
		cv_lane_take(lane, CV_FP_HOOK_ENGINE_IN, NULL, error->quote, error->quoted);
	/* The kernel tells our own socket too when a packet is too big for our own device. */
	if (cv_router_is_own(lane->router, error->offender))
		return;
	if (cv_ipip_parse_quote(error->quote, error->quoted, &quote) ||
	    !cv_router_is_own(lane->router, quote.outer.source)) {
		cv_lane_drop(lane, NULL, CV_DROP_ICMP_NOT_OURS);
		return;
	}
	/* The tunnel of a packet we sent is the one that would take its answer. */
	tunnel = cv_live_lookup(lane->shared->live, lane->worker, quote.outer.destination,
				quote.outer.source, 0);
	if (tunnel && take_probe(lane, tunnel, error, &quote))
		return;
	if (!tunnel || !was_sent(lane, tunnel, &quote, error->quote, &current_mtu)) {
		cv_lane_drop(lane, NULL, CV_DROP_ICMP_NOT_OURS);
		return;
	}
	relay_about(lane, tunnel, error, &quote, current_mtu);
}
