/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the segmenter. Input: a virtio_net_hdr (10 bytes), then a packet. Demanded:
 * what is refused stays untouched; a super-packet gives, byte for byte, the segments of
 * the naive segmenter of the unit test; an ordinary packet is as it was but for the two
 * bytes of a checksum that was to be filled, which then is right.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/segment.h"
#include "../unit/segment_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_super(struct cv_segmenter *segmenter, const struct virtio_net_hdr *vnet,
			const uint8_t *packet, uint32_t length)
{
	static uint8_t expected[65536];
	struct cv_segment segment;
	uint8_t header[CV_SEGMENT_HEADER_MAX];
	uint32_t expected_length;
	uint32_t count = 0;

	while ((expected_length =
			oracle_segment(packet, length, vnet->gso_size, count, expected))) {
		demand(cv_segment_next(segmenter, header, &segment));
		demand(segment.header_length + segment.payload_length == expected_length);
		demand(memcmp(header, expected, segment.header_length) == 0);
		demand(memcmp(segment.payload, expected + segment.header_length,
			      segment.payload_length) == 0);
		count++;
	}
	demand(!cv_segment_next(segmenter, header, &segment));
	demand(cv_segment_total(segmenter) == count);
}

static void check_ordinary(struct cv_segmenter *segmenter, const struct virtio_net_hdr *vnet,
			   const uint8_t *packet, const uint8_t *before, uint32_t length)
{
	uint32_t field = (uint32_t)vnet->csum_start + vnet->csum_offset;
	struct cv_segment segment;
	uint8_t header[CV_SEGMENT_HEADER_MAX];
	uint16_t sum;

	demand(cv_segment_total(segmenter) == 1);
	demand(cv_segment_next(segmenter, header, &segment));
	demand(segment.header_length == oracle_ip_length(packet));
	demand(segment.header_length + segment.payload_length == length);
	demand(segment.payload == packet + segment.header_length);
	demand(memcmp(header, before, segment.header_length) == 0);
	demand(!cv_segment_next(segmenter, header, &segment));
	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		demand(memcmp(packet, before, length) == 0);
		return;
	}
	demand(memcmp(packet, before, field) == 0);
	demand(memcmp(packet + field + 2, before + field + 2, length - field - 2) == 0);
	sum = (uint16_t)~oracle_quick_sum(before + vnet->csum_start, length - vnet->csum_start, 0);
	if (!sum && vnet->csum_offset == 6)
		sum = 0xffff;
	demand(oracle_get16(packet + field) == sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr vnet;
	struct cv_segmenter segmenter;
	struct cv_ipv4 ip;
	uint8_t *packet;
	enum cv_drop drop;

	if (size < sizeof(vnet) || size > 70000)
		return 0;
	memcpy(&vnet, data, sizeof(vnet));
	data += sizeof(vnet);
	size -= sizeof(vnet);
	if (cv_ipv4_parse(data, (uint32_t)size, &ip) != CV_DROP_NONE)
		return 0;
	packet = malloc(ip.total_length);
	memcpy(packet, data, ip.total_length);
	drop = cv_segment_init(&segmenter, &vnet, packet, &ip);
	demand(drop == CV_DROP_NONE || drop == CV_DROP_BAD_OFFLOAD);
	if (drop)
		demand(memcmp(packet, data, ip.total_length) == 0);
	else if (cv_segment_is_super(&vnet))
		check_super(&segmenter, &vnet, packet, ip.total_length);
	else
		check_ordinary(&segmenter, &vnet, packet, data, ip.total_length);
	free(packet);
	return 0;
}
