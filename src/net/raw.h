/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw IPv4 sockets: one to send complete packets, one to guard protocol 4.
 *
 * The guard receives nothing. It makes the host own protocol 4: the kernel does not
 * answer "protocol unreachable", it learns path MTUs from ICMP errors about our
 * packets, and queues those errors for us, with what they quote.
 */
#ifndef CV_NET_RAW_H
#define CV_NET_RAW_H

#include <stdint.h>
#include <linux/types.h>

/* Open an IPPROTO_RAW socket for sendmmsg of complete IPv4 packets. Descriptor or -errno. */
int cv_raw_open_sender(void);

/* Open the guard: protocol 4, drop-all filter, IP_HDRINCL, IP_RECVERR. Non-blocking. Descriptor or -errno. */
int cv_raw_open_guard(void);

enum { CV_RAW_QUOTE_MAX = 1024 };

/* An ICMP error about an outer packet. */
struct cv_raw_error {
	uint8_t type;
	uint8_t code;
	uint32_t info;	  /* next-hop MTU, or parameter problem pointer */
	__be32 offender;  /* who sent the ICMP message */
	uint32_t quoted;  /* bytes in quote */
	uint8_t quote[CV_RAW_QUOTE_MAX]; /* from the outer IP header on */
};

/* Take one error off the guard's queue. 0; -EAGAIN when there is none; -ENOMSG: one of another origin was skipped; -errno. */
int cv_raw_read_error(int guard, struct cv_raw_error *ret_error);

/*
 * Send one ICMP message to destination by a raw ICMP socket (opened by cv_raw_open_icmp): the kernel
 * chooses the source address and the route. 0 or -errno.
 */
int cv_raw_open_icmp(void);
int cv_raw_send_icmp(int fd, __be32 destination, const void *icmp, uint32_t length);

#endif
