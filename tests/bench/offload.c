/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build/tests/bench/offload [SECONDS]: how fast the engine cuts super-packets into
 * segments and merges segments into super-packets, on one core, without any system call:
 * what the work on bytes costs by itself. 64 KB TCP super-packets, 1448-byte segments,
 * timestamps, four flows by turns in bursts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/coalesce.h"
#include "engine/segment.h"

enum {
	HEADERS = 20 + 32,
	SEGMENT = 1448,
	SEGMENTS = 45,
	FLOWS = 4,
	SLOT = 2048,
	ROUNDS = 256, /* between two looks at the clock */
};

struct result {
	double seconds;
	uint64_t segments, bytes;
};

static uint8_t super[65536];
static uint8_t slots[FLOWS * SEGMENTS * SLOT]; /* as a receive ring would hold them */
static struct cv_ipv4 parsed[FLOWS * SEGMENTS];
static uint64_t sunk;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static const struct virtio_net_hdr tso = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	.gso_size = SEGMENT,
	.csum_start = 20,
	.csum_offset = 16,
};

static void make_super(uint8_t flow)
{
	uint32_t i;

	for (i = 0; i < sizeof(super); i++)
		super[i] = (uint8_t)(i * 31 + i / 256);
	memset(super, 0, HEADERS);
	super[0] = 0x45;
	put16(super + 2, HEADERS + SEGMENTS * SEGMENT);
	super[6] = 0x40;
	super[8] = 64;
	super[9] = CV_IPV4_PROTO_TCP;
	super[15] = super[19] = 1;
	super[21] = flow;
	super[32] = 0x80;
	super[33] = 0x10;
	cv_ipv4_set_checksum(super, 20);
}

/* What the segmenter makes is what the coalescer gets. */
static void make_slots(void)
{
	uint8_t flow;

	for (flow = 0; flow < FLOWS; flow++) {
		uint8_t *slot = slots + (size_t)flow * SEGMENTS * SLOT;
		struct cv_ipv4 *ip = parsed + (size_t)flow * SEGMENTS;
		struct cv_segmenter segmenter;
		struct cv_segment segment;

		make_super(flow);
		cv_ipv4_parse(super, sizeof(super), ip);
		cv_segment_init(&segmenter, &tso, super, ip);
		for (; cv_segment_next(&segmenter, slot, &segment); slot += SLOT, ip++) {
			memcpy(slot + segment.header_length, segment.payload,
			       segment.payload_length);
			cv_ipv4_parse(slot, SLOT, ip);
		}
	}
}

static struct result run_segment(double seconds)
{
	struct result result = {0};
	double begin = now();
	struct cv_ipv4 ip;

	cv_ipv4_parse(super, sizeof(super), &ip);
	do {
		int round;

		for (round = 0; round < ROUNDS; round++) {
			struct cv_segmenter segmenter;
			struct cv_segment segment;
			uint8_t header[CV_SEGMENT_HEADER_MAX];

			cv_segment_init(&segmenter, &tso, super, &ip);
			while (cv_segment_next(&segmenter, header, &segment)) {
				sunk += header[HEADERS - 1] + segment.payload_length;
				result.segments++;
				result.bytes += segment.payload_length;
			}
		}
		result.seconds = now() - begin;
	} while (result.seconds < seconds);
	return result;
}

static void sink(void *context, const struct virtio_net_hdr *vnet, const struct iovec *iov,
		 unsigned int count, unsigned int packets)
{
	struct result *result = context;
	unsigned int i;

	for (i = 0; i < count; i++)
		result->bytes += iov[i].iov_len;
	sunk += vnet->gso_size;
	result->segments += packets;
}

/* Merging writes to the first header of each flow, so the headers come from a copy. */
static struct result run_coalesce(double seconds)
{
	static const struct virtio_net_hdr none;
	struct result result = {0};
	struct cv_coalescer *coalescer = cv_coalesce_create(sink, &result);
	uint8_t heads[FLOWS][HEADERS];
	double begin = now();
	size_t i;

	if (!coalescer)
		exit(1);
	for (i = 0; i < FLOWS; i++)
		memcpy(heads[i], slots + i * SEGMENTS * SLOT, HEADERS);
	do {
		int round;

		for (round = 0; round < ROUNDS / FLOWS; round++) {
			for (i = 0; i < FLOWS; i++)
				memcpy(slots + i * SEGMENTS * SLOT, heads[i], HEADERS);
			for (i = 0; i < (size_t)FLOWS * SEGMENTS; i++)
				cv_coalesce_add(coalescer, NULL, &none, slots + i * SLOT,
						&parsed[i]);
			cv_coalesce_flush(coalescer);
		}
		result.seconds = now() - begin;
	} while (result.seconds < seconds);
	cv_coalesce_destroy(coalescer);
	return result;
}

static void print(const char *name, struct result result)
{
	printf("%-10s %7.2f GB/s %7.1f ns/segment\n", name,
	       (double)result.bytes / result.seconds / 1e9,
	       result.seconds * 1e9 / (double)result.segments);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;

	make_slots();
	print("segment", run_segment(seconds));
	print("coalesce", run_coalesce(seconds));
	return sunk == 0;
}
