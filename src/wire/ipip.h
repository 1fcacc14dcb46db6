/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * IP encapsulation within IP, RFC 2003: the outer header, and what lies behind one.
 * Parameters and their meaning are those of Linux's ipip device (ip-tunnel(8)).
 */
#ifndef CV_WIRE_IPIP_H
#define CV_WIRE_IPIP_H

#include "wire/types.h"
#include "wire/drop.h"
#include "wire/ecn.h"
#include "wire/ipv4.h"

enum {
	CV_IPIP_OVERHEAD = CV_IPV4_HEADER_MIN, /* options are never put in */
	/*
	 * Identifications: the engine counts below, the fast path from here on, so that both
	 * together repeat none soon (RFC 6864, 4.3).
	 */
	CV_IPIP_ID_HALF = 0x8000,
};

/* How a tunnel makes its outer headers. */
struct cv_ipip_params {
	__u8 ttl;      /* of the outer header; 0: the inner one's */
	__u8 tos;      /* DSCP of the outer header, unless tos_inherit; its ECN bits are ignored */
	__u8 ecn_mode; /* enum cv_ecn_mode */
	bool tos_inherit; /* DSCP from the inner header */
	bool pmtudisc;	  /* DF always; else only if the inner packet has it */
};

/* Whether Linux and iproute2 would take them: a fixed ttl demands pmtudisc. */
CV_INLINE bool cv_ipip_params_valid(const struct cv_ipip_params *params)
{
	return (params->ttl == 0 || params->pmtudisc) && params->ecn_mode <= CV_ECN_COMPATIBLE;
}

/*
 * Builds the outer header, checksum included, for an inner packet of inner_length
 * bytes, which is what follows the outer header: inner->total_length, unless the
 * caller segments afterwards.
 *
 * - TTL: the fixed one or the inner one's (RFC 2003, 3.1).
 * - TOS: DSCP inherited or fixed; the ECN field as RFC 6040, 4.1 says, whatever tos is.
 * - DF: set with pmtudisc, and always where the inner header has it (RFC 2003, 3.1).
 * - Identification: as given. With DF it means nothing and may be any value (RFC 6864,
 *   4.1), even a constant one; without DF it must not repeat within two minutes for
 *   the same two addresses (RFC 6864, 4.3), which is up to the caller. 0 is better
 *   avoided on raw sockets: Linux takes it for "choose one" there.
 * - Options of the inner header are not copied (RFC 2003, 3.1).
 *
 * Errors: INNER_TTL_ZERO (RFC 2003, 3.1: must not be encapsulated), TOO_BIG (no room
 * for 20 more bytes in an IPv4 datagram).
 */
CV_INLINE enum cv_drop cv_ipip_build_outer(struct cv_ipv4_header *ret_outer,
					   const struct cv_ipip_params *params,
					   const struct cv_ipv4 *inner, __be32 source,
					   __be32 destination, __be16 id, __u32 inner_length)
{
	__u8 dscp = (params->tos_inherit ? inner->tos : params->tos) & CV_IPV4_DSCP_MASK;
	struct cv_ipv4 outer = {
		.total_length = CV_IPIP_OVERHEAD + inner_length,
		.source = source,
		.destination = destination,
		.id = id,
		.dont_fragment = params->pmtudisc || inner->dont_fragment,
		.tos = dscp | cv_ecn_encapsulate(inner->tos, params->ecn_mode),
		.ttl = params->ttl ? params->ttl : inner->ttl,
		.protocol = CV_IPV4_PROTO_IPIP,
	};

	if (inner->ttl == 0)
		return CV_DROP_INNER_TTL_ZERO;
	if (inner_length > CV_IPV4_LENGTH_MAX - CV_IPIP_OVERHEAD)
		return CV_DROP_TOO_BIG;
	cv_ipv4_build(ret_outer, &outer);
	return CV_DROP_NONE;
}

/* The reason for an outer packet that one for a bare packet means inside it. */
CV_INLINE enum cv_drop cv_ipip_inner_reason(enum cv_drop reason)
{
	switch (reason) {
	case CV_DROP_TRUNCATED:
		return CV_DROP_INNER_TRUNCATED;
	case CV_DROP_BAD_VERSION:
		return CV_DROP_INNER_NOT_IPV4;
	case CV_DROP_BAD_HEADER_LENGTH:
		return CV_DROP_INNER_BAD_HEADER_LENGTH;
	case CV_DROP_BAD_CHECKSUM:
		return CV_DROP_INNER_BAD_CHECKSUM;
	default:
		return reason;
	}
}

/*
 * Parses and checks what lies in the tunnel: length bytes that follow an outer header.
 * The inner packet may be shorter than that; the caller trims to its total_length.
 *
 * Errors: INNER_TRUNCATED, INNER_NOT_IPV4, INNER_BAD_HEADER_LENGTH,
 * INNER_BAD_CHECKSUM, INNER_TTL_ZERO (RFC 2003, 3.1: must be discarded).
 */
CV_INLINE enum cv_drop cv_ipip_parse_inner(const void *data, __u32 length,
					   struct cv_ipv4 *ret_inner)
{
	struct cv_ipv4 inner;
	enum cv_drop drop = cv_ipv4_parse(data, length, &inner);

	if (drop)
		return cv_ipip_inner_reason(drop);
	if (!cv_ipv4_checksum_ok(data, inner.header_length))
		return CV_DROP_INNER_BAD_CHECKSUM;
	if (inner.ttl == 0)
		return CV_DROP_INNER_TTL_ZERO;
	*ret_inner = inner;
	return CV_DROP_NONE;
}

/*
 * Parses and checks a received outer packet and the inner one, which begins at
 * ret_outer->header_length. Exactly one layer (RFC 2003, 3.2). captured may exceed the
 * outer total_length.
 *
 * The caller reassembles first: a fragment is INNER_TRUNCATED here, as its inner
 * packet is not all there.
 *
 * Errors: those of cv_ipv4_parse(), BAD_CHECKSUM, INNER_NOT_IPV4 (the outer protocol
 * is not 4), those of cv_ipip_parse_inner().
 */
CV_INLINE enum cv_drop cv_ipip_parse(const void *data, __u32 captured, struct cv_ipv4 *ret_outer,
				     struct cv_ipv4 *ret_inner)
{
	struct cv_ipv4 outer;
	enum cv_drop drop = cv_ipv4_parse(data, captured, &outer);

	if (drop)
		return drop;
	if (!cv_ipv4_checksum_ok(data, outer.header_length))
		return CV_DROP_BAD_CHECKSUM;
	if (outer.protocol != CV_IPV4_PROTO_IPIP)
		return CV_DROP_INNER_NOT_IPV4;
	if (cv_ipv4_is_fragment(&outer))
		return CV_DROP_INNER_TRUNCATED;
	drop = cv_ipip_parse_inner((const __u8 *)data + outer.header_length, outer.payload_length,
				   ret_inner);
	if (drop)
		return drop;
	*ret_outer = outer;
	return CV_DROP_NONE;
}

/* ---- our own packets, as ICMP errors quote them ------------------------------------ */

enum {
	CV_IPIP_QUOTE_MIN = CV_IPIP_OVERHEAD + 8, /* RFC 792: the header and 64 bits */
};

struct cv_ipip_quote {
	struct cv_ipv4 outer;
	bool has_inner;	      /* the inner header is there, whole: the error can be relayed */
	struct cv_ipv4 inner; /* only if has_inner */
	__u32 inner_offset;   /* where the inner packet begins in the quote */
	__u32 inner_length;   /* as much as there is of it, without what follows it */
};

/*
 * Whether bytes of an inner packet, cut anywhere after the first 8, agree with the
 * total length of the outer header before it. total_length: the outer one, or 20 more
 * from routers with 4.2BSD's mistake (RFC 1191, 5).
 */
CV_INLINE bool cv_ipip_quote_agrees(const void *inner, const struct cv_ipv4 *outer)
{
	const __u8 *bytes = inner;
	__u32 header_length = (bytes[0] & 0xfU) * 4;
	__u32 total_length =
		cv_ntohs(cv_bytes_load16(bytes + offsetof(struct cv_ipv4_header, total_length)));

	if (bytes[0] >> 4 != 4 || header_length < CV_IPV4_HEADER_MIN ||
	    total_length < header_length)
		return false;
	/* A router made a fragment of it, which has 8 bytes at least (RFC 791, 3.2). */
	if (outer->more_fragments)
		return total_length > outer->payload_length && outer->payload_length >= 8;
	return total_length == outer->payload_length ||
	       total_length + CV_IPIP_OVERHEAD == outer->payload_length;
}

/*
 * Parses the datagram that an ICMP error quotes: length bytes, which may be all that
 * an old router returns, 8 bytes beyond the outer header (then !has_inner: soft state
 * can be kept, RFC 2003, 5, but there is nobody to relay the error to).
 *
 * It must look like a packet that cv_ipip_build_outer() made: protocol 4, no options,
 * not a later fragment; and where the quote has them, an inner header with a right
 * checksum and a fitting length. The outer checksum and TTL are not looked at: they
 * changed on the way. Whether the addresses are ours the caller knows.
 *
 * Errors: TRUNCATED (less than 28 bytes), BAD_VERSION, BAD_HEADER_LENGTH,
 * ICMP_NOT_OURS.
 */
CV_INLINE enum cv_drop cv_ipip_parse_quote(const void *data, __u32 length,
					   struct cv_ipip_quote *ret_quote)
{
	const __u8 *bytes = (const __u8 *)data + CV_IPIP_OVERHEAD;
	struct cv_ipip_quote quote = {.inner_offset = CV_IPIP_OVERHEAD};
	enum cv_drop drop;

	if (length < CV_IPIP_QUOTE_MIN)
		return CV_DROP_TRUNCATED;
	drop = cv_ipv4_parse_header(data, length, &quote.outer);
	if (drop)
		return drop;
	if (quote.outer.protocol != CV_IPV4_PROTO_IPIP || quote.outer.fragment_offset ||
	    quote.outer.header_length != CV_IPIP_OVERHEAD)
		return CV_DROP_ICMP_NOT_OURS;
	if (!cv_ipip_quote_agrees(bytes, &quote.outer))
		return CV_DROP_ICMP_NOT_OURS;

	quote.inner_length = length - CV_IPIP_OVERHEAD;
	if (quote.inner_length > quote.outer.payload_length)
		quote.inner_length = quote.outer.payload_length;
	drop = cv_ipv4_parse_header(bytes, quote.inner_length, &quote.inner);
	if (drop && drop != CV_DROP_TRUNCATED)
		return CV_DROP_ICMP_NOT_OURS;
	quote.has_inner = !drop;
	if (quote.has_inner) {
		if (!cv_ipv4_checksum_ok(bytes, quote.inner.header_length))
			return CV_DROP_ICMP_NOT_OURS;
		if (quote.inner_length > quote.inner.total_length)
			quote.inner_length = quote.inner.total_length;
	}
	*ret_quote = quote;
	return CV_DROP_NONE;
}

#endif
