/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Every header of wire/ in eBPF programs as the fast path will have them: to be
 * compiled for -target bpf, loaded (the verifier must see that every access and loop is
 * bounded) and run on packets (tests/packet/wire_bpf.t). Needs neither libbpf nor maps:
 * packets are Ethernet frames, of which the first bytes are read to the stack. To be
 * loaded, it wants -mcpu=v3: with 32-bit registers emulated by shifts, the verifier
 * loses the bounds of lengths.
 *
 * A program returns the drop reason, or RESULT and what it computed, or CV_DROP_MAX for
 * what it leaves to the engine.
 */
#include <linux/bpf.h>

#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/drop.h"
#include "wire/ecn.h"
#include "wire/icmp.h"
#include "wire/ipip.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/types.h"

enum {
	ETHERNET = 14,
	HEADERS = 2 * CV_IPV4_HEADER_MAX, /* an outer header and an inner one */
	MTU = 576,
	/* What a program computed is returned above the drop reasons. */
	RESULT = 0x10000,
};

int wire_decapsulate(struct __sk_buff *skb);
int wire_encapsulate(struct __sk_buff *skb);
int wire_fragment(struct __sk_buff *skb);
int wire_icmp(struct __sk_buff *skb);
int wire_mss(struct __sk_buff *skb);

#ifdef __bpf__
static long (*const skb_load_bytes)(const void *skb, __u32 offset, void *to,
				    __u32 length) = (void *)BPF_FUNC_skb_load_bytes;
#else
/* tests/differential/core.c runs the programs on the host, too. */
static long skb_load_bytes(const void *skb, __u32 offset, void *to, __u32 length);
#endif

/*
 * Reads up to capacity bytes (the buffer's size, and constant) from the IPv4 header on.
 * Returns how many bytes the packet has there, which may be more than were read.
 */
CV_INLINE __u32 load(struct __sk_buff *skb, __u32 offset, void *to, __u32 capacity)
{
	__u32 length = skb->len;
	__u64 wanted;

	if (length <= offset)
		return 0;
	length -= offset;
	wanted = (length < capacity ? length : capacity) - 1;
	/* Less one: the verifier of Linux 6.1 learns no bound from a test for zero. */
	__asm__ volatile("" : "+r"(wanted));
	if (wanted >= capacity)
		return 0;
	__asm__ volatile("" : "+r"(wanted));
	return skb_load_bytes(skb, offset, to, (__u32)wanted + 1) ? 0 : length;
}

/* An outer packet: what is the inner TOS, after the tunnel? */
__attribute__((section("tc/decapsulate"), used)) int wire_decapsulate(struct __sk_buff *skb)
{
	__u8 packet[HEADERS] = {0};
	__u32 length = load(skb, ETHERNET, packet, sizeof(packet));
	struct cv_ecn_result ecn;
	struct cv_ipv4 outer, inner;
	enum cv_drop drop;

	drop = cv_ipip_parse(packet, length, &outer, &inner);
	if (drop)
		return (int)drop;
	if (cv_ipv4_is_martian_source(inner.source))
		return CV_DROP_SOURCE_MARTIAN;
	ecn = cv_ecn_decapsulate(inner.tos, outer.tos);
	if (ecn.drop)
		return CV_DROP_ECN_CE_NOT_ECT;
	cv_ipv4_set_tos(packet + outer.header_length, (inner.tos & CV_IPV4_DSCP_MASK) | ecn.ecn);
	if (!cv_ipv4_checksum_ok(packet + outer.header_length, inner.header_length))
		return CV_DROP_INNER_BAD_CHECKSUM;
	return RESULT | packet[outer.header_length + 1];
}

/* An inner packet: the checksum of its outer header, 192.168.100.1 > 192.168.200.2. */
__attribute__((section("tc/encapsulate"), used)) int wire_encapsulate(struct __sk_buff *skb)
{
	const struct cv_ipip_params params = {.ttl = 64, .tos_inherit = true, .pmtudisc = true};
	__u8 packet[CV_IPV4_HEADER_MAX] = {0};
	__u32 length = load(skb, ETHERNET, packet, sizeof(packet));
	struct cv_ipv4_header outer;
	struct cv_ipv4 inner;
	enum cv_drop drop;

	if (!cv_ipip_params_valid(&params))
		return RESULT;
	drop = cv_ipv4_parse(packet, length, &inner);
	if (drop)
		return (int)drop;
	if (!cv_ipv4_checksum_ok(packet, inner.header_length))
		return CV_DROP_BAD_CHECKSUM;
	drop = cv_ipip_build_outer(&outer, &params, &inner, cv_htonl(0xc0a86401),
				   cv_htonl(0xc0a8c802), inner.id, inner.total_length);
	if (drop)
		return (int)drop;
	cv_ipv4_set_ttl(&outer, outer.ttl - 1);
	cv_ipv4_set_ttl(&outer, outer.ttl + 1);
	return RESULT | cv_ntohs(outer.checksum);
}

/*
 * A packet for an MTU of 576, or cb[0]: the checksum of its second fragment's header, or of the
 * one that cb[1] says, and the header itself in cb.
 */
__attribute__((section("tc/fragment"), used)) int wire_fragment(struct __sk_buff *skb)
{
	__u8 packet[CV_IPV4_HEADER_MAX] = {0}, header[CV_IPV4_HEADER_MAX] = {0};
	__u32 length = load(skb, ETHERNET, packet, sizeof(packet));
	__u32 mtu = skb->cb[0] ? skb->cb[0] : MTU, k = skb->cb[1] ? skb->cb[1] : 1;
	struct cv_ipv4_fragment_plan plan;
	struct cv_ipv4 ip;
	enum cv_drop drop;

	drop = cv_ipv4_parse(packet, length, &ip);
	if (drop)
		return (int)drop;
	/* Options are more than the verifier has the patience for: the engine's. */
	if (ip.header_length != CV_IPV4_HEADER_MIN)
		return CV_DROP_MAX;
	drop = cv_ipv4_plan_fragments(packet, &ip, mtu, &plan);
	if (drop)
		return (int)drop;
	if (cv_ipv4_fragment_count(&plan) <= k)
		return RESULT;
	cv_ipv4_fragment_header(packet, &plan, k, header);
	/* One by one: the verifier takes no pointer into the context. */
	skb->cb[0] = (CV_FORCE __u32)cv_bytes_load32(header);
	skb->cb[1] = (CV_FORCE __u32)cv_bytes_load32(header + 4);
	skb->cb[2] = (CV_FORCE __u32)cv_bytes_load32(header + 8);
	skb->cb[3] = (CV_FORCE __u32)cv_bytes_load32(header + 12);
	skb->cb[4] = (CV_FORCE __u32)cv_bytes_load32(header + 16);
	return RESULT |
	       cv_ntohs(cv_bytes_load16(header + offsetof(struct cv_ipv4_header, checksum)));
}

/* An ICMP error, small enough for the stack: the checksum of what is relayed. */
__attribute__((section("tc/icmp"), used)) int wire_icmp(struct __sk_buff *skb)
{
	const struct cv_ipip_params params = {.tos_inherit = true};
	__u8 icmp[HEADERS] = {0}, out[HEADERS] = {0};
	__u32 length = load(skb, ETHERNET + CV_IPV4_HEADER_MIN, icmp, sizeof(icmp));
	struct cv_icmp_error error;
	struct cv_ipip_quote quote;
	struct cv_icmp_relay relay;
	enum cv_drop drop;
	__u32 info;

	if (length > sizeof(icmp))
		return CV_DROP_TOO_BIG;
	drop = cv_icmp_parse_error(icmp, length, &error);
	if (!drop)
		drop = cv_ipip_parse_quote(icmp + CV_ICMP_HEADER, error.quoted_length, &quote);
	if (drop)
		return (int)drop;
	info = error.pointer;
	if (error.type == CV_ICMP_DEST_UNREACHABLE)
		info = cv_icmp_path_mtu(error.mtu, &quote.outer, 1500);
	relay = cv_icmp_relay_rule(error.type, error.code, info, &params);
	if (relay.action == CV_ICMP_RELAY_NONE || !quote.has_inner)
		return RESULT;
	if (quote.inner_length > HEADERS - CV_ICMP_HEADER - CV_IPIP_OVERHEAD)
		return CV_DROP_TOO_BIG;
	if (relay.type == CV_ICMP_DEST_UNREACHABLE)
		info = relay.mtu;
	else
		info = relay.pointer;
	if (!cv_icmp_build_error(out, sizeof(out), relay.type, relay.code, info,
				 icmp + CV_ICMP_HEADER + CV_IPIP_OVERHEAD, quote.inner_length))
		return CV_DROP_INNER_TRUNCATED;
	return RESULT | cv_ntohs(cv_bytes_load16(out + offsetof(struct cv_icmp_header, checksum)));
}

/* A TCP SYN, clamped to 536, or cb[0]: its checksum then, and what it announces in cb[1]. */
__attribute__((section("tc/mss"), used)) int wire_mss(struct __sk_buff *skb)
{
	__u8 packet[CV_IPV4_HEADER_MIN + CV_TCP_HEADER_MAX] = {0},
					 *tcp = packet + CV_IPV4_HEADER_MIN;
	__u32 length = load(skb, ETHERNET, packet, sizeof(packet)), at;
	__u16 limit = cv_tcp_mss_limit((__u16)skb->cb[0], MTU);
	struct cv_ipv4 ip;
	enum cv_drop drop;

	drop = cv_ipv4_parse(packet, length, &ip);
	if (drop)
		return (int)drop;
	if (ip.header_length != CV_IPV4_HEADER_MIN || ip.protocol != CV_IPV4_PROTO_TCP ||
	    ip.fragment_offset)
		return CV_DROP_MAX;
	if (!cv_tcp_clamp_mss(tcp, ip.payload_length, limit, false))
		return RESULT;
	at = cv_tcp_find_mss(tcp, (tcp[CV_TCP_DATA_OFFSET] >> 4) * 4U);
	skb->cb[1] = at << 16 | cv_ntohs(cv_bytes_load16(tcp + at + 2));
	return RESULT | cv_ntohs(cv_bytes_load16(tcp + CV_TCP_CHECKSUM));
}

__attribute__((section("license"), used)) static const char licence_text[] = "Dual BSD/GPL";
