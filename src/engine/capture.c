/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of capture records for one writer and one reader.
 *
 * head and tail only grow; what lies between them is the reader's. A record is contiguous: the
 * struct, then its packet, padded to 8 bytes. Where one does not fit before the ring's end, the
 * rest is skipped: by a struct with hook 0, or, where there is no room for that, because both ends
 * know that a struct never begins there.
 */
#define _GNU_SOURCE
#include "engine/capture.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include "wire/ipv4.h"

enum {
	ALIGNMENT = 8,
	HEADER = sizeof(struct cv_fp_capture),
};

/* A cache line for each end; what both only read is in the writer's. */
struct cv_capture_ring {
	uint64_t head __attribute__((aligned(64))); /* the writer's */
	uint8_t *bytes;
	uint64_t size;
	uint64_t lost;
	int wake;
	uint32_t snap;
	bool told; /* the reader was, and has not looked yet: both write this one */
	uint64_t tail __attribute__((aligned(64))); /* the reader's */
};

struct cv_capture_ring *cv_capture_ring_create(size_t bytes, uint32_t snap, int wake)
{
	struct cv_capture_ring *ring = aligned_alloc(64, sizeof(*ring));
	void *map;

	if (!ring)
		return NULL;
	memset(ring, 0, sizeof(*ring));
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		free(ring);
		errno = ENOMEM;
		return NULL;
	}
	ring->bytes = map;
	ring->size = bytes;
	ring->snap = snap;
	ring->wake = wake;
	return ring;
}

void cv_capture_ring_destroy(struct cv_capture_ring *ring)
{
	if (!ring)
		return;
	munmap(ring->bytes, ring->size);
	free(ring);
}

void cv_capture_ring_snap(struct cv_capture_ring *ring, uint32_t snap)
{
	ring->snap = snap;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t record_size(uint32_t captured)
{
	return (HEADER + (uint64_t)captured + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

/* Bytes from a position to the ring's end. */
static uint64_t room_to_end(const struct cv_capture_ring *ring, uint64_t position)
{
	return ring->size - (position & (ring->size - 1));
}

static uint8_t *at(const struct cv_capture_ring *ring, uint64_t position)
{
	return ring->bytes + (position & (ring->size - 1));
}

/* Where a record of size bytes may begin, or false: there is no room. */
static bool find_room(struct cv_capture_ring *ring, uint64_t size, uint64_t *ret_position)
{
	uint64_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	uint64_t end = room_to_end(ring, ring->head);
	uint64_t skipped = size > end ? end : 0;

	if (ring->head + skipped + size - tail > ring->size)
		return false;
	if (skipped >= HEADER)
		memset(at(ring, ring->head), 0, HEADER);
	*ret_position = ring->head + skipped;
	return true;
}

/* Of frames, only the packet: Ethernet pads short ones. */
static uint32_t packet_length(const struct iovec *pieces, unsigned int count)
{
	struct cv_ipv4_header ip;
	size_t length = 0;
	uint32_t total;

	for (unsigned int i = 0; i < count; i++)
		length += pieces[i].iov_len;
	if (pieces[0].iov_len < sizeof(ip))
		return (uint32_t)length;
	memcpy(&ip, pieces[0].iov_base, sizeof(ip));
	total = cv_ntohs(ip.total_length);
	if (ip.version_ihl >> 4 != 4 || total < sizeof(ip) || total > length)
		return (uint32_t)length;
	return total;
}

static void copy_packet(uint8_t *to, uint32_t left, const struct iovec *pieces, unsigned int count)
{
	for (unsigned int i = 0; i < count && left; i++) {
		size_t part = pieces[i].iov_len < left ? pieces[i].iov_len : left;

		memcpy(to, pieces[i].iov_base, part);
		to += part;
		left -= (uint32_t)part;
	}
}

void cv_capture_ring_put(struct cv_capture_ring *ring, const struct cv_fp_capture *about,
			 const struct iovec *pieces, unsigned int count)
{
	struct cv_fp_capture record = *about;
	uint64_t position = 0, size;

	record.time_ns = now_ns();
	record.length = packet_length(pieces, count);
	record.captured = record.length < ring->snap ? record.length : ring->snap;
	record.offset = 0;
	size = record_size(record.captured);
	if (!find_room(ring, size, &position)) {
		__atomic_fetch_add(&ring->lost, 1, __ATOMIC_RELAXED);
	} else {
		memcpy(at(ring, position), &record, HEADER);
		copy_packet(at(ring, position) + HEADER, record.captured, pieces, count);
		__atomic_store_n(&ring->head, position + size, __ATOMIC_RELEASE);
	}
	/* The exchange also keeps the record before the question, as the reader does the reverse.
	 */
	if (!__atomic_exchange_n(&ring->told, true, __ATOMIC_SEQ_CST))
		eventfd_write(ring->wake, 1);
}

void cv_capture_ring_wait(struct cv_capture_ring *ring)
{
	(void)__atomic_exchange_n(&ring->told, false, __ATOMIC_SEQ_CST);
}

const struct cv_fp_capture *cv_capture_ring_peek(struct cv_capture_ring *ring)
{
	uint64_t head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);

	while (ring->tail != head) {
		uint64_t end = room_to_end(ring, ring->tail);
		const struct cv_fp_capture *record = (const void *)at(ring, ring->tail);

		if (end >= HEADER && record->hook)
			return record;
		__atomic_store_n(&ring->tail, ring->tail + end, __ATOMIC_RELEASE);
	}
	return NULL;
}

void cv_capture_ring_next(struct cv_capture_ring *ring)
{
	const struct cv_fp_capture *record = cv_capture_ring_peek(ring);

	if (record)
		__atomic_store_n(&ring->tail, ring->tail + record_size(record->captured),
				 __ATOMIC_RELEASE);
}

uint64_t cv_capture_ring_lost(struct cv_capture_ring *ring)
{
	return __atomic_exchange_n(&ring->lost, 0, __ATOMIC_RELAXED);
}
