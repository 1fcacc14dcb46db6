/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch of outer packets on their way out: gathered from headers and slices, sent by
 * one sendmmsg on a raw socket, so that routing, neighbours and netfilter are the kernel's.
 */
#ifndef CV_ENGINE_TX_H
#define CV_ENGINE_TX_H

#include "engine/capture.h"
#include "engine/live.h"
#include "engine/router.h"
#include "engine/segment.h"
#include "wire/ipip.h"

enum {
	CV_TX_BATCH = 128,
	CV_TX_PIECES = 3, /* outer header, inner headers, payload */
};

struct cv_tx;
struct mmsghdr;

/*
 * How a batch leaves: messages (struct mmsghdr) of the batch, from first on; as sendmmsg:
 * the number sent, or -errno of the first. The worker's is sendmmsg itself.
 */
struct cv_tx_output {
	void *context;
	int (*send)(void *context, struct mmsghdr *messages, unsigned int count);
};

/* Create; NULL and errno. counters' owner: each packet's tunnel (worker's share). */
struct cv_tx *cv_tx_create(const struct cv_tx_output *output, unsigned int worker);
void cv_tx_destroy(struct cv_tx *tx);

/* With an empty batch: show what becomes of packets in ring, or (NULL) no longer. */
void cv_tx_capture(struct cv_tx *tx, struct cv_capture_ring *ring);

/* True if one more packet finds no room: cv_tx_flush first. */
bool cv_tx_is_full(const struct cv_tx *tx);

/* The buffer for the inner headers of the next packet (CV_SEGMENT_HEADER_MAX bytes). */
uint8_t *cv_tx_header(struct cv_tx *tx);

/*
 * Add the next packet: outer header, then inner_headers (from cv_tx_header, of that length), then
 * payload, which must stay where it is until cv_tx_flush. Room must have been made.
 */
void cv_tx_add(struct cv_tx *tx, struct cv_live_tunnel *tunnel, const struct cv_way_out *way,
	       const struct cv_ipv4_header *outer, uint32_t header_length, const uint8_t *payload,
	       uint32_t payload_length);

/*
 * Send all. Returns true if the kernel said of any packet that it is too big for
 * its path (EMSGSIZE): what the router remembers is out of date.
 */
bool cv_tx_flush(struct cv_tx *tx);

#endif
