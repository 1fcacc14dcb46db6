/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sizes that a search tries. Most paths have one of few MTUs (an Ethernet's, less what some
 * encapsulation takes), so these are asked for first: a path that fell to one of them is known
 * after one round trip. What is between them is divided evenly.
 */
#include "path/plpmtud_sizes.h"

#include <stdbool.h>

/* The commonest first: not all may fit in a burst. */
static const uint16_t common[] = {
	1500, /* Ethernet */
	1400, /* tunnels by rule of thumb, mobile networks */
	1280, /* IPv6's least */
	1450, /* VXLAN */
	1492, /* PPPoE */
	1420, /* WireGuard */
	1480, /* IP in IP */
	9000, /* jumbo frames */
	1200, /* QUIC's least */
	1380, /* ESP in UDP */
	1440, /* IPv6 in WireGuard, cloud networks */
	1460, /* Google's cloud */
	1476, /* GRE */
	576,  /* IPv4's least that all must take */
	1006, /* SLIP */
	1300, 1472, 1430, 1350, 1320, 1454, 1410, 8950, 4352, 2002, 8980,  8900, 1436, 1426,
	1390, 1360, 1340, 1240, 1100, 800,  8001, 9001, 9216, 4096, 17914, 2304, 3072, 6000,
};

enum {
	COMMON_COUNT = sizeof(common) / sizeof(common[0])
};

/* Insert into a list that falls, unless it is there. */
static size_t insert(uint32_t *sizes, size_t count, uint32_t size)
{
	size_t at = 0;

	while (at < count && sizes[at] > size)
		at++;
	if (at < count && sizes[at] == size)
		return count;
	for (size_t i = count; i > at; i--)
		sizes[i] = sizes[i - 1];
	sizes[at] = size;
	return count + 1;
}

size_t cv_plpmtud_sizes_common(uint32_t above, uint32_t below, const uint32_t extra[2], size_t max,
			       uint32_t *ret_sizes)
{
	size_t count = 0;

	for (size_t i = 0; i < 2 && count < max; i++) {
		if (extra[i] > above && extra[i] < below)
			count = insert(ret_sizes, count, extra[i]);
	}
	for (size_t i = 0; i < COMMON_COUNT && count < max; i++) {
		if (common[i] > above && common[i] < below)
			count = insert(ret_sizes, count, common[i]);
	}
	return count;
}

size_t cv_plpmtud_sizes_spread(uint32_t above, uint32_t below, size_t max, uint32_t *ret_sizes)
{
	uint64_t between = below > above ? below - above - 1 : 0;
	size_t count = between < max ? (size_t)between : max;

	for (size_t i = 0; i < count; i++)
		ret_sizes[i] = below - (uint32_t)((between + 1) * (i + 1) / (count + 1));
	return count;
}

uint32_t cv_plpmtud_sizes_round_up(uint32_t size)
{
	uint32_t best = 0;

	for (size_t i = 0; i < COMMON_COUNT; i++) {
		if (common[i] >= size && (!best || common[i] < best))
			best = common[i];
	}
	return best ? best : size;
}
