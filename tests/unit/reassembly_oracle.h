/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reassembly as one would do it with pencil and paper: every datagram is a row of bytes,
 * each there or not. Slow, and written from the rules in reassembly.c's opening comment
 * and RFC 791, 3.2 alone. For the unit test and the fuzzer.
 */
#ifndef CV_TEST_REASSEMBLY_ORACLE_H
#define CV_TEST_REASSEMBLY_ORACLE_H

#include "engine/reassembly.h"
#include "wire_oracle.h"

enum {
	PAPER_MAX = 64
};

/* One fragment to be given. */
struct paper_fragment {
	struct oracle_ip ip; /* payload_length, flags_offset (MF, offset) and the key count */
	const uint8_t *payload;
};

struct paper_datagram {
	bool is_used;
	uint64_t started_ms, serial;
	struct oracle_ip key;
	bool has_first, has_last;
	struct oracle_ip first;
	uint32_t total, furthest;
	bool seen[4]; /* ECN fields */
	uint8_t there[65536], bytes[65536];
};

struct paper {
	uint64_t serial;
	struct paper_datagram datagrams[PAPER_MAX];
};

/* What the paper says of one fragment. */
struct paper_verdict {
	enum cv_reassembly_result result;
	enum cv_drop reason;
	uint32_t length, expired, evicted;
	uint8_t whole[65536];
};

static inline bool paper_same_key(const struct oracle_ip *a, const struct oracle_ip *b)
{
	return a->source == b->source && a->destination == b->destination && a->id == b->id &&
	       a->protocol == b->protocol;
}

static inline struct paper_datagram *paper_oldest(struct paper *paper)
{
	struct paper_datagram *oldest = NULL;

	for (int i = 0; i < PAPER_MAX; i++) {
		struct paper_datagram *one = &paper->datagrams[i];

		if (one->is_used && (!oldest || one->serial < oldest->serial))
			oldest = one;
	}
	return oldest;
}

static inline struct paper_datagram *paper_find(struct paper *paper, const struct oracle_ip *key)
{
	for (int i = 0; i < PAPER_MAX; i++)
		if (paper->datagrams[i].is_used && paper_same_key(&paper->datagrams[i].key, key))
			return &paper->datagrams[i];
	return NULL;
}

static inline struct paper_datagram *paper_begin(struct paper *paper, const struct oracle_ip *key,
						 uint64_t now_ms, uint32_t *ret_evicted)
{
	struct paper_datagram *free_one = NULL;

	for (int i = 0; i < PAPER_MAX; i++)
		if (!paper->datagrams[i].is_used)
			free_one = &paper->datagrams[i];
	if (!free_one) {
		free_one = paper_oldest(paper);
		++*ret_evicted;
	}
	memset(free_one, 0, sizeof(*free_one));
	free_one->is_used = true;
	free_one->started_ms = now_ms;
	free_one->serial = paper->serial++;
	free_one->key = *key;
	return free_one;
}

/* Takes a fragment that is possible by itself into its datagram; a reason: drop it. */
static inline enum cv_drop paper_take(struct paper_datagram *datagram,
				      const struct paper_fragment *fragment)
{
	uint32_t offset = (fragment->ip.flags_offset & 0x1fffU) * 8;
	uint32_t length = fragment->ip.payload_length;
	bool is_last = !(fragment->ip.flags_offset & 0x2000);
	uint32_t known = 0;
	uint32_t equal = 0;

	if (is_last && datagram->has_last && offset + length != datagram->total)
		return CV_DROP_FRAGMENT_OVERLAP;
	if (is_last && datagram->furthest > offset + length)
		return CV_DROP_FRAGMENT_OVERLAP;
	if (!is_last && datagram->has_last && offset + length >= datagram->total)
		return CV_DROP_FRAGMENT_OVERLAP;
	for (uint32_t i = 0; i < length; i++) {
		known += datagram->there[offset + i];
		equal += datagram->there[offset + i] &&
			 datagram->bytes[offset + i] == fragment->payload[i];
	}
	if (known && (equal < length || (is_last && !datagram->has_last)))
		return CV_DROP_FRAGMENT_OVERLAP;
	if (known)
		return CV_DROP_NONE;
	datagram->seen[fragment->ip.tos & 3] = true;
	if (datagram->seen[0] && datagram->seen[3])
		return CV_DROP_FRAGMENT_OVERLAP;
	memset(datagram->there + offset, 1, length);
	memcpy(datagram->bytes + offset, fragment->payload, length);
	if (offset + length > datagram->furthest)
		datagram->furthest = offset + length;
	if (is_last) {
		datagram->has_last = true;
		datagram->total = offset + length;
	}
	if (!offset) {
		datagram->has_first = true;
		datagram->first = fragment->ip;
	}
	if (datagram->has_first && datagram->has_last &&
	    20 + datagram->first.options_length + datagram->total > 65535)
		return CV_DROP_FRAGMENT_INVALID;
	return CV_DROP_NONE;
}

static inline bool paper_is_whole(const struct paper_datagram *datagram)
{
	return datagram->has_first && datagram->has_last &&
	       !memchr(datagram->there, 0, datagram->total);
}

static inline void paper_write(const struct paper_datagram *datagram, struct paper_verdict *verdict)
{
	struct oracle_ip ip = datagram->first;
	uint32_t header;

	ip.payload_length = datagram->total;
	ip.flags_offset &= 0xc000;
	if (datagram->seen[3])
		ip.tos |= 3;
	header = oracle_header(verdict->whole, &ip);
	memcpy(verdict->whole + header, datagram->bytes, datagram->total);
	verdict->length = header + datagram->total;
}

static inline void paper_add(struct paper *paper, const struct paper_fragment *fragment,
			     uint64_t now_ms, struct paper_verdict *ret_verdict)
{
	uint32_t offset = (fragment->ip.flags_offset & 0x1fffU) * 8;
	uint32_t length = fragment->ip.payload_length;
	bool more = fragment->ip.flags_offset & 0x2000;
	struct paper_datagram *datagram;

	ret_verdict->expired = ret_verdict->evicted = 0;
	while ((datagram = paper_oldest(paper)) && now_ms >= datagram->started_ms &&
	       now_ms - datagram->started_ms >= 15000) {
		datagram->is_used = false;
		ret_verdict->expired++;
	}
	datagram = paper_find(paper, &fragment->ip);
	ret_verdict->result = CV_REASSEMBLY_WAIT;
	ret_verdict->reason = CV_DROP_NONE;
	if (!length || offset + length > 65515 || (more && length % 8)) {
		ret_verdict->reason = CV_DROP_FRAGMENT_INVALID;
	} else {
		if (!datagram)
			datagram = paper_begin(paper, &fragment->ip, now_ms, &ret_verdict->evicted);
		ret_verdict->reason = paper_take(datagram, fragment);
	}
	if (ret_verdict->reason) {
		ret_verdict->result = CV_REASSEMBLY_DROP;
	} else if (paper_is_whole(datagram)) {
		ret_verdict->result = CV_REASSEMBLY_COMPLETE;
		paper_write(datagram, ret_verdict);
	}
	if (datagram && ret_verdict->result != CV_REASSEMBLY_WAIT)
		datagram->is_used = false;
}

/*
 * Gives one fragment, whose total length must fit, to both. Returns what differs, NULL:
 * nothing; the verdict in *ret_verdict.
 */
static inline const char *paper_compare(struct paper *paper, struct cv_reassembly *reassembly,
					const struct paper_fragment *fragment, uint64_t now_ms,
					struct paper_verdict *ret_verdict)
{
	uint32_t length = 20U + fragment->ip.options_length + fragment->ip.payload_length;
	uint8_t *packet = malloc(length);
	uint8_t *buffer = malloc(CV_REASSEMBLY_BYTES);
	uint32_t whole_length = 0;
	struct cv_reassembly_lost lost = {0};
	enum cv_drop reason = CV_DROP_NONE;
	enum cv_reassembly_result result;
	const char *error = NULL;
	struct cv_ipv4 ip;

	oracle_header(packet, &fragment->ip);
	memcpy(packet + length - fragment->ip.payload_length, fragment->payload,
	       fragment->ip.payload_length);
	paper_add(paper, fragment, now_ms, ret_verdict);
	cv_ipv4_parse(packet, length, &ip);
	result = cv_reassembly_add(reassembly, packet, &ip, now_ms, buffer, &whole_length, &reason,
				   &lost);
	if (result != ret_verdict->result)
		error = "another result";
	else if (reason != ret_verdict->reason)
		error = "another reason, or one without a drop";
	else if (lost.expired != ret_verdict->expired || lost.evicted != ret_verdict->evicted)
		error = "another number of lost datagrams";
	else if (result == CV_REASSEMBLY_COMPLETE &&
		 (whole_length != ret_verdict->length ||
		  memcmp(buffer, ret_verdict->whole, whole_length) != 0))
		error = "another datagram";
	else if (result != CV_REASSEMBLY_COMPLETE && whole_length != 0)
		error = "a length without a datagram";
	free(packet);
	free(buffer);
	return error;
}

#endif
