/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A packet as the kernel hands it over (TUN queue or packet socket: virtio_net_hdr and
 * IPv4 packet) cut into packets as they must appear on a wire: super-packets segmented,
 * checksums filled. Payload is never copied.
 */
#ifndef CV_ENGINE_SEGMENT_H
#define CV_ENGINE_SEGMENT_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/ipv4.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum {
	CV_SEGMENT_HEADER_MAX = 60 + 60
}; /* IPv4 and TCP headers with all options */

struct cv_segmenter {
	const uint8_t *packet;
	uint32_t header_length;	 /* bytes of all headers that each segment repeats */
	uint32_t payload_length; /* bytes of the packet behind them */
	uint32_t segment_size;	 /* payload bytes of the longest segment, 0: no super-packet */
	uint32_t offset;	 /* payload bytes already given */
	uint32_t count;		 /* segments already given */
	uint32_t total;		 /* segments in all */
	uint64_t ip_sum;	 /* checksum of the parts that all segments share: IPv4 */
	uint64_t transport_sum;	 /* pseudo header, TCP or UDP header */
	uint32_t sequence;	 /* TCP sequence number of the first payload byte */
	uint16_t id;		 /* IPv4 identification of the first segment */
	uint8_t l4_offset;	 /* bytes of the IPv4 header */
	uint8_t protocol;	 /* TCP or UDP, 0: not a super-packet */
};

struct cv_segment {
	uint32_t header_length; /* bytes written to the caller's buffer, from the IPv4 header on */
	const uint8_t *payload; /* the rest, a slice of the packet given to _init */
	uint32_t payload_length;
};

/*
 * Begin. packet: one IPv4 packet that cv_ipv4_parse accepted (ip), of ip->total_length
 * bytes; it must stay until the last segment was used. vnet's offsets count from the
 * IPv4 header; its hdr_len is not believed. A checksum that is still to be filled
 * (VIRTIO_NET_HDR_F_NEEDS_CSUM) in a packet that is no super-packet is filled in place;
 * a super-packet's checksums are always computed, whether or not it says NEEDS_CSUM, as
 * the kernel's own segmentation does (tcp4_gso_segment, udp4_ufo_fragment).
 *
 * Returns CV_DROP_NONE, or CV_DROP_BAD_OFFLOAD, the packet untouched, when the header
 * does not fit it: a gso_type other than TCPV4 (with or without ECN) and UDP_L4,
 * another protocol than it says, gso_size 0, a TCP or UDP header that is too short, a
 * checksum field outside of the packet or inside of the IPv4 header, a super-packet
 * whose checksum field is not TCP's or UDP's, an IPv4 fragment with any offload.
 */
enum cv_drop cv_segment_init(struct cv_segmenter *segmenter, const struct virtio_net_hdr *vnet,
			     uint8_t *packet, const struct cv_ipv4 *ip);

/* How many segments there will be in all (1 for an ordinary packet), below 65536. */
uint32_t cv_segment_total(const struct cv_segmenter *segmenter);

/*
 * The next segment: its headers are written to header (CV_SEGMENT_HEADER_MAX bytes, the
 * caller's), checksums complete; false when there is none left. Of a packet that is no
 * super-packet the header is the IPv4 header (unchanged) and the payload all the rest.
 */
bool cv_segment_next(struct cv_segmenter *segmenter, uint8_t *header,
		     struct cv_segment *ret_segment);

/* True if the vnet header is one of a super-packet. */
static inline bool cv_segment_is_super(const struct virtio_net_hdr *vnet)
{
	return vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE;
}

#endif
