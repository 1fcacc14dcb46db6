/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reassembly of outer IPv4 datagrams (RFC 791, 3.2; overlaps refused as RFC 5722 does for
 * IPv6). Used only for outer packets handed over through the TUN: packet sockets deliver
 * whole ones. Bounded in datagrams, bytes and time; one lock, safe from several threads.
 */
#ifndef CV_ENGINE_REASSEMBLY_H
#define CV_ENGINE_REASSEMBLY_H

#include <stdint.h>

#include "wire/ipv4.h"

enum {
	CV_REASSEMBLY_DATAGRAMS = 64,
	CV_REASSEMBLY_TIMEOUT_MS = 15000, /* RFC 1122 asks for 60 s; why less: reassembly.c */
	CV_REASSEMBLY_BYTES = 65535,
};

struct cv_reassembly;

/*
 * All memory is allocated here: CV_REASSEMBLY_DATAGRAMS times 64 KB, of which the kernel
 * gives pages as fragments come. NULL and errno. The caller owns it: _destroy (NULL is fine).
 */
struct cv_reassembly *cv_reassembly_create(void);
void cv_reassembly_destroy(struct cv_reassembly *reassembly);

enum cv_reassembly_result {
	CV_REASSEMBLY_WAIT,	/* kept, more fragments are needed */
	CV_REASSEMBLY_COMPLETE, /* the whole datagram was written to the caller's buffer */
	CV_REASSEMBLY_DROP,	/* *ret_reason says why; the other fragments kept are gone too */
};

/* Incomplete datagrams that were given up. */
struct cv_reassembly_lost {
	uint32_t expired; /* their time ran out: CV_DROP_FRAGMENT_TIMEOUT */
	uint32_t evicted; /* pushed out by newer ones: CV_DROP_FRAGMENT_LIMIT */
};

/*
 * Give one fragment (parsed: ip, its header checksum verified by the caller, of
 * ip->total_length bytes). now_ms: a monotonic clock.
 *
 * On COMPLETE the datagram, header (that of the first fragment, with total length, offset,
 * ECN and checksum of the whole) and payload, stands in buffer (CV_REASSEMBLY_BYTES bytes)
 * and its length in *ret_length. On DROP *ret_reason is
 *   CV_DROP_FRAGMENT_OVERLAP  fragments overlap (but for an exact copy, which is ignored),
 *			       disagree about the end, or mix CE with Not-ECT (RFC 3168, 5.3)
 *   CV_DROP_FRAGMENT_INVALID  no payload, not a multiple of 8 bytes although more follow,
 *			       or an end beyond the 65535 bytes of a datagram
 * *lost is increased by the incomplete datagrams that were given up, whatever the result.
 * Nothing else is written.
 */
enum cv_reassembly_result cv_reassembly_add(struct cv_reassembly *reassembly, const uint8_t *packet,
					    const struct cv_ipv4 *ip, uint64_t now_ms,
					    uint8_t *buffer, uint32_t *ret_length,
					    enum cv_drop *ret_reason,
					    struct cv_reassembly_lost *lost);

#endif
