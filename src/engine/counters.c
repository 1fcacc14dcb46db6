/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names and texts of events, the sum of counters, and whose they are.
 */
#include "engine/counters.h"

#include <stdlib.h>

_Static_assert(sizeof(struct cv_counters) ==
		       sizeof(uint64_t) * (4 + (size_t)CV_EVENT_MAX + (size_t)CV_DROP_MAX),
	       "a new counter must be added up in cv_counters_add, too");

const char *cv_event_name(enum cv_event event)
{
	static const char *const names[] = {
#define CV_EVENT_NAME(id, name, text) [CV_EVENT_##id] = (name),
		CV_EVENTS(CV_EVENT_NAME)
#undef CV_EVENT_NAME
	};

	return (unsigned int)event < CV_EVENT_MAX ? names[event] : "unknown";
}

const char *cv_event_text(enum cv_event event)
{
	static const char *const texts[] = {
#define CV_EVENT_TEXT(id, name, text) [CV_EVENT_##id] = (text),
		CV_EVENTS(CV_EVENT_TEXT)
#undef CV_EVENT_TEXT
	};

	return (unsigned int)event < CV_EVENT_MAX ? texts[event] : "unknown event";
}

void cv_counters_add(struct cv_counters *sum, const struct cv_counters *from)
{
	size_t i;

	sum->rx_packets += from->rx_packets;
	sum->rx_bytes += from->rx_bytes;
	sum->tx_packets += from->tx_packets;
	sum->tx_bytes += from->tx_bytes;
	for (i = 0; i < CV_EVENT_MAX; i++)
		sum->events[i] += from->events[i];
	for (i = 0; i < CV_DROP_MAX; i++)
		sum->drops[i] += from->drops[i];
}

static int compare_peers(const void *a, const void *b)
{
	uint32_t x = cv_ntohl(((const struct cv_peer_counters *)a)->address);
	uint32_t y = cv_ntohl(((const struct cv_peer_counters *)b)->address);

	return x < y ? -1 : x > y;
}

struct cv_peer_counters *cv_peer_counters_find(struct cv_peer_counters *list, size_t count,
					       __be32 address)
{
	const struct cv_peer_counters wanted = {.address = address};

	return count ? bsearch(&wanted, list, count, sizeof(*list), compare_peers) : NULL;
}
