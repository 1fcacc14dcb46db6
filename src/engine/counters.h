/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tunnel counts: packets and bytes each way, every drop by its reason
 * (wire/drop.h), and events that are worth knowing but drop nothing.
 *
 * Each worker counts for itself, without locks; a reader adds the workers up.
 * Bytes are inner bytes, as `ip -s link` counts a tunnel's.
 */
#ifndef CV_ENGINE_COUNTERS_H
#define CV_ENGINE_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "wire/drop.h"

/* clang-format off */
#define CV_EVENTS(X)                                                                             \
	X(ECN_UNUSED, "ecn-unused", "outer ECT(0) on inner ECT(1): nobody should send this (RFC 6040, \"!\")") \
	X(ECN_DANGEROUS, "ecn-dangerous", "an ECN combination that hints at interference (RFC 6040, \"!!!\")") \
	X(FRAGMENTED, "fragmented", "inner packets without DF, fragmented before encapsulation") \
	X(REASSEMBLED, "reassembled", "outer datagrams put together from fragments by the engine") \
	X(SEGMENTED, "segmented", "super-packets cut into segments on the way out")              \
	X(COALESCED, "coalesced", "TCP segments merged into a super-packet on the way in")       \
	X(ICMP_TOO_BIG_SENT, "icmp-too-big-sent", "inner senders told the tunnel's MTU (ICMP 3/4)") \
	X(ICMP_RELAYED, "icmp-relayed", "outer ICMP errors relayed to the inner sender (RFC 2003, 4)") \
	X(ICMP_ABSORBED, "icmp-absorbed", "outer ICMP errors kept: RFC 2003 forbids to relay them") \
	X(ICMP_SOFT_STATE, "icmp-soft-state", "outer ICMP errors too short to relay, kept as soft state") \
	X(PMTU_LOWERED, "pmtu-lowered", "times an outer ICMP 3/4 lowered the path MTU of a remote") \
	X(MSS_CLAMPED, "mss-clamped", "TCP SYNs whose maximum segment size was lowered to what fits the tunnel") \
	X(ICMP_PMTU_LIMITED, "icmp-pmtu-limited", "outer ICMP 3/4 not acted on: too many for one path, or it has lied") \
	X(ICMP_PMTU_TINY, "icmp-pmtu-tiny", "outer ICMP 3/4 not acted on: an MTU below 596")     \
	X(PMTU_REFUTED, "pmtu-refuted", "times probes showed that an outer ICMP 3/4 was false")  \
	X(BLACK_HOLE, "black-hole", "times probes found that a path takes less, without any ICMP") \
	X(PROBE_REFUSED, "probe-refused", "answers to probes that nobody sent, or from somebody else") \
	X(HANDED_OVER, "handed-over", "outer packets that arrived through the TUN device")
/* clang-format on */

enum cv_event {
#define CV_EVENT_ENUM(id, name, text) CV_EVENT_##id,
	CV_EVENTS(CV_EVENT_ENUM)
#undef CV_EVENT_ENUM
	CV_EVENT_MAX
};

struct cv_counters {
	uint64_t rx_packets; /* decapsulated and delivered */
	uint64_t rx_bytes;   /* inner bytes of them */
	uint64_t tx_packets; /* encapsulated and sent: outer packets */
	uint64_t tx_bytes;   /* inner bytes of them */
	uint64_t events[CV_EVENT_MAX];
	uint64_t drops[CV_DROP_MAX]; /* [CV_DROP_NONE] stays 0 */
};

/* What a tunnel counts of one declared peer (engine/owners.h): as above, where that is counted. */
struct cv_peer_counters {
	__be32 address;	 /* outer */
	bool is_partial; /* the fast path has no room for more peers: what it carries is missing */
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
};

/* The peer's in a list that is sorted by address as a number (ntohl); NULL. */
struct cv_peer_counters *cv_peer_counters_find(struct cv_peer_counters *list, size_t count,
					       __be32 address);

/* Name of an event, as in `show -s` ("icmp-relayed"); "unknown" when out of range. */
const char *cv_event_name(enum cv_event event);

/* One line that explains an event to people; "unknown event" when out of range. */
const char *cv_event_text(enum cv_event event);

/* Add every counter of from to sum. */
void cv_counters_add(struct cv_counters *sum, const struct cv_counters *from);

#endif
