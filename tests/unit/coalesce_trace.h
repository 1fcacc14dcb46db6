/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes into a coalescer and what comes out, and whether the one may become the
 * other: for the unit test and the fuzzer.
 *
 * The rule: every packet that went in comes out once. One that comes out alone is as it
 * was, vnet header and all. A super-packet, cut by the oracle, gives the packets of one
 * flow that went in, one behind the other. Packets of a flow keep their order; a packet
 * without ports (a later fragment) keeps its order to all of the same addresses.
 */
#ifndef CV_TEST_COALESCE_TRACE_H
#define CV_TEST_COALESCE_TRACE_H

#include "engine/coalesce.h"
#include "segment_oracle.h"

enum {
	TRACE_MAX = 1024
};

struct trace_packet {
	void *tag;
	struct virtio_net_hdr vnet;
	uint8_t *bytes; /* a copy, of exactly length bytes */
	uint8_t *given; /* what the coalescer has, for packets that go in */
	uint32_t length;
	uint32_t packets; /* that it is made of, for those that come out */
	bool is_matched;
};

struct trace {
	struct cv_coalescer *coalescer;
	const char *error; /* the first one, NULL: none */
	unsigned int in_count, out_count;
	struct trace_packet in[TRACE_MAX], out[TRACE_MAX];
};

static inline void trace_fail(struct trace *trace, const char *error)
{
	if (!trace->error)
		trace->error = error;
}

static inline void trace_sink(void *context, const struct virtio_net_hdr *vnet,
			      const struct iovec *iov, unsigned int count, unsigned int packets)
{
	struct trace *trace = context;
	struct trace_packet *out = &trace->out[trace->out_count++];
	uint32_t length = 0;

	if (count != packets || count > CV_COALESCE_PIECES)
		trace_fail(trace, "sink: count");
	for (unsigned int i = 0; i < count; i++)
		length += (uint32_t)iov[i].iov_len;
	out->tag = cv_coalesce_tag(trace->coalescer);
	out->vnet = *vnet;
	out->bytes = malloc(length);
	out->length = length;
	out->packets = packets;
	length = 0;
	for (unsigned int i = 0; i < count; i++) {
		memcpy(out->bytes + length, iov[i].iov_base, iov[i].iov_len);
		length += (uint32_t)iov[i].iov_len;
	}
}

/* Gives a packet, unless it is one that the coalescer's caller must not give. */
static inline void trace_add(struct trace *trace, void *tag, const struct virtio_net_hdr *vnet,
			     const uint8_t *bytes, uint32_t captured)
{
	struct trace_packet *in = &trace->in[trace->in_count];
	struct cv_ipv4 ip;

	if (trace->in_count == TRACE_MAX || cv_ipv4_parse(bytes, captured, &ip) != CV_DROP_NONE ||
	    !cv_ipv4_checksum_ok(bytes, ip.header_length))
		return;
	trace->in_count++;
	in->tag = tag;
	in->vnet = *vnet;
	in->length = ip.total_length;
	in->bytes = malloc(in->length);
	in->given = malloc(in->length);
	memcpy(in->bytes, bytes, in->length);
	memcpy(in->given, bytes, in->length);
	cv_coalesce_add(trace->coalescer, tag, vnet, in->given, &ip);
}

/* ---- the rule ----------------------------------------------------------------------- */

/* Whether a packet shows its ports (any four bytes, for what has none in truth). */
static inline bool trace_has_ports(const struct trace_packet *packet)
{
	uint32_t ip_length = oracle_ip_length(packet->bytes);

	return packet->length >= ip_length + 4 && !(oracle_get16(packet->bytes + 6) & 0x1fff);
}

static inline bool trace_same_addresses(const struct trace_packet *a, const struct trace_packet *b)
{
	return a->tag == b->tag && a->bytes[9] == b->bytes[9] &&
	       memcmp(a->bytes + 12, b->bytes + 12, 8) == 0;
}

static inline bool trace_same_ports(const struct trace_packet *a, const struct trace_packet *b)
{
	bool has_ports = trace_has_ports(a);

	if (has_ports != trace_has_ports(b))
		return false;
	return !has_ports || memcmp(a->bytes + oracle_ip_length(a->bytes),
				    b->bytes + oracle_ip_length(b->bytes), 4) == 0;
}

static inline bool trace_must_keep_order(const struct trace_packet *a, const struct trace_packet *b)
{
	if (!trace_same_addresses(a, b))
		return false;
	return !trace_has_ports(a) || !trace_has_ports(b) || trace_same_ports(a, b);
}

/* The next packet of out's flow that went in and has not come out yet. */
static inline struct trace_packet *trace_next(struct trace *trace, const struct trace_packet *out)
{
	for (unsigned int i = 0; i < trace->in_count; i++) {
		struct trace_packet *in = &trace->in[i];

		if (in->is_matched || !trace_must_keep_order(in, out))
			continue;
		if (!trace_same_ports(in, out))
			trace_fail(trace, "order to a packet without ports");
		in->is_matched = true;
		return in;
	}
	trace_fail(trace, "a packet that nobody gave");
	return NULL;
}

static inline void trace_check_alone(struct trace *trace, const struct trace_packet *out)
{
	const struct trace_packet *in = trace_next(trace, out);

	if (!in)
		return;
	if (in->length != out->length || memcmp(in->bytes, out->bytes, in->length) != 0)
		trace_fail(trace, "a lone packet was changed, or order in a flow");
	if (memcmp(&in->vnet, &out->vnet, sizeof(in->vnet)) != 0)
		trace_fail(trace, "the vnet header of a lone packet was changed");
}

/* The headers that the kernel will read. */
static inline void trace_check_super(struct trace *trace, const struct trace_packet *out)
{
	const struct virtio_net_hdr *vnet = &out->vnet;
	uint32_t headers = 20 + (out->bytes[32] >> 4) * 4U;
	uint8_t type = VIRTIO_NET_HDR_GSO_TCPV4;
	uint16_t check = oracle_get16(out->bytes + 36);

	if (out->bytes[33] & ORACLE_CWR)
		type |= VIRTIO_NET_HDR_GSO_ECN;
	if (vnet->flags != VIRTIO_NET_HDR_F_NEEDS_CSUM || vnet->gso_type != type)
		trace_fail(trace, "super: flags or type");
	if (vnet->hdr_len != headers || vnet->csum_start != 20 || vnet->csum_offset != 16)
		trace_fail(trace, "super: offsets");
	if (out->length > 65535 || oracle_get16(out->bytes + 2) != out->length)
		trace_fail(trace, "super: length");
	if (!vnet->gso_size ||
	    (out->length - headers + vnet->gso_size - 1) / vnet->gso_size != out->packets)
		trace_fail(trace, "super: gso_size");
	if (oracle_quick_sum(out->bytes, 20, 0) != 0xffff)
		trace_fail(trace, "super: IPv4 checksum");
	if (check != oracle_pseudo_sum(out->bytes, out->length))
		trace_fail(trace, "super: TCP checksum field");
}

/*
 * Cuts a super-packet; constant_id: its packets had DF and all the same identification,
 * which is the one thing that is lost.
 */
static inline void trace_check_pieces(struct trace *trace, const struct trace_packet *out,
				      struct trace_packet *const *pieces, bool constant_id)
{
	uint8_t *cut = malloc(out->length);

	for (uint32_t i = 0; i < out->packets; i++) {
		uint32_t length =
			oracle_segment(out->bytes, out->length, out->vnet.gso_size, i, cut);

		if (constant_id && length) {
			oracle_put16(cut + 4, oracle_get16(out->bytes + 4));
			oracle_seal(cut, 20);
		}
		if (pieces[i]->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			oracle_seal_transport(pieces[i]->bytes, pieces[i]->length);
		if (length != pieces[i]->length || memcmp(cut, pieces[i]->bytes, length) != 0)
			trace_fail(trace, "a super-packet is not what went in");
	}
	free(cut);
}

static inline void trace_check_merged(struct trace *trace, const struct trace_packet *out)
{
	struct trace_packet *pieces[CV_COALESCE_PIECES];
	bool constant_id = oracle_get16(out->bytes + 6) & ORACLE_DF;

	trace_check_super(trace, out);
	for (uint32_t i = 0; i < out->packets && !trace->error; i++) {
		pieces[i] = trace_next(trace, out);
		if (!pieces[i])
			return;
		if (pieces[i]->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE)
			trace_fail(trace, "a super-packet was merged");
		if (oracle_get16(pieces[i]->bytes + 4) != oracle_get16(out->bytes + 4))
			constant_id = false;
	}
	if (!trace->error)
		trace_check_pieces(trace, out, pieces, constant_id);
}

/* ---- a whole trace ------------------------------------------------------------------ */

static inline void trace_begin(struct trace *trace)
{
	memset(trace, 0, offsetof(struct trace, in));
	trace->coalescer = cv_coalesce_create(trace_sink, trace);
}

/* Judges what came out so far. */
static inline void trace_check(struct trace *trace)
{
	for (unsigned int i = 0; i < trace->out_count && !trace->error; i++) {
		struct trace_packet *out = &trace->out[i];

		if (out->is_matched)
			continue;
		out->is_matched = true;
		if (out->packets > 1)
			trace_check_merged(trace, out);
		else
			trace_check_alone(trace, out);
	}
}

/* Flushes, judges and forgets. Returns what is wrong, NULL: nothing. */
static inline const char *trace_end(struct trace *trace)
{
	cv_coalesce_flush(trace->coalescer);
	trace_check(trace);
	for (unsigned int i = 0; i < trace->in_count; i++)
		if (!trace->in[i].is_matched)
			trace_fail(trace, "a packet was lost");
	for (unsigned int i = 0; i < trace->in_count; i++) {
		free(trace->in[i].bytes);
		free(trace->in[i].given);
	}
	for (unsigned int i = 0; i < trace->out_count; i++)
		free(trace->out[i].bytes);
	memset(trace->in, 0, sizeof(trace->in[0]) * trace->in_count);
	memset(trace->out, 0, sizeof(trace->out[0]) * trace->out_count);
	cv_coalesce_destroy(trace->coalescer);
	return trace->error;
}

#endif
