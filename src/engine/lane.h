/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane: everything that one packet passes by on its way through one worker. Encapsulation,
 * decapsulation and ICMP relay are functions over a lane; what they touch of the world is behind
 * the lane's router source, tx output and the three outputs below, so that tests and fuzzers
 * run them without a kernel.
 */
#ifndef CV_ENGINE_LANE_H
#define CV_ENGINE_LANE_H

#include "engine/capture.h"
#include "engine/coalesce.h"
#include "engine/limit.h"
#include "engine/prober.h"
#include "engine/reassembly.h"
#include "engine/router.h"
#include "engine/teach.h"
#include "engine/tx.h"

enum {
	CV_LANE_PACKET_MAX = 65535 + 64, /* a super-packet and its link-layer header */
	CV_LANE_ID_SLOTS = 256,
};

/* What the lanes of one engine share. */
struct cv_lane_shared {
	struct cv_live *live;
	struct cv_remotes *remotes;
	struct cv_limit *limit;
	struct cv_reassembly *reassembly;
	const struct cv_teacher *teacher;   /* whom to tell of answers; NULL: nobody */
	struct cv_prober *prober;	    /* or NULL */
	uint64_t pmtu_lifetime_ms;	    /* of learned path MTUs */
	uint16_t next_id[CV_LANE_ID_SLOTS]; /* outer identifications, by destination; atomic */
	struct cv_fp_activity activity[CV_FP_ACTIVITY_SLOTS]; /* as the fast path's; atomic */
};

struct cv_lane_output {
	void *context;
	/* Give an inner packet to the tunnel's device: 0 or -errno. */
	int (*deliver)(void *context, struct cv_live_tunnel *tunnel,
		       const struct virtio_net_hdr *vnet, const struct iovec *iov,
		       unsigned int count);
	/* Send an ICMP message to an inner sender: 0 or -errno. */
	int (*icmp)(void *context, __be32 destination, const void *icmp, uint32_t length);
};

/* The packet that a lane works on, kept only for who captures. */
struct cv_lane_hand {
	const uint8_t *packet; /* NULL: none */
	uint32_t length;
	uint16_t gso_size;
	uint8_t hook; /* enum cv_fp_hook */
};

struct cv_lane {
	struct cv_lane_shared *shared;
	unsigned int worker;
	uint64_t now_ms;
	struct cv_router *router;
	struct cv_tx *tx;
	struct cv_coalescer *coalescer;
	struct cv_lane_output output;
	uint64_t repeats_since_ms; /* answers of the router's cache that were told: as below */
	uint32_t repeats;
	uint64_t refusals_since_ms; /* refusals told to the teacher: counted from here */
	unsigned int refusals;
	struct cv_counters engine_counters; /* what belongs to no tunnel */
	uint8_t *scratch;		    /* CV_LANE_PACKET_MAX bytes */
	uint8_t *reassembled;		    /* CV_REASSEMBLY_BYTES bytes */
	struct cv_capture_ring *capture;    /* NULL: nobody captures */
	struct cv_lane_hand hand;
};

/*
 * Create a lane. It owns source (also on failure) and closes it; shared and the contexts
 * stay the caller's. NULL and errno.
 */
struct cv_lane *cv_lane_create(struct cv_lane_shared *shared, unsigned int worker,
			       const struct cv_router_source *source, const struct cv_tx_output *tx,
			       const struct cv_lane_output *output);
void cv_lane_destroy(struct cv_lane *lane);

/* Between batches: show what becomes of packets in ring (the caller's), or (NULL) no longer. */
void cv_lane_capture(struct cv_lane *lane, struct cv_capture_ring *ring);

/* Begin a batch at now_ms (a monotonic clock): take notice of routing changes. */
void cv_lane_begin(struct cv_lane *lane, uint64_t now_ms);

/* End a batch: nothing of the caller's packet buffers is used any more. */
void cv_lane_end(struct cv_lane *lane);

/* Send what is waiting on the way out; its buffers are free then. */
void cv_lane_flush_out(struct cv_lane *lane);

/*
 * For who captures: take a packet in hand, which stays where it is until its verdict (NULL: none);
 * show the verdict on it, if there is one. Out of line: nobody does, as a rule.
 */
void cv_lane_take(struct cv_lane *lane, enum cv_fp_hook hook, const struct virtio_net_hdr *vnet,
		  const uint8_t *packet, uint32_t length) __attribute__((cold));
void cv_lane_show(struct cv_lane *lane, const struct cv_live_tunnel *tunnel,
		  enum cv_fp_verdict verdict, enum cv_drop reason) __attribute__((cold));

/* All that a packet costs while nobody captures. */
static inline bool cv_lane_is_captured(const struct cv_lane *lane)
{
	return __builtin_expect(lane->capture != NULL, 0);
}

/* Count a drop: of this tunnel, or of none (NULL). */
static inline void cv_lane_drop(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
				enum cv_drop reason)
{
	struct cv_counters *counters =
		tunnel ? &tunnel->lanes[lane->worker].counters : &lane->engine_counters;

	counters->drops[reason]++;
	if (cv_lane_is_captured(lane))
		cv_lane_show(lane, tunnel, CV_FP_VERDICT_DROPPED, reason);
}

/* Count events: of this tunnel, or of none (NULL). */
static inline void cv_lane_count(struct cv_lane *lane, struct cv_live_tunnel *tunnel,
				 enum cv_event event, uint64_t n)
{
	struct cv_counters *counters =
		tunnel ? &tunnel->lanes[lane->worker].counters : &lane->engine_counters;

	counters->events[event] += n;
}

/*
 * Send an ICMP error about an inner packet to its source: at most length bytes of packet are
 * quoted. Rate-limited, and only where RFC 1122, 3.2.2 allows it. True if it was sent.
 */
bool cv_lane_answer(struct cv_lane *lane, struct cv_live_tunnel *tunnel, const struct cv_ipv4 *ip,
		    const uint8_t *packet, uint32_t length, uint8_t type, uint8_t code,
		    uint32_t rest);

#endif
