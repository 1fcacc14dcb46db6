/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The way in: an outer packet is checked as engine/decapsulate.c checks it, in the same order,
 * and its inner packet delivered: to the tunnel's device, so that the host's stack sees it
 * arrive there, or straight to an endpoint.
 */
#ifndef CV_BPF_IN_H
#define CV_BPF_IN_H

#include "bpf/clamp.h"
#include "bpf/flow.h"
#include "wire/ecn.h"
#include "wire/ipip.h"

enum {
	/*
	 * An outer IPv4 header has no checksum over what it carries: what the network card said
	 * of the first one below is still true of the inner packet.
	 */
	CV_DECAPSULATE_FLAGS = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET,
};

/* An outer packet and what it carries. */
struct cv_inbound {
	struct cv_ipv4 outer;
	struct cv_ipv4 inner;
	struct cv_flow_tuple tuple;
	struct cv_fp_permit_key key;
	__u8 ecn_note; /* enum cv_ecn_note: to be counted by who decapsulates it */
};

CV_INLINE bool cv_header_ok(const struct cv_ipv4_header *header)
{
	return cv_ipv4_checksum_ok(header, sizeof(*header));
}

/* Reads the inner header; the reason if it is not one. Those with options are checked elsewhere. */
CV_INLINE __u8 cv_parse_inner(struct __sk_buff *skb, struct cv_inbound *in)
{
	const __u32 offset = ETH_HLEN + CV_IPIP_OVERHEAD;
	struct cv_ipv4_header header;
	__u8 drop;

	if (!cv_packet_header(skb, offset, &header))
		return CV_DROP_INNER_TRUNCATED;
	drop = cv_ipv4_parse(&header, in->outer.payload_length, &in->inner);
	if (drop)
		return cv_ipip_inner_reason(drop);
	if (in->inner.header_length != sizeof(header))
		return CV_DROP_NONE;
	if (!cv_header_ok(&header))
		return CV_DROP_INNER_BAD_CHECKSUM;
	return in->inner.ttl ? CV_DROP_NONE : CV_DROP_INNER_TTL_ZERO;
}

/* ---- whose is it, and may it ------------------------------------------------------------ */

CV_INLINE __u32 cv_pair_find(__be32 remote, __be32 local, __u32 arrival,
			     struct cv_fp_tunnel *ret_tunnel)
{
	struct cv_fp_pair pair = {.remote = remote, .local = local};
	const __u32 *ifindex = bpf_map_lookup_elem(&cv_pairs_1, &pair);
	const struct cv_fp_tunnel *tunnel;
	__u32 key;

	if (!ifindex)
		return 0;
	key = *ifindex;
	tunnel = bpf_map_lookup_elem(&cv_tunnels_1, &key);
	if (!tunnel || (tunnel->dev && tunnel->dev != arrival))
		return 0;
	*ret_tunnel = *tunnel;
	return key;
}

/* In the order of Linux (ip_tunnel_lookup), as cv_live_lookup. 0: none. */
static __attribute__((noinline)) int find_tunnel(const struct cv_fp_permit_key *key,
						 struct cv_fp_tunnel *ret_tunnel)
{
	__u32 found;

	found = cv_pair_find(key->outer_source, key->outer_destination, key->ifindex, ret_tunnel);
	if (!found)
		found = cv_pair_find(key->outer_source, 0, key->ifindex, ret_tunnel);
	if (!found)
		found = cv_pair_find(0, key->outer_destination, key->ifindex, ret_tunnel);
	if (!found)
		found = cv_pair_find(0, 0, key->ifindex, ret_tunnel);
	return (int)found;
}

/* What comes of an outer packet. */
enum cv_entry {
	CV_ENTRY_DECIDED, /* the permit says it */
	CV_ENTRY_PASS,	  /* not ours */
	CV_ENTRY_ENGINE,  /* through the tunnel's device */
	CV_ENTRY_SOCKET,  /* the engine must see the device it came by: its packet socket */
};

/* The engine's word, if it has given one that holds: true and *ret_drop. */
CV_INLINE bool cv_word(const struct cv_fp_word *word, const struct cv_fp_stamp *now, __u8 *ret_drop)
{
	if (!word || !cv_stamp_holds(&word->stamp, now))
		return false;
	*ret_drop = word->drop;
	return true;
}

/* Is the outer source believable here (rp_filter)? YES with *ret_drop, or ASK. */
CV_INLINE int cv_judge_arrival(struct __sk_buff *skb, const struct cv_fp_config *config,
			       const struct cv_fp_permit_key *key, const struct cv_fp_stamp *now,
			       __u8 *ret_drop)
{
	struct cv_fp_arrival_key arrival = {
		.source = key->outer_source,
		.destination = key->outer_destination,
		.ifindex = key->ifindex,
	};
	const struct cv_fp_device *device;

	*ret_drop = CV_DROP_NONE;
	if (cv_ipv4_is_martian_source(key->outer_source)) {
		*ret_drop = CV_DROP_OUTER_SOURCE_REFUSED;
		return CV_ANSWER_YES;
	}
	device = bpf_map_lookup_elem(&cv_devices_1, &arrival.ifindex);
	if (!device)
		return CV_ANSWER_ASK;
	if (may_arrive(skb, key, config->lookup_ifindex, device->rp_filter) == CV_ANSWER_YES)
		return CV_ANSWER_YES;
	if (cv_word(bpf_map_lookup_elem(&cv_arrivals_1, &arrival), now, ret_drop))
		return CV_ANSWER_YES;
	return CV_ANSWER_ASK;
}

/* Addresses that are never an inner source, whoever sends. */
CV_INLINE __u8 cv_inner_source_drop(__be32 source)
{
	const __u32 *address;

	if (cv_ipv4_is_martian_source(source))
		return CV_DROP_SOURCE_MARTIAN;
	address = bpf_map_lookup_elem(&cv_addresses_1, &source);
	if (!address)
		return CV_DROP_NONE;
	return *address == CV_FP_ADDRESS_OWN ? CV_DROP_SOURCE_OWN : CV_DROP_SOURCE_MARTIAN;
}

/* May this inner source come from this outer source? As check_source of the engine. */
CV_INLINE int cv_judge_source(struct __sk_buff *skb, const struct cv_fp_config *config,
			      const struct cv_fp_permit_key *key, const struct cv_fp_tunnel *tunnel,
			      const struct cv_fp_stamp *now, struct cv_fp_permit *permit)
{
	struct cv_fp_word_key word = {
		.tunnel = permit->tunnel,
		.outer_source = key->outer_source,
		.inner_source = key->inner_source,
		.inner_destination = key->inner_destination,
		.tos = key->tos,
	};

	permit->drop = cv_inner_source_drop(key->inner_source);
	if (permit->drop)
		return CV_ANSWER_YES;
	/* The last: hosts talk to each other through the tunnel, too, from the peer's own address.
	 */
	permit->routed_back = is_routed_back(skb, key, config->lookup_ifindex, permit->tunnel,
					     tunnel->remote) == CV_ANSWER_YES;
	if (permit->routed_back || !tunnel->strict ||
	    (key->inner_source == key->outer_source && tunnel->remote == key->outer_source))
		return CV_ANSWER_YES;
	if (cv_word(bpf_map_lookup_elem(&cv_words_1, &word), now, &permit->drop))
		return CV_ANSWER_YES;
	return CV_ANSWER_ASK;
}

/* Whose packet is it? False: nobody's here. */
CV_INLINE bool cv_find_owner(const struct cv_fp_permit_key *key, struct cv_fp_permit *permit,
			     struct cv_fp_tunnel *ret_tunnel)
{
	const __u32 *address = bpf_map_lookup_elem(&cv_addresses_1, &key->outer_destination);
	__u32 mtu;
	bool up;

	permit->slot = CV_FP_SLOT_NONE;
	if (!address || *address != CV_FP_ADDRESS_OWN ||
	    cv_ipv4_is_loopback(key->outer_destination))
		return false;
	permit->tunnel = find_tunnel(key, ret_tunnel);
	if (!permit->tunnel)
		return false;
	permit->slot = ret_tunnel->slot;
	permit->peer = cv_peer_find(ret_tunnel, permit->tunnel, key->outer_source);
	up = ret_tunnel->up;
	cv_device_read(ret_tunnel->device, &up, &mtu);
	if (!up)
		permit->drop = CV_DROP_DEVICE_DOWN;
	return true;
}

/*
 * Judge a packet afresh: enum cv_entry, and for DECIDED the permit. whole: also by its inner
 * addresses; else, as those cannot be read here, the engine does the rest.
 */
static __attribute__((noinline)) int judge(struct __sk_buff *skb,
					   const struct cv_fp_permit_key *key,
					   struct cv_fp_permit *permit, bool whole)
{
	const struct cv_fp_config *config = cv_config();
	struct cv_fp_tunnel tunnel;
	struct cv_fp_stamp words;
	__u8 arrival_drop = 0;
	int arrival;

	if (!config)
		return CV_ENTRY_PASS;
	permit->stamp = cv_stamp_now(config);
	words = cv_stamp_of_word(config);
	if (!cv_find_owner(key, permit, &tunnel))
		return CV_ENTRY_PASS;
	if (permit->drop)
		return CV_ENTRY_DECIDED;
	arrival = cv_judge_arrival(skb, config, key, &words, &arrival_drop);
	/* Refused, but by the inner addresses, or a checksum, the engine may have another reason.
	 */
	if (arrival == CV_ANSWER_ASK || (!whole && arrival_drop))
		return CV_ENTRY_SOCKET;
	if (whole && cv_judge_source(skb, config, key, &tunnel, &words, permit) == CV_ANSWER_ASK)
		return CV_ENTRY_ENGINE;
	if (!permit->drop)
		permit->drop = arrival_drop;
	if (permit->routed_back &&
	    (cv_has_policies(config) || !is_routed_on(skb, key, config->lookup_ifindex)))
		permit->routed_back = 0;
	return whole ? CV_ENTRY_DECIDED : CV_ENTRY_ENGINE;
}

/*
 * Refused by no more than the inner source: not remembered, as a stranger could make up sources
 * enough to push out everybody's permits.
 */
CV_INLINE bool cv_is_memorable(const struct cv_fp_permit *permit)
{
	return permit->stamp.generation && permit->drop != CV_DROP_SOURCE_MARTIAN &&
	       permit->drop != CV_DROP_SOURCE_OWN;
}

CV_INLINE int cv_permit_find(struct __sk_buff *skb, const struct cv_fp_config *config,
			     const struct cv_fp_permit_key *key, struct cv_fp_permit *ret_permit)
{
	const struct cv_fp_permit *known = bpf_map_lookup_elem(&cv_permits_1, key);
	struct cv_fp_stamp now = cv_stamp_now(config);
	int entry;

	if (known && cv_stamp_holds(&known->stamp, &now)) {
		*ret_permit = *known;
		return CV_ENTRY_DECIDED;
	}
	__builtin_memset(ret_permit, 0, sizeof(*ret_permit));
	entry = judge(skb, key, ret_permit, true);
	if (entry == CV_ENTRY_DECIDED && cv_is_memorable(ret_permit))
		bpf_map_update_elem(&cv_permits_1, key, ret_permit, BPF_ANY);
	return entry;
}

/* ---- taking the outer header off --------------------------------------------------------- */

CV_INLINE void cv_count_ecn(const struct cv_scene *scene, __u8 note)
{
	struct cv_fp_counters *counters;

	if (!note)
		return;
	counters = cv_counters(scene->slot);
	if (counters && note == CV_ECN_UNUSED)
		counters->ecn_unused++;
	if (counters && note == CV_ECN_DANGEROUS)
		counters->ecn_dangerous++;
}

/*
 * RFC 6040, 4.2: the departing TOS byte, or a reason to drop. A note is counted once the packet's
 * fate is known: the engine counts those that it is given.
 */
CV_INLINE __u8 cv_merge_ecn(const struct cv_scene *scene, struct cv_inbound *in, __u8 *ret_tos)
{
	struct cv_ecn_result result = cv_ecn_decapsulate(in->inner.tos, in->outer.tos);

	*ret_tos = (in->inner.tos & ~CV_ECN_MASK) | result.ecn;
	in->ecn_note = result.note;
	if (!result.drop)
		return CV_DROP_NONE;
	cv_count_ecn(scene, result.note);
	return CV_DROP_ECN_CE_NOT_ECT;
}

/*
 * Change TOS and TTL of the IPv4 header at an offset, and trim what follows the packet: link-layer
 * padding, or bytes that the tunnel carried behind it. To trim may fail, as the kernel does not cut
 * where it believes a transport header to be; then whoever receives the packet does it.
 */
CV_INLINE bool cv_rewrite(struct __sk_buff *skb, __u32 offset, const struct cv_ipv4 *ip, __u8 tos,
			  __u8 ttl)
{
	struct cv_ipv4_header *header;
	struct cv_ipv4_header copy;

	if (!skb->gso_size && skb->len > offset + ip->total_length)
		bpf_skb_change_tail(skb, offset + ip->total_length, 0);
	if (tos == ip->tos && ttl == ip->ttl)
		return true;
	if (!cv_packet_header(skb, offset, &copy))
		return false;
	if (tos != ip->tos)
		cv_ipv4_set_tos(&copy, tos);
	if (ttl != ip->ttl)
		cv_ipv4_set_ttl(&copy, ttl);
	header = (struct cv_ipv4_header *)(cv_packet_data(skb) + offset);
	if ((__u8 *)(header + 1) > cv_packet_end(skb))
		return false;
	*header = copy;
	return true;
}

CV_INLINE void cv_count_in(const struct cv_scene *scene, __u32 segments, __u64 bytes,
			   bool to_endpoint)
{
	struct cv_fp_counters *counters = cv_counters(scene->slot);
	struct cv_fp_traffic *traffic = cv_traffic(scene->peer);

	if (traffic) {
		traffic->rx_packets += segments;
		traffic->rx_bytes += bytes;
	}
	if (!counters)
		return;
	counters->rx_packets += segments;
	counters->rx_bytes += bytes;
	if (to_endpoint)
		counters->rx_endpoint_packets += segments;
}

/* Something came back from this remote: nobody blocks protocol 4. */
CV_INLINE void cv_note_heard(__be32 source)
{
	__u32 slot = cv_fp_activity_slot(source);
	struct cv_fp_activity *activity = bpf_map_lookup_elem(&cv_activity_1, &slot);

	if (activity && !activity->heard)
		activity->heard = 1;
}

/*
 * Decapsulate: what is captured is the outer packet, then its header goes. ttl: the inner one's
 * from here on. False: the packet is unusable now, and not counted.
 */
CV_INLINE bool cv_decapsulate(struct __sk_buff *skb, struct cv_scene *scene,
			      const struct cv_inbound *in, __u8 tos, __u8 ttl, bool to_endpoint)
{
	struct cv_packet_size size;

	cv_packet_measure(skb, ETH_HLEN + CV_IPIP_OVERHEAD, &in->inner, &size);
	cv_capture_packet(skb, scene,
			  to_endpoint ? CV_FP_VERDICT_TO_ENDPOINT : CV_FP_VERDICT_TO_DEVICE,
			  CV_DROP_NONE);
	if (cv_packet_may_be_syn(skb, ETH_HLEN + CV_IPIP_OVERHEAD, &in->inner))
		cv_clamp_mss(skb, scene->tunnel, ETH_HLEN + CV_IPIP_OVERHEAD + CV_IPV4_HEADER_MIN,
			     in->inner.payload_length,
			     (__u32)mtu_back(skb, scene->tunnel, in->key.outer_source));
	if (bpf_skb_adjust_room(skb, -(int)CV_IPIP_OVERHEAD, BPF_ADJ_ROOM_MAC,
				CV_DECAPSULATE_FLAGS) ||
	    !cv_rewrite(skb, ETH_HLEN, &in->inner, tos, ttl))
		return false;
	cv_count_in(scene, size.segments, cv_packet_bytes(&in->inner, &size), to_endpoint);
	cv_count_ecn(scene, in->ecn_note);
	cv_note_heard(in->outer.source);
	return true;
}

#endif
