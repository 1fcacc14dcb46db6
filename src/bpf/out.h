/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The way out: an inner packet gets its outer header and goes to the neighbour of the
 * outer route. As engine/encapsulate.c, for packets that fit the path; all others are the
 * engine's.
 */
#ifndef CV_BPF_OUT_H
#define CV_BPF_OUT_H

#include "bpf/clamp.h"
#include "wire/ipip.h"

enum {
	CV_ENCAPSULATE_FLAGS = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
};

/* How a packet is to leave. */
struct cv_departure {
	const struct cv_ipip_params *ipip;
	const struct cv_fp_way *way;
	__be32 destination; /* outer */
};

/* Identifications for count packets to destination: the first one. */
CV_INLINE __be16 cv_next_ids(__be32 destination, __u32 count)
{
	__u32 slot = (CV_FORCE __u32)destination * 0x9e3779b1U >> 24;
	__u32 *counter = bpf_map_lookup_elem(&cv_ids_1, &slot);
	__u32 first;

	if (!counter)
		return 0;
	first = __sync_fetch_and_add(counter, count) & (CV_IPIP_ID_HALF - 1);
	/* The kernel counts on from the first: not into the engine's half. The counter is past that
	 * now. */
	if (first + count > CV_IPIP_ID_HALF)
		first = __sync_fetch_and_add(counter, count) & (CV_IPIP_ID_HALF - 1);
	return cv_htons(CV_IPIP_ID_HALF | first);
}

/* RFC 2003, 3.2, and what the engine drops without a word. */
CV_INLINE __u8 cv_check_departure(const struct cv_departure *departure, const struct cv_ipv4 *ip)
{
	if (departure->way->drop)
		return departure->way->drop;
	if (ip->protocol == CV_IPV4_PROTO_IPIP && ip->source == departure->way->source)
		return CV_DROP_RECURSION;
	if (ip->source == departure->destination)
		return CV_DROP_SOURCE_IS_REMOTE;
	return CV_DROP_NONE;
}

CV_INLINE void cv_count_out(const struct cv_scene *scene, __u32 peer, __u32 segments, __u64 bytes)
{
	struct cv_fp_counters *counters = cv_counters(scene->slot);
	struct cv_fp_traffic *traffic = cv_traffic(peer);

	if (traffic) {
		traffic->tx_packets += segments;
		traffic->tx_bytes += bytes;
	}
	if (!counters)
		return;
	counters->tx_packets += segments;
	counters->tx_bytes += bytes;
	if (scene->hook == CV_FP_HOOK_ENDPOINT_IN)
		counters->tx_endpoint_packets += segments;
}

/*
 * For who looks whether the path still takes packets as large as those that are sent. The answers
 * to his own questions are no traffic: two ends would ask each other for ever.
 */
CV_INLINE void cv_note_sent(struct __sk_buff *skb, const struct cv_ipv4 *ip, __be32 destination,
			    __u32 largest)
{
	__u32 slot = cv_fp_activity_slot(destination);
	struct cv_fp_activity *activity = bpf_map_lookup_elem(&cv_activity_1, &slot);

	if (activity && activity->sent < largest && !cv_packet_is_probe_answer(skb, ETH_HLEN, ip))
		activity->sent = largest;
}

/*
 * Put the outer header in front and send. The packet has an Ethernet header of room in
 * front: bpf_redirect_neigh() drops what has none, without a word (seen up to 6.18).
 */
CV_INLINE int cv_encapsulate(struct __sk_buff *skb, struct cv_scene *scene,
			     const struct cv_departure *departure, const struct cv_ipv4 *ip,
			     const struct cv_packet_size *size)
{
	struct bpf_redir_neigh neighbour = {.nh_family = CV_AF_INET};
	struct cv_ipv4_header outer;
	__u8 drop;
	__be16 id = 0;

	/* First, while the outer header takes no room on the stack. */
	cv_note_sent(skb, ip, departure->destination, size->largest + CV_IPIP_OVERHEAD);
	if (cv_packet_may_be_syn(skb, ETH_HLEN, ip))
		cv_clamp_mss(skb, scene->tunnel, ETH_HLEN + CV_IPV4_HEADER_MIN, ip->payload_length,
			     departure->way->mtu);
	if (!departure->ipip->pmtudisc && !ip->dont_fragment)
		id = cv_next_ids(departure->destination, size->segments);
	drop = cv_ipip_build_outer(&outer, departure->ipip, ip, departure->way->source,
				   departure->destination, id, ip->total_length);
	if (drop)
		return cv_drop_packet(skb, scene, drop);
	if (bpf_skb_adjust_room(skb, CV_IPIP_OVERHEAD, BPF_ADJ_ROOM_MAC, CV_ENCAPSULATE_FLAGS))
		return cv_drop_packet(skb, scene, CV_DROP_SEND_FAILED);
	if (cv_packet_data(skb) + ETH_HLEN + sizeof(outer) > cv_packet_end(skb))
		return cv_drop_packet(skb, scene, CV_DROP_SEND_FAILED);
	*(struct cv_ipv4_header *)(cv_packet_data(skb) + ETH_HLEN) = outer;
	cv_count_out(scene, departure->way->peer, size->segments, cv_packet_bytes(ip, size));
	cv_capture_packet(skb, scene, CV_FP_VERDICT_ENCAPSULATED, CV_DROP_NONE);
	neighbour.ipv4_nh = departure->way->gateway;
	return (int)bpf_redirect_neigh(departure->way->oif, &neighbour, sizeof(neighbour), 0);
}

/*
 * True if the packet can get its outer header here, and no packet of it will be larger than the
 * path takes. A packet out of a tunnel that goes into the next one is the engine's.
 */
CV_INLINE bool cv_fits(const struct __sk_buff *skb, const struct cv_fp_way *way,
		       const struct cv_ipv4 *ip, __u32 largest)
{
	return largest + CV_IPIP_OVERHEAD <= way->mtu &&
	       ip->total_length + CV_IPIP_OVERHEAD <= CV_IPV4_LENGTH_MAX &&
	       !cv_skb_is_encapsulated(skb);
}

/* ---- out of the stack, into the tunnel's device ----------------------------------------- */

/* The outer destination: the remote, or the next hop that the stack chose for this packet. */
CV_INLINE bool cv_next_hop(const struct cv_fp_tunnel *tunnel, unsigned long dst,
			   const struct cv_ipv4 *ip, __be32 *ret_destination)
{
	__be32 gateway = 0;

	*ret_destination = tunnel->remote;
	if (tunnel->remote)
		return true;
	if (cv_dst_gateway(dst, &gateway))
		return false;
	*ret_destination = gateway ? gateway : ip->destination;
	return !cv_ipv4_is_martian_source(*ret_destination);
}

/*
 * Take the inner packet's route off it. A packet that waits for its neighbour's address is sent
 * by its route's neighbour once that is known (neigh_update_process_arp_queue), and the inner
 * route's has no link-layer address: the packet was lost (seen up to 6.18). Of what a program
 * may call, setting a tunnel key is what replaces the route, by one without neighbours.
 */
CV_INLINE void cv_forget_route(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {0};

	bpf_skb_set_tunnel_key(skb, &key, offsetof(struct bpf_tunnel_key, remote_ipv6[1]), 0);
}

/* Room for an Ethernet header; the engine's packets begin with the IPv4 header. */
CV_INLINE bool cv_make_link_header(struct __sk_buff *skb)
{
	return !bpf_skb_change_head(skb, ETH_HLEN, 0);
}

CV_INLINE int cv_send_from_stack(struct __sk_buff *skb, struct cv_scene *scene,
				 const struct cv_fp_tunnel *tunnel, unsigned long dst)
{
	struct cv_departure departure = {.ipip = &tunnel->ipip};
	struct cv_ipv4_header header;
	struct cv_packet_size size;
	struct cv_fp_way way;
	struct cv_ipv4 ip = {0};
	__u8 drop;

	if (skb->protocol != cv_htons(ETH_P_IP) || !cv_packet_header(skb, 0, &header))
		return cv_to_engine(skb, scene);
	/* The stack made the header, or checked it. */
	drop = cv_ipv4_parse(&header, skb->len, &ip);
	if (drop || ip.header_length != CV_IPV4_HEADER_MIN || ip.total_length != skb->len ||
	    ip.ttl == 0)
		return cv_to_engine(skb, scene);
	if (!cv_next_hop(tunnel, dst, &ip, &departure.destination))
		return cv_to_engine(skb, scene);
	cv_find_way(skb, scene->config, tunnel, scene->tunnel, departure.destination, &way);
	departure.way = &way;
	if (way.to_engine)
		return cv_to_engine(skb, scene);
	drop = cv_check_departure(&departure, &ip);
	if (drop)
		return cv_drop_packet(skb, scene, drop);
	if (!cv_packet_measure(skb, 0, &ip, &size) || !cv_fits(skb, &way, &ip, size.largest))
		return cv_to_engine(skb, scene);
	if (!cv_make_link_header(skb))
		return cv_to_engine(skb, scene);
	scene->offset = ETH_HLEN;
	cv_forget_route(skb);
	return cv_encapsulate(skb, scene, &departure, &ip, &size);
}

#endif
