/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the fields of a TCP header (RFC 9293, 3.1) and of a UDP header (RFC 768)
 * lie, in bytes: all that cutting and merging segments has to know of them.
 */
#ifndef CV_ENGINE_TRANSPORT_H
#define CV_ENGINE_TRANSPORT_H

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

enum {
	CV_UDP_HEADER = 8,
	CV_UDP_LENGTH = 4,
	CV_UDP_CHECKSUM = 6,
};

#endif
