/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The few types and words that every wire/ header needs, for the host and for
 * -target bpf alike: fixed-width integers, byte-order types, byte swapping.
 * Nothing here calls into libc.
 */
#ifndef CV_WIRE_TYPES_H
#define CV_WIRE_TYPES_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#ifndef __BYTE_ORDER__
#error "the compiler must define __BYTE_ORDER__"
#endif

#define CV_INLINE static inline __attribute__((always_inline, unused))

/* sparse sees the __force; the compilers see a plain conversion. */
#ifdef __CHECKER__
#define CV_FORCE __attribute__((force))
#else
#define CV_FORCE
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CV_SWAP16(x) __builtin_bswap16(x)
#define CV_SWAP32(x) __builtin_bswap32(x)
#else
#define CV_SWAP16(x) (x)
#define CV_SWAP32(x) (x)
#endif

CV_INLINE __u16 cv_ntohs(__be16 x)
{
	return CV_SWAP16((CV_FORCE __u16)x);
}

CV_INLINE __be16 cv_htons(__u16 x)
{
	return (CV_FORCE __be16)CV_SWAP16(x);
}

CV_INLINE __u32 cv_ntohl(__be32 x)
{
	return CV_SWAP32((CV_FORCE __u32)x);
}

CV_INLINE __be32 cv_htonl(__u32 x)
{
	return (CV_FORCE __be32)CV_SWAP32(x);
}

#endif
