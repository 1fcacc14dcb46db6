/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet sockets that receive outer packets: every IPv4 packet of protocol 4 that
 * arrives on any device and is addressed to this host at the link layer, whole
 * super-packets with their virtio_net_hdr included. The sockets of one fan-out group share
 * the packets by flow; the kernel reassembles fragments first (PACKET_FANOUT_FLAG_DEFRAG).
 */
#ifndef CV_NET_PACKET_H
#define CV_NET_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * A message is a struct virtio_net_hdr (10 bytes, host byte order), then the frame from its
 * link header on. recvmsg returns -EINVAL for a packet that such a header cannot
 * describe; that one is then gone, and the socket goes on.
 *
 * Open a socket and join fan-out group *group; with *group 0 on entry, a group id that nobody
 * in this network namespace uses is chosen and stored (PACKET_FANOUT_FLAG_UNIQUEID). Bound to all
 * devices: one that is removed and created again needs nothing. Returns a non-blocking
 * descriptor that the caller closes, or -errno.
 */
int cv_packet_open(uint16_t *group);

/* What recvmsg said of one packet. */
struct cv_packet_info {
	int ifindex;		 /* where it arrived */
	uint32_t network_offset; /* bytes from behind the vnet header to the IP header */
	bool to_host;		 /* PACKET_HOST */
};

enum {
	CV_PACKET_CONTROL_SIZE = 64, /* msg_control bytes that cv_packet_info needs */
};

/* Read sockaddr_ll (msg_name) and PACKET_AUXDATA of a received message. 0, or -EBADMSG. */
int cv_packet_info(struct msghdr *message, struct cv_packet_info *ret_info);

/* Packets that the kernel dropped on this socket since the last call, its queue being full. */
uint32_t cv_packet_drops(int fd);

#endif
