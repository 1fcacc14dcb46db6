/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the fields of a TCP header (wire/tcp.h) and of a UDP header (RFC 768) lie, in bytes: all
 * that cutting and merging segments has to know of them.
 */
#ifndef CV_ENGINE_TRANSPORT_H
#define CV_ENGINE_TRANSPORT_H

#include "wire/tcp.h"

enum {
	CV_UDP_HEADER = 8,
	CV_UDP_LENGTH = 4,
	CV_UDP_CHECKSUM = 6,
};

#endif
