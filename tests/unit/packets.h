/* SPDX-License-Identifier: Apache-2.0 */
/* Packets for tests of the engine: written plainly, with wire/ for the checksums only. */
#ifndef CV_TEST_PACKETS_H
#define CV_TEST_PACKETS_H

#include <stdint.h>
#include <string.h>

#include "wire/ipv4.h"

/* What to vary in an IPv4 header; zero means the usual. */
struct header_of {
	__be32 source, destination;
	uint8_t protocol; /* 0: UDP */
	uint8_t tos;
	uint8_t ttl; /* 0: 63 */
	bool ttl_zero;
	uint16_t flags_offset; /* CV_IPV4_DF … */
	uint16_t id;
};

/* Write header and payload to out; returns the length. payload NULL: bytes that count up. */
static inline uint32_t write_ipv4(uint8_t *out, const struct header_of *of, const void *payload,
				  uint32_t length)
{
	struct cv_ipv4_header header = {
		.version_ihl = 0x45,
		.tos = of->tos,
		.total_length = cv_htons((uint16_t)(20 + length)),
		.id = cv_htons(of->id),
		.flags_offset = cv_htons(of->flags_offset),
		.ttl = of->ttl_zero ? 0
		       : of->ttl    ? of->ttl
				    : 63,
		.protocol = of->protocol ? of->protocol : CV_IPV4_PROTO_UDP,
		.source = of->source,
		.destination = of->destination,
	};

	memcpy(out, &header, sizeof(header));
	cv_ipv4_set_checksum(out, sizeof(header));
	for (uint32_t i = 0; i < length; i++)
		out[20 + i] = payload ? ((const uint8_t *)payload)[i] : (uint8_t)i;
	return 20 + length;
}

/* The same around an inner packet: an outer packet of protocol 4. */
static inline uint32_t write_outer(uint8_t *out, __be32 source, __be32 destination, uint8_t tos,
				   const uint8_t *inner, uint32_t length)
{
	const struct header_of of = {
		.source = source,
		.destination = destination,
		.protocol = CV_IPV4_PROTO_IPIP,
		.tos = tos,
		.flags_offset = CV_IPV4_DF,
	};

	return write_ipv4(out, &of, inner, length);
}

#endif
