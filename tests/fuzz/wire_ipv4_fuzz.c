/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes wire/ipv4.h: parse, change, fragment. Input: two bytes that say the MTU, then
 * a packet. Beyond memory errors it demands what must hold for any packet: setters
 * keep a checksum as right or wrong as it was, and fragments fit the MTU, parse, and
 * cover the payload without gap or overlap.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ipv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void change(const uint8_t *packet, const struct cv_ipv4 *ip)
{
	uint8_t header[CV_IPV4_HEADER_MAX];
	bool was_ok = cv_ipv4_checksum_ok(packet, ip->header_length);
	struct cv_ipv4 again = {0};

	memcpy(header, packet, ip->header_length);
	cv_ipv4_set_tos(header, ip->ttl);
	cv_ipv4_set_ttl(header, ip->tos);
	cv_ipv4_set_id(header, cv_htons(ip->fragment_offset));
	cv_ipv4_set_flags_offset(header, cv_ntohs(ip->id));
	cv_ipv4_set_source(header, ip->destination);
	cv_ipv4_set_destination(header, ip->source);
	cv_ipv4_set_total_length(header, (__u16)ip->header_length);
	demand(cv_ipv4_checksum_ok(header, ip->header_length) == was_ok);
	demand(cv_ipv4_parse(header, ip->header_length, &again) == CV_DROP_NONE);
	demand(again.ttl == ip->tos && again.tos == ip->ttl && again.source == ip->destination);
	demand(again.payload_length == 0);
	cv_ipv4_set_checksum(header, ip->header_length);
	demand(cv_ipv4_checksum_ok(header, ip->header_length));
}

static void fragment(const uint8_t *packet, const struct cv_ipv4 *ip, uint32_t mtu)
{
	struct cv_ipv4_fragment_plan plan;
	uint32_t expected = 0;

	if (cv_ipv4_plan_fragments(packet, ip, mtu, &plan) != CV_DROP_NONE)
		return;
	for (uint32_t k = 0; k < cv_ipv4_fragment_count(&plan); k++) {
		struct cv_ipv4_fragment slice = cv_ipv4_fragment_get(&plan, k);
		uint8_t header[CV_IPV4_HEADER_MAX];
		uint32_t length = cv_ipv4_fragment_header(packet, &plan, k, header);
		struct cv_ipv4 piece = {0};

		demand(cv_ipv4_parse_header(header, length, &piece) == CV_DROP_NONE);
		demand(cv_ipv4_checksum_ok(header, length));
		demand(piece.header_length == length && piece.payload_length == slice.length);
		demand(piece.total_length <= mtu);
		demand(slice.offset == expected && (slice.length || !ip->payload_length));
		demand(piece.fragment_offset == ip->fragment_offset + slice.offset);
		demand(piece.more_fragments == (ip->more_fragments || k + 1 < plan.count));
		expected += slice.length;
	}
	demand(expected == ip->payload_length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_ipv4 ip;
	uint32_t mtu;

	if (size < 2)
		return 0;
	mtu = (uint32_t)(data[0] << 8 | data[1]);
	data += 2;
	size -= 2;
	if (cv_ipv4_parse_header(data, (__u32)size, &ip) != CV_DROP_NONE) {
		demand(cv_ipv4_parse(data, (__u32)size, &ip) != CV_DROP_NONE);
		return 0;
	}
	demand(ip.header_length <= size && ip.header_length <= ip.total_length);
	change(data, &ip);
	/* A plan needs the header alone; a quoted one may say any total length. */
	fragment(data, &ip, mtu);
	if (cv_ipv4_parse(data, (__u32)size, &ip) == CV_DROP_NONE)
		demand(ip.total_length <= size);
	return 0;
}
