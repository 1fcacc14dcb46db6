/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * IPv4 (RFC 791): parse, change and make headers, know addresses, plan fragments.
 *
 * Packets are bytes without alignment and with a length that is known to be readable
 * ("captured"); nothing beyond it is touched. Lengths and offsets are in bytes.
 */
#ifndef CV_WIRE_IPV4_H
#define CV_WIRE_IPV4_H

#include "wire/types.h"
#include "wire/bytes.h"
#include "wire/checksum.h"
#include "wire/drop.h"

enum {
	CV_IPV4_HEADER_MIN = 20,
	CV_IPV4_HEADER_MAX = 60,
	CV_IPV4_LENGTH_MAX = 65535,
	CV_IPV4_MTU_MIN = 68, /* every link carries that much: RFC 791, 3.2 */
};

/* The protocol numbers that the project meets. */
enum {
	CV_IPV4_PROTO_ICMP = 1,
	CV_IPV4_PROTO_IPIP = 4,
	CV_IPV4_PROTO_TCP = 6,
	CV_IPV4_PROTO_UDP = 17,
	CV_IPV4_PROTO_IPV6 = 41,
	CV_IPV4_PROTO_GRE = 47,
	CV_IPV4_PROTO_ESP = 50,
	CV_IPV4_PROTO_SCTP = 132,
};

/* The 16 bits of flags and fragment offset, in host order. */
enum {
	CV_IPV4_RESERVED = 0x8000,
	CV_IPV4_DF = 0x4000,
	CV_IPV4_MF = 0x2000,
	CV_IPV4_OFFSET_MASK = 0x1fff, /* in units of 8 bytes */
};

/* The DSCP half of the TOS byte; the other half is ECN's (RFC 2474, RFC 3168). */
enum {
	CV_IPV4_DSCP_MASK = 0xfc,
};

struct cv_ipv4_header {
	__u8 version_ihl;
	__u8 tos;
	__be16 total_length;
	__be16 id;
	__be16 flags_offset;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};
_Static_assert(sizeof(struct cv_ipv4_header) == CV_IPV4_HEADER_MIN, "RFC 791, 3.1");

/* A parsed header; what it says has been checked against itself. */
struct cv_ipv4 {
	__u32 header_length;  /* 20..60 */
	__u32 total_length;   /* header_length..65535 */
	__u32 payload_length; /* total - header */
	__be32 source;
	__be32 destination;
	__be16 id;
	__u16 fragment_offset; /* in bytes: a multiple of 8 */
	bool dont_fragment;
	bool more_fragments;
	__u8 tos;
	__u8 ttl;
	__u8 protocol;
};

/* ---- parsing ------------------------------------------------------------------- */

/*
 * Parses a header whose datagram may be cut short, as ICMP quotes it (RFC 792):
 * header_length is within captured, total_length need not be.
 *
 * Errors: TRUNCATED (captured is less than the header), BAD_VERSION,
 * BAD_HEADER_LENGTH (IHL below 5, or beyond the total length).
 */
CV_INLINE enum cv_drop cv_ipv4_parse_header(const void *data, __u32 captured,
					    struct cv_ipv4 *ret_ip)
{
	struct cv_ipv4_header header;
	struct cv_ipv4 ip;
	__u16 flags_offset;

	if (captured < CV_IPV4_HEADER_MIN)
		return CV_DROP_TRUNCATED;
	__builtin_memcpy(&header, data, sizeof(header));
	if (header.version_ihl >> 4 != 4)
		return CV_DROP_BAD_VERSION;
	ip.header_length = (header.version_ihl & 0xfU) * 4;
	ip.total_length = cv_ntohs(header.total_length);
	if (ip.header_length < CV_IPV4_HEADER_MIN || ip.header_length > ip.total_length)
		return CV_DROP_BAD_HEADER_LENGTH;
	if (ip.header_length > captured)
		return CV_DROP_TRUNCATED;

	flags_offset = cv_ntohs(header.flags_offset);
	ip.payload_length = ip.total_length - ip.header_length;
	ip.source = header.source;
	ip.destination = header.destination;
	ip.id = header.id;
	ip.fragment_offset = (flags_offset & CV_IPV4_OFFSET_MASK) * 8U;
	ip.dont_fragment = flags_offset & CV_IPV4_DF;
	ip.more_fragments = flags_offset & CV_IPV4_MF;
	ip.tos = header.tos;
	ip.ttl = header.ttl;
	ip.protocol = header.protocol;
	*ret_ip = ip;
	return CV_DROP_NONE;
}

/*
 * Parses a whole datagram: all of total_length is within captured. Bytes after it
 * (Ethernet padding) are allowed; the caller trims. The checksum is not looked at:
 * cv_ipv4_checksum_ok().
 *
 * Errors: as cv_ipv4_parse_header(), and TRUNCATED when total_length > captured.
 */
CV_INLINE enum cv_drop cv_ipv4_parse(const void *data, __u32 captured, struct cv_ipv4 *ret_ip)
{
	struct cv_ipv4 ip;
	enum cv_drop drop = cv_ipv4_parse_header(data, captured, &ip);

	if (drop)
		return drop;
	if (ip.total_length > captured)
		return CV_DROP_TRUNCATED;
	*ret_ip = ip;
	return CV_DROP_NONE;
}

/* Whether it is a part of a datagram, the first one included. */
CV_INLINE bool cv_ipv4_is_fragment(const struct cv_ipv4 *ip)
{
	return ip->fragment_offset || ip->more_fragments;
}

/* RFC 6864, 4: neither fragmented nor to be; its identification means nothing. */
CV_INLINE bool cv_ipv4_is_atomic(const struct cv_ipv4 *ip)
{
	return ip->dont_fragment && !cv_ipv4_is_fragment(ip);
}

/* ---- the checksum, and changes that keep it right -------------------------------- */

/* Whether the checksum over the header, options included, is right. */
CV_INLINE bool cv_ipv4_checksum_ok(const void *header, __u32 header_length)
{
	return cv_checksum_fold(cv_checksum_add_words(header, header_length, 0)) == 0;
}

/* Computes the checksum afresh and stores it. */
CV_INLINE void cv_ipv4_set_checksum(void *header, __u32 header_length)
{
	__u8 *check = (__u8 *)header + offsetof(struct cv_ipv4_header, checksum);

	cv_bytes_store16(check, 0);
	cv_bytes_store16(check, cv_checksum_fold(cv_checksum_add_words(header, header_length, 0)));
}

/*
 * Replaces the 16-bit word at an even offset and updates the checksum with it
 * (RFC 1624, 3), so that a checksum that was wrong is not made right.
 */
CV_INLINE void cv_ipv4_replace16(void *header, __u32 offset, __be16 word)
{
	__u8 *at = (__u8 *)header + offset;
	__u8 *check = (__u8 *)header + offsetof(struct cv_ipv4_header, checksum);

	cv_bytes_store16(check,
			 cv_checksum_update16(cv_bytes_load16(check), cv_bytes_load16(at), word));
	cv_bytes_store16(at, word);
}

/* The same for 32 bits. */
CV_INLINE void cv_ipv4_replace32(void *header, __u32 offset, __be32 word)
{
	__u8 *at = (__u8 *)header + offset;
	__u8 *check = (__u8 *)header + offsetof(struct cv_ipv4_header, checksum);

	cv_bytes_store16(check,
			 cv_checksum_update32(cv_bytes_load16(check), cv_bytes_load32(at), word));
	cv_bytes_store32(at, word);
}

/* The whole TOS byte, DSCP and ECN. */
CV_INLINE void cv_ipv4_set_tos(void *header, __u8 tos)
{
	__u8 word[2] = {*(__u8 *)header, tos};

	cv_ipv4_replace16(header, 0, cv_bytes_load16(word));
}

CV_INLINE void cv_ipv4_set_ttl(void *header, __u8 ttl)
{
	__u32 offset = offsetof(struct cv_ipv4_header, ttl);
	__u8 word[2] = {ttl, ((__u8 *)header)[offset + 1]};

	cv_ipv4_replace16(header, offset, cv_bytes_load16(word));
}

/* Bytes, host order. */
CV_INLINE void cv_ipv4_set_total_length(void *header, __u16 total_length)
{
	cv_ipv4_replace16(header, offsetof(struct cv_ipv4_header, total_length),
			  cv_htons(total_length));
}

CV_INLINE void cv_ipv4_set_id(void *header, __be16 id)
{
	cv_ipv4_replace16(header, offsetof(struct cv_ipv4_header, id), id);
}

/* CV_IPV4_DF | CV_IPV4_MF | the offset in units of 8 bytes, host order. */
CV_INLINE void cv_ipv4_set_flags_offset(void *header, __u16 flags_offset)
{
	cv_ipv4_replace16(header, offsetof(struct cv_ipv4_header, flags_offset),
			  cv_htons(flags_offset));
}

CV_INLINE void cv_ipv4_set_source(void *header, __be32 source)
{
	cv_ipv4_replace32(header, offsetof(struct cv_ipv4_header, source), source);
}

CV_INLINE void cv_ipv4_set_destination(void *header, __be32 destination)
{
	cv_ipv4_replace32(header, offsetof(struct cv_ipv4_header, destination), destination);
}

/*
 * Makes a header of 20 bytes without options, with its checksum, from what the
 * fields of *ip say: total_length, source, destination, id, fragment_offset, the two
 * flags, tos, ttl and protocol. Both lengths of the parts are ignored.
 */
CV_INLINE void cv_ipv4_build(struct cv_ipv4_header *ret_header, const struct cv_ipv4 *ip)
{
	__u16 flags_offset = ip->fragment_offset / 8;

	if (ip->dont_fragment)
		flags_offset |= CV_IPV4_DF;
	if (ip->more_fragments)
		flags_offset |= CV_IPV4_MF;
	ret_header->version_ihl = 0x45;
	ret_header->tos = ip->tos;
	ret_header->total_length = cv_htons((__u16)ip->total_length);
	ret_header->id = ip->id;
	ret_header->flags_offset = cv_htons(flags_offset);
	ret_header->ttl = ip->ttl;
	ret_header->protocol = ip->protocol;
	ret_header->checksum = 0;
	ret_header->source = ip->source;
	ret_header->destination = ip->destination;
	cv_ipv4_set_checksum(ret_header, sizeof(*ret_header));
}

/* ---- addresses ------------------------------------------------------------------- */

/* 0.0.0.0 */
CV_INLINE bool cv_ipv4_is_unspecified(__be32 address)
{
	return address == 0;
}

/* 127.0.0.0/8 */
CV_INLINE bool cv_ipv4_is_loopback(__be32 address)
{
	return cv_ntohl(address) >> 24 == 127;
}

/* 224.0.0.0/4 */
CV_INLINE bool cv_ipv4_is_multicast(__be32 address)
{
	return cv_ntohl(address) >> 28 == 0xe;
}

/* 255.255.255.255 */
CV_INLINE bool cv_ipv4_is_limited_broadcast(__be32 address)
{
	return cv_ntohl(address) == 0xffffffff;
}

/*
 * Never the source of a packet on a wire: 0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/4 and
 * 240.0.0.0/4 with the limited broadcast address (RFC 1812, 5.3.7; RFC 1122,
 * 3.2.1.3).
 */
CV_INLINE bool cv_ipv4_is_martian_source(__be32 address)
{
	__u32 first = cv_ntohl(address) >> 24;

	return first == 0 || first == 127 || first >= 224;
}

/* ---- fragmentation ----------------------------------------------------------------
 * RFC 791, 2.3 and 3.2. A plan is made once per datagram; then every fragment is the
 * header that cv_ipv4_fragment_header() writes and a slice of the datagram's payload,
 * which nobody copies here. The datagram may be a fragment itself. The first fragment
 * has the header as it is, the others only those options that say so (RFC 791, 3.1).
 */

enum {
	CV_IPV4_OPTION_END = 0,
	CV_IPV4_OPTION_NOP = 1,
	CV_IPV4_OPTION_COPIED = 0x80, /* the flag "copied" of an option's type */
};

struct cv_ipv4_fragment_plan {
	__u32 count;		   /* fragments; 1 when the datagram fits as it is */
	__u32 header_length;	   /* of the first one, and of the datagram */
	__u32 later_header_length; /* of the others */
	__u32 payload_length;	   /* of the datagram */
	__u32 first_length;	   /* payload of the first one */
	__u32 later_length;	   /* payload of those between the first and the last */
	__u32 fragment_offset;	   /* the datagram's own, in bytes */
	bool more_fragments;	   /* the datagram's own */
};

/* One fragment: its payload lies at offset in the datagram's payload. */
struct cv_ipv4_fragment {
	__u32 header_length;
	__u32 offset;
	__u32 length;
	bool more_fragments;
};

/* The length of the option at an offset; 0 where it does not fit the header. */
CV_INLINE __u32 cv_ipv4_option_length(const __u8 *bytes, __u32 at, __u32 header_length)
{
	__u32 length;

	if (bytes[at] == CV_IPV4_OPTION_NOP)
		return 1;
	if (at + 1 >= header_length)
		return 0;
	length = bytes[at + 1];
	return length < 2 || length > header_length - at ? 0 : length;
}

/*
 * Copies the options with the flag "copied" to ret_options (up to 40 bytes, zeroed by
 * the caller; NULL: only counts). Returns their length, rounded up to a multiple of 4 as
 * headers are, or -1 where an option does not fit the header. It goes byte by byte,
 * which the verifier can follow, not option by option.
 */
CV_INLINE int cv_ipv4_copied_options(const void *packet, __u32 header_length, __u8 *ret_options)
{
	const __u8 *bytes = packet;
	__u32 next = CV_IPV4_HEADER_MIN;
	__u32 copied = 0;
	bool copying = false;
	__u32 at, length;

	for (at = CV_IPV4_HEADER_MIN; at < header_length && at < CV_IPV4_HEADER_MAX; at++) {
		CV_BYTES_COUNTER(at);
		if (at == next) {
			if (bytes[at] == CV_IPV4_OPTION_END)
				break;
			length = cv_ipv4_option_length(bytes, at, header_length);
			if (length == 0)
				return -1;
			next = at + length;
			copying = bytes[at] & CV_IPV4_OPTION_COPIED;
		}
		if (!copying)
			continue;
		if (ret_options)
			ret_options[copied] = bytes[at];
		copied++;
	}
	return (int)((copied + 3) & ~3U);
}

/*
 * Plans the fragments of a datagram for a link of mtu bytes. packet begins with the
 * header that cv_ipv4_parse() or _parse_header() made *ip of.
 *
 * Errors: TOO_BIG (larger than mtu, and DF is set); FRAGMENT_NOT_ALLOWED (larger, and
 * there is no room for a header and 8 bytes, an option is malformed, or the datagram
 * would end beyond the 65535 bytes that a datagram may have).
 *
 * In eBPF for headers without options only, which the caller must have made sure of:
 * following every option there may be takes more steps than the verifier allows.
 */
CV_INLINE enum cv_drop cv_ipv4_plan_fragments(const void *packet, const struct cv_ipv4 *ip,
					      __u32 mtu, struct cv_ipv4_fragment_plan *ret_plan)
{
	struct cv_ipv4_fragment_plan plan = {
		.count = 1,
		.header_length = ip->header_length,
		.later_header_length = ip->header_length,
		.payload_length = ip->payload_length,
		.first_length = ip->payload_length,
		.later_length = 0,
		.fragment_offset = ip->fragment_offset,
		.more_fragments = ip->more_fragments,
	};
	__u32 rest, last;
	int options;

	if (ip->total_length <= mtu) {
		*ret_plan = plan;
		return CV_DROP_NONE;
	}
	if (ip->dont_fragment)
		return CV_DROP_TOO_BIG;
	options = cv_ipv4_copied_options(packet, ip->header_length, NULL);
	if (options < 0 || mtu < ip->header_length + 8 ||
	    ip->fragment_offset + ip->payload_length > CV_IPV4_LENGTH_MAX)
		return CV_DROP_FRAGMENT_NOT_ALLOWED;

	plan.later_header_length = CV_IPV4_HEADER_MIN + (__u32)options;
	plan.first_length = (mtu - plan.header_length) & ~7U;
	last = mtu - plan.later_header_length;
	plan.later_length = last & ~7U;
	rest = plan.payload_length - plan.first_length;
	plan.count = 2;
	/* The last one need not be a multiple of 8, so it may be a little longer. */
	if (rest > last)
		plan.count += (rest - last + plan.later_length - 1) / plan.later_length;
	*ret_plan = plan;
	return CV_DROP_NONE;
}

CV_INLINE __u32 cv_ipv4_fragment_count(const struct cv_ipv4_fragment_plan *plan)
{
	return plan->count;
}

/* The k-th fragment of a plan, k below plan->count. */
CV_INLINE struct cv_ipv4_fragment cv_ipv4_fragment_get(const struct cv_ipv4_fragment_plan *plan,
						       __u32 k)
{
	struct cv_ipv4_fragment fragment = {
		.header_length = k ? plan->later_header_length : plan->header_length,
		.offset = k ? plan->first_length + (k - 1) * plan->later_length : 0,
		.length = k ? plan->later_length : plan->first_length,
		.more_fragments = true,
	};

	if (k + 1 == plan->count) {
		fragment.length = plan->payload_length - fragment.offset;
		fragment.more_fragments = plan->more_fragments;
	}
	return fragment;
}

/*
 * Writes the complete header of the k-th fragment, with its checksum, to ret_header
 * (up to 60 bytes; nothing after the header is written). packet is the one that the
 * plan was made of; its identification, TOS, TTL, protocol and addresses are kept.
 * Returns the header's length.
 */
CV_INLINE __u32 cv_ipv4_fragment_header(const void *packet,
					const struct cv_ipv4_fragment_plan *plan, __u32 k,
					void *ret_header)
{
	struct cv_ipv4_fragment fragment = cv_ipv4_fragment_get(plan, k);
	struct cv_ipv4_header header;
	__u8 *options = (__u8 *)ret_header + CV_IPV4_HEADER_MIN;
	__u16 flags_offset;

	__builtin_memcpy(&header, packet, sizeof(header));
	flags_offset = cv_ntohs(header.flags_offset) & (CV_IPV4_RESERVED | CV_IPV4_DF);
	flags_offset |= (plan->fragment_offset + fragment.offset) / 8;
	if (fragment.more_fragments)
		flags_offset |= CV_IPV4_MF;
	header.version_ihl = 0x40 | (__u8)(fragment.header_length / 4);
	header.total_length = cv_htons((__u16)(fragment.header_length + fragment.length));
	header.flags_offset = cv_htons(flags_offset);
	__builtin_memcpy(ret_header, &header, sizeof(header));
	if (k == 0) {
		cv_bytes_copy(options, (const __u8 *)packet + CV_IPV4_HEADER_MIN,
			      plan->header_length - CV_IPV4_HEADER_MIN);
	} else {
		cv_bytes_zero(options, fragment.header_length - CV_IPV4_HEADER_MIN);
		cv_ipv4_copied_options(packet, plan->header_length, options);
	}
	cv_ipv4_set_checksum(ret_header, fragment.header_length);
	return fragment.header_length;
}

#endif
