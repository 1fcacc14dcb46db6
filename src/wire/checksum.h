/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071; RFC 791, 3.1) and its incremental update
 * (RFC 1624).
 *
 * A sum is a __u64: the one's complement sum of 64-bit words as they lie in memory.
 * It may be carried from piece to piece and from function to function, and added to
 * another one by cv_checksum_combine(). Because 2^16 - 1 divides 2^64 - 1, folding
 * it to 16 bits gives the one's complement sum of the 16-bit words; because the words
 * were never swapped, the result is in memory order too: it is stored as it is
 * (RFC 1071, 2 (B)).
 */
#ifndef CV_WIRE_CHECKSUM_H
#define CV_WIRE_CHECKSUM_H

#include "wire/types.h"
#include "wire/bytes.h"

/* The one's complement sum of two sums. */
CV_INLINE __u64 cv_checksum_combine(__u64 sum, __u64 other)
{
	sum += other;
	return sum + (sum < other);
}

/*
 * The sum of a piece that began at an odd offset, as if it had begun at an even one
 * and the other way round: RFC 1071, 2 (B). Use: combine(first, shift(second)) where
 * the first piece has an odd length.
 */
CV_INLINE __u64 cv_checksum_shift(__u64 sum)
{
	return sum << 8 | sum >> 56;
}

#ifndef __bpf__
/* The sum of blocks of 64 bytes: four carries that do not wait for one another. */
CV_INLINE __u64 cv_checksum_add_blocks(const __u8 *at, const __u8 *end, __u64 sum)
{
	__u64 lane[4] = {sum, 0, 0, 0};
	__u64 word[8];

	for (; at != end; at += sizeof(word)) {
		__builtin_memcpy(word, at, sizeof(word));
		lane[0] = cv_checksum_combine(lane[0], word[0]);
		lane[1] = cv_checksum_combine(lane[1], word[1]);
		lane[2] = cv_checksum_combine(lane[2], word[2]);
		lane[3] = cv_checksum_combine(lane[3], word[3]);
		lane[0] = cv_checksum_combine(lane[0], word[4]);
		lane[1] = cv_checksum_combine(lane[1], word[5]);
		lane[2] = cv_checksum_combine(lane[2], word[6]);
		lane[3] = cv_checksum_combine(lane[3], word[7]);
	}
	return cv_checksum_combine(cv_checksum_combine(lane[0], lane[1]),
				   cv_checksum_combine(lane[2], lane[3]));
}
#endif

/* The sum of the last bytes of data, below 4 of them. */
CV_INLINE __u64 cv_checksum_add_tail(const __u8 *at, __u32 length, __u64 sum)
{
	__u8 last[2] = {0, 0};

	if (length >= 2) {
		sum = cv_checksum_combine(sum, (CV_FORCE __u16)cv_bytes_load16(at));
		at += 2;
		length -= 2;
	}
	if (length) {
		last[0] = *at;
		sum = cv_checksum_combine(sum, (CV_FORCE __u16)cv_bytes_load16(last));
	}
	return sum;
}

/*
 * As cv_checksum_add(), for a length that is a multiple of four, as an IPv4 header's is. It
 * has no tail, because the verifier of Linux 6.1 does not see that there is none.
 *
 * For eBPF a loop of four bytes a turn, which the verifier accepts when the caller
 * has bounded length.
 */
CV_INLINE __u64 cv_checksum_add_words(const void *data, __u32 length, __u64 sum)
{
	const __u8 *at = data;
	__u32 i = 0;

#ifdef __bpf__
	/* The header without options, straight ahead: half of what a packet costs otherwise. */
	if (__builtin_constant_p(length) && length == 20) {
		__u32 word[5];

		__builtin_memcpy(word, data, sizeof(word));
		return cv_checksum_combine(sum,
					   (__u64)word[0] + word[1] + word[2] + word[3] + word[4]);
	}
#endif

#ifndef __bpf__
	__u64 word;

	i = length & ~63U;
	sum = cv_checksum_add_blocks(at, at + i, sum);
	for (; length - i >= sizeof(word); i += sizeof(word)) {
		__builtin_memcpy(&word, at + i, sizeof(word));
		sum = cv_checksum_combine(sum, word);
	}
#endif
	for (; i + sizeof(__u32) <= length; i += sizeof(__u32)) {
		CV_BYTES_COUNTER(i);
		sum = cv_checksum_combine(sum, (CV_FORCE __u32)cv_bytes_load32(at + i));
	}
	return sum;
}

/*
 * Adds length bytes to a sum (0 to begin with). The piece must begin at an even
 * offset of what is summed, so only the last one may have an odd length; it counts
 * as padded with a zero byte. data needs no alignment.
 */
CV_INLINE __u64 cv_checksum_add(const void *data, __u32 length, __u64 sum)
{
	const __u8 *at = data;
	const __u32 words = length & ~3U;

	sum = cv_checksum_add_words(at, words, sum);
	return cv_checksum_add_tail(at + words, length & 3, sum);
}

/*
 * A sum folded to 16 bits, not complemented, in memory order: what a checksum field
 * holds while the rest is left to an offload (CHECKSUM_PARTIAL, the pseudo header's
 * sum).
 */
CV_INLINE __be16 cv_checksum_fold_partial(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (CV_FORCE __be16)(__u16)sum;
}

/*
 * The checksum of a sum: folded and complemented, in memory order, to be stored as it
 * is. 0 when the sum covers data together with their right checksum. (UDP alone sends
 * 0xffff instead of 0: RFC 768; that is the caller's.)
 */
CV_INLINE __be16 cv_checksum_fold(__u64 sum)
{
	return (CV_FORCE __be16)(__u16) ~(CV_FORCE __u16)cv_checksum_fold_partial(sum);
}

/* The sum of the TCP and UDP pseudo header; length in bytes, header and payload. */
CV_INLINE __u64 cv_checksum_pseudo(__be32 source, __be32 destination, __u8 protocol, __u32 length)
{
	__u64 sum = (CV_FORCE __u32)source;

	sum += (CV_FORCE __u32)destination;
	sum += (CV_FORCE __u32)cv_htonl(protocol);
	sum += (CV_FORCE __u32)cv_htonl(length);
	return sum;
}

/*
 * The checksum after one 16-bit word that it covers has changed: RFC 1624, equation
 * 3. The word must lie at an even offset. A checksum that was wrong stays wrong.
 */
CV_INLINE __be16 cv_checksum_update16(__be16 check, __be16 old_word, __be16 new_word)
{
	__u64 sum = (__u16) ~(CV_FORCE __u16)check;

	sum += (__u16) ~(CV_FORCE __u16)old_word;
	sum += (CV_FORCE __u16)new_word;
	return cv_checksum_fold(sum);
}

/* The same for 32 bits (an address), at an even offset. */
CV_INLINE __be16 cv_checksum_update32(__be16 check, __be32 old_word, __be32 new_word)
{
	__u64 sum = (__u16) ~(CV_FORCE __u16)check;

	sum += (__u32) ~(CV_FORCE __u32)old_word;
	sum += (CV_FORCE __u32)new_word;
	return cv_checksum_fold(sum);
}

#endif
