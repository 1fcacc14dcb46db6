/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Reaching into a packet. Headers are copied to the stack by whole words: the formats of
 * wire/ then work on them as in user space, and the copy is what was checked.
 *
 * Only headers without options are worked on here; of options all that is asked is whether a router
 * would look at them.
 */
#ifndef CV_BPF_PACKET_H
#define CV_BPF_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "wire/ipv4.h"
#include "wire/probe.h"
#include "wire/tcp.h"

enum {
	CV_PACKET_HOST = 0, /* linux/if_packet.h: PACKET_HOST */
	CV_UDP_HEADER = 8,
};

CV_INLINE __u8 *cv_packet_data(const struct __sk_buff *skb)
{
	return (__u8 *)(unsigned long)skb->data;
}

CV_INLINE __u8 *cv_packet_end(const struct __sk_buff *skb)
{
	return (__u8 *)(unsigned long)skb->data_end;
}

/* Make length bytes readable in one piece; false: there are not as many. */
CV_INLINE bool cv_packet_reach(struct __sk_buff *skb, __u32 length)
{
	if (cv_packet_data(skb) + length <= cv_packet_end(skb))
		return true;
	return length <= skb->len && !bpf_skb_pull_data(skb, length) &&
	       cv_packet_data(skb) + length <= cv_packet_end(skb);
}

/* Copies the IPv4 header at an offset that is a constant. False: not there. */
CV_INLINE bool cv_packet_header(struct __sk_buff *skb, __u32 offset,
				struct cv_ipv4_header *ret_header)
{
	const struct cv_ipv4_header *header;

	if (!cv_packet_reach(skb, offset + sizeof(*header)))
		return false;
	header = (const struct cv_ipv4_header *)(cv_packet_data(skb) + offset);
	/* Said to the verifier, which follows no function that pulled. */
	if ((const __u8 *)(header + 1) > cv_packet_end(skb))
		return false;
	*ret_header = *header;
	return true;
}

/*
 * Whether a header with options has the right checksum and no option that a router would look at:
 * "no operation" alone. The stack records, refuses and answers all others, malformed ones too.
 */
static __attribute__((noinline)) int cv_packet_options_idle(struct __sk_buff *skb, __u32 offset,
							    __u32 header_length)
{
	__u8 header[CV_IPV4_HEADER_MAX], least = CV_IPV4_OPTION_NOP;

	if (header_length <= CV_IPV4_HEADER_MIN || header_length > sizeof(header) ||
	    bpf_skb_load_bytes(skb, offset, header, header_length))
		return 0;
	for (__u32 at = CV_IPV4_HEADER_MIN; at < header_length && at < sizeof(header); at++) {
		CV_BYTES_COUNTER(at);
		if (header[at] > least)
			return 0;
		least = header[at]; /* nothing comes behind "end of options" */
	}
	return cv_ipv4_checksum_ok(header, header_length);
}

/*
 * Whether a packet, whose IPv4 header without options lies at an offset that is a constant, may be
 * a SYN or SYN-ACK: asked of every packet, so that of TCP it costs a byte. It may if that byte is
 * not in the packet's linear part.
 */
CV_INLINE bool cv_packet_may_be_syn(const struct __sk_buff *skb, __u32 offset,
				    const struct cv_ipv4 *ip)
{
	const __u8 *flags = cv_packet_data(skb) + offset + CV_IPV4_HEADER_MIN + CV_TCP_FLAGS;

	if (ip->protocol != CV_IPV4_PROTO_TCP || ip->fragment_offset)
		return false;
	return flags + 1 > cv_packet_end(skb) || (*flags & CV_TCP_SYN);
}

/* A frame of its own: those of the programs are full (512 bytes in all, Linux up to 6.1). */
static __attribute__((noinline)) int is_probe_answer(struct __sk_buff *skb, __u32 offset)
{
	__u8 head[CV_ICMP_HEADER];
	__be16 id;

	if (bpf_skb_load_bytes(skb, offset, head, sizeof(head)))
		return 0;
	__builtin_memcpy(&id, head + offsetof(struct cv_probe_message, id), sizeof(id));
	return head[0] == CV_ICMP_ECHO_REPLY && id == cv_htons(CV_PROBE_ID);
}

/* By its first bytes, the answer to a path probe, ours or somebody's: the engine looks closer. */
CV_INLINE bool cv_packet_is_probe_answer(struct __sk_buff *skb, __u32 offset,
					 const struct cv_ipv4 *ip)
{
	return cv_probe_may_be(ip) && is_probe_answer(skb, offset + CV_IPV4_HEADER_MIN);
}

/* What a packet or super-packet is on the wire. */
struct cv_packet_size {
	__u32 headers;	/* bytes of a super-packet's that each of its packets has; else 0 */
	__u32 largest;	/* bytes of its largest packet, from the inner header on */
	__u32 segments; /* packets */
};

/* False: a super-packet of a protocol that is not cut here; counted as the kernel counts it. */
CV_INLINE bool cv_packet_measure(struct __sk_buff *skb, __u32 offset, const struct cv_ipv4 *ip,
				 struct cv_packet_size *ret)
{
	__u32 size = skb->gso_size, segments = skb->gso_segs;
	__u8 data_offset;

	ret->headers = 0;
	ret->largest = ip->total_length;
	ret->segments = segments ? segments : 1;
	if (!size)
		return true;
	if (ip->protocol == CV_IPV4_PROTO_TCP) {
		if (bpf_skb_load_bytes(skb, offset + CV_IPV4_HEADER_MIN + CV_TCP_DATA_OFFSET,
				       &data_offset, 1))
			return false;
		ret->headers = CV_IPV4_HEADER_MIN + (data_offset >> 4) * 4U;
	} else if (ip->protocol == CV_IPV4_PROTO_UDP) {
		ret->headers = CV_IPV4_HEADER_MIN + CV_UDP_HEADER;
	} else {
		return false;
	}
	ret->largest = ret->headers + size;
	/* Those that virtual machines send nobody has counted. */
	if (!segments && ip->total_length > ret->headers)
		ret->segments = (ip->total_length - ret->headers + size - 1) / size;
	return true;
}

/* Bytes of all its packets, from the inner headers on. */
CV_INLINE __u64 cv_packet_bytes(const struct cv_ipv4 *ip, const struct cv_packet_size *size)
{
	return ip->total_length + (__u64)(size->segments - 1) * size->headers;
}

#endif
