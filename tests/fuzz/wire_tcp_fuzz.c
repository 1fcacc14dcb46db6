/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes wire/tcp.h: a TCP segment whose announced size is to be clamped. Input: two bytes of limit
 * (0: of a path of 576 bytes), one whose lowest bit says that the checksum is partial, the segment.
 * What was lowered is what it was, but for the value and a checksum that is as wrong as before, and
 * is not lowered again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/tcp.h"

enum {
	LARGEST = 4096,
	MTU = 576
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

/* As a residue: 0 and 0xffff are the same number. */
static uint16_t sum(const uint8_t *bytes, size_t size)
{
	uint16_t folded = (CV_FORCE uint16_t)cv_checksum_fold_partial(
		cv_checksum_add(bytes, (uint32_t)size, 0));

	return folded == 0xffff ? 0 : folded;
}

static void check_lowered(const uint8_t *before, const uint8_t *after, size_t size, uint16_t limit,
			  bool is_partial)
{
	uint32_t at = cv_tcp_find_mss(before, cv_tcp_syn_header(before, (uint32_t)size));
	uint8_t *again = malloc(size);

	demand(at >= CV_TCP_OPTIONS && at + 4 <= CV_TCP_HEADER_MAX && at + 4 <= size && again);
	demand(before[at] == CV_TCP_OPTION_MSS && before[at + 1] == CV_TCP_OPTION_MSS_LENGTH);
	demand(cv_ntohs(cv_bytes_load16(before + at + 2)) > limit);
	demand(cv_ntohs(cv_bytes_load16(after + at + 2)) == limit);
	memcpy(again, after, size);
	memcpy(again + at, before + at, 4);
	memcpy(again + CV_TCP_CHECKSUM, before + CV_TCP_CHECKSUM, 2);
	demand(!memcmp(again, before, size));
	if (is_partial)
		demand(!memcmp(after + CV_TCP_CHECKSUM, before + CV_TCP_CHECKSUM, 2));
	else
		demand(sum(after, size) == sum(before, size));
	memcpy(again, after, size);
	demand(!cv_tcp_clamp_mss(again, (uint32_t)size, limit, is_partial));
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t limit;
	uint8_t *segment;
	bool is_partial;

	if (size < 3 || size > LARGEST)
		return 0;
	limit = cv_tcp_mss_limit((uint16_t)(data[0] << 8 | data[1]), MTU);
	is_partial = data[2] & 1;
	data += 3;
	size -= 3;
	/* Of exactly this size, for the sanitizer. */
	segment = malloc(size + !size);
	if (!segment)
		return 0;
	memcpy(segment, data, size);
	if (cv_tcp_clamp_mss(segment, (uint32_t)size, limit, is_partial))
		check_lowered(data, segment, size, limit, is_partial);
	else
		demand(!memcmp(segment, data, size));
	free(segment);
	return 0;
}
