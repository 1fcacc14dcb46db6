/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Reading and writing packet bytes wherever they lie: packets come without
 * alignment, so every access goes through a copy of constant size, which the
 * compilers turn into one instruction where the machine allows it (and into
 * single bytes for eBPF, whose verifier insists on alignment).
 */
#ifndef CV_WIRE_BYTES_H
#define CV_WIRE_BYTES_H

#include "wire/types.h"

/* Two bytes as they lie in memory. */
CV_INLINE __be16 cv_bytes_load16(const void *at)
{
	__be16 value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

/* Four bytes as they lie in memory. */
CV_INLINE __be32 cv_bytes_load32(const void *at)
{
	__be32 value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

CV_INLINE void cv_bytes_store16(void *at, __be16 value)
{
	__builtin_memcpy(at, &value, sizeof(value));
}

CV_INLINE void cv_bytes_store32(void *at, __be32 value)
{
	__builtin_memcpy(at, &value, sizeof(value));
}

/*
 * In eBPF, hides from the compiler what it knows of a loop's counter. Else clang makes
 * a memcpy() of the loop, which eBPF has not, or an end test by "!=", by which the
 * verifier cannot see that the counter stays below the length.
 */
#ifdef __bpf__
#define CV_BYTES_COUNTER(i) __asm__ volatile("" : "+r"(i) : : "memory")
#else
#define CV_BYTES_COUNTER(i) ((void)(i))
#endif

/*
 * Copies length bytes; the two areas must not overlap. For headers and quotes, not
 * for bulk: for eBPF it is a loop of single bytes, whose length the caller bounds.
 */
CV_INLINE void cv_bytes_copy(void *to, const void *from, __u32 length)
{
	const __u8 *source = from;
	__u8 *target = to;
	__u32 i;

	for (i = 0; i < length; i++) {
		CV_BYTES_COUNTER(i);
		target[i] = source[i];
	}
}

/* Zeroes length bytes: option padding. For eBPF as cv_bytes_copy(). */
CV_INLINE void cv_bytes_zero(void *to, __u32 length)
{
	__u8 *target = to;
	__u32 i;

	for (i = 0; i < length; i++) {
		CV_BYTES_COUNTER(i);
		target[i] = 0;
	}
}

#endif
