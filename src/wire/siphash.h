/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson, Bernstein, 2012) of eight bytes: a secret for each of many things from one
 * key, without a table of them. Who knows some of them cannot tell another.
 */
#ifndef CV_WIRE_SIPHASH_H
#define CV_WIRE_SIPHASH_H

#include "wire/types.h"

struct cv_siphash_key {
	__u64 words[2];
};

CV_INLINE __u64 cv_siphash_rotate(__u64 word, unsigned int bits)
{
	return word << bits | word >> (64 - bits);
}

CV_INLINE void cv_siphash_rounds(__u64 v[4], unsigned int count)
{
	while (count--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = cv_siphash_rotate(v[1], 13) ^ v[0];
		v[3] = cv_siphash_rotate(v[3], 16) ^ v[2];
		v[0] = cv_siphash_rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = cv_siphash_rotate(v[1], 17) ^ v[2];
		v[3] = cv_siphash_rotate(v[3], 21) ^ v[0];
		v[2] = cv_siphash_rotate(v[2], 32);
	}
}

/* Of the message whose eight bytes are, little endian, this word. */
CV_INLINE __u64 cv_siphash(const struct cv_siphash_key *key, __u64 word)
{
	const __u64 length = (__u64)8 << 56;
	__u64 v[4] = {
		key->words[0] ^ 0x736f6d6570736575,
		key->words[1] ^ 0x646f72616e646f6d,
		key->words[0] ^ 0x6c7967656e657261,
		key->words[1] ^ 0x7465646279746573,
	};

	v[3] ^= word;
	cv_siphash_rounds(v, 2);
	v[0] ^= word;
	v[3] ^= length;
	cv_siphash_rounds(v, 2);
	v[0] ^= length;
	v[2] ^= 0xff;
	cv_siphash_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
