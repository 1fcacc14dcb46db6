/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way in: an outer packet is checked and its inner packet delivered.
 *
 * The order is the security: addresses first (whose tunnel?), then the inner header, then who may
 * send it
 * ("nothing from strangers", doc/architecture.md), and only then anything that answers,
 * changes or remembers. Exactly one layer is removed (RFC 2003, 3.2).
 */
#include "engine/decapsulate.h"

#include <string.h>

#include "engine/clamp.h"
#include "engine/encapsulate.h"
#include "engine/prober.h"
#include "wire/ecn.h"
#include "wire/probe.h"

/* Bytes of the headers that each segment of a super-packet repeats; 0: it cannot be one. */
static uint32_t super_header_length(const struct virtio_net_hdr *vnet, const struct cv_ipv4 *inner,
				    const uint8_t *packet)
{
	uint8_t type = vnet->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	uint32_t transport;

	if (cv_ipv4_is_fragment(inner) || !vnet->gso_size ||
	    !(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4)
		return inner->protocol == CV_IPV4_PROTO_UDP ? inner->header_length + 8 : 0;
	if (type != VIRTIO_NET_HDR_GSO_TCPV4 || inner->protocol != CV_IPV4_PROTO_TCP ||
	    inner->payload_length < 20)
		return 0;
	transport = (packet[inner->header_length + 12] >> 4) * 4U;
	if (transport < 20 || transport > inner->payload_length)
		return 0;
	return inner->header_length + transport;
}

/*
 * What the kernel said of the outer packet's offloads, said of the inner one. hdr_len as
 * given may be the linear part of the buffer (seen: 1514), so it is computed.
 */
static enum cv_drop inner_offload(const struct virtio_net_hdr *vnet, uint32_t outer_length,
				  const struct cv_ipv4 *inner, const uint8_t *packet,
				  struct virtio_net_hdr *ret)
{
	uint32_t start, header_length;

	memset(ret, 0, sizeof(*ret));
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (vnet->csum_start < outer_length + inner->header_length)
			return CV_DROP_BAD_OFFLOAD;
		start = vnet->csum_start - outer_length;
		if (start + vnet->csum_offset + 2 > inner->total_length)
			return CV_DROP_BAD_OFFLOAD;
		ret->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		ret->csum_start = (uint16_t)start;
		ret->csum_offset = vnet->csum_offset;
	}
	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return CV_DROP_NONE;
	header_length = super_header_length(vnet, inner, packet);
	if (!header_length)
		return CV_DROP_BAD_OFFLOAD;
	ret->gso_type = vnet->gso_type;
	ret->gso_size = vnet->gso_size;
	ret->hdr_len = (uint16_t)header_length;
	return CV_DROP_NONE;
}

/* May this inner packet come from this outer source, and that on this device (0: not known)? */
static enum cv_drop check_source(struct cv_lane *lane, const struct cv_live_tunnel *tunnel,
				 const struct cv_ipv4 *outer, const struct cv_ipv4 *inner,
				 const uint8_t *packet, int ifindex)
{
	enum cv_drop drop = CV_DROP_NONE;
	struct cv_flow flow;

	if (cv_ipv4_is_martian_source(inner->source) ||
	    cv_router_is_broadcast(lane->router, inner->source))
		return CV_DROP_SOURCE_MARTIAN;
	if (cv_router_is_own(lane->router, inner->source))
		return CV_DROP_SOURCE_OWN;
	if (tunnel->config.strict) {
		cv_flow_read(&flow, inner, packet);
		drop = cv_router_authorise(lane->router, tunnel, outer->source, &flow);
	}
	if (!drop && ifindex)
		drop = cv_router_check_arrival(lane->router, outer->source, outer->destination,
					       ifindex);
	if (lane->shared->teacher && (cv_router_has_asked(lane->router) || cv_teach_again(lane)))
		cv_teach_source(lane, tunnel, outer, inner, packet, ifindex);
	return drop;
}

/* RFC 6040, 4.2. *ret_tos: what the inner packet's is to be. */
static enum cv_drop merge_ecn(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
			      const struct cv_ipv4 *outer, const struct cv_ipv4 *inner,
			      uint8_t *ret_tos)
{
	struct cv_ecn_result result = cv_ecn_decapsulate(inner->tos, outer->tos);

	if (result.note == CV_ECN_UNUSED)
		cv_lane_count(lane, tunnel, CV_EVENT_ECN_UNUSED, 1);
	if (result.note == CV_ECN_DANGEROUS)
		cv_lane_count(lane, tunnel, CV_EVENT_ECN_DANGEROUS, 1);
	if (result.drop)
		return CV_DROP_ECN_CE_NOT_ECT;
	*ret_tos = (uint8_t)((inner->tos & ~3) | result.ecn);
	return CV_DROP_NONE;
}

static struct cv_flow flow_back(const struct cv_ipv4 *inner, const uint8_t *packet)
{
	struct cv_flow flow, back;

	cv_flow_read(&flow, inner, packet);
	back = flow;
	back.source = flow.destination;
	back.destination = flow.source;
	back.source_port = flow.destination_port;
	back.destination_port = flow.source_port;
	return back;
}

/*
 * By the way back to who has sent the packet. Its checksum is complete unless the kernel says that
 * it is to be filled where TCP has it.
 */
static void clamp(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
		  const struct virtio_net_hdr *vnet, __be32 outer_source,
		  const struct cv_ipv4 *inner, uint8_t *packet)
{
	uint32_t mtu = cv_router_mtu_back(lane->router, tunnel, outer_source);
	const struct cv_flow back = flow_back(inner, packet);
	bool is_partial = vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
			  vnet->csum_start == inner->header_length &&
			  vnet->csum_offset == CV_TCP_CHECKSUM;

	cv_clamp_packet(lane, tunnel, inner, packet,
			cv_clamp_inner_mtu(lane, tunnel, &back, mtu, CV_CLAMP_ANY), is_partial);
}

/* UDP super-packets, which not every kernel's TUN takes: one segment after the other. */
static void deliver_segments(struct cv_lane *lane, struct cv_live_peer *peer,
			     const struct virtio_net_hdr *vnet, uint8_t *packet,
			     const struct cv_ipv4 *ip)
{
	const struct virtio_net_hdr plain = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	struct cv_segmenter segmenter;
	struct cv_segment segment;
	struct cv_ipv4 one;

	if (cv_segment_init(&segmenter, vnet, packet, ip)) {
		cv_lane_drop(lane, peer->tunnel, CV_DROP_BAD_OFFLOAD);
		return;
	}
	while (cv_segment_next(&segmenter, lane->scratch, &segment)) {
		memcpy(lane->scratch + segment.header_length, segment.payload,
		       segment.payload_length);
		if (cv_ipv4_parse(lane->scratch, segment.header_length + segment.payload_length,
				  &one))
			continue;
		cv_coalesce_add(lane->coalescer, peer, &plain, lane->scratch, &one);
		cv_coalesce_flush(lane->coalescer);
	}
}

/*
 * The answer to a probe of ours, or what says that it is one: the prober knows. Before anybody asks
 * for the route back to its inner source, which is the remote's outer address. From another inner
 * source it is the answer to a probe of somebody who lives within the tunnel, and passes.
 */
static bool take_probe(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
		       const struct cv_ipv4 *outer, const struct cv_ipv4 *inner,
		       const uint8_t *packet, int ifindex)
{
	struct cv_probe_words words;
	enum cv_drop drop = CV_DROP_NONE;

	if (!lane->shared->prober || inner->source != outer->source || !cv_probe_may_be(inner) ||
	    !cv_probe_parse(packet + inner->header_length, inner->payload_length,
			    CV_ICMP_ECHO_REPLY, &words))
		return false;
	if (!cv_router_is_peer(lane->router, tunnel, outer->source))
		drop = CV_DROP_NOT_A_PEER;
	else if (ifindex)
		drop = cv_router_check_arrival(lane->router, outer->source, outer->destination,
					       ifindex);
	if (drop)
		cv_lane_drop(lane, tunnel, drop);
	else
		cv_prober_note_answer(lane->shared->prober, outer->source, tunnel->config.ifindex,
				      &words);
	return true;
}

static void note_heard(struct cv_lane *lane, __be32 source)
{
	uint32_t *heard = &lane->shared->activity[cv_fp_activity_slot(source)].heard;

	if (!__atomic_load_n(heard, __ATOMIC_RELAXED))
		__atomic_store_n(heard, 1, __ATOMIC_RELAXED);
}

static void deliver_inner(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
			  const struct virtio_net_hdr *vnet, const struct cv_ipv4 *outer,
			  uint8_t *packet, int ifindex)
{
	struct virtio_net_hdr inner_vnet;
	struct cv_live_peer *peer;
	struct cv_ipv4 inner = {0};
	enum cv_drop drop;
	uint8_t tos = 0;

	drop = cv_ipip_parse_inner(packet, outer->payload_length, &inner);
	if (!drop)
		drop = inner_offload(vnet, outer->header_length, &inner, packet, &inner_vnet);
	if (!drop && take_probe(lane, tunnel, outer, &inner, packet, ifindex))
		return;
	if (!drop)
		drop = check_source(lane, tunnel, outer, &inner, packet, ifindex);
	if (!drop)
		drop = merge_ecn(lane, tunnel, outer, &inner, &tos);
	if (drop) {
		cv_lane_drop(lane, tunnel, drop);
		return;
	}
	/* As it arrived, before anything of it is changed. */
	if (cv_lane_is_captured(lane))
		cv_lane_show(lane, tunnel, CV_FP_VERDICT_TO_DEVICE, CV_DROP_NONE);
	if (tos != inner.tos) {
		inner.tos = tos;
		cv_ipv4_set_tos(packet, tos);
	}
	if (cv_clamp_concerns(&inner, packet))
		clamp(lane, tunnel, &inner_vnet, outer->source, &inner, packet);
	note_heard(lane, outer->source);
	peer = cv_live_peer(tunnel, lane->worker, outer->source);
	if (cv_segment_is_super(&inner_vnet) && inner.protocol == CV_IPV4_PROTO_UDP)
		deliver_segments(lane, peer, &inner_vnet, packet, &inner);
	else
		cv_coalesce_add(lane->coalescer, peer, &inner_vnet, packet, &inner);
}

/* Outer fragments reach us only through a TUN: packet sockets deliver whole datagrams. */
static void take_fragment(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
			  const uint8_t *packet, const struct cv_ipv4 *outer, int ifindex)
{
	const struct virtio_net_hdr plain = {.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	enum cv_reassembly_result result;
	enum cv_drop reason = CV_DROP_NONE;
	struct cv_ipv4 whole;
	struct cv_reassembly_lost lost = {0};
	uint32_t length = 0;

	result = cv_reassembly_add(lane->shared->reassembly, packet, outer, lane->now_ms,
				   lane->reassembled, &length, &reason, &lost);
	/* Whose they were is no longer known. */
	lane->engine_counters.drops[CV_DROP_FRAGMENT_TIMEOUT] += lost.expired;
	lane->engine_counters.drops[CV_DROP_FRAGMENT_LIMIT] += lost.evicted;
	if (result == CV_REASSEMBLY_DROP)
		cv_lane_drop(lane, tunnel, reason);
	if (result != CV_REASSEMBLY_COMPLETE)
		return;
	cv_lane_count(lane, tunnel, CV_EVENT_REASSEMBLED, 1);
	if (cv_lane_is_captured(lane))
		cv_lane_take(lane, CV_FP_HOOK_ENGINE_IN, NULL, lane->reassembled, length);
	if (cv_ipv4_parse(lane->reassembled, length, &whole)) {
		cv_lane_drop(lane, tunnel, CV_DROP_TRUNCATED);
		return;
	}
	deliver_inner(lane, tunnel, &plain, &whole, lane->reassembled + whole.header_length,
		      ifindex);
	/* The buffer serves the next datagram: nothing may point into it any more. */
	cv_coalesce_flush(lane->coalescer);
}

void cv_decapsulate(struct cv_lane *lane, const struct virtio_net_hdr *vnet, uint8_t *packet,
		    uint32_t length, int ifindex)
{
	struct cv_live_tunnel *tunnel;
	struct cv_ipv4 outer;
	enum cv_drop drop;

	/* What came out of a tunnel of ours was decapsulated once, and that is enough. */
	if (ifindex && cv_live_is_device(lane->shared->live, ifindex))
		return;
	if (cv_lane_is_captured(lane))
		cv_lane_take(lane, CV_FP_HOOK_ENGINE_IN, vnet, packet, length);
	drop = cv_ipv4_parse(packet, length, &outer);
	if (!drop && !cv_ipv4_checksum_ok(packet, outer.header_length))
		drop = CV_DROP_BAD_CHECKSUM;
	if (drop) {
		cv_lane_drop(lane, NULL, drop);
		return;
	}
	/* Of others: the kernel forwards it, or not. Also one to an address that a tunnel once had.
	 */
	if (!cv_router_is_own(lane->router, outer.destination) ||
	    cv_ipv4_is_loopback(outer.destination))
		return;
	tunnel = cv_live_lookup(lane->shared->live, lane->worker, outer.source, outer.destination,
				ifindex);
	if (!tunnel) {
		cv_lane_drop(lane, NULL, CV_DROP_NO_TUNNEL);
		return;
	}
	if (cv_ipv4_is_fragment(&outer))
		take_fragment(lane, tunnel, packet, &outer, ifindex);
	else
		deliver_inner(lane, tunnel, vnet, &outer, packet + outer.header_length, ifindex);
}

void cv_take_from_device(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
			 const struct virtio_net_hdr *vnet, uint8_t *packet, uint32_t length)
{
	struct cv_ipv4 ip;

	if (!cv_ipv4_parse(packet, length, &ip) && ip.protocol == CV_IPV4_PROTO_IPIP &&
	    cv_router_is_own(lane->router, ip.destination)) {
		cv_lane_count(lane, tunnel, CV_EVENT_HANDED_OVER, 1);
		cv_decapsulate(lane, vnet, packet, length, 0);
		return;
	}
	cv_encapsulate(lane, tunnel, vnet, packet, length);
}
