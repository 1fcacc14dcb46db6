/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * ICMP errors (RFC 792): parse them, build them, decide whether one may be sent, and
 * decide what becomes of those that come from within a tunnel (RFC 2003, 4).
 */
#ifndef CV_WIRE_ICMP_H
#define CV_WIRE_ICMP_H

#include "wire/types.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/drop.h"
#include "wire/ipip.h"
#include "wire/ipv4.h"

/* Types: RFC 792; 9, 10: RFC 1256; 17, 18: RFC 950; 42, 43: RFC 8335. */
enum {
	CV_ICMP_ECHO_REPLY = 0,
	CV_ICMP_DEST_UNREACHABLE = 3,
	CV_ICMP_SOURCE_QUENCH = 4,
	CV_ICMP_REDIRECT = 5,
	CV_ICMP_ECHO = 8,
	CV_ICMP_ROUTER_ADVERTISEMENT = 9,
	CV_ICMP_ROUTER_SOLICITATION = 10,
	CV_ICMP_TIME_EXCEEDED = 11,
	CV_ICMP_PARAMETER_PROBLEM = 12,
	CV_ICMP_TIMESTAMP = 13,
	CV_ICMP_TIMESTAMP_REPLY = 14,
	CV_ICMP_INFORMATION_REQUEST = 15,
	CV_ICMP_INFORMATION_REPLY = 16,
	CV_ICMP_ADDRESS_MASK_REQUEST = 17,
	CV_ICMP_ADDRESS_MASK_REPLY = 18,
	CV_ICMP_EXTENDED_ECHO = 42,
	CV_ICMP_EXTENDED_ECHO_REPLY = 43,
};

/* Codes of destination unreachable: 0-5 RFC 792, 6-12 RFC 1122, 13-15 RFC 1812. */
enum {
	CV_ICMP_NET_UNREACHABLE = 0,
	CV_ICMP_HOST_UNREACHABLE = 1,
	CV_ICMP_PROTOCOL_UNREACHABLE = 2,
	CV_ICMP_PORT_UNREACHABLE = 3,
	CV_ICMP_FRAGMENTATION_NEEDED = 4,
	CV_ICMP_SOURCE_ROUTE_FAILED = 5,
	CV_ICMP_NET_UNKNOWN = 6,
	CV_ICMP_HOST_UNKNOWN = 7,
	CV_ICMP_SOURCE_HOST_ISOLATED = 8,
	CV_ICMP_NET_PROHIBITED = 9,
	CV_ICMP_HOST_PROHIBITED = 10,
	CV_ICMP_NET_UNREACHABLE_FOR_TOS = 11,
	CV_ICMP_HOST_UNREACHABLE_FOR_TOS = 12,
	CV_ICMP_COMMUNICATION_PROHIBITED = 13,
	CV_ICMP_HOST_PRECEDENCE_VIOLATION = 14,
	CV_ICMP_PRECEDENCE_CUTOFF = 15,
};

/* Codes of time exceeded and of parameter problem. */
enum {
	CV_ICMP_TTL_EXCEEDED = 0,
	CV_ICMP_REASSEMBLY_EXCEEDED = 1,
	CV_ICMP_POINTER_INDICATES = 0,
};

enum {
	CV_ICMP_HEADER = 8,
	/* An error, its IPv4 header included, has at most so many: RFC 1812, 4.3.2.3. */
	CV_ICMP_DATAGRAM_MAX = 576,
	CV_ICMP_QUOTE_MAX = CV_ICMP_DATAGRAM_MAX - CV_IPV4_HEADER_MIN - CV_ICMP_HEADER,
	CV_ICMP_QUOTE_PAYLOAD_MIN = 8, /* of the quoted datagram's payload: RFC 792 */
};

/* An error's header: each type uses some of the four last bytes, the rest is zero. */
struct cv_icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__u8 pointer; /* parameter problem */
	__u8 length;  /* of the quoted datagram in 32-bit words, or 0: RFC 4884 */
	__be16 mtu;   /* fragmentation needed: RFC 1191, 4 */
};
_Static_assert(sizeof(struct cv_icmp_header) == CV_ICMP_HEADER, "RFC 792");

/* ---- parsing ------------------------------------------------------------------- */

struct cv_icmp_error {
	__u8 type;
	__u8 code;
	__u16 mtu;	     /* bytes; only 3/4, else 0; 0 from routers older than RFC 1191 */
	__u8 pointer;	     /* only parameter problem with code 0, else 0 */
	__u32 quoted_offset; /* where the quoted datagram begins, from the ICMP header */
	__u32 quoted_length; /* bytes of it, extensions after it (RFC 4884) left out */
};

/* Whether messages of this type report an error: RFC 1122, 3.2.2. */
CV_INLINE bool cv_icmp_is_error(__u8 type)
{
	return type == CV_ICMP_DEST_UNREACHABLE || type == CV_ICMP_SOURCE_QUENCH ||
	       type == CV_ICMP_REDIRECT || type == CV_ICMP_TIME_EXCEEDED ||
	       type == CV_ICMP_PARAMETER_PROBLEM;
}

/*
 * Parses an error: length bytes from the ICMP header to the end of the IPv4 payload,
 * all of them covered by the checksum. The quote is for cv_ipip_parse_quote() or
 * cv_ipv4_parse_header(); here its length alone is found.
 *
 * Errors: TRUNCATED (below 8 bytes), BAD_CHECKSUM, ICMP_NOT_OURS (not an error).
 */
CV_INLINE enum cv_drop cv_icmp_parse_error(const void *icmp, __u32 length,
					   struct cv_icmp_error *ret_error)
{
	struct cv_icmp_header header;
	struct cv_icmp_error error = {.quoted_offset = CV_ICMP_HEADER};
	__u32 said;

	if (length < CV_ICMP_HEADER)
		return CV_DROP_TRUNCATED;
	__builtin_memcpy(&header, icmp, sizeof(header));
	if (!cv_icmp_is_error(header.type))
		return CV_DROP_ICMP_NOT_OURS;
	if (cv_checksum_fold(cv_checksum_add(icmp, length, 0)) != 0)
		return CV_DROP_BAD_CHECKSUM;
	error.type = header.type;
	error.code = header.code;
	error.quoted_length = length - CV_ICMP_HEADER;
	if (header.type == CV_ICMP_DEST_UNREACHABLE && header.code == CV_ICMP_FRAGMENTATION_NEEDED)
		error.mtu = cv_ntohs(header.mtu);
	if (header.type == CV_ICMP_PARAMETER_PROBLEM && header.code == CV_ICMP_POINTER_INDICATES)
		error.pointer = header.pointer;
	/* RFC 4884, 4: these three types say where the quote ends, if extensions follow. */
	if (header.type != CV_ICMP_SOURCE_QUENCH && header.type != CV_ICMP_REDIRECT) {
		said = header.length * 4U;
		if (said && said < error.quoted_length)
			error.quoted_length = said;
	}
	*ret_error = error;
	return CV_DROP_NONE;
}

/* ---- building ------------------------------------------------------------------ */

/*
 * Whether an error may be sent about a datagram: RFC 1122, 3.2.2 (and RFC 1812,
 * 4.3.2.7). Never about an ICMP error, a datagram to many (multicast, broadcast), a
 * fragment that is not the first, or a source that is not one host. payload: length
 * bytes after the original's IPv4 header, of which the first tells an ICMP error; an
 * ICMP message of unknown type, or one of no bytes, might be an error and counts as
 * one.
 *
 * What only the caller can know: whether the packet came as a link-layer broadcast,
 * or its destination is a subnet's broadcast address.
 */
CV_INLINE bool cv_icmp_may_answer(const struct cv_ipv4 *original, const void *payload, __u32 length)
{
	if (original->fragment_offset || cv_ipv4_is_martian_source(original->source) ||
	    cv_ipv4_is_multicast(original->destination) ||
	    cv_ipv4_is_limited_broadcast(original->destination))
		return false;
	if (original->protocol != CV_IPV4_PROTO_ICMP)
		return true;
	if (length == 0)
		return false;
	switch (*(const __u8 *)payload) {
	case CV_ICMP_ECHO_REPLY:
	case CV_ICMP_ECHO:
	case CV_ICMP_ROUTER_ADVERTISEMENT:
	case CV_ICMP_ROUTER_SOLICITATION:
	case CV_ICMP_TIMESTAMP:
	case CV_ICMP_TIMESTAMP_REPLY:
	case CV_ICMP_INFORMATION_REQUEST:
	case CV_ICMP_INFORMATION_REPLY:
	case CV_ICMP_ADDRESS_MASK_REQUEST:
	case CV_ICMP_ADDRESS_MASK_REPLY:
	case CV_ICMP_EXTENDED_ECHO:
	case CV_ICMP_EXTENDED_ECHO_REPLY:
		return true;
	default:
		return false;
	}
}

/*
 * Writes an ICMP error, header and quote, checksum included, to out; the IPv4 header
 * before it is the caller's. It quotes as much of the datagram (datagram_length bytes
 * that begin with its IPv4 header) as capacity allows and as lets the whole message,
 * with 20 bytes of IPv4 header, have 576 bytes (RFC 1812, 4.3.2.3).
 *
 * rest: the next-hop MTU in bytes for destination unreachable, code 4; the pointer
 * for parameter problem, code 0; ignored for all others. out and datagram must not
 * overlap.
 *
 * Returns the bytes written; 0 (and nothing written) when datagram does not begin
 * with an IPv4 header, or capacity does not suffice for that header and 8 bytes
 * (RFC 792), or the datagram's end if that comes first.
 */
CV_INLINE __u32 cv_icmp_build_error(void *out, __u32 capacity, __u8 type, __u8 code, __u32 rest,
				    const void *datagram, __u32 datagram_length)
{
	struct cv_icmp_header header = {.type = type, .code = code};
	struct cv_ipv4 ip;
	__u32 quoted = datagram_length;
	__u32 least;

	if (cv_ipv4_parse_header(datagram, datagram_length, &ip))
		return 0;
	if (quoted > ip.total_length)
		quoted = ip.total_length;
	least = ip.header_length + CV_ICMP_QUOTE_PAYLOAD_MIN;
	if (least > quoted)
		least = quoted;
	if (capacity < CV_ICMP_HEADER + least)
		return 0;
	if (quoted > capacity - CV_ICMP_HEADER)
		quoted = capacity - CV_ICMP_HEADER;
	if (quoted > CV_ICMP_QUOTE_MAX)
		quoted = CV_ICMP_QUOTE_MAX;

	if (type == CV_ICMP_DEST_UNREACHABLE && code == CV_ICMP_FRAGMENTATION_NEEDED)
		header.mtu = cv_htons((__u16)rest);
	if (type == CV_ICMP_PARAMETER_PROBLEM && code == CV_ICMP_POINTER_INDICATES)
		header.pointer = rest & 0xff;
	__builtin_memcpy(out, &header, sizeof(header));
	cv_bytes_copy((__u8 *)out + CV_ICMP_HEADER, datagram, quoted);
	header.checksum = cv_checksum_fold(cv_checksum_add(out, CV_ICMP_HEADER + quoted, 0));
	__builtin_memcpy(out, &header, sizeof(header));
	return CV_ICMP_HEADER + quoted;
}

/* ---- the path MTU --------------------------------------------------------------- */

/*
 * The largest MTU in common use that is less than total_length: the table of RFC
 * 1191, 7. Never below 68.
 */
CV_INLINE __u32 cv_icmp_plateau(__u32 total_length)
{
	if (total_length > 32000)
		return total_length > 65535 ? 65535 : 32000;
	if (total_length > 8166)
		return total_length > 17914 ? 17914 : 8166;
	if (total_length > 2002)
		return total_length > 4352 ? 4352 : 2002;
	if (total_length > 1006)
		return total_length > 1492 ? 1492 : 1006;
	if (total_length > 296)
		return total_length > 508 ? 508 : 296;
	return CV_IPV4_MTU_MIN;
}

/*
 * The path MTU, in bytes of outer datagrams, after a "fragmentation needed" that
 * reported an MTU and quoted an outer header, where it was estimated as current
 * before. A router that reports none, or one below the minimum of 68, makes us guess
 * (RFC 1191, 5), mindful of 4.2BSD's mistake of quoting a total length that has the
 * header's length added. Never more than current, never below 68 (RFC 1191, 3).
 */
CV_INLINE __u32 cv_icmp_path_mtu(__u32 reported, const struct cv_ipv4 *quoted, __u32 current_mtu)
{
	__u32 total_length = quoted->total_length;
	__u32 mtu = reported;

	if (reported < CV_IPV4_MTU_MIN) {
		if (total_length >= current_mtu)
			total_length -= quoted->header_length;
		mtu = cv_icmp_plateau(total_length);
	}
	if (mtu > current_mtu)
		mtu = current_mtu;
	return mtu < CV_IPV4_MTU_MIN ? CV_IPV4_MTU_MIN : mtu;
}

/* ---- errors from within the tunnel ------------------------------------------------- */

enum cv_icmp_relay_action {
	CV_ICMP_RELAY_NONE, /* nothing is sent to the original sender */
	CV_ICMP_RELAY_SEND, /* type and code with mtu or pointer are sent to it */
};

struct cv_icmp_relay {
	__u8 action; /* enum cv_icmp_relay_action */
	__u8 type;   /* of the message to send; 0 with RELAY_NONE */
	__u8 code;
	__u8 pointer;		     /* parameter problem: into the inner packet */
	__u16 mtu;		     /* fragmentation needed: bytes of inner packets */
	bool soft_state_unreachable; /* the whole tunnel is broken (RFC 2003, 5) */
	bool soft_state_mtu;	     /* info is the tunnel's path MTU (RFC 2003, 5.1) */
};

/*
 * Destination unreachable: RFC 2003, 4.1; codes 6-15 are newer than its table or not
 * in it and follow the same thought: to the original sender the way to its destination
 * is broken, behind which network or at which host is all that makes sense to it.
 * "Datagram too big" must be relayed, whether or not the inner packet has DF.
 */
CV_INLINE struct cv_icmp_relay cv_icmp_relay_unreachable(__u8 code, __u32 mtu)
{
	struct cv_icmp_relay relay = {
		.action = CV_ICMP_RELAY_SEND,
		.type = CV_ICMP_DEST_UNREACHABLE,
		.code = CV_ICMP_NET_UNREACHABLE,
		.soft_state_unreachable = true,
	};

	switch (code) {
	case CV_ICMP_NET_UNREACHABLE:
	case CV_ICMP_PROTOCOL_UNREACHABLE: /* the sender did not use protocol 4 */
	case CV_ICMP_NET_UNKNOWN:
	case CV_ICMP_SOURCE_HOST_ISOLATED: /* cut off: no network is left */
	case CV_ICMP_NET_PROHIBITED:
	case CV_ICMP_COMMUNICATION_PROHIBITED: /* a filter against the tunnel, not a host */
		return relay;
	case CV_ICMP_HOST_UNREACHABLE:
	case CV_ICMP_HOST_UNKNOWN:
	case CV_ICMP_HOST_PROHIBITED:
		relay.code = CV_ICMP_HOST_UNREACHABLE;
		return relay;
	case CV_ICMP_NET_UNREACHABLE_FOR_TOS:
	case CV_ICMP_PRECEDENCE_CUTOFF:
		/* Packets with another TOS may pass. */
		relay.soft_state_unreachable = false;
		return relay;
	case CV_ICMP_HOST_UNREACHABLE_FOR_TOS:
	case CV_ICMP_HOST_PRECEDENCE_VIOLATION:
		relay.code = CV_ICMP_HOST_UNREACHABLE;
		relay.soft_state_unreachable = false;
		return relay;
	case CV_ICMP_FRAGMENTATION_NEEDED:
		if (mtu < CV_IPV4_MTU_MIN + CV_IPIP_OVERHEAD)
			mtu = CV_IPV4_MTU_MIN + CV_IPIP_OVERHEAD;
		relay.code = CV_ICMP_FRAGMENTATION_NEEDED;
		relay.mtu = (__u16)(mtu - CV_IPIP_OVERHEAD);
		relay.soft_state_unreachable = false;
		relay.soft_state_mtu = true;
		return relay;
	default: /* port unreachable, source route failed: must not; unknown */
		return (struct cv_icmp_relay){.action = CV_ICMP_RELAY_NONE};
	}
}

/*
 * Parameter problem: RFC 2003, 4.5. Relayed if the pointer names the original packet,
 * which begins 20 bytes into the outer one, or the TOS byte where that is a copy of
 * the inner one. All else is about what the encapsulator made, and its own to mend.
 */
CV_INLINE struct cv_icmp_relay cv_icmp_relay_parameter(__u8 code, __u32 pointer, bool tos_inherit)
{
	struct cv_icmp_relay relay = {.action = CV_ICMP_RELAY_NONE};
	const __u32 tos_offset = offsetof(struct cv_ipv4_header, tos);

	if (code != CV_ICMP_POINTER_INDICATES || pointer > 255)
		return relay;
	if (pointer >= CV_IPIP_OVERHEAD)
		relay.pointer = (pointer - CV_IPIP_OVERHEAD) & 0xff;
	else if (pointer == tos_offset && tos_inherit)
		relay.pointer = (__u8)tos_offset;
	else
		return relay;
	relay.action = CV_ICMP_RELAY_SEND;
	relay.type = CV_ICMP_PARAMETER_PROBLEM;
	relay.code = CV_ICMP_POINTER_INDICATES;
	return relay;
}

/*
 * What to do with an ICMP error about an outer packet: RFC 2003, 4, code by code, and
 * which soft state it changes (5).
 *
 * info: for 3/4 the tunnel's path MTU in bytes of outer packets, as cv_icmp_path_mtu()
 * gives it, so never a router's 0; for 12 the pointer; ignored for others.
 *
 * Source quench (4.2) and redirects (4.3) are never relayed. Time exceeded becomes
 * host unreachable (4.4), whether it is a loop or a fragment that got lost; it
 * condemns the tunnel only when the TTL was the tunnel's own, as with an inherited one
 * the packet may just have been a traceroute's.
 */
CV_INLINE struct cv_icmp_relay cv_icmp_relay_rule(__u8 type, __u8 code, __u32 info,
						  const struct cv_ipip_params *params)
{
	struct cv_icmp_relay relay = {.action = CV_ICMP_RELAY_NONE};

	if (type == CV_ICMP_DEST_UNREACHABLE)
		return cv_icmp_relay_unreachable(code, info);
	if (type == CV_ICMP_PARAMETER_PROBLEM)
		return cv_icmp_relay_parameter(code, info, params->tos_inherit);
	if (type == CV_ICMP_TIME_EXCEEDED && code <= CV_ICMP_REASSEMBLY_EXCEEDED) {
		relay.action = CV_ICMP_RELAY_SEND;
		relay.type = CV_ICMP_DEST_UNREACHABLE;
		relay.code = CV_ICMP_HOST_UNREACHABLE;
		relay.soft_state_unreachable = code == CV_ICMP_TTL_EXCEEDED && params->ttl;
	}
	return relay;
}

#endif
