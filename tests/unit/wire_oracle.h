/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Oracles and input for the tests of wire/: slow, plain and written from the RFCs'
 * text alone. Nothing here calls what it is to judge, so it deals in bytes, not in
 * the structures of wire/.
 */
#ifndef CV_TEST_WIRE_ORACLE_H
#define CV_TEST_WIRE_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Pseudo-random numbers that are the same in every run (xorshift64). */
static uint64_t oracle_state = 0x9e3779b97f4a7c15;

static inline uint32_t oracle_random(void)
{
	oracle_state ^= oracle_state << 13;
	oracle_state ^= oracle_state >> 7;
	oracle_state ^= oracle_state << 17;
	return (uint32_t)(oracle_state >> 32);
}

static inline uint32_t oracle_below(uint32_t limit)
{
	return oracle_random() % limit;
}

static inline void oracle_fill(uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)oracle_random();
}

static inline uint16_t oracle_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void oracle_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void oracle_put32(uint8_t *at, uint32_t value)
{
	oracle_put16(at, value >> 16);
	oracle_put16(at + 2, value & 0xffff);
}

/*
 * The one's complement sum of the 16-bit words, added bit by bit as on paper, with
 * the carry out of the highest bit brought round (RFC 791, 3.1; RFC 1071).
 */
static inline uint16_t oracle_sum16(uint16_t a, uint16_t b)
{
	unsigned int carry = 0;
	uint16_t sum = 0;

	for (int bit = 0; bit < 16; bit++) {
		unsigned int three = (a >> bit & 1U) + (b >> bit & 1U) + carry;

		sum |= (uint16_t)((three & 1U) << bit);
		carry = three >> 1;
	}
	/* After an end-around carry there is never a second one. */
	return carry ? (uint16_t)(sum + 1) : sum;
}

/* The sum over bytes; a last odd byte counts as followed by zero. Host order. */
static inline uint16_t oracle_sum(const uint8_t *bytes, size_t length, uint16_t sum)
{
	for (size_t i = 0; i + 1 < length; i += 2)
		sum = oracle_sum16(sum, oracle_get16(bytes + i));
	if (length % 2)
		sum = oracle_sum16(sum, (uint16_t)(bytes[length - 1] << 8));
	return sum;
}

static inline uint16_t oracle_checksum(const uint8_t *bytes, size_t length)
{
	return (uint16_t)~oracle_sum(bytes, length, 0);
}

/* A header's checksum, computed with the field as zero and written into it. */
static inline void oracle_seal(uint8_t *header, size_t header_length)
{
	oracle_put16(header + 10, 0);
	oracle_put16(header + 10, oracle_checksum(header, header_length));
}

/* What a test wants to say about a datagram; everything else is zero. */
struct oracle_ip {
	uint8_t tos, ttl, protocol;
	uint16_t id;
	uint16_t flags_offset; /* as on the wire */
	uint32_t source, destination;
	uint8_t options[40];
	uint8_t options_length; /* a multiple of 4 */
	uint32_t payload_length;
};

/* Writes the header, sealed; returns its length. The payload is the caller's. */
static inline uint32_t oracle_header(uint8_t *to, const struct oracle_ip *ip)
{
	uint32_t length = 20U + ip->options_length;

	memset(to, 0, 20);
	to[0] = (uint8_t)(0x40 | length / 4);
	to[1] = ip->tos;
	oracle_put16(to + 2, length + ip->payload_length);
	oracle_put16(to + 4, ip->id);
	oracle_put16(to + 6, ip->flags_offset);
	to[8] = ip->ttl;
	to[9] = ip->protocol;
	oracle_put32(to + 12, ip->source);
	oracle_put32(to + 16, ip->destination);
	memcpy(to + 20, ip->options, ip->options_length);
	oracle_seal(to, length);
	return length;
}

#endif
