/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * TCP (RFC 9293): where the fields of a header lie (3.1), and the one thing that a tunnel changes
 * in it: the maximum segment size (3.7.1) that a SYN or SYN-ACK announces. The segments of the
 * connection then fit the tunnel, though their sender may never hear what does.
 */
#ifndef CV_WIRE_TCP_H
#define CV_WIRE_TCP_H

#include "wire/types.h"
#include "wire/bytes.h"
#include "wire/checksum.h"

enum {
	CV_TCP_HEADER_MIN = 20,
	CV_TCP_HEADER_MAX = 60,
	CV_TCP_PORTS = 0, /* source and destination, 4 bytes */
	CV_TCP_SEQUENCE = 4,
	CV_TCP_ACKNOWLEDGMENT = 8,
	CV_TCP_DATA_OFFSET = 12, /* high half: header length in units of 4 */
	CV_TCP_FLAGS = 13,
	CV_TCP_WINDOW = 14,
	CV_TCP_CHECKSUM = 16,
	CV_TCP_URGENT = 18,
	CV_TCP_OPTIONS = 20,
};

enum {
	CV_TCP_FIN = 0x01,
	CV_TCP_SYN = 0x02,
	CV_TCP_RST = 0x04,
	CV_TCP_PSH = 0x08,
	CV_TCP_ACK = 0x10,
	CV_TCP_URG = 0x20,
	CV_TCP_ECE = 0x40,
	CV_TCP_CWR = 0x80,
};

/* Kinds of options (3.1). */
enum {
	CV_TCP_OPTION_END = 0,
	CV_TCP_OPTION_NOP = 1,
	CV_TCP_OPTION_MSS = 2,
	CV_TCP_OPTION_MSS_LENGTH = 4, /* kind, length, 16 bits of value */
};

/*
 * What a tunnel does with announced sizes: lowers those above a number of LEAST to MOST, or one of
 * AUTO (the number is what its path takes) and OFF.
 */
enum {
	CV_TCP_MSS_AUTO = 0,
	CV_TCP_MSS_OFF = 65535,	 /* as a limit it lowers nothing */
	CV_TCP_MSS_HEADERS = 40, /* IPv4's and TCP's, both without options: 3.7.1 */
	CV_TCP_MSS_LEAST = 88,	 /* the smallest that Linux works with (its TCP_MIN_MSS) */
	CV_TCP_MSS_MOST = 65495, /* in the largest IPv4 datagram */
};

/* Whether a tunnel may be set so. */
CV_INLINE bool cv_tcp_mss_valid(__u32 setting)
{
	return setting == CV_TCP_MSS_AUTO || setting == CV_TCP_MSS_OFF ||
	       (setting >= CV_TCP_MSS_LEAST && setting <= CV_TCP_MSS_MOST);
}

/* The limit of a setting, bytes. inner_mtu: of the largest packet that the path takes, bytes. */
CV_INLINE __u16 cv_tcp_mss_limit(__u16 setting, __u32 inner_mtu)
{
	if (setting != CV_TCP_MSS_AUTO)
		return setting;
	if (inner_mtu < CV_TCP_MSS_LEAST + CV_TCP_MSS_HEADERS)
		return CV_TCP_MSS_LEAST;
	if (inner_mtu > CV_TCP_MSS_MOST + CV_TCP_MSS_HEADERS)
		return CV_TCP_MSS_MOST;
	return (__u16)(inner_mtu - CV_TCP_MSS_HEADERS);
}

/*
 * The length of the header with its options, if this is a SYN or SYN-ACK, whose segment has length
 * bytes; of data no more than the first 20 are read. 0: it is none, or its header is cut short, or
 * says that it is shorter than a header.
 */
CV_INLINE __u32 cv_tcp_syn_header(const void *data, __u32 length)
{
	const __u8 *tcp = data;
	__u32 header_length;

	if (length < CV_TCP_HEADER_MIN || !(tcp[CV_TCP_FLAGS] & CV_TCP_SYN))
		return 0;
	header_length = (tcp[CV_TCP_DATA_OFFSET] >> 4) * 4U;
	return header_length < CV_TCP_HEADER_MIN || header_length > length ? 0 : header_length;
}

/*
 * Where the maximum segment size option of a header (header_length bytes, 60 at most) lies in it:
 * the first one of length 4, as there may be but one. 0: there is none, or the list of options
 * stops making sense before it (a length below 2), as it does for receivers.
 */
CV_INLINE __u32 cv_tcp_find_mss(const void *header, __u32 header_length)
{
	const __u8 *bytes = header;
	__u32 at = CV_TCP_OPTIONS;

	/* A turn for each option: of those before the last four bytes, each has one at least. */
	for (__u32 turn = CV_TCP_OPTIONS; turn + 3 < CV_TCP_HEADER_MAX; turn++) {
		CV_BYTES_COUNTER(turn);
		if (at + CV_TCP_OPTION_MSS_LENGTH > header_length)
			break;
		/*
		 * For the verifier: it compares with constants alone, and looks at ways to here as
		 * one if they differ in nothing that it knows of at (1/30 of the work).
		 */
		CV_BYTES_COUNTER(at);
		at &= 63;
		if (at > CV_TCP_HEADER_MAX - CV_TCP_OPTION_MSS_LENGTH ||
		    bytes[at] == CV_TCP_OPTION_END)
			break;
		if (bytes[at] == CV_TCP_OPTION_NOP) {
			at++;
			continue;
		}
		if (bytes[at] == CV_TCP_OPTION_MSS && bytes[at + 1] == CV_TCP_OPTION_MSS_LENGTH)
			return at;
		if (bytes[at + 1] < 2)
			break;
		at += bytes[at + 1];
	}
	return 0;
}

/* A 16-bit value that lies at an offset of a header, as its checksum counts it. */
CV_INLINE __be16 cv_tcp_word(__u32 offset, __be16 value)
{
	if (!(offset & 1))
		return value;
	return cv_checksum_fold_partial(cv_checksum_shift((CV_FORCE __u16)value));
}

/*
 * Lowers what the TCP segment at data announces to limit, if it is a SYN or SYN-ACK and announces
 * more. length: of the bytes that are there, fewer than the segment's in an IPv4 fragment. Never
 * raises, never inserts: without the option 536 applies (3.7.1). The checksum is updated, and stays
 * as wrong or right as it was. is_partial: its field holds the sum of the pseudo header, which does
 * not change, and the rest is summed up later (CHECKSUM_PARTIAL). True if it was lowered.
 */
CV_INLINE bool cv_tcp_clamp_mss(void *data, __u32 length, __u16 limit, bool is_partial)
{
	__u8 *tcp = data, *check = tcp + CV_TCP_CHECKSUM;
	__u32 at = cv_tcp_find_mss(data, cv_tcp_syn_header(data, length));
	__be16 announced, lowered = cv_htons(limit);

	if (!at)
		return false;
	at += 2;
	announced = cv_bytes_load16(tcp + at);
	if (cv_ntohs(announced) <= limit)
		return false;
	cv_bytes_store16(tcp + at, lowered);
	if (!is_partial)
		cv_bytes_store16(check, cv_checksum_update16(cv_bytes_load16(check),
							     cv_tcp_word(at, announced),
							     cv_tcp_word(at, lowered)));
	return true;
}

#endif
