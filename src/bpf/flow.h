/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which path a flow of an endpoint takes: past the host's stack, or through it.
 *
 * The rule: a flow takes the same path both ways, so that conntrack sees all of it or nothing.
 * Hence one entry per flow for both directions, written by whoever sees its first packet:
 *
 * - A packet that begins a flow (a TCP SYN, any UDP packet, an ICMP echo request), straight from
 *   an endpoint or straight off the underlay for one: the flow goes past the stack.
 * - A packet that comes *out of the stack*, into a tunnel or to an endpoint: the flow is the
 *   stack's, whatever has begun it. This is how flows that the host translates are known: behind
 *   a DNATed service address, or a host port, the stack emits the very packets whose answers
 *   would otherwise pass it by, untranslated.
 * - A TCP packet in mid-flow without an entry (evicted, or older than the programs): the
 *   stack's, whose conntrack picks a flow up in the middle.
 * - Other protocols: the stack's.
 *
 * ICMP errors take the path of the flow that they quote, fragments that of their first one.
 */
#ifndef CV_BPF_FLOW_H
#define CV_BPF_FLOW_H

#include "bpf/maps.h"
#include "bpf/packet.h"
#include "wire/icmp.h"

/* What a packet says of its flow. */
struct cv_flow_tuple {
	__be16 source_port;
	__be16 destination_port;
	bool known;  /* the packet has a flow whose path can be chosen */
	bool begins; /* it may be the flow's first packet */
	bool quotes; /* an ICMP error: addresses and ports are those of the flow it quotes */
	__u8 protocol;
	__be32 source;
	__be32 destination;
};

CV_INLINE void cv_flow_ports(struct __sk_buff *skb, __u32 at, struct cv_flow_tuple *tuple)
{
	__be16 ports[2];

	if (bpf_skb_load_bytes(skb, at, ports, sizeof(ports)))
		return;
	tuple->source_port = ports[0];
	tuple->destination_port = ports[1];
	tuple->known = true;
}

CV_INLINE void cv_flow_tcp(struct __sk_buff *skb, __u32 at, struct cv_flow_tuple *tuple)
{
	__u8 bytes[CV_TCP_FLAGS_AT + 1];
	__be16 ports[2];

	if (bpf_skb_load_bytes(skb, at, bytes, sizeof(bytes)))
		return;
	__builtin_memcpy(ports, bytes, sizeof(ports));
	tuple->source_port = ports[0];
	tuple->destination_port = ports[1];
	tuple->known = true;
	tuple->begins = (bytes[CV_TCP_FLAGS_AT] & (CV_TCP_SYN | CV_TCP_ACK)) == CV_TCP_SYN;
}

/* The flow that an ICMP error is about, as the packet that it quotes travelled. */
static __attribute__((noinline)) int quoted_flow(struct __sk_buff *skb, __u32 at,
						 struct cv_flow_tuple *tuple)
{
	struct cv_ipv4_header quoted;

	tuple->quotes = true;
	if (bpf_skb_load_bytes(skb, at, &quoted, sizeof(quoted)) || quoted.version_ihl != 0x45 ||
	    (cv_ntohs(quoted.flags_offset) & CV_IPV4_OFFSET_MASK))
		return 0;
	tuple->source = quoted.source;
	tuple->destination = quoted.destination;
	tuple->protocol = quoted.protocol;
	at += sizeof(quoted);
	if (quoted.protocol == CV_IPV4_PROTO_TCP || quoted.protocol == CV_IPV4_PROTO_UDP) {
		cv_flow_ports(skb, at, tuple);
	} else if (quoted.protocol == CV_IPV4_PROTO_ICMP) {
		__u8 head[CV_ICMP_HEADER];
		__be16 id;

		if (bpf_skb_load_bytes(skb, at, head, sizeof(head)))
			return 0;
		__builtin_memcpy(&id, head + 4, sizeof(id));
		tuple->known = head[0] == CV_ICMP_ECHO || head[0] == CV_ICMP_ECHO_REPLY;
		if (head[0] == CV_ICMP_ECHO)
			tuple->source_port = id;
		else
			tuple->destination_port = id;
	}
	return 0;
}

CV_INLINE void cv_flow_icmp(struct __sk_buff *skb, __u32 at, struct cv_flow_tuple *tuple)
{
	__u8 head[CV_ICMP_HEADER];
	__be16 id;

	if (bpf_skb_load_bytes(skb, at, head, sizeof(head)))
		return;
	__builtin_memcpy(&id, head + 4, sizeof(id));
	switch (head[0]) {
	case CV_ICMP_ECHO:
		tuple->known = tuple->begins = true;
		tuple->source_port = id;
		break;
	case CV_ICMP_ECHO_REPLY:
		tuple->known = true;
		tuple->destination_port = id;
		break;
	case CV_ICMP_DEST_UNREACHABLE:
	case CV_ICMP_TIME_EXCEEDED:
	case CV_ICMP_PARAMETER_PROBLEM:
	case CV_ICMP_SOURCE_QUENCH:
		quoted_flow(skb, at + CV_ICMP_HEADER, tuple);
	}
}

/* The ports of a later fragment are those of the first one. */
CV_INLINE void cv_flow_fragment(const struct cv_ipv4 *ip, struct cv_flow_tuple *tuple)
{
	struct cv_fp_fragment_key key = {
		.source = ip->source,
		.destination = ip->destination,
		.id = ip->id,
		.protocol = ip->protocol,
	};
	const struct cv_fp_fragment *known;
	struct cv_fp_fragment ports;

	if (ip->fragment_offset) {
		known = bpf_map_lookup_elem(&cv_fragments_1, &key);
		if (!known)
			return;
		tuple->source_port = known->source_port;
		tuple->destination_port = known->destination_port;
		tuple->known = true;
		return;
	}
	if (!tuple->known)
		return;
	ports.source_port = tuple->source_port;
	ports.destination_port = tuple->destination_port;
	bpf_map_update_elem(&cv_fragments_1, &key, &ports, BPF_ANY);
}

/* Reads the flow of the packet whose IPv4 header, without options, lies at offset. */
CV_INLINE void cv_flow_read(struct __sk_buff *skb, __u32 offset, const struct cv_ipv4 *ip,
			    struct cv_flow_tuple *ret)
{
	__u32 at = offset + CV_IPV4_HEADER_MIN;

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->protocol = ip->protocol;
	ret->source = ip->source;
	ret->destination = ip->destination;
	if (!ip->fragment_offset) {
		switch (ip->protocol) {
		case CV_IPV4_PROTO_TCP:
			cv_flow_tcp(skb, at, ret);
			break;
		case CV_IPV4_PROTO_UDP:
			ret->begins = true;
			cv_flow_ports(skb, at, ret);
			break;
		case CV_IPV4_PROTO_ICMP:
			cv_flow_icmp(skb, at, ret);
		}
	}
	if (cv_ipv4_is_fragment(ip))
		cv_flow_fragment(ip, ret);
}

/* The entry's key, seen from the endpoint that sends, or is sent to. */
CV_INLINE void cv_flow_key(const struct cv_flow_tuple *tuple, bool from_endpoint,
			   struct cv_fp_flow_key *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->protocol = tuple->protocol;
	ret->local = from_endpoint ? tuple->source : tuple->destination;
	ret->remote = from_endpoint ? tuple->destination : tuple->source;
	ret->local_port = from_endpoint ? tuple->source_port : tuple->destination_port;
	ret->remote_port = from_endpoint ? tuple->destination_port : tuple->source_port;
}

/*
 * The same for a packet that goes in that direction; an error travels against the flow that it
 * quotes.
 */
CV_INLINE void cv_flow_key_of(const struct cv_flow_tuple *tuple, bool from_endpoint,
			      struct cv_fp_flow_key *ret)
{
	cv_flow_key(tuple, tuple->quotes ? !from_endpoint : from_endpoint, ret);
}

/* An entry to be filled: what was known, or nothing. */
CV_INLINE void cv_flow_copy(struct cv_fp_flow *ret, const struct cv_fp_flow *known)
{
	if (known)
		*ret = *known;
	else
		__builtin_memset(ret, 0, sizeof(*ret));
}

/* The flow is the stack's from now on. */
static __attribute__((noinline)) int give_to_stack(const struct cv_fp_flow_key *key)
{
	const struct cv_fp_flow *known = bpf_map_lookup_elem(&cv_flows_1, key);
	struct cv_fp_flow flow;

	if (known && known->path == CV_FP_PATH_STACK)
		return 0;
	__builtin_memset(&flow, 0, sizeof(flow));
	flow.path = CV_FP_PATH_STACK;
	return (int)bpf_map_update_elem(&cv_flows_1, key, &flow, BPF_ANY);
}

/*
 * The path of a packet whose flow has no entry that holds: known is the entry, if there is
 * one. may_bypass: its endpoint's setting, and all else that speaks against it.
 */
CV_INLINE __u8 cv_flow_choose(const struct cv_flow_tuple *tuple, const struct cv_fp_flow *known,
			      bool may_bypass)
{
	if (!tuple->known || !may_bypass)
		return CV_FP_PATH_STACK;
	if (known && known->path != CV_FP_PATH_NONE)
		return known->path;
	return tuple->begins && !tuple->quotes ? CV_FP_PATH_BYPASS : CV_FP_PATH_STACK;
}

#endif
