/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP segments merged again: what dev_gro_receive, inet_gro_receive and tcp_gro_receive
 * do in the kernel, which has no device here to do it on.
 *
 * A segment is held when it may be the head of a super-packet: TCP in IPv4 without
 * options and not a fragment; ACK set; no SYN, RST, URG, PSH or FIN; payload; right
 * checksums. A segment of the same flow (tag, addresses, ports) joins it when
 *   - TOS (so DSCP and ECN), TTL and the flags of the fragment field are the same;
 *   - the identification counts up by one, as it will when the super-packet is
 *     segmented, or DF is set and it stays the same (below);
 *   - sequence numbers are contiguous; acknowledgment, window, urgent pointer, reserved
 *     bits and all options are the same, byte for byte; flags too, but for PSH and FIN,
 *     which end the super-packet, and CWR, which only the head may have;
 *   - its payload is not larger than the head's; a smaller one ends the super-packet;
 *   - its checksum is right, and the result fits 65535 bytes and CV_COALESCE_PIECES.
 * Every other segment of the flow, fragments and pure acknowledgments included, first
 * pushes out what is held, so that the order in a flow is kept. UDP, ICMP and the rest
 * are no flow of these and pass by.
 *
 * What segmentation of a super-packet does not give back as it was:
 *   - the identification of packets with DF that all had the same one (0, mostly): it
 *     will count up. Such packets are atomic: RFC 6864, 4.1 lets it be anything and
 *     forbids to look at it;
 *   - a checksum that was sent as 0xffff where arithmetic gives 0: the two are the same
 *     number (RFC 1071) and verify alike.
 *
 * DATA_VALID of the vnet header is not believed: it may speak of another header of the
 * outer packet than the TCP one here. Summing 1.4 KB that the next step reads anyway is
 * cheap.
 *
 * Invariants: order[0..used-1] are the flows that hold something, oldest first, the rest
 * of order[] the free ones; there is at most one per key; the sums of a held flow
 * (bytes, next sequence number, next identification) describe its iov.
 */
#include "engine/coalesce.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/transport.h"

/* What the flags of a head must not have, and what a joining segment may have alone. */
enum {
	FLAGS_NEVER = CV_TCP_SYN | CV_TCP_RST | CV_TCP_URG,
	FLAGS_LAST = CV_TCP_PSH | CV_TCP_FIN,
	FLAGS_HEAD = CV_TCP_CWR,
};

struct flow_key {
	void *tag;
	__be32 source;
	__be32 destination;
	__be32 ports; /* both, as they lie in the header */
};

/* A super-packet under construction. */
struct flow {
	struct flow_key key;
	struct virtio_net_hdr vnet; /* the head's, as it came */
	uint8_t *head;		    /* = iov[0].iov_base */
	uint32_t header_length;	    /* IPv4 and TCP */
	uint32_t segment_size;	    /* payload bytes of the head */
	uint32_t total_length;	    /* of the super-packet so far */
	uint32_t next_sequence;
	uint16_t next_id;
	uint16_t id_step;   /* 1, or 0: constant; known from the second segment on */
	uint8_t last_flags; /* PSH and FIN of the segment that ended it */
	unsigned int count; /* of iov */
	struct iovec iov[CV_COALESCE_PIECES];
};

struct cv_coalescer {
	cv_coalesce_sink sink;
	void *context;
	void *tag;	   /* of the packet in the sink */
	unsigned int used; /* flows that hold something */
	uint8_t order[CV_COALESCE_FLOWS];
	struct flow flows[CV_COALESCE_FLOWS];
};

/* A segment that may be merged: where its parts are. */
struct segment {
	uint8_t *packet;
	const uint8_t *tcp;
	uint32_t header_length; /* IPv4 and TCP */
	uint32_t payload_length;
	uint32_t sequence;
	uint16_t id;
	uint8_t flags;
};

struct cv_coalescer *cv_coalesce_create(cv_coalesce_sink sink, void *context)
{
	struct cv_coalescer *coalescer = calloc(1, sizeof(*coalescer));
	unsigned int i;

	if (!coalescer)
		return NULL;
	coalescer->sink = sink;
	coalescer->context = context;
	for (i = 0; i < CV_COALESCE_FLOWS; i++)
		coalescer->order[i] = (uint8_t)i;
	return coalescer;
}

void cv_coalesce_destroy(struct cv_coalescer *coalescer)
{
	free(coalescer);
}

void *cv_coalesce_tag(const struct cv_coalescer *coalescer)
{
	return coalescer->tag;
}

/* ---- handing out ------------------------------------------------------------------ */

/* The head's headers become those of the whole, its checksum one for the kernel to fill. */
static void finish_super(struct flow *flow, struct virtio_net_hdr *ret_vnet)
{
	uint8_t *tcp = flow->head + CV_IPV4_HEADER_MIN;
	uint64_t pseudo =
		cv_checksum_pseudo(flow->key.source, flow->key.destination, CV_IPV4_PROTO_TCP,
				   flow->total_length - CV_IPV4_HEADER_MIN);
	struct virtio_net_hdr vnet = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)flow->header_length,
		.gso_size = (uint16_t)flow->segment_size,
		.csum_start = CV_IPV4_HEADER_MIN,
		.csum_offset = CV_TCP_CHECKSUM,
	};

	if (tcp[CV_TCP_FLAGS] & CV_TCP_CWR)
		vnet.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	tcp[CV_TCP_FLAGS] |= flow->last_flags;
	cv_ipv4_set_total_length(flow->head, (uint16_t)flow->total_length);
	cv_bytes_store16(tcp + CV_TCP_CHECKSUM, cv_checksum_fold_partial(pseudo));
	*ret_vnet = vnet;
}

/* Hands out the flow at order[at]; its place becomes the first of the free ones. */
static void push_out(struct cv_coalescer *coalescer, unsigned int at)
{
	uint8_t index = coalescer->order[at];
	struct flow *flow = &coalescer->flows[index];
	struct virtio_net_hdr vnet = flow->vnet;

	coalescer->used--;
	memmove(coalescer->order + at, coalescer->order + at + 1, coalescer->used - at);
	coalescer->order[coalescer->used] = index;
	if (flow->count > 1)
		finish_super(flow, &vnet);
	coalescer->tag = flow->key.tag;
	coalescer->sink(coalescer->context, &vnet, flow->iov, flow->count, flow->count);
}

void cv_coalesce_flush(struct cv_coalescer *coalescer)
{
	while (coalescer->used)
		push_out(coalescer, 0);
}

static void pass_through(struct cv_coalescer *coalescer, void *tag,
			 const struct virtio_net_hdr *vnet, uint8_t *packet,
			 const struct cv_ipv4 *ip)
{
	struct iovec iov = {.iov_base = packet, .iov_len = ip->total_length};

	coalescer->tag = tag;
	coalescer->sink(coalescer->context, vnet, &iov, 1, 1);
}

/* ---- what may be merged ----------------------------------------------------------- */

/* The TCP checksum is right, or the kernel vouches for the payload and fills it later. */
static bool is_checksum_right(const struct virtio_net_hdr *vnet, const uint8_t *packet,
			      const struct cv_ipv4 *ip)
{
	uint64_t sum;

	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return vnet->csum_start == CV_IPV4_HEADER_MIN &&
		       vnet->csum_offset == CV_TCP_CHECKSUM;
	sum = cv_checksum_pseudo(ip->source, ip->destination, CV_IPV4_PROTO_TCP,
				 ip->payload_length);
	return cv_checksum_fold(
		       cv_checksum_add(packet + CV_IPV4_HEADER_MIN, ip->payload_length, sum)) == 0;
}

/*
 * Whether a packet, TCP with whole ports, may be a head or join one if its checksum is
 * right; fills *ret_segment.
 */
static bool is_candidate(const struct virtio_net_hdr *vnet, uint8_t *packet,
			 const struct cv_ipv4 *ip, struct segment *ret_segment)
{
	const uint8_t *tcp = packet + CV_IPV4_HEADER_MIN;
	uint32_t tcp_length;
	uint8_t flags;

	if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE || cv_ipv4_is_fragment(ip) ||
	    ip->header_length != CV_IPV4_HEADER_MIN || ip->payload_length <= CV_TCP_HEADER_MIN)
		return false;
	tcp_length = (tcp[CV_TCP_DATA_OFFSET] >> 4) * 4U;
	if (tcp_length < CV_TCP_HEADER_MIN || tcp_length >= ip->payload_length)
		return false;
	flags = tcp[CV_TCP_FLAGS];
	if (!(flags & CV_TCP_ACK) || flags & FLAGS_NEVER)
		return false;
	ret_segment->packet = packet;
	ret_segment->tcp = tcp;
	ret_segment->header_length = CV_IPV4_HEADER_MIN + tcp_length;
	ret_segment->payload_length = ip->payload_length - tcp_length;
	ret_segment->sequence = cv_ntohl(cv_bytes_load32(tcp + CV_TCP_SEQUENCE));
	ret_segment->id = cv_ntohs(ip->id);
	ret_segment->flags = flags;
	return true;
}

static bool is_id_next(const struct flow *flow, const struct segment *segment)
{
	uint16_t flags_offset;

	if (segment->id == flow->next_id)
		return true;
	flags_offset = cv_ntohs(
		cv_bytes_load16(flow->head + offsetof(struct cv_ipv4_header, flags_offset)));
	return flow->count == 1 && flags_offset & CV_IPV4_DF &&
	       segment->id == (uint16_t)(flow->next_id - 1);
}

/* All that the headers of a super-packet's segments have in common is the same. */
static bool is_header_same(const struct flow *flow, const struct segment *segment)
{
	const uint8_t *head = flow->head;
	const uint8_t *head_tcp = head + CV_IPV4_HEADER_MIN;
	const uint8_t *packet = segment->packet;
	const uint8_t *tcp = segment->tcp;
	/* flags_offset, TTL and protocol are neighbours; the addresses are in the key. */
	const size_t at = offsetof(struct cv_ipv4_header, flags_offset);
	const uint8_t varying = FLAGS_LAST | FLAGS_HEAD;

	return segment->header_length == flow->header_length &&
	       packet[offsetof(struct cv_ipv4_header, tos)] ==
		       head[offsetof(struct cv_ipv4_header, tos)] &&
	       memcmp(packet + at, head + at, 4) == 0 &&
	       memcmp(tcp + CV_TCP_ACKNOWLEDGMENT, head_tcp + CV_TCP_ACKNOWLEDGMENT, 5) == 0 &&
	       ((tcp[CV_TCP_FLAGS] ^ head_tcp[CV_TCP_FLAGS]) & ~varying) == 0 &&
	       memcmp(tcp + CV_TCP_WINDOW, head_tcp + CV_TCP_WINDOW, 2) == 0 &&
	       memcmp(tcp + CV_TCP_URGENT, head_tcp + CV_TCP_URGENT,
		      segment->header_length - CV_IPV4_HEADER_MIN - CV_TCP_URGENT) == 0;
}

static bool may_join(const struct flow *flow, const struct segment *segment)
{
	return segment->sequence == flow->next_sequence && !(segment->flags & FLAGS_HEAD) &&
	       segment->payload_length <= flow->segment_size &&
	       flow->total_length + segment->payload_length <= CV_COALESCE_BYTES_MAX &&
	       is_id_next(flow, segment) && is_header_same(flow, segment);
}

/* ---- merging ---------------------------------------------------------------------- */

static bool is_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return a->ports == b->ports && a->source == b->source && a->tag == b->tag &&
	       a->destination == b->destination;
}

/* The place in order[] of the flow that holds something of this key, or used. */
static unsigned int find(const struct cv_coalescer *coalescer, const struct flow_key *key)
{
	unsigned int at;

	for (at = 0; at < coalescer->used; at++)
		if (is_key_equal(&coalescer->flows[coalescer->order[at]].key, key))
			break;
	return at;
}

static void hold(struct cv_coalescer *coalescer, const struct flow_key *key,
		 const struct virtio_net_hdr *vnet, const struct segment *segment)
{
	struct flow *flow;

	if (coalescer->used == CV_COALESCE_FLOWS)
		push_out(coalescer, 0);
	flow = &coalescer->flows[coalescer->order[coalescer->used++]];
	flow->key = *key;
	flow->vnet = *vnet;
	flow->head = segment->packet;
	flow->header_length = segment->header_length;
	flow->segment_size = segment->payload_length;
	flow->total_length = segment->header_length + segment->payload_length;
	flow->next_sequence = segment->sequence + segment->payload_length;
	flow->next_id = (uint16_t)(segment->id + 1);
	flow->id_step = 1;
	flow->last_flags = 0;
	flow->iov[0].iov_base = segment->packet;
	flow->iov[0].iov_len = flow->total_length;
	flow->count = 1;
}

/* Returns whether the super-packet is complete: nothing more may join it. */
static bool join(struct flow *flow, const struct segment *segment)
{
	struct iovec *piece = &flow->iov[flow->count++];

	if (segment->id != flow->next_id)
		flow->id_step = 0;
	flow->next_id = (uint16_t)(segment->id + flow->id_step);
	piece->iov_base = segment->packet + segment->header_length;
	piece->iov_len = segment->payload_length;
	flow->total_length += segment->payload_length;
	flow->next_sequence += segment->payload_length;
	flow->last_flags = segment->flags & FLAGS_LAST;
	return flow->last_flags || segment->payload_length < flow->segment_size ||
	       flow->count == CV_COALESCE_PIECES;
}

/* A fragment that carries no ports may be of any flow between its addresses. */
static void push_out_addresses(struct cv_coalescer *coalescer, const struct flow_key *key)
{
	unsigned int at = 0;

	while (at < coalescer->used) {
		const struct flow_key *held = &coalescer->flows[coalescer->order[at]].key;

		if (held->tag == key->tag && held->source == key->source &&
		    held->destination == key->destination)
			push_out(coalescer, at);
		else
			at++;
	}
}

/* TCP with its ports: joins what is held, or pushes it out and is held or passed on. */
static void add_tcp(struct cv_coalescer *coalescer, const struct flow_key *key,
		    const struct virtio_net_hdr *vnet, uint8_t *packet, const struct cv_ipv4 *ip)
{
	unsigned int at = find(coalescer, key);
	bool is_held = at < coalescer->used;
	struct flow *flow = is_held ? &coalescer->flows[coalescer->order[at]] : NULL;
	struct segment segment;
	bool is_fit = is_candidate(vnet, packet, ip, &segment);

	/* The checksum comes last: it costs more than all the rest. */
	if (is_fit && is_held && may_join(flow, &segment) && is_checksum_right(vnet, packet, ip)) {
		if (join(flow, &segment))
			push_out(coalescer, at);
		return;
	}
	if (is_held)
		push_out(coalescer, at);
	if (is_fit && !(segment.flags & FLAGS_LAST) && is_checksum_right(vnet, packet, ip))
		hold(coalescer, key, vnet, &segment);
	else
		pass_through(coalescer, key->tag, vnet, packet, ip);
}

void cv_coalesce_add(struct cv_coalescer *coalescer, void *tag, const struct virtio_net_hdr *vnet,
		     uint8_t *packet, const struct cv_ipv4 *ip)
{
	struct flow_key key = {
		.tag = tag,
		.source = ip->source,
		.destination = ip->destination,
	};

	if (ip->protocol != CV_IPV4_PROTO_TCP) {
		pass_through(coalescer, tag, vnet, packet, ip);
		return;
	}
	if (ip->fragment_offset || ip->payload_length < sizeof(key.ports)) {
		push_out_addresses(coalescer, &key);
		pass_through(coalescer, tag, vnet, packet, ip);
		return;
	}
	key.ports = cv_bytes_load32(packet + ip->header_length + CV_TCP_PORTS);
	add_tcp(coalescer, &key, vnet, packet, ip);
}
