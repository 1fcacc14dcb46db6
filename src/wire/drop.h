/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Why a packet was dropped. One enum for the engine, the eBPF programs, the
 * counters, the capture and the documentation: a name for programs (kebab case,
 * never changed once released) and one line for people.
 *
 * New reasons go to the end, before the closing line: the numbers are part of the
 * map layout that eBPF and user space share.
 */
#ifndef CV_WIRE_DROP_H
#define CV_WIRE_DROP_H

#include "wire/types.h"

/* clang-format off */
#define CV_DROP_REASONS(X)                                                                       \
	X(NONE, "none", "not dropped")                                                           \
	/* the outer or the inner IPv4 header itself */                                          \
	X(TRUNCATED, "truncated", "shorter than its IPv4 header or total length says")           \
	X(BAD_VERSION, "bad-version", "the IP version is not 4")                                 \
	X(BAD_HEADER_LENGTH, "bad-header-length", "IHL below 5 or beyond the total length")      \
	X(BAD_CHECKSUM, "bad-checksum", "the IPv4 header checksum is wrong")                     \
	X(INNER_TRUNCATED, "inner-truncated", "the inner packet is shorter than it says")        \
	X(INNER_NOT_IPV4, "inner-not-ipv4", "the tunnel carries IPv4, the inner packet is not")  \
	X(INNER_BAD_HEADER_LENGTH, "inner-bad-header-length",                                    \
	  "the inner IHL is below 5 or beyond its total length")                                 \
	X(INNER_BAD_CHECKSUM, "inner-bad-checksum", "the inner IPv4 header checksum is wrong")   \
	X(INNER_TTL_ZERO, "inner-ttl-zero", "the inner TTL is 0 (RFC 2003, 3.1)")                \
	X(ECN_CE_NOT_ECT, "ecn-ce-on-not-ect",                                                   \
	  "outer CE on an inner packet without ECN (RFC 6040, 4.2)")                             \
	/* nothing from strangers */                                                             \
	X(NO_TUNNEL, "no-tunnel", "no tunnel has these outer addresses")                         \
	X(NOT_A_PEER, "not-a-peer",                                                              \
	  "the outer source is no next hop of a route through the device, nor (pools) a node")   \
	X(SOURCE_NOT_ROUTED_BACK, "source-not-routed-back",                                      \
	  "the outer source is no next hop back to the inner source here, nor (pools) its node") \
	X(SOURCE_ROUTE_REFUSES, "source-route-refuses",                                          \
	  "the route back to the inner source is local, blackhole, unreachable or missing")      \
	X(SOURCE_OWN, "inner-source-own", "the inner source is an address of this host")         \
	X(SOURCE_MARTIAN, "inner-source-martian",                                                \
	  "the inner source is loopback, multicast, broadcast or unspecified")                   \
	/* on the way out */                                                                     \
	X(RECURSION, "recursion", "an IP-in-IP packet from our own outer address (RFC 2003, 3.2)") \
	X(UNDERLAY_LOOP, "underlay-loop", "the outer packet would be routed into a tunnel of ours") \
	X(SOURCE_IS_REMOTE, "source-is-remote",                                                  \
	  "the inner source is the tunnel's remote end (RFC 2003, 3.2)")                         \
	X(NO_NEXT_HOP, "no-next-hop", "the kernel has no usable route for the inner destination") \
	X(NO_OUTER_ROUTE, "no-outer-route", "no route to the remote, or our outer address is gone") \
	X(TOO_BIG, "too-big", "DF is set and the path MTU is smaller; answered by ICMP 3/4")     \
	X(REMOTE_UNREACHABLE, "remote-unreachable",                                              \
	  "the path to the remote was reported broken a moment ago; answered by ICMP 3")         \
	X(SEND_FAILED, "send-failed", "the kernel refused the outer packet")                     \
	X(SEND_QUEUE_FULL, "send-queue-full", "the underlay's queue or the socket buffer is full") \
	X(DEVICE_DOWN, "device-down", "the tunnel device is down")                               \
	X(DEVICE_WRITE_FAILED, "device-write-failed", "the kernel refused the inner packet")     \
	X(BAD_OFFLOAD, "bad-offload", "the offload header does not fit the packet")              \
	/* reassembly, receiving, ICMP */                                                        \
	X(FRAGMENT_OVERLAP, "fragment-overlap", "outer fragments overlap or disagree (RFC 5722)") \
	X(FRAGMENT_TIMEOUT, "fragment-timeout", "outer fragments stayed incomplete too long")    \
	X(FRAGMENT_LIMIT, "fragment-limit", "too many outer datagrams in reassembly")            \
	X(RECEIVE_OVERFLOW, "receive-overflow", "the kernel's receive buffer was full")          \
	X(ICMP_NOT_OURS, "icmp-not-ours", "an ICMP error that quotes a packet we cannot have sent") \
	X(ICMP_RATE_LIMIT, "icmp-rate-limit", "an ICMP message of ours held back by the rate limit") \
	X(FRAGMENT_NOT_ALLOWED, "cannot-fragment",                                               \
	  "too big for the path and impossible to fragment")                                     \
	X(FRAGMENT_INVALID, "fragment-invalid",                                                  \
	  "an outer fragment without payload, of odd size, or ending beyond 65535 bytes")           \
	X(OUTER_SOURCE_REFUSED, "outer-source-refused",                                           \
	  "the outer source is a martian, our own, or refused by the host's rp_filter")           \
	X(ENGINE_ABSENT, "engine-absent",                                                         \
	  "the packet needs the engine, and culvertd does not run")
/* clang-format on */

enum cv_drop {
#define CV_DROP_ENUM(id, name, text) CV_DROP_##id,
	CV_DROP_REASONS(CV_DROP_ENUM)
#undef CV_DROP_ENUM
	CV_DROP_MAX
};

#ifndef __bpf__
/* Name of a reason, as in counters ("too-big"); "unknown" when out of range. */
CV_INLINE const char *cv_drop_name(enum cv_drop reason)
{
	static const char *const names[] = {
#define CV_DROP_NAME(id, name, text) [CV_DROP_##id] = (name),
		CV_DROP_REASONS(CV_DROP_NAME)
#undef CV_DROP_NAME
	};

	return (unsigned int)reason < CV_DROP_MAX ? names[reason] : "unknown";
}

/* One line that explains a reason to people; "unknown reason" when out of range. */
CV_INLINE const char *cv_drop_text(enum cv_drop reason)
{
	static const char *const texts[] = {
#define CV_DROP_TEXT(id, name, text) [CV_DROP_##id] = (text),
		CV_DROP_REASONS(CV_DROP_TEXT)
#undef CV_DROP_TEXT
	};

	return (unsigned int)reason < CV_DROP_MAX ? texts[reason] : "unknown reason";
}
#endif

#endif
