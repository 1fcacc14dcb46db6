/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes reassembly against the paper model of the unit test. Input: fragments of 8
 * bytes each: identification; offset in units of 8 (2, little endian); payload length
 * (2; modulo 256 without the bit 16, which keeps most inputs fast); bits: 1 MF, 2 DF, 4
 * another source, 8 other bytes than at this place always, 16 as said, the two highest
 * the ECN field; length of the options in units of 4; time that passes in units of
 * 100 ms.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/reassembly_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct paper paper;
static struct paper_verdict verdict;
static uint8_t payload[2 * 65536];

static void read_fragment(const uint8_t record[8], struct paper_fragment *ret_fragment)
{
	uint32_t offset = (record[1] | record[2] << 8) & 0x1fffU;
	uint32_t length = (uint32_t)(record[3] | record[4] << 8);
	uint8_t bits = record[5];
	struct oracle_ip ip = {
		.ttl = 64,
		.protocol = 4,
		.tos = bits >> 6,
		.id = record[0],
		.source = bits & 4 ? 1 : 2,
		.destination = 3,
		.options_length = (uint8_t)(record[6] % 11 * 4),
		.flags_offset = (uint16_t)offset,
	};

	if (bits & 1)
		ip.flags_offset |= CV_IPV4_MF;
	if (bits & 2)
		ip.flags_offset |= CV_IPV4_DF;
	if (!(bits & 16))
		length &= 255;
	if (length > 65535U - 20 - ip.options_length)
		length = 65535U - 20 - ip.options_length;
	ip.payload_length = length;
	ret_fragment->ip = ip;
	ret_fragment->payload = payload + (offset * 8) % 65536 + (bits & 8 ? 1 : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_reassembly *reassembly;
	uint64_t now_ms = 0;

	if (size > 4096)
		return 0;
	if (!payload[1])
		for (size_t i = 0; i < sizeof(payload); i++)
			payload[i] = (uint8_t)(i * 31 + i / 256);
	for (int i = 0; i < PAPER_MAX; i++)
		paper.datagrams[i].is_used = false;
	reassembly = cv_reassembly_create();
	for (; size >= 8; data += 8, size -= 8) {
		struct paper_fragment fragment;
		const char *error;

		read_fragment(data, &fragment);
		now_ms += data[7] * 100U;
		error = paper_compare(&paper, reassembly, &fragment, now_ms, &verdict);
		if (error) {
			fprintf(stderr, "%s\n", error);
			abort();
		}
	}
	cv_reassembly_destroy(reassembly);
	return 0;
}
