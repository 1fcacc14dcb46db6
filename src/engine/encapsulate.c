/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out: an inner packet becomes outer packets.
 *
 * Invariants: the inner header is not touched (RFC 2003, 3.1: TTL and ECN of the inner packet
 * were the forwarding kernel's business); what does not fit the path is never sent: with DF
 * the sender hears ICMP 3/4 (RFC 2003, 5.1), without DF the inner packet is
 * fragmented before it is encapsulated, so that the far end reassembles nothing.
 */
#include "engine/encapsulate.h"

#include <string.h>

#include "engine/clamp.h"
#include "wire/icmp.h"
#include "wire/probe.h"

/* One packet on its way out, and what is known about it. */
struct parcel {
	struct cv_live_tunnel *tunnel;
	struct cv_way_out way;
	struct cv_ipv4 ip;
	const struct cv_flow *flow;
	uint32_t inner_mtu;
};

/*
 * RFC 6864: an identification must not repeat soon unless the packet is atomic. The upper half of
 * them is the fast path's.
 */
static __be16 next_id(struct cv_lane *lane, const struct parcel *parcel)
{
	uint16_t *counter;
	uint16_t id;

	/* 0 leaves it to the kernel, which gives atomic packets 0. */
	if (parcel->tunnel->config.ipip.pmtudisc || parcel->ip.dont_fragment)
		return 0;
	counter =
		&lane->shared->next_id[((CV_FORCE uint32_t)parcel->way.destination * 0x9e3779b1U) >>
				       24];
	do {
		id = __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED) & (CV_IPIP_ID_HALF - 1);
	} while (!id);
	return cv_htons(id);
}

static void add_packet(struct cv_lane *lane, const struct parcel *parcel, uint32_t header_length,
		       const uint8_t *payload, uint32_t payload_length)
{
	struct cv_ipv4_header outer;
	enum cv_drop drop;

	drop = cv_ipip_build_outer(&outer, &parcel->tunnel->config.ipip, &parcel->ip,
				   parcel->way.source, parcel->way.destination,
				   next_id(lane, parcel), header_length + payload_length);
	if (drop) {
		cv_lane_drop(lane, parcel->tunnel, drop);
		return;
	}
	cv_tx_add(lane->tx, parcel->tunnel, &parcel->way, &outer, header_length, payload,
		  payload_length);
}

static uint8_t *header_room(struct cv_lane *lane)
{
	if (cv_tx_is_full(lane->tx))
		cv_lane_flush_out(lane);
	return cv_tx_header(lane->tx);
}

static void add_fragments(struct cv_lane *lane, const struct parcel *parcel, const uint8_t *packet,
			  const struct cv_ipv4 *ip)
{
	struct cv_ipv4_fragment_plan plan;
	enum cv_drop drop = cv_ipv4_plan_fragments(packet, ip, parcel->inner_mtu, &plan);

	if (drop) {
		cv_lane_drop(lane, parcel->tunnel, drop);
		return;
	}
	cv_lane_count(lane, parcel->tunnel, CV_EVENT_FRAGMENTED, 1);
	for (uint32_t k = 0; k < plan.count; k++) {
		struct cv_ipv4_fragment fragment = cv_ipv4_fragment_get(&plan, k);
		uint32_t header_length =
			cv_ipv4_fragment_header(packet, &plan, k, header_room(lane));

		add_packet(lane, parcel, header_length,
			   packet + ip->header_length + fragment.offset, fragment.length);
	}
}

/* Segments that are fragmented must lie in one piece: the scratch buffer, one at a time. */
static void add_segment_fragments(struct cv_lane *lane, const struct parcel *parcel,
				  const uint8_t *header, const struct cv_segment *segment)
{
	struct cv_ipv4 ip;

	memcpy(lane->scratch, header, segment->header_length);
	memcpy(lane->scratch + segment->header_length, segment->payload, segment->payload_length);
	if (!cv_ipv4_parse(lane->scratch, segment->header_length + segment->payload_length, &ip))
		add_fragments(lane, parcel, lane->scratch, &ip);
	cv_lane_flush_out(lane);
}

static void add_segments(struct cv_lane *lane, const struct parcel *parcel,
			 struct cv_segmenter *segmenter, bool fragment)
{
	struct cv_segment segment;
	uint8_t headers[CV_SEGMENT_HEADER_MAX];

	if (cv_segment_total(segmenter) > 1)
		cv_lane_count(lane, parcel->tunnel, CV_EVENT_SEGMENTED, 1);
	if (fragment) {
		while (cv_segment_next(segmenter, headers, &segment))
			add_segment_fragments(lane, parcel, headers, &segment);
		return;
	}
	while (cv_segment_next(segmenter, header_room(lane), &segment))
		add_packet(lane, parcel, segment.header_length, segment.payload,
			   segment.payload_length);
}

/* Tell the inner sender what fits; of a super-packet its first segment is quoted. */
static void refuse_too_big(struct cv_lane *lane, const struct parcel *parcel,
			   struct cv_segmenter *segmenter, const uint8_t *packet)
{
	uint8_t first[CV_ICMP_DATAGRAM_MAX];
	uint8_t header[CV_SEGMENT_HEADER_MAX];
	struct cv_segment segment;
	uint32_t length = parcel->ip.total_length;
	uint32_t mtu = parcel->inner_mtu;

	cv_lane_drop(lane, parcel->tunnel, CV_DROP_TOO_BIG);
	if (segmenter->segment_size && cv_segment_next(segmenter, header, &segment)) {
		length = sizeof(first) - segment.header_length;
		if (length > segment.payload_length)
			length = segment.payload_length;
		memcpy(first, header, segment.header_length);
		memcpy(first + segment.header_length, segment.payload, length);
		length += segment.header_length;
		packet = first;
	}
	if (mtu < CV_IPV4_MTU_MIN)
		mtu = CV_IPV4_MTU_MIN;
	if (cv_lane_answer(lane, parcel->tunnel, &parcel->ip, packet, length,
			   CV_ICMP_DEST_UNREACHABLE, CV_ICMP_FRAGMENTATION_NEEDED, mtu))
		cv_lane_count(lane, parcel->tunnel, CV_EVENT_ICMP_TOO_BIG_SENT, 1);
}

/* RFC 2003, 3.2: routing loops; and errors that wait for a sender (section 4). */
static enum cv_drop check_way(struct cv_lane *lane, const struct parcel *parcel,
			      const uint8_t *packet)
{
	const struct cv_ipv4 *ip = &parcel->ip;
	struct cv_remote_error error;

	if (ip->protocol == CV_IPV4_PROTO_IPIP && ip->source == parcel->way.source)
		return CV_DROP_RECURSION;
	if (ip->source == parcel->way.destination)
		return CV_DROP_SOURCE_IS_REMOTE;
	if (!parcel->way.error_waits)
		return CV_DROP_NONE;
	if (!cv_remotes_take_error(lane->shared->remotes, parcel->way.destination, lane->now_ms,
				   &error))
		return CV_DROP_NONE;
	/* Whom nobody may tell might as well try; else a flood of forged errors stops all packets.
	 */
	if (!cv_lane_answer(lane, parcel->tunnel, ip, packet, ip->total_length, error.type,
			    error.code, error.rest))
		return CV_DROP_NONE;
	cv_lane_count(lane, parcel->tunnel, CV_EVENT_ICMP_RELAYED, 1);
	return CV_DROP_REMOTE_UNREACHABLE;
}

/* No way out: what Linux answers as a link failure, RFC 2003, 4.1 calls code 0. */
static void refuse_no_way(struct cv_lane *lane, const struct parcel *parcel, const uint8_t *packet,
			  enum cv_drop drop)
{
	cv_lane_drop(lane, parcel->tunnel, drop);
	if (drop == CV_DROP_NO_NEXT_HOP || drop == CV_DROP_NO_OUTER_ROUTE)
		cv_lane_answer(lane, parcel->tunnel, &parcel->ip, packet, parcel->ip.total_length,
			       CV_ICMP_DEST_UNREACHABLE, CV_ICMP_NET_UNREACHABLE, 0);
}

/*
 * The checksum of an ordinary packet is complete by now. Those of a super-packet are made of its
 * headers, which are looked at once more.
 */
static void clamp(struct cv_lane *lane, const struct parcel *parcel, struct cv_segmenter *segmenter,
		  const struct virtio_net_hdr *vnet, uint8_t *packet)
{
	bool is_super = segmenter->segment_size != 0;
	uint32_t inner_mtu = cv_clamp_inner_mtu(lane, parcel->tunnel, parcel->flow, parcel->way.mtu,
						CV_CLAMP_ANY);

	if (cv_clamp_packet(lane, parcel->tunnel, &parcel->ip, packet, inner_mtu, is_super) &&
	    is_super)
		(void)cv_segment_init(segmenter, vnet, packet, &parcel->ip);
}

/*
 * For the prober; written only when it grows, as workers share it. The answers to a prober's
 * questions are no traffic: two ends would ask each other for ever.
 */
static void note_sent(struct cv_lane *lane, const struct parcel *parcel, const uint8_t *packet,
		      uint32_t largest)
{
	uint32_t slot = cv_fp_activity_slot(parcel->way.destination);
	uint32_t *sent = &lane->shared->activity[slot].sent;
	const struct cv_ipv4 *ip = &parcel->ip;
	struct cv_probe_words words;

	if (__atomic_load_n(sent, __ATOMIC_RELAXED) >= largest + CV_IPIP_OVERHEAD ||
	    (cv_probe_may_be(ip) && cv_probe_parse(packet + ip->header_length, ip->payload_length,
						   CV_ICMP_ECHO_REPLY, &words)))
		return;
	__atomic_store_n(sent, largest + CV_IPIP_OVERHEAD, __ATOMIC_RELAXED);
}

/* By the way that was found, in as many packets as it takes. */
static void leave(struct cv_lane *lane, struct parcel *parcel, struct cv_segmenter *segmenter,
		  const struct virtio_net_hdr *vnet, uint8_t *packet)
{
	uint32_t largest = parcel->ip.total_length;
	bool fits;

	if (segmenter->segment_size)
		largest = segmenter->header_length + segmenter->segment_size;
	parcel->inner_mtu =
		cv_clamp_inner_mtu(lane, parcel->tunnel, parcel->flow, parcel->way.mtu, largest);
	fits = largest <= parcel->inner_mtu;
	note_sent(lane, parcel, packet, fits ? largest : parcel->inner_mtu);
	if (!fits && parcel->ip.dont_fragment) {
		refuse_too_big(lane, parcel, segmenter, packet);
		return;
	}
	if (cv_clamp_concerns(&parcel->ip, packet))
		clamp(lane, parcel, segmenter, vnet, packet);
	if (!fits && !segmenter->segment_size)
		add_fragments(lane, parcel, packet, &parcel->ip);
	else
		add_segments(lane, parcel, segmenter, !fits);
}

void cv_encapsulate(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
		    const struct virtio_net_hdr *vnet, uint8_t *packet, uint32_t length)
{
	struct parcel parcel = {.tunnel = tunnel};
	struct cv_segmenter segmenter;
	struct cv_flow flow;
	enum cv_drop drop;

	if (cv_lane_is_captured(lane))
		cv_lane_take(lane, CV_FP_HOOK_ENGINE_OUT, vnet, packet, length);
	drop = cv_ipip_parse_inner(packet, length, &parcel.ip);
	if (!drop)
		drop = cv_segment_init(&segmenter, vnet, packet, &parcel.ip);
	if (drop) {
		cv_lane_drop(lane, tunnel, drop);
		return;
	}
	cv_flow_read(&flow, &parcel.ip, packet);
	drop = cv_router_way_out(lane->router, tunnel, &flow, &parcel.way);
	if (drop) {
		refuse_no_way(lane, &parcel, packet, drop);
		return;
	}
	drop = check_way(lane, &parcel, packet);
	if (drop) {
		cv_lane_drop(lane, tunnel, drop);
		return;
	}
	parcel.flow = &flow;
	leave(lane, &parcel, &segmenter, vnet, packet);
}
