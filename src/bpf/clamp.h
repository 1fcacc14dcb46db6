/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The maximum segment size in SYNs that go through a tunnel, either way, as engine/clamp.c has it.
 */
#ifndef CV_BPF_CLAMP_H
#define CV_BPF_CLAMP_H

#include "bpf/route.h"
#include "bpf/verdict.h"

/*
 * Lower what the SYN or SYN-ACK at an offset, whose segment has length bytes, announces to what
 * fits outer packets of mtu bytes, or to the tunnel's own limit. Nothing is cut, so a segment may
 * be there in part (an IPv4 fragment). Whether the checksum is complete the kernel knows. A global
 * function: the verifier looks at it once.
 */
__attribute__((noinline)) int cv_clamp_mss(struct __sk_buff *skb, __u32 ifindex, __u32 offset,
					   __u32 length, __u32 mtu)
{
	const struct cv_fp_tunnel *tunnel = bpf_map_lookup_elem(&cv_tunnels_1, &ifindex);
	__u8 header[CV_TCP_HEADER_MAX] = {0};
	struct cv_fp_counters *counters;
	__be16 announced, lowered;
	__u32 header_length, at;

	if (!tunnel || tunnel->mssclamp == CV_TCP_MSS_OFF || mtu < CV_IPIP_OVERHEAD ||
	    bpf_skb_load_bytes(skb, offset, header, CV_TCP_HEADER_MIN))
		return 0;
	header_length = cv_tcp_syn_header(header, length);
	if (header_length <= CV_TCP_HEADER_MIN || header_length > sizeof(header) ||
	    bpf_skb_load_bytes(skb, offset + CV_TCP_OPTIONS, header + CV_TCP_OPTIONS,
			       header_length - CV_TCP_OPTIONS))
		return 0;
	at = cv_tcp_find_mss(header, header_length);
	if (!at || bpf_skb_load_bytes(skb, offset + at + 2, &announced, sizeof(announced)))
		return 0;
	at += 2;
	lowered = cv_htons(cv_tcp_mss_limit(tunnel->mssclamp, mtu - CV_IPIP_OVERHEAD));
	if (cv_ntohs(announced) <= cv_ntohs(lowered) ||
	    bpf_skb_store_bytes(skb, offset + at, &lowered, sizeof(lowered), 0))
		return 0;
	/* The sum of the whole packet, which a card may have given, stays what it is. */
	bpf_l4_csum_replace(skb, offset + CV_TCP_CHECKSUM,
			    (CV_FORCE __u16)cv_tcp_word(at, announced),
			    (CV_FORCE __u16)cv_tcp_word(at, lowered), sizeof(lowered));
	counters = cv_counters(tunnel->slot);
	if (counters)
		counters->mss_clamped++;
	return 1;
}

/*
 * The largest outer packet that can go back through a tunnel to who has sent one: as on the way
 * out, remembered. What no route tells (IPsec policies are in force, there is none, or it leads
 * into a tunnel) the device and the engine's soft state do.
 */
static __attribute__((noinline)) int mtu_back(struct __sk_buff *skb, __u32 ifindex,
					      __be32 outer_source)
{
	const struct cv_fp_tunnel *tunnel = bpf_map_lookup_elem(&cv_tunnels_1, &ifindex);
	const struct cv_fp_config *config = cv_config();
	struct cv_fp_way way;

	if (!tunnel || !config)
		return 0;
	if (tunnel->mssclamp != CV_TCP_MSS_AUTO)
		return CV_IPV4_LENGTH_MAX;
	cv_find_way(skb, config, tunnel, ifindex, outer_source, &way);
	if (way.mtu && !way.drop)
		return (int)way.mtu;
	way.mtu = CV_IPV4_LENGTH_MAX;
	cv_apply_device(tunnel, outer_source, &way);
	cv_apply_remote(outer_source, &way);
	return (int)way.mtu;
}

#endif
