/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw IPv4 sockets: sender, guard, and ICMP.
 *
 * None of them ever queues a packet: what a drop-all filter refuses costs the kernel
 * a clone at most, what nobody reads would cost memory until the buffer is full.
 *
 * The kernel hands an ICMP error to raw sockets of the *quoted* protocol. The sender
 * is of protocol 255, so errors about what it sends go to the guard, and are
 * never returned by a later send as if that had failed.
 */
#include "net/raw.h"

#include <errno.h>
#include <time.h> /* before errqueue.h, which needs it */

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/types.h"

/* <netinet/ip.h> has it too, but clashes with <linux/ip.h> of other includers. */
enum {
	TOS_INTERNETWORK_CONTROL = 0xc0
};

enum {
	SEND_BUFFER = 4 << 20,
	ANSWER_BUFFER = 1 << 20,
	ERROR_BUFFER = 1 << 20, /* some 1,000 ICMP errors between two reads */
};

/* <linux/in.h> has it (Linux 5.9), but clashes with <netinet/in.h>. */
enum {
	RECVERR_RFC4884 = 26
};

static int drop_all(int fd)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {.len = 1, .filter = code};
	char byte;

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	/* What came between socket() and the filter would stay readable for ever. */
	while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0 || errno == EINTR)
		;
	return 0;
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int cv_raw_open_sender(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	int err;

	if (fd < 0)
		return -errno;
	err = drop_all(fd);
	if (err < 0) {
		close(fd);
		return err;
	}
	/* Room for a few batches in the device's queue; the default holds 90 packets. */
	(void)set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
	return fd;
}

int cv_raw_open_guard(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_IPIP);
	int err;

	if (fd < 0)
		return -errno;
	err = drop_all(fd);
	/* With IP_HDRINCL the quote begins at the outer header, not behind it. */
	if (!err)
		err = set_int(fd, IPPROTO_IP, IP_HDRINCL, 1);
	if (!err)
		err = set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
	/*
	 * The kernel would lower the route's path MTU for any ICMP 3/4 that quotes protocol 4 and
	 * the right addresses, whoever sent it. The reader of this queue looks closer.
	 */
	if (!err)
		err = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_INTERFACE);
	if (err < 0) {
		close(fd);
		return err;
	}
	(void)set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, ERROR_BUFFER);
	/* Tells where a quote ends if extensions follow it. */
	(void)set_int(fd, IPPROTO_IP, RECVERR_RFC4884, 1);
	return fd;
}

/* The extended error of a message from the error queue, NULL when it has none. */
static const struct sock_extended_err *extended_error(struct msghdr *message)
{
	const size_t need = sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in);
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
		if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_RECVERR &&
		    cmsg->cmsg_len >= CMSG_LEN(need))
			return (const struct sock_extended_err *)CMSG_DATA(cmsg);
	}
	return NULL;
}

/*
 * The kernel sets the socket's error after it has queued the message, and also when
 * the queue was full: an error without a message would make poll() report it for ever.
 */
static void clear_error(int fd)
{
	socklen_t length = sizeof(int);
	int pending;

	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length);
}

int cv_raw_read_error(int guard, struct cv_raw_error *ret_error)
{
	_Alignas(struct cmsghdr) char control[256];
	char quote[CV_RAW_QUOTE_MAX];
	struct iovec iov = {.iov_base = quote, .iov_len = sizeof(quote)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	const struct sock_extended_err *extended;
	const struct sockaddr_in *offender;
	ssize_t length;

	do {
		length = recvmsg(guard, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
	} while (length < 0 && errno == EINTR);
	if (length < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return -errno;
		clear_error(guard);
		return -EAGAIN;
	}
	extended = extended_error(&message);
	if (!extended || extended->ee_origin != SO_EE_ORIGIN_ICMP)
		return -ENOMSG;
	if (extended->ee_rfc4884.len && extended->ee_rfc4884.len < length)
		length = extended->ee_rfc4884.len;
	offender = (const struct sockaddr_in *)(extended + 1);
	ret_error->type = extended->ee_type;
	ret_error->code = extended->ee_code;
	ret_error->info = extended->ee_info;
	ret_error->offender = (CV_FORCE __be32)offender->sin_addr.s_addr;
	ret_error->quoted = (uint32_t)length;
	memcpy(ret_error->quote, quote, (size_t)length);
	return 0;
}

int cv_raw_open_icmp(void)
{
	/* Blocks the types below 32 before the kernel clones a packet; drop_all the others. */
	struct icmp_filter filter = {.data = ~0U};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	int err;

	if (fd < 0)
		return -errno;
	err = setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) < 0 ? -errno : 0;
	if (!err)
		err = drop_all(fd);
	if (!err)
		err = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	/* RFC 1812, 4.3.2.5: ICMP errors SHOULD carry precedence 6 or 7. */
	if (!err)
		err = set_int(fd, IPPROTO_IP, IP_TOS, TOS_INTERNETWORK_CONTROL);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

/*
 * No old error is returned in place of sending: without IP_RECVERR the kernel sets none on an
 * unconnected raw socket, and one that is pending does not keep it from sending.
 */
int cv_raw_send_icmp(int fd, __be32 destination, const void *icmp, uint32_t length)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = (CV_FORCE uint32_t)destination};
	ssize_t sent;

	do {
		sent = sendto(fd, icmp, length, MSG_DONTWAIT | MSG_NOSIGNAL,
			      (struct sockaddr *)&address, sizeof(address));
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int cv_raw_ignore_path_mtu(int fd)
{
	return set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

int cv_raw_open_echo(uint16_t id, uint32_t offset, uint16_t word)
{
	/* Behind the IPv4 header: type 0, the identifier, and the word. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, offsetof(struct icmphdr, un.echo.id)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, id, 0, 3),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, offset),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT16_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	struct icmp_filter filter = {.data = ~(1U << ICMP_ECHOREPLY)};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter)) < 0)
		err = -errno;
	/* Some 1,000, for the time that the kernel is asked about many routes. */
	(void)set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, ANSWER_BUFFER);
	if (!err)
		err = cv_raw_ignore_path_mtu(fd);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}
