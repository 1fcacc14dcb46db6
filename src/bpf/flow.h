/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Which path a flow of an endpoint takes: past the host's stack, or through it.
 *
 * The rule: a flow takes the same path both ways, so that conntrack sees all of it or nothing.
 * Hence one entry per flow for both directions, written by whoever sees its first packet (two
 * entries where both ends are endpoints of this node, kept alike):
 *
 * - A packet that begins a flow (a TCP SYN, any UDP packet, an ICMP echo request), straight from
 *   an endpoint or straight off the underlay for one: the flow goes past the stack, unless
 *   conntrack knows it.
 * - A packet that comes *out of the stack*, into a tunnel or to an endpoint: the flow is the
 *   stack's, whatever has begun it. This is how flows that the host translates are known: behind
 *   a DNATed service address, or a host port, the stack emits the very packets whose answers
 *   would otherwise pass it by, untranslated. Packets with a source that is not the sender's own
 *   do not count, even if the host forwards them.
 * - TCP and UDP packets without an entry (evicted, or older than the programs): conntrack is
 *   asked, and what it knows is the stack's. Where it cannot be asked (conntrack.h), a TCP
 *   packet in mid-flow is the stack's, which picks a flow up in the middle, but for FIN and RST:
 *   those "ct state invalid drop" then costs; and UDP is, if any flow between the two
 *   addresses is known to be the stack's.
 * - Other protocols, flows that begin with IPv4 options, and packets with options that a router
 *   would look at: the stack's.
 *
 * Where bypass is switched off, a TCP flow goes over to the stack with the next packet of the
 * end that opened it (but for FIN and RST), so that conntrack sees it in the direction that
 * the host's rules allow; all other flows go at once.
 *
 * ICMP errors take the path of the flow that they quote. A datagram in fragments takes one path:
 * that of its first fragment. If another comes first, that is a guess: what the flow between the
 * two addresses that last came in fragments took; else past the stack, unless any flow between
 * them is known to be the stack's.
 */
#ifndef CV_BPF_FLOW_H
#define CV_BPF_FLOW_H

#include "bpf/maps.h"
#include "bpf/packet.h"
#include "wire/icmp.h"

/* Our marks in skb->tc_index, which the stack keeps and hardly anybody else uses. */
enum {
	CV_MARK_FOREIGN_SOURCE = 0xc001, /* of an endpoint, with a source that is not its own */
	CV_MARK_STACKS = 0xc002,	 /* from the underlay; it has been judged the stack's */
};

enum {
	/* How long fragments of a datagram may be apart; then the identification is another's. */
	CV_FLOW_DATAGRAM_NS = 2000000000,
};

/* What a packet says of its flow. */
struct cv_flow_tuple {
	__be16 source_port;
	__be16 destination_port;
	bool known;    /* the packet has a flow whose path can be chosen */
	bool begins;   /* it may be the flow's first packet */
	bool ends;     /* TCP: FIN or RST; with it conntrack begins no flow */
	bool quotes;   /* an ICMP error: addresses and ports are those of the flow it quotes */
	bool later;    /* a fragment that is not the first, and whose flow is not known */
	bool outbound; /* from the endpoint whose flow it is; else to it */
	__u8 datagram; /* enum cv_fp_path: what the datagram's other fragments took */
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
	__u8 bytes[CV_TCP_FLAGS + 1];
	__be16 ports[2];

	if (bpf_skb_load_bytes(skb, at, bytes, sizeof(bytes)))
		return;
	__builtin_memcpy(ports, bytes, sizeof(ports));
	tuple->source_port = ports[0];
	tuple->destination_port = ports[1];
	tuple->known = true;
	tuple->begins = (bytes[CV_TCP_FLAGS] & (CV_TCP_SYN | CV_TCP_ACK)) == CV_TCP_SYN;
	tuple->ends = bytes[CV_TCP_FLAGS] & (CV_TCP_FIN | CV_TCP_RST);
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

/* What is known of the datagram that this fragment belongs to. */
CV_INLINE void cv_flow_fragment(const struct cv_ipv4 *ip, struct cv_flow_tuple *tuple)
{
	struct cv_fp_fragment_key key = {
		.source = ip->source,
		.destination = ip->destination,
		.id = ip->id,
		.protocol = ip->protocol,
	};
	const struct cv_fp_fragment *known = bpf_map_lookup_elem(&cv_fragments_2, &key);

	tuple->later = ip->fragment_offset &&
		       (ip->protocol == CV_IPV4_PROTO_TCP || ip->protocol == CV_IPV4_PROTO_UDP ||
			ip->protocol == CV_IPV4_PROTO_ICMP);
	if (!known || bpf_ktime_get_ns() - known->time_ns > CV_FLOW_DATAGRAM_NS)
		return;
	/* Another first fragment is that of another datagram, with the same identification. */
	if (ip->fragment_offset || !known->has_ports)
		tuple->datagram = known->path;
	if (ip->fragment_offset && known->has_ports) {
		tuple->source_port = known->source_port;
		tuple->destination_port = known->destination_port;
		tuple->known = true;
		tuple->later = false;
	}
}

/* All fragments of the datagram go this way. To be called once it is clear that it may go. */
static __attribute__((noinline)) int note_datagram(const struct cv_ipv4 *ip,
						   const struct cv_flow_tuple *tuple, __u8 path)
{
	struct cv_fp_fragment_key key = {
		.source = ip->source,
		.destination = ip->destination,
		.id = ip->id,
		.protocol = ip->protocol,
	};
	struct cv_fp_fragment datagram = {
		.time_ns = bpf_ktime_get_ns(),
		.source_port = tuple->source_port,
		.destination_port = tuple->destination_port,
		.path = path,
		.has_ports = tuple->known,
	};

	/* Of a fragment after the first, only what is new. */
	if (ip->fragment_offset && tuple->datagram != CV_FP_PATH_NONE)
		return 0;
	return (int)bpf_map_update_elem(&cv_fragments_2, &key, &datagram, BPF_ANY);
}

/*
 * Reads the flow of the packet whose IPv4 header lies at offset. A global function: the
 * verifier looks at it once, and its callers need not be looked at once for each of its
 * outcomes (it went through 16,000 instructions instead of 60,000).
 */
__attribute__((noinline)) int cv_flow_read(struct __sk_buff *skb, __u32 offset,
					   const struct cv_ipv4 *ip, struct cv_flow_tuple *ret)
{
	__u32 at;

	if (!ip || !ret)
		return -1;
	at = offset + ip->header_length;
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
	/* Options may be for the host, so a flow that begins with them is. */
	if (ip->header_length != CV_IPV4_HEADER_MIN)
		ret->begins = false;
	if (cv_ipv4_is_fragment(ip))
		cv_flow_fragment(ip, ret);
	return 0;
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

/* The same flow, seen from its other end. */
CV_INLINE void cv_flow_mirror(const struct cv_fp_flow_key *key, struct cv_fp_flow_key *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->local = key->remote;
	ret->remote = key->local;
	ret->local_port = key->remote_port;
	ret->remote_port = key->local_port;
	ret->protocol = key->protocol;
}

/* Not of a flow, but of all between two addresses. */
CV_INLINE void cv_flow_pair(const struct cv_fp_flow_key *key, enum cv_fp_flow_kind kind,
			    struct cv_fp_flow_key *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->local = key->local;
	ret->remote = key->remote;
	ret->protocol = key->protocol;
	ret->kind = kind;
}

/* An entry to be filled: what was known, or nothing. */
CV_INLINE void cv_flow_copy(struct cv_fp_flow *ret, const struct cv_fp_flow *known)
{
	if (known)
		*ret = *known;
	else
		__builtin_memset(ret, 0, sizeof(*ret));
}

/* An entry with a path and nothing else. */
static __attribute__((noinline)) int set_path(const struct cv_fp_flow_key *key, __u8 path,
					      __u8 opener)
{
	const struct cv_fp_flow *known = bpf_map_lookup_elem(&cv_flows_1, key);
	struct cv_fp_flow flow;

	if (known && known->path == path)
		return 0;
	__builtin_memset(&flow, 0, sizeof(flow));
	flow.path = path;
	flow.opener = opener;
	return (int)bpf_map_update_elem(&cv_flows_1, key, &flow, BPF_ANY);
}

/* The flow is the stack's from now on. One stack frame, as those of all callers add up. */
static __attribute__((noinline)) int give_to_stack(const struct cv_fp_flow_key *key)
{
	const struct cv_fp_flow *known = bpf_map_lookup_elem(&cv_flows_1, key);
	struct cv_fp_flow_key other;
	struct cv_fp_flow flow;

	if (known && known->path == CV_FP_PATH_STACK)
		return 0;
	__builtin_memset(&flow, 0, sizeof(flow));
	flow.path = CV_FP_PATH_STACK;
	bpf_map_update_elem(&cv_flows_1, key, &flow, BPF_ANY);
	cv_flow_pair(key, CV_FP_FLOWS_OF_PAIR, &other);
	bpf_map_update_elem(&cv_flows_1, &other, &flow, BPF_ANY);
	if (!bpf_map_lookup_elem(&cv_endpoints_1, &key->remote))
		return 0;
	cv_flow_mirror(key, &other);
	return (int)bpf_map_update_elem(&cv_flows_1, &other, &flow, BPF_ANY);
}

/* Which end the packet, if it opens a TCP flow, says to be the one that does. */
CV_INLINE __u8 cv_flow_opener(const struct cv_flow_tuple *tuple)
{
	if (tuple->protocol != CV_IPV4_PROTO_TCP || !tuple->begins)
		return CV_FP_OPENER_UNKNOWN;
	return tuple->outbound ? CV_FP_OPENER_ENDPOINT : CV_FP_OPENER_REMOTE;
}

#endif
