/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes wire/ipip.h: an outer packet from the wire, and the same bytes as a quote of a
 * packet of ours. Input: one byte that says the parameters and whether checksums are
 * mended first (else no input would come far), then the packet. What was accepted must
 * survive being encapsulated and decapsulated once more.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ecn.h"
#include "wire/ipip.h"

enum {
	MEND_OUTER = 0x40,
	MEND_INNER = 0x80,
	LARGEST = 4096
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static struct cv_ipip_params params_of(uint8_t choice)
{
	struct cv_ipip_params params = {
		.ttl = choice & 1 ? 64 : 0,
		.tos = choice,
		.ecn_mode = choice & 2 ? CV_ECN_COMPATIBLE : CV_ECN_NORMAL,
		.tos_inherit = choice & 4,
		.pmtudisc = choice & 8,
	};

	return params;
}

static void mend(uint8_t *header, size_t size)
{
	uint32_t length;

	if (size < CV_IPV4_HEADER_MIN)
		return;
	length = (header[0] & 0xfU) * 4;
	if (length >= CV_IPV4_HEADER_MIN && length <= size)
		cv_ipv4_set_checksum(header, length);
}

static void wrap_again(const struct cv_ipv4 *inner, const uint8_t *bytes,
		       const struct cv_ipip_params *params)
{
	uint8_t packet[CV_IPIP_OVERHEAD + LARGEST];
	struct cv_ipv4 outer = {0}, same = {0};
	struct cv_ipv4_header header;
	struct cv_ipip_quote quote = {0};
	uint32_t total = CV_IPIP_OVERHEAD + inner->total_length;

	demand(cv_ipip_build_outer(&header, params, inner, inner->source, inner->destination,
				   inner->id, inner->total_length) == CV_DROP_NONE);
	memcpy(packet, &header, sizeof(header));
	memcpy(packet + sizeof(header), bytes, inner->total_length);
	demand(cv_ipip_parse(packet, total, &outer, &same) == CV_DROP_NONE);
	demand(same.total_length == inner->total_length && same.ttl == inner->ttl);
	demand(outer.dont_fragment || !inner->dont_fragment);
	demand(!cv_ecn_decapsulate(same.tos, outer.tos).drop);
	demand(cv_ecn_decapsulate(same.tos, outer.tos).ecn == (inner->tos & CV_ECN_MASK));
	demand(cv_ipip_parse_quote(packet, total, &quote) == CV_DROP_NONE);
	demand(quote.has_inner && quote.inner.source == inner->source);
}

static void check_quote(const uint8_t *bytes, size_t size)
{
	struct cv_ipip_quote quote;

	if (cv_ipip_parse_quote(bytes, (__u32)size, &quote) != CV_DROP_NONE)
		return;
	demand(quote.inner_offset + quote.inner_length <= size);
	demand(quote.inner_length >= 8);
	demand(!quote.has_inner || quote.inner.header_length <= quote.inner_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_ipv4 outer, inner;
	struct cv_ipip_params params;
	uint8_t *packet;

	if (size < 1 || size > LARGEST)
		return 0;
	params = params_of(data[0]);
	/* Of exactly this size, for the sanitizer. */
	packet = malloc(size);
	if (!packet)
		return 0;
	memcpy(packet, data + 1, --size);
	if (data[0] & MEND_INNER && size > CV_IPIP_OVERHEAD)
		mend(packet + CV_IPIP_OVERHEAD, size - CV_IPIP_OVERHEAD);
	if (data[0] & MEND_OUTER)
		mend(packet, size);
	check_quote(packet, size);
	if (cv_ipip_parse(packet, (__u32)size, &outer, &inner) == CV_DROP_NONE) {
		demand(outer.protocol == CV_IPV4_PROTO_IPIP && inner.ttl);
		demand(outer.header_length + inner.total_length <= outer.total_length);
		wrap_again(&inner, packet + outer.header_length, &params);
	}
	free(packet);
	return 0;
}
