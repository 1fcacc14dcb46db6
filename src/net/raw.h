/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw IPv4 sockets: one to send complete packets, one to guard protocol 4.
 *
 * The guard receives nothing. It makes the host own protocol 4: the kernel does not
 * answer "protocol unreachable", and it queues ICMP errors about our packets for us, with
 * what they quote. It learns no path MTU from them by itself: that is left to who can tell
 * a forged error from a true one.
 */
#ifndef CV_NET_RAW_H
#define CV_NET_RAW_H

#include <stdint.h>
#include <linux/types.h>

/*
 * Open an IPPROTO_RAW socket for sendmmsg of complete IPv4 packets. Blocking (MSG_DONTWAIT is
 * the caller's choice); no ICMP error is ever pending on it. The kernel routes by msg_name and,
 * where an IP_PKTINFO control message is given, by its ipi_spec_dst (the source, needed for
 * `ip rule from`) and ipi_ifindex; never by the header. It writes the total length, the header
 * checksum and an identification that is 0. It fragments a packet without DF that exceeds the
 * path's MTU; -EMSGSIZE: it has DF, or exceeds the device's MTU.
 * Descriptor, which the caller closes, or -errno.
 */
int cv_raw_open_sender(void);

/*
 * Open the guard: protocol 4, drop-all filter, IP_HDRINCL, IP_RECVERR. Non-blocking. poll()
 * says POLLERR (always on) when an error is queued. Descriptor, which the caller closes, or -errno.
 */
int cv_raw_open_guard(void);

enum {
	CV_RAW_QUOTE_MAX = 1024, /* the rest of a longer quote is cut off */
};

/* An ICMP error about an outer packet. */
struct cv_raw_error {
	uint8_t type;
	uint8_t code;
	uint32_t info;			 /* next-hop MTU, or parameter problem pointer */
	__be32 offender;		 /* who sent the ICMP message */
	uint32_t quoted;		 /* bytes in quote */
	uint8_t quote[CV_RAW_QUOTE_MAX]; /* from the outer IP header on */
};

/*
 * Take one error off the guard's queue. 0; -EAGAIN when there is none; -ENOMSG: one of another
 * origin was skipped; -errno. Read until -EAGAIN: that also ends POLLERR. The kernel
 * keeps redirects, source quench and time exceeded in reassembly (code 1) to itself.
 */
int cv_raw_read_error(int guard, struct cv_raw_error *ret_error);

/*
 * Send one ICMP message, its checksum filled in, to destination by a raw ICMP socket (opened by
 * cv_raw_open_icmp; non-blocking, receives nothing): the kernel chooses the source address and
 * the route, DF is off, the TOS 0xc0 (RFC 1812, 4.3.2.5). 0 or -errno; -EAGAIN: queue full.
 */
int cv_raw_open_icmp(void);
int cv_raw_send_icmp(int fd, __be32 destination, const void *icmp, uint32_t length);

/*
 * Path MTUs that the kernel knows do not concern what is sent by this socket: it takes, and does
 * not fragment, what its device takes (-EMSGSIZE: more). 0 or -errno.
 */
int cv_raw_ignore_path_mtu(int fd);

/*
 * Open a raw ICMP socket that receives echo replies of one identifier that have this word, in host
 * byte order, at an offset of the ICMP message, from their IPv4 header on, and sends with DF,
 * whatever path MTU the kernel knows. What strangers send takes no room. Non-blocking. Descriptor,
 * which the caller closes, or -errno.
 */
int cv_raw_open_echo(uint16_t id, uint32_t offset, uint16_t word);

#endif
