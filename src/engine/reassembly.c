/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reassembly of IPv4 datagrams: RFC 791, 3.2, with what was learned since.
 *
 * Each datagram has a place of its own for the largest payload there is; a fragment is
 * copied to its offset, and a bitmap of 8-byte units (what offsets count in) says which
 * parts are there. So a fragment costs the same wherever and in whatever order it comes.
 *
 * Decisions:
 *   - Overlap drops the whole datagram (RFC 5722, 4; for IPv4 Linux does the same). A
 *     fragment that lies wholly in what is there already, byte for byte the same, is an
 *     exact copy, as networks make them: it is ignored (RFC 8200, 4.5, allows it; Linux
 *     does so without comparing the bytes). Its header and ECN mark count for nothing.
 *   - A fragment that no datagram can have (FRAGMENT_INVALID) drops the datagram too:
 *     whoever sent it, the datagram cannot be trusted to be whole.
 *   - Fragments of a dropped datagram that come later are not remembered as such, as in
 *     Linux: they stay incomplete and time out. A memory of bad identifications would let
 *     two forged fragments block one for as long as the memory lasts.
 *   - 15 s: RFC 1122, 3.3.2 asks for 60 to 120 s, Linux takes 30. Identifications
 *     of a fast sender come round within seconds (RFC 4963), and a late fragment then
 *     meets another datagram; fragments of one datagram come milliseconds apart.
 *   - When all places are taken the oldest is given up: the newest have the best chance.
 *   - ECN (RFC 3168, 5.3): CE on any fragment is CE on the whole, which is dropped if
 *     another fragment was Not-ECT. Other mixtures, which the RFC leaves open, keep the
 *     mark of the first fragment.
 *
 * Invariants: order[0..used-1] are the places in use, oldest first, the rest of order[]
 * the free ones; one place per key; received is the number of payload bytes that units
 * stands for, end the highest end among them, and end <= total once total is known.
 */
#include "engine/reassembly.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ecn.h"

enum {
	UNIT = 8,
	PAYLOAD_MAX = CV_IPV4_LENGTH_MAX - CV_IPV4_HEADER_MIN,
	UNITS = (PAYLOAD_MAX + UNIT - 1) / UNIT,
	WORD_BITS = 64,
	WORDS = (UNITS + WORD_BITS - 1) / WORD_BITS,
};

struct datagram {
	__be32 source;
	__be32 destination;
	__be16 id;
	uint8_t protocol;
	uint8_t ecn_seen;	/* bit n: a fragment with the ECN field n */
	uint64_t started_ms;	/* when the first of the fragments came */
	uint32_t received;	/* payload bytes that are there */
	uint32_t end;		/* where the furthest of them ends */
	uint32_t total;		/* payload bytes of the whole, 0: not known yet */
	uint32_t header_length; /* of the first fragment, 0: not there yet */
	uint8_t header[CV_IPV4_HEADER_MAX];
	uint64_t units[WORDS];
	uint8_t payload[UNITS * UNIT];
};

struct cv_reassembly {
	pthread_mutex_t lock; /* protects all that follows */
	unsigned int used;
	uint8_t order[CV_REASSEMBLY_DATAGRAMS];
	struct datagram datagrams[CV_REASSEMBLY_DATAGRAMS];
};

struct cv_reassembly *cv_reassembly_create(void)
{
	struct cv_reassembly *reassembly = calloc(1, sizeof(*reassembly));
	unsigned int i;

	if (!reassembly)
		return NULL;
	pthread_mutex_init(&reassembly->lock, NULL);
	for (i = 0; i < CV_REASSEMBLY_DATAGRAMS; i++)
		reassembly->order[i] = (uint8_t)i;
	return reassembly;
}

void cv_reassembly_destroy(struct cv_reassembly *reassembly)
{
	if (!reassembly)
		return;
	pthread_mutex_destroy(&reassembly->lock);
	free(reassembly);
}

/* ---- the places --------------------------------------------------------------------- */

/* Gives up the place order[at]. */
static void release(struct cv_reassembly *reassembly, unsigned int at)
{
	uint8_t index = reassembly->order[at];

	reassembly->used--;
	memmove(reassembly->order + at, reassembly->order + at + 1, reassembly->used - at);
	reassembly->order[reassembly->used] = index;
}

/* Returns how many datagrams were given up. */
static uint32_t expire(struct cv_reassembly *reassembly, uint64_t now_ms)
{
	uint32_t expired = 0;

	while (reassembly->used) {
		uint64_t started_ms = reassembly->datagrams[reassembly->order[0]].started_ms;

		/* Another thread that looked at the clock later may have been here first. */
		if (now_ms < started_ms || now_ms - started_ms < CV_REASSEMBLY_TIMEOUT_MS)
			break;
		release(reassembly, 0);
		expired++;
	}
	return expired;
}

/* The place in order[] of the datagram that a fragment belongs to, or used. */
static unsigned int find(const struct cv_reassembly *reassembly, const struct cv_ipv4 *ip)
{
	unsigned int at;

	for (at = 0; at < reassembly->used; at++) {
		const struct datagram *datagram = &reassembly->datagrams[reassembly->order[at]];

		if (datagram->id == ip->id && datagram->source == ip->source &&
		    datagram->destination == ip->destination && datagram->protocol == ip->protocol)
			break;
	}
	return at;
}

/* Takes the next free place, pushing out the oldest datagram if there is none. */
static unsigned int begin(struct cv_reassembly *reassembly, const struct cv_ipv4 *ip,
			  uint64_t now_ms, struct cv_reassembly_lost *lost)
{
	struct datagram *datagram;

	if (reassembly->used == CV_REASSEMBLY_DATAGRAMS) {
		release(reassembly, 0);
		lost->evicted++;
	}
	datagram = &reassembly->datagrams[reassembly->order[reassembly->used]];
	memset(datagram, 0, offsetof(struct datagram, payload));
	datagram->source = ip->source;
	datagram->destination = ip->destination;
	datagram->id = ip->id;
	datagram->protocol = ip->protocol;
	datagram->started_ms = now_ms;
	return reassembly->used++;
}

/* ---- the bitmap --------------------------------------------------------------------- */

/* The bits of word number index that stand for the units from..to-1. */
static uint64_t unit_mask(uint32_t index, uint32_t from, uint32_t to)
{
	uint32_t base = index * WORD_BITS;
	uint64_t mask = ~UINT64_C(0);

	if (from > base)
		mask <<= from - base;
	if (to < base + WORD_BITS)
		mask &= ~UINT64_C(0) >> (base + WORD_BITS - to);
	return mask;
}

/* Whether any, and whether all, of the units from..to-1 are there. */
static void look_up_units(const struct datagram *datagram, uint32_t from, uint32_t to,
			  bool *ret_any, bool *ret_all)
{
	uint32_t i;

	*ret_any = false;
	*ret_all = true;
	for (i = from / WORD_BITS; i * WORD_BITS < to; i++) {
		uint64_t mask = unit_mask(i, from, to);
		uint64_t there = datagram->units[i] & mask;

		*ret_any |= there != 0;
		*ret_all &= there == mask;
	}
}

static void set_units(struct datagram *datagram, uint32_t from, uint32_t to)
{
	uint32_t i;

	for (i = from / WORD_BITS; i * WORD_BITS < to; i++)
		datagram->units[i] |= unit_mask(i, from, to);
}

/* ---- fragments ---------------------------------------------------------------------- */

/* RFC 791, 3.2: what no fragment can be, whatever the others are. */
static bool is_possible(const struct cv_ipv4 *ip)
{
	if (!ip->payload_length || ip->fragment_offset + ip->payload_length > PAYLOAD_MAX)
		return false;
	return !ip->more_fragments || ip->payload_length % UNIT == 0;
}

/* Whether a fragment says the same about the datagram's end as those that are there. */
static bool is_end_agreed(const struct datagram *datagram, const struct cv_ipv4 *ip)
{
	uint32_t end = ip->fragment_offset + ip->payload_length;

	if (ip->more_fragments)
		return !datagram->total || end < datagram->total;
	return datagram->total ? end == datagram->total : end >= datagram->end;
}

/* RFC 3168, 5.3: congestion may neither be lost nor told to one who did not ask. */
static bool is_ecn_mixed(uint8_t ecn_seen)
{
	return ecn_seen & 1 << CV_ECN_CE && ecn_seen & 1 << CV_ECN_NOT_ECT;
}

/* A fragment whose place is free. */
static void insert(struct datagram *datagram, const uint8_t *packet, const struct cv_ipv4 *ip)
{
	uint32_t end = ip->fragment_offset + ip->payload_length;

	memcpy(datagram->payload + ip->fragment_offset, packet + ip->header_length,
	       ip->payload_length);
	set_units(datagram, ip->fragment_offset / UNIT, (end + UNIT - 1) / UNIT);
	datagram->received += ip->payload_length;
	if (end > datagram->end)
		datagram->end = end;
	if (!ip->more_fragments)
		datagram->total = end;
	if (!ip->fragment_offset) {
		memcpy(datagram->header, packet, ip->header_length);
		datagram->header_length = ip->header_length;
	}
}

/* Takes a fragment into its datagram. Returns CV_DROP_NONE, or why the datagram is dropped. */
static enum cv_drop take(struct datagram *datagram, const uint8_t *packet, const struct cv_ipv4 *ip)
{
	uint32_t end = ip->fragment_offset + ip->payload_length;
	bool is_any, is_all;

	if (!is_end_agreed(datagram, ip))
		return CV_DROP_FRAGMENT_OVERLAP;
	look_up_units(datagram, ip->fragment_offset / UNIT, (end + UNIT - 1) / UNIT, &is_any,
		      &is_all);
	if (is_any) {
		/* Bytes that came as "more follow" cannot come again as the last ones. */
		bool is_copy = is_all && (ip->more_fragments || datagram->total) &&
			       memcmp(datagram->payload + ip->fragment_offset,
				      packet + ip->header_length, ip->payload_length) == 0;

		return is_copy ? CV_DROP_NONE : CV_DROP_FRAGMENT_OVERLAP;
	}
	datagram->ecn_seen |= (uint8_t)(1 << (ip->tos & CV_ECN_MASK));
	if (is_ecn_mixed(datagram->ecn_seen))
		return CV_DROP_FRAGMENT_OVERLAP;
	insert(datagram, packet, ip);
	/* The first fragment's options may be what makes the whole too long. */
	if (datagram->header_length + datagram->total > CV_IPV4_LENGTH_MAX)
		return CV_DROP_FRAGMENT_INVALID;
	return CV_DROP_NONE;
}

/* Writes the whole datagram; returns its length. */
static uint32_t write_whole(const struct datagram *datagram, uint8_t *buffer)
{
	uint32_t length = datagram->header_length + datagram->total;
	struct cv_ipv4_header header;
	uint16_t flags;

	memcpy(buffer, datagram->header, datagram->header_length);
	memcpy(buffer + datagram->header_length, datagram->payload, datagram->total);
	memcpy(&header, buffer, sizeof(header));
	flags = cv_ntohs(header.flags_offset) & (CV_IPV4_RESERVED | CV_IPV4_DF);
	header.flags_offset = cv_htons(flags);
	header.total_length = cv_htons((uint16_t)length);
	if (datagram->ecn_seen & 1 << CV_ECN_CE)
		header.tos |= CV_ECN_CE;
	memcpy(buffer, &header, sizeof(header));
	cv_ipv4_set_checksum(buffer, datagram->header_length);
	return length;
}

/* cv_reassembly_add for a fragment that there can be; *ret_reason is for DROP only. */
static enum cv_reassembly_result add_to(struct cv_reassembly *reassembly, unsigned int at,
					const uint8_t *packet, const struct cv_ipv4 *ip,
					uint8_t *buffer, uint32_t *ret_length,
					enum cv_drop *ret_reason)
{
	struct datagram *datagram = &reassembly->datagrams[reassembly->order[at]];
	enum cv_drop reason = take(datagram, packet, ip);

	if (reason) {
		*ret_reason = reason;
		release(reassembly, at);
		return CV_REASSEMBLY_DROP;
	}
	if (!datagram->header_length || datagram->received != datagram->total)
		return CV_REASSEMBLY_WAIT;
	*ret_length = write_whole(datagram, buffer);
	release(reassembly, at);
	return CV_REASSEMBLY_COMPLETE;
}

enum cv_reassembly_result cv_reassembly_add(struct cv_reassembly *reassembly, const uint8_t *packet,
					    const struct cv_ipv4 *ip, uint64_t now_ms,
					    uint8_t *buffer, uint32_t *ret_length,
					    enum cv_drop *ret_reason,
					    struct cv_reassembly_lost *lost)
{
	enum cv_reassembly_result result = CV_REASSEMBLY_DROP;
	unsigned int at;

	pthread_mutex_lock(&reassembly->lock);
	lost->expired += expire(reassembly, now_ms);
	at = find(reassembly, ip);
	if (!is_possible(ip)) {
		*ret_reason = CV_DROP_FRAGMENT_INVALID;
		if (at < reassembly->used)
			release(reassembly, at);
	} else {
		if (at == reassembly->used)
			at = begin(reassembly, ip, now_ms, lost);
		result = add_to(reassembly, at, packet, ip, buffer, ret_length, ret_reason);
	}
	pthread_mutex_unlock(&reassembly->lock);
	return result;
}
