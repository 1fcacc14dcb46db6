/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Oracles for segmenting and coalescing, for the unit tests and the fuzzers: whole
 * packets built and cut one byte field after the other, every checksum computed anew
 * over all of it. Nothing here calls what it is to judge.
 */
#ifndef CV_TEST_SEGMENT_ORACLE_H
#define CV_TEST_SEGMENT_ORACLE_H

#include "wire_oracle.h"

enum {
	ORACLE_TCP = 6,
	ORACLE_UDP = 17,
	ORACLE_DF = 0x4000,
	ORACLE_MF = 0x2000,
	ORACLE_FIN = 0x01,
	ORACLE_SYN = 0x02,
	ORACLE_RST = 0x04,
	ORACLE_PSH = 0x08,
	ORACLE_ACK = 0x10,
	ORACLE_URG = 0x20,
	ORACLE_ECE = 0x40,
	ORACLE_CWR = 0x80,
};

/* A TCP segment or UDP datagram in IPv4; ip.payload_length is that of the user's data. */
struct oracle_packet {
	struct oracle_ip ip;
	uint16_t source_port, destination_port;
	uint32_t sequence, acknowledgment;
	uint8_t reserved; /* the low half of byte 12 */
	uint8_t flags;
	uint16_t window, urgent;
	uint8_t options[40];
	uint8_t options_length; /* a multiple of 4 */
	const uint8_t *data;
};

static inline uint32_t oracle_get32(const uint8_t *at)
{
	return (uint32_t)oracle_get16(at) << 16 | oracle_get16(at + 2);
}

/* As oracle_sum, in plain arithmetic: for packets of 64 KB by the thousand. */
static inline uint16_t oracle_quick_sum(const uint8_t *bytes, size_t length, uint32_t sum)
{
	for (size_t i = 0; i < length; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return (uint16_t)sum;
}

static inline uint32_t oracle_ip_length(const uint8_t *packet)
{
	return (packet[0] & 15U) * 4;
}

/* The pseudo header's sum: RFC 9293, 3.1; RFC 768. */
static inline uint16_t oracle_pseudo_sum(const uint8_t *packet, uint32_t length)
{
	uint8_t pseudo[12] = {0};

	memcpy(pseudo, packet + 12, 8);
	pseudo[9] = packet[9];
	oracle_put16(pseudo + 10, length - oracle_ip_length(packet));
	return oracle_quick_sum(pseudo, sizeof(pseudo), 0);
}

static inline uint32_t oracle_check_offset(const uint8_t *packet)
{
	return oracle_ip_length(packet) + (packet[9] == ORACLE_TCP ? 16 : 6);
}

/* Fills the TCP or UDP checksum over the whole packet; UDP's 0 becomes 0xffff. */
static inline void oracle_seal_transport(uint8_t *packet, uint32_t length)
{
	uint32_t ip_length = oracle_ip_length(packet);
	uint8_t *field = packet + oracle_check_offset(packet);
	uint16_t check;

	oracle_put16(field, 0);
	check = (uint16_t)~oracle_quick_sum(packet + ip_length, length - ip_length,
					    oracle_pseudo_sum(packet, length));
	if (!check && packet[9] == ORACLE_UDP)
		check = 0xffff;
	oracle_put16(field, check);
}

/* What a kernel puts there when it leaves the rest to an offload. */
static inline void oracle_seal_partial(uint8_t *packet, uint32_t length)
{
	oracle_put16(packet + oracle_check_offset(packet), oracle_pseudo_sum(packet, length));
}

/* Writes the packet with all checksums; returns its length. */
static inline uint32_t oracle_write(uint8_t *to, const struct oracle_packet *spec)
{
	struct oracle_ip ip = spec->ip;
	uint32_t data_length = ip.payload_length;
	uint32_t transport = ip.protocol == ORACLE_TCP ? 20U + spec->options_length : 8U;
	uint32_t at;
	uint8_t *l4;

	ip.payload_length += transport;
	at = oracle_header(to, &ip);
	l4 = to + at;
	memset(l4, 0, transport);
	oracle_put16(l4, spec->source_port);
	oracle_put16(l4 + 2, spec->destination_port);
	if (ip.protocol == ORACLE_TCP) {
		oracle_put32(l4 + 4, spec->sequence);
		oracle_put32(l4 + 8, spec->acknowledgment);
		l4[12] = (uint8_t)(transport / 4 << 4 | spec->reserved);
		l4[13] = spec->flags;
		oracle_put16(l4 + 14, spec->window);
		oracle_put16(l4 + 18, spec->urgent);
		memcpy(l4 + 20, spec->options, spec->options_length);
	} else {
		oracle_put16(l4 + 4, ip.payload_length);
	}
	if (data_length)
		memcpy(l4 + transport, spec->data, data_length);
	oracle_seal_transport(to, at + ip.payload_length);
	return at + ip.payload_length;
}

/*
 * The index-th segment of a super-packet of length bytes with size bytes of data in each:
 * written to out, its length returned, 0 when there is none.
 */
static inline uint32_t oracle_segment(const uint8_t *packet, uint32_t length, uint32_t size,
				      uint32_t index, uint8_t *out)
{
	uint32_t ip_length = oracle_ip_length(packet);
	bool is_tcp = packet[9] == ORACLE_TCP;
	uint32_t headers = ip_length + (is_tcp ? (packet[ip_length + 12] >> 4) * 4U : 8U);
	uint32_t data = length - headers;
	uint32_t from = index * size;
	uint32_t here = size;

	if (index > 0 && from >= data)
		return 0;
	if (from + here > data)
		here = data - from;
	memcpy(out, packet, headers);
	memcpy(out + headers, packet + headers + from, here);
	oracle_put16(out + 2, headers + here);
	oracle_put16(out + 4, oracle_get16(packet + 4) + index);
	oracle_seal(out, ip_length);
	if (is_tcp) {
		oracle_put32(out + ip_length + 4, oracle_get32(packet + ip_length + 4) + from);
		if (index > 0)
			out[ip_length + 13] &= (uint8_t)~ORACLE_CWR;
		if (from + here != data)
			out[ip_length + 13] &= (uint8_t) ~(ORACLE_FIN | ORACLE_PSH);
	} else {
		oracle_put16(out + ip_length + 4, 8 + here);
	}
	oracle_seal_transport(out, headers + here);
	return headers + here;
}

/* Random options that fill length bytes (a multiple of 4): their meaning does not matter. */
static inline uint8_t oracle_random_options(uint8_t *options)
{
	uint8_t length = (uint8_t)(oracle_below(11) * 4);

	oracle_fill(options, length);
	return length;
}

#endif
