/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes as packets. Within a tunnel: an echo request from an inner address of ours, which the
 * remote routes back to us, to the remote's outer address, so that any IP-in-IP end answers it
 * through the tunnel, one without inner addresses included. On the underlay: the same, bare.
 *
 * All have DF and pay no heed to path MTUs that the kernel knows (IP_PMTUDISC_PROBE): to test these
 * is what they are for. What exceeds the device's own MTU the kernel refuses.
 */
#include "engine/prober_state.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
	TTL = 64,
	PROBE_MAX = 65535,
};

static void fill_echo(uint8_t *icmp, uint32_t length, const struct cv_probe_words *words)
{
	memset(icmp, 0, length);
	cv_probe_build((struct cv_probe_message *)icmp, words);
}

/* The whole packet; the kernel fills in total length and checksum of the first header. */
static uint32_t fill_inner(uint8_t *packet, const struct cv_prober_target *target,
			   __be32 inner_source, const struct cv_probe_words *words)
{
	struct cv_ipv4 ip = {
		.total_length = words->size,
		.source = target->source,
		.destination = target->remote,
		.dont_fragment = true,
		.ttl = target->ttl ? target->ttl : TTL,
		.protocol = CV_IPV4_PROTO_IPIP,
	};

	cv_ipv4_build((struct cv_ipv4_header *)packet, &ip);
	packet += CV_IPV4_HEADER_MIN;
	ip.total_length -= CV_IPIP_OVERHEAD;
	ip.source = inner_source;
	ip.ttl = TTL;
	ip.protocol = CV_IPV4_PROTO_ICMP;
	cv_ipv4_build((struct cv_ipv4_header *)packet, &ip);
	fill_echo(packet + CV_IPV4_HEADER_MIN, words->size - 2 * CV_IPV4_HEADER_MIN, words);
	return words->size;
}

static int send_from(int fd, const struct cv_prober_target *target, const void *packet,
		     uint32_t length)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
	struct in_pktinfo info = {
		.ipi_ifindex = target->oif,
		.ipi_spec_dst.s_addr = (CV_FORCE uint32_t)target->source,
	};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_addr.s_addr = (CV_FORCE uint32_t)target->remote};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)packet, .iov_len = length};
	struct msghdr message = {
		.msg_name = &to,
		.msg_namelen = sizeof(to),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

	cmsg->cmsg_level = IPPROTO_IP;
	cmsg->cmsg_type = IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int cv_prober_send(const struct cv_prober *prober, const struct cv_prober_target *target,
		   enum cv_prober_kind kind, __be32 inner_source,
		   const struct cv_probe_words *words)
{
	static __thread _Alignas(4) uint8_t packet[PROBE_MAX + 1];
	uint32_t length;

	if (kind == CV_PROBER_BY_TUNNEL) {
		length = fill_inner(packet, target, inner_source, words);
		return send_from(prober->sender, target, packet, length);
	}
	length = words->size - CV_IPV4_HEADER_MIN;
	fill_echo(packet, length, words);
	return send_from(prober->echo, target, packet, length);
}
