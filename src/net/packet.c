/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet sockets for outer packets.
 *
 * Invariants: nothing but IPv4 packets of protocol 4 for this host is ever queued, and
 * none is queued on two sockets of a group. So the filter stands before the socket is
 * bound, and drops everything until the socket has joined its group: in between, it would
 * get every packet besides the group. Group 0 is never used: it means "choose one".
 *
 * A socket of protocol ETH_P_IP gets packets where the IP stack gets them: behind
 * VLANs, bridges and bonds, each once, on the device that has the address.
 */
#include "net/packet.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "wire/types.h"

enum {
	RECEIVE_BUFFER = 16 << 20,
	IP_PROTOCOL_OFFSET = 9, /* RFC 791, 3.1 */
	FANOUT_TYPE = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG,
};

/* Offsets are from the network header: any link type, any length of link header. */
static struct sock_filter filter_outer[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 0, 3),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (unsigned int)(SKF_NET_OFF + IP_PROTOCOL_OFFSET)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IPIP, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, ~0U),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static struct sock_filter filter_nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};

static int set_filter(int fd, struct sock_filter *code, unsigned short length)
{
	struct sock_fprog program = {.len = length, .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* All that must stand before the first packet is queued. */
static int prepare(int fd)
{
	int err = set_filter(fd, filter_nothing, 1);

	if (!err)
		err = set_int(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	if (!err)
		err = set_int(fd, SOL_PACKET, PACKET_AUXDATA, 1);
	if (!err)
		err = set_int(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (!err)
		err = set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
	return err;
}

/* Join group, or with 0 a new one. Returns its id, which may be 0, or -errno. */
static int join(int fd, uint16_t group)
{
	uint32_t argument = group | (uint32_t)FANOUT_TYPE << 16;
	socklen_t length = sizeof(argument);

	if (!group)
		argument |= (uint32_t)PACKET_FANOUT_FLAG_UNIQUEID << 16;
	if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &argument, sizeof(argument)) < 0 ||
	    getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &argument, &length) < 0)
		return -errno;
	return (int)(argument & 0xffff);
}

/* One attempt: a descriptor, with its group in *ret_group, or -errno. */
static int open_member(uint16_t group, int *ret_group)
{
	struct sockaddr_ll any = {.sll_family = AF_PACKET, .sll_protocol = cv_htons(ETH_P_IP)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int joined, err;

	if (fd < 0)
		return -errno;
	err = prepare(fd);
	if (err < 0)
		goto close_fd;
	/* The kernel lets only a bound socket join. */
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		err = -errno;
		goto close_fd;
	}
	joined = join(fd, group);
	err = joined < 0 ? joined
			 : set_filter(fd, filter_outer,
				      sizeof(filter_outer) / sizeof(filter_outer[0]));
	if (err < 0)
		goto close_fd;
	*ret_group = joined;
	return fd;
close_fd:
	close(fd);
	return err;
}

int cv_packet_open(uint16_t *group)
{
	int joined = 0;
	int fd = open_member(*group, &joined);

	if (fd >= 0 && !joined) {
		/* The kernel's choice was 0, its first. While we hold that, it chooses another. */
		int zero = fd;

		fd = open_member(0, &joined);
		close(zero);
	}
	if (fd >= 0)
		*group = (uint16_t)joined;
	return fd;
}

int cv_packet_info(struct msghdr *message, struct cv_packet_info *ret_info)
{
	const struct sockaddr_ll *from = message->msg_name;
	struct cmsghdr *cmsg;

	if (message->msg_namelen < offsetof(struct sockaddr_ll, sll_addr))
		return -EBADMSG;
	for (cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
		struct tpacket_auxdata aux;

		if (cmsg->cmsg_level != SOL_PACKET || cmsg->cmsg_type != PACKET_AUXDATA ||
		    cmsg->cmsg_len < CMSG_LEN(sizeof(aux)))
			continue;
		memcpy(&aux, CMSG_DATA(cmsg), sizeof(aux));
		ret_info->ifindex = from->sll_ifindex;
		ret_info->network_offset = aux.tp_net;
		ret_info->to_host = from->sll_pkttype == PACKET_HOST;
		return 0;
	}
	return -EBADMSG;
}

uint32_t cv_packet_drops(int fd)
{
	struct tpacket_stats stats = {0};
	socklen_t length = sizeof(stats);

	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) < 0)
		return 0;
	return stats.tp_drops;
}
