/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine shows to those who capture: for each worker a ring of records that the
 * worker writes and the control thread reads, without locks. A full ring loses records and
 * counts them; the packet path never waits for a reader.
 *
 * While nobody captures there are no rings: lanes test a pointer, which changes only
 * while all workers stand still (engine.c).
 */
#ifndef CV_ENGINE_CAPTURE_H
#define CV_ENGINE_CAPTURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "bpf/abi.h"

enum {
	CV_CAPTURE_RING_BYTES = 4 << 20,
};

struct cv_capture_ring;

/* Takes one record and record->captured bytes of its packet; both only valid during the call. */
typedef void (*cv_capture_take)(void *context, const struct cv_fp_capture *record,
				const uint8_t *packet);

/*
 * Create a ring of bytes (a power of two) for records of at most snap bytes of a packet. wake: an
 * eventfd, the caller's, that is written when there are records for a reader who waits. NULL and
 * errno. The caller owns it: cv_capture_ring_destroy (NULL is fine).
 */
struct cv_capture_ring *cv_capture_ring_create(size_t bytes, uint32_t snap, int wake);
void cv_capture_ring_destroy(struct cv_capture_ring *ring);

/* Change snap, while nobody writes. */
void cv_capture_ring_snap(struct cv_capture_ring *ring, uint32_t snap);

/*
 * The writer: add a record about the packet in pieces. Time, length, captured and offset are filled
 * in here.
 */
void cv_capture_ring_put(struct cv_capture_ring *ring, const struct cv_fp_capture *about,
			 const struct iovec *pieces, unsigned int count);

/* The reader: will wait from now on; wake is written at the next record. Then it must look. */
void cv_capture_ring_wait(struct cv_capture_ring *ring);

/*
 * The reader: the oldest record, which its packet follows, or NULL. It stays until
 * cv_capture_ring_next.
 */
const struct cv_fp_capture *cv_capture_ring_peek(struct cv_capture_ring *ring);
void cv_capture_ring_next(struct cv_capture_ring *ring);

/* The reader: how many records found no room since the last call. */
uint64_t cv_capture_ring_lost(struct cv_capture_ring *ring);

#endif
