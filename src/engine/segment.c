/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation of what the kernel leaves to an offload: TCP over IPv4 (TSO), UDP over
 * IPv4 (USO), and checksums (CHECKSUM_PARTIAL).
 *
 * What differs between the segments of a super-packet, as in the kernel's
 * inet_gso_segment, tcp_gso_segment and __udp_gso_segment:
 *   IPv4  total length; identification, which counts up by one; checksum
 *   TCP   sequence number; CWR in the first one only (RFC 3168, 6.1.2); FIN and PSH in
 *         the last one only; checksum
 *   UDP   length; checksum, of which 0 is sent as 0xffff (RFC 768)
 * Everything else, options included, is repeated as it is.
 *
 * Invariants: the packet's bytes stay as they are (but for the one checksum of an
 * ordinary packet); the payloads of all segments, one behind the other, are the payload
 * of the packet; the packet's own sequence number, lengths and checksums beyond those
 * that cv_ipv4_parse checked are read, never relied on for bounds.
 *
 * The sums over what all segments share are made once, so that a segment costs one
 * pass over its payload.
 */
#include "engine/segment.h"

#include <string.h>

#include "engine/transport.h"

static const uint16_t MANGLED_ZERO = 0xffff; /* RFC 768: 0 would say "no checksum" */

/* The sum of a header's 16-bit words but for those listed in skip (even offsets). */
static uint64_t sum_without(const uint8_t *header, uint32_t length, const uint8_t *skip,
			    size_t skips)
{
	uint8_t copy[CV_TCP_HEADER_MAX];
	size_t i;

	memcpy(copy, header, length);
	for (i = 0; i < skips; i++)
		memset(copy + skip[i], 0, 2);
	return cv_checksum_add(copy, length, 0);
}

static uint64_t sum_ip(const uint8_t *packet, uint32_t header_length)
{
	static const uint8_t skip[] = {
		offsetof(struct cv_ipv4_header, total_length),
		offsetof(struct cv_ipv4_header, id),
		offsetof(struct cv_ipv4_header, checksum),
	};

	return sum_without(packet, header_length, skip, sizeof(skip));
}

static uint64_t sum_tcp(const uint8_t *tcp, uint32_t header_length)
{
	static const uint8_t skip[] = {
		CV_TCP_SEQUENCE,
		CV_TCP_SEQUENCE + 2,
		CV_TCP_DATA_OFFSET, /* and the flags beside it */
		CV_TCP_CHECKSUM,
	};

	return sum_without(tcp, header_length, skip, sizeof(skip));
}

static uint64_t sum_udp(const uint8_t *udp)
{
	static const uint8_t skip[] = {CV_UDP_LENGTH, CV_UDP_CHECKSUM};

	return sum_without(udp, CV_UDP_HEADER, skip, sizeof(skip));
}

/* CHECKSUM_PARTIAL: the field holds the pseudo header's sum, all from start on is added. */
static enum cv_drop fill_checksum(const struct virtio_net_hdr *vnet, uint8_t *packet,
				  const struct cv_ipv4 *ip)
{
	uint32_t start = vnet->csum_start;
	uint32_t field = start + vnet->csum_offset;
	__be16 check;

	if (cv_ipv4_is_fragment(ip) || start < ip->header_length ||
	    field + sizeof(check) > ip->total_length)
		return CV_DROP_BAD_OFFLOAD;
	check = cv_checksum_fold(cv_checksum_add(packet + start, ip->total_length - start, 0));
	if (!check && vnet->csum_offset == CV_UDP_CHECKSUM)
		check = (CV_FORCE __be16)MANGLED_ZERO;
	cv_bytes_store16(packet + field, check);
	return CV_DROP_NONE;
}

/* Bytes of the TCP or UDP header of a super-packet, 0 where it cannot be one. */
static uint32_t super_transport_length(const struct virtio_net_hdr *vnet, const uint8_t *packet,
				       const struct cv_ipv4 *ip)
{
	uint8_t type = vnet->gso_type;
	uint32_t length;

	if (type == VIRTIO_NET_HDR_GSO_UDP_L4 && ip->protocol == CV_IPV4_PROTO_UDP)
		return ip->payload_length < CV_UDP_HEADER ? 0 : CV_UDP_HEADER;
	if ((type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_TCPV4 ||
	    ip->protocol != CV_IPV4_PROTO_TCP || ip->payload_length < CV_TCP_HEADER_MIN)
		return 0;
	length = (packet[ip->header_length + CV_TCP_DATA_OFFSET] >> 4) * 4U;
	return length < CV_TCP_HEADER_MIN || length > ip->payload_length ? 0 : length;
}

/* If the kernel says where the checksum goes, it must mean the one that is filled here. */
static bool is_checksum_field(const struct virtio_net_hdr *vnet, const struct cv_ipv4 *ip)
{
	uint32_t field =
		ip->protocol == CV_IPV4_PROTO_TCP ? CV_TCP_CHECKSUM + 0U : CV_UDP_CHECKSUM + 0U;

	if (!(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return true;
	return vnet->csum_start == ip->header_length && vnet->csum_offset == field;
}

static enum cv_drop init_super(struct cv_segmenter *segmenter, const struct virtio_net_hdr *vnet,
			       const struct cv_ipv4 *ip)
{
	const uint8_t *packet = segmenter->packet;
	const uint8_t *transport = packet + ip->header_length;
	uint32_t length = super_transport_length(vnet, packet, ip);

	if (!length || !vnet->gso_size || cv_ipv4_is_fragment(ip) || !is_checksum_field(vnet, ip))
		return CV_DROP_BAD_OFFLOAD;
	segmenter->header_length += length;
	segmenter->payload_length -= length;
	segmenter->segment_size = vnet->gso_size;
	segmenter->protocol = ip->protocol;
	segmenter->id = cv_ntohs(ip->id);
	segmenter->ip_sum = sum_ip(packet, ip->header_length);
	if (ip->protocol == CV_IPV4_PROTO_TCP) {
		segmenter->sequence = cv_ntohl(cv_bytes_load32(transport + CV_TCP_SEQUENCE));
		segmenter->transport_sum = sum_tcp(transport, length);
	} else {
		segmenter->transport_sum = sum_udp(transport);
	}
	segmenter->transport_sum = cv_checksum_combine(
		segmenter->transport_sum,
		cv_checksum_pseudo(ip->source, ip->destination, ip->protocol, 0));
	if (segmenter->payload_length > segmenter->segment_size)
		segmenter->total = (segmenter->payload_length + segmenter->segment_size - 1) /
				   segmenter->segment_size;
	else if (segmenter->payload_length)
		segmenter->segment_size = segmenter->payload_length;
	return CV_DROP_NONE;
}

enum cv_drop cv_segment_init(struct cv_segmenter *segmenter, const struct virtio_net_hdr *vnet,
			     uint8_t *packet, const struct cv_ipv4 *ip)
{
	struct cv_segmenter ordinary = {
		.packet = packet,
		.header_length = ip->header_length,
		.payload_length = ip->payload_length,
		.total = 1,
		.l4_offset = (uint8_t)ip->header_length,
	};

	*segmenter = ordinary;
	if (cv_segment_is_super(vnet))
		return init_super(segmenter, vnet, ip);
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return fill_checksum(vnet, packet, ip);
	return CV_DROP_NONE;
}

uint32_t cv_segment_total(const struct cv_segmenter *segmenter)
{
	return segmenter->total;
}

static void write_ip(const struct cv_segmenter *segmenter, uint8_t *header, uint32_t length)
{
	__be16 total_length = cv_htons((uint16_t)length);
	__be16 id = cv_htons((uint16_t)(segmenter->id + segmenter->count));
	uint64_t sum = segmenter->ip_sum;

	sum = cv_checksum_combine(sum, (CV_FORCE __u16)total_length);
	sum = cv_checksum_combine(sum, (CV_FORCE __u16)id);
	cv_bytes_store16(header + offsetof(struct cv_ipv4_header, total_length), total_length);
	cv_bytes_store16(header + offsetof(struct cv_ipv4_header, id), id);
	cv_bytes_store16(header + offsetof(struct cv_ipv4_header, checksum), cv_checksum_fold(sum));
}

/* sum: the shared one with the payload and the transport length. */
static void write_tcp(const struct cv_segmenter *segmenter, uint8_t *tcp, uint64_t sum)
{
	__be32 sequence = cv_htonl(segmenter->sequence + segmenter->offset);

	if (segmenter->count)
		tcp[CV_TCP_FLAGS] &= 0xff & ~CV_TCP_CWR;
	if (segmenter->count + 1 < segmenter->total)
		tcp[CV_TCP_FLAGS] &= 0xff & ~(CV_TCP_FIN | CV_TCP_PSH);
	cv_bytes_store32(tcp + CV_TCP_SEQUENCE, sequence);
	sum = cv_checksum_combine(sum, (CV_FORCE __u32)sequence);
	sum = cv_checksum_combine(sum, (CV_FORCE __u16)cv_bytes_load16(tcp + CV_TCP_DATA_OFFSET));
	cv_bytes_store16(tcp + CV_TCP_CHECKSUM, cv_checksum_fold(sum));
}

static void write_udp(uint8_t *udp, uint32_t length, uint64_t sum)
{
	__be16 udp_length = cv_htons((uint16_t)length);
	__be16 check;

	sum = cv_checksum_combine(sum, (CV_FORCE __u16)udp_length);
	check = cv_checksum_fold(sum);
	if (!check)
		check = (CV_FORCE __be16)MANGLED_ZERO;
	cv_bytes_store16(udp + CV_UDP_LENGTH, udp_length);
	cv_bytes_store16(udp + CV_UDP_CHECKSUM, check);
}

static void write_super(const struct cv_segmenter *segmenter, uint8_t *header,
			const struct cv_segment *segment)
{
	uint8_t *transport = header + segmenter->l4_offset;
	uint32_t length = segment->header_length + segment->payload_length;
	uint32_t transport_length = length - segmenter->l4_offset;
	uint64_t sum = segmenter->transport_sum;

	/* The header's length is even, so the payload begins at an even offset of the sum. */
	sum = cv_checksum_add(segment->payload, segment->payload_length, sum);
	sum = cv_checksum_combine(sum, (CV_FORCE __u32)cv_htonl(transport_length));
	write_ip(segmenter, header, length);
	if (segmenter->protocol == CV_IPV4_PROTO_TCP)
		write_tcp(segmenter, transport, sum);
	else
		write_udp(transport, transport_length, sum);
}

bool cv_segment_next(struct cv_segmenter *segmenter, uint8_t *header,
		     struct cv_segment *ret_segment)
{
	struct cv_segment segment = {
		.header_length = segmenter->header_length,
		.payload = segmenter->packet + segmenter->header_length + segmenter->offset,
		.payload_length = segmenter->payload_length - segmenter->offset,
	};

	if (segmenter->count == segmenter->total)
		return false;
	if (segmenter->segment_size && segment.payload_length > segmenter->segment_size)
		segment.payload_length = segmenter->segment_size;
	memcpy(header, segmenter->packet, segment.header_length);
	if (segmenter->protocol)
		write_super(segmenter, header, &segment);
	segmenter->offset += segment.payload_length;
	segmenter->count++;
	*ret_segment = segment;
	return true;
}
