/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Explicit congestion notification through a tunnel: RFC 6040. The field is the two
 * low bits of the TOS byte (RFC 3168, 5); the functions ignore the other six, so a
 * whole TOS byte may be given.
 */
#ifndef CV_WIRE_ECN_H
#define CV_WIRE_ECN_H

#include "wire/types.h"

enum cv_ecn {
	CV_ECN_NOT_ECT = 0,
	CV_ECN_ECT_1 = 1,
	CV_ECN_ECT_0 = 2,
	CV_ECN_CE = 3,
	CV_ECN_MASK = 3,
};

/* How the ingress fills the outer field (RFC 6040, 4.1). */
enum cv_ecn_mode {
	CV_ECN_NORMAL,	   /* a copy of the inner field */
	CV_ECN_COMPATIBLE, /* Not-ECT always, for an egress that knows nothing of ECN */
};

/* What the egress has to say about a combination (RFC 6040, 4.2, figure 4). */
enum cv_ecn_note {
	CV_ECN_OK,
	CV_ECN_UNUSED,	  /* "(!)": no use of it is known; to be counted */
	CV_ECN_DANGEROUS, /* "(!!!)": potentially dangerous; to be counted and reported */
};

struct cv_ecn_result {
	__u8 ecn;  /* enum cv_ecn: the departing inner field; the old one when drop */
	__u8 note; /* enum cv_ecn_note */
	bool drop; /* the packet must be dropped: CV_DROP_ECN_CE_NOT_ECT */
};

/* The outer field at the ingress: RFC 6040, 4.1. inner: the arriving field. */
CV_INLINE __u8 cv_ecn_encapsulate(__u8 inner, __u8 mode)
{
	return mode == CV_ECN_COMPATIBLE ? CV_ECN_NOT_ECT : inner & CV_ECN_MASK;
}

/*
 * The inner field at the egress: RFC 6040, 4.2, all sixteen cells of figure 4.
 *
 * Of the rules, in words: congestion seen on the way is passed on to whoever
 * understands it and drops the packet of whoever does not; the stronger of two marks
 * wins in the order ECT(0), ECT(1), CE; a packet never becomes ECN-capable inside a
 * tunnel.
 */
CV_INLINE struct cv_ecn_result cv_ecn_decapsulate(__u8 inner, __u8 outer)
{
	struct cv_ecn_result result = {
		.ecn = inner & CV_ECN_MASK,
		.note = CV_ECN_OK,
		.drop = false,
	};

	outer &= CV_ECN_MASK;
	switch (result.ecn) {
	case CV_ECN_NOT_ECT:
		if (outer != CV_ECN_NOT_ECT)
			result.note = CV_ECN_DANGEROUS;
		result.drop = outer == CV_ECN_CE;
		break;
	case CV_ECN_ECT_0:
		if (outer == CV_ECN_ECT_1 || outer == CV_ECN_CE)
			result.ecn = outer;
		break;
	case CV_ECN_ECT_1:
		if (outer == CV_ECN_CE)
			result.ecn = CV_ECN_CE;
		else if (outer == CV_ECN_ECT_0)
			result.note = CV_ECN_UNUSED;
		break;
	default: /* CE stays CE */
		if (outer == CV_ECN_ECT_1)
			result.note = CV_ECN_DANGEROUS;
	}
	return result;
}

#endif
