/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel as the oracle of the segmenter and of the coalescer. Run by
 * kernel_offload.t in a network namespace of its own:
 *
 *   super-packet ──> TUN "in" ── kernel forwards ──> TUN "out" ──> segments
 *                    (offloads)                      (none: the kernel has to cut)
 *
 * What leaves "out" must be, byte for byte, what cv_segment_next makes of the same
 * super-packet, the TTL apart. The super-packets come from a generator and, in the second
 * half, from the coalescer, so that its vnet headers are read by whom they are for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "engine/coalesce.h"
#include "engine/segment.h"
#include "../unit/segment_oracle.h"

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
	ROUNDS = 300,
	WAIT_MS = 2000,
	TTL = 17,
	SEGMENTS_MAX = 60,
	DEBIAN_SIZE_MIN = 8, /* Debian's 6.1.192 and 6.12.117 take a smaller gso_size for 8 */
};

/* For the shell, once both devices are there. */
static const char set_up[] = "set -e; sysctl -qw net.ipv4.ip_forward=1;"
			     "sysctl -qw net.ipv4.conf.all.rp_filter=0;"
			     "sysctl -qw net.ipv4.conf.in.rp_filter=0;"
			     "ip link set in up mtu 65535;"
			     "ip link set out up mtu 65535 txqueuelen 5000;"
			     "ip route add 10.1.0.0/16 dev in;"
			     "ip route add 10.2.0.0/16 dev out";
static int in_fd, out_fd;
static uint8_t data[65536];
static const char *error;
static uint32_t size_min = 1;

static int open_tun(const char *name, unsigned long offloads)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	memcpy(request.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETOFFLOAD, offloads) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The next IPv4 packet that the kernel sends by "out"; its length, 0 if none comes. */
static uint32_t receive(uint8_t packet[65536])
{
	struct pollfd wait = {.fd = out_fd, .events = POLLIN};
	struct virtio_net_hdr vnet;
	struct iovec iov[2] = {{&vnet, sizeof(vnet)}, {packet, 65536}};
	ssize_t length;

	while (poll(&wait, 1, WAIT_MS) == 1) {
		length = readv(out_fd, iov, 2);
		if (length <= (ssize_t)sizeof(vnet) || packet[0] >> 4 != 4)
			continue;
		if (vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM || vnet.gso_type)
			error = "\"out\" was given work that it never offered to do";
		return (uint32_t)length - (uint32_t)sizeof(vnet);
	}
	return 0;
}

/* Writes a packet to "in" and compares what leaves "out" with what the segmenter makes. */
static void compare(const struct virtio_net_hdr *vnet, const struct iovec *iov, unsigned int count)
{
	static uint8_t packet[65536], theirs[65536], ours[65536];
	struct iovec all[1 + CV_COALESCE_PIECES] = {{.iov_len = sizeof(*vnet)}};
	struct virtio_net_hdr header = *vnet;
	struct cv_segmenter segmenter;
	struct cv_segment segment;
	struct cv_ipv4 ip;
	uint32_t length = 0;

	all[0].iov_base = &header;
	memcpy(all + 1, iov, count * sizeof(*iov));
	for (unsigned int i = 0; i < count; i++) {
		memcpy(packet + length, iov[i].iov_base, iov[i].iov_len);
		length += (uint32_t)iov[i].iov_len;
	}
	if (writev(in_fd, all, (int)count + 1) != (ssize_t)(length + sizeof(*vnet))) {
		error = "the kernel refuses the packet";
		return;
	}
	/* The forwarding kernel lowers the TTL. */
	packet[8]--;
	oracle_seal(packet, oracle_ip_length(packet));
	if (cv_ipv4_parse(packet, length, &ip) || cv_segment_init(&segmenter, vnet, packet, &ip)) {
		error = "the segmenter refuses the packet";
		return;
	}
	while (cv_segment_next(&segmenter, ours, &segment) && !error) {
		uint32_t their_length = receive(theirs);

		memcpy(ours + segment.header_length, segment.payload, segment.payload_length);
		if (!their_length)
			error = "the kernel sends fewer segments";
		else if (their_length != segment.header_length + segment.payload_length ||
			 memcmp(theirs, ours, their_length) != 0)
			error = "the kernel's segment is another";
	}
}

static struct oracle_packet random_spec(uint8_t protocol)
{
	struct oracle_packet spec = {
		.ip =
			{
				.tos = (uint8_t)oracle_random(),
				.ttl = TTL + 1,
				.protocol = protocol,
				.id = (uint16_t)oracle_random(),
				.flags_offset = oracle_below(2) ? ORACLE_DF : 0,
				.source = 0x0a010002,
				.destination = 0x0a020002,
			},
		.source_port = (uint16_t)oracle_random(),
		.destination_port = (uint16_t)oracle_random(),
		.sequence = oracle_random(),
		.acknowledgment = oracle_random(),
		.flags = (uint8_t)oracle_random(),
		.window = (uint16_t)oracle_random(),
		.urgent = (uint16_t)oracle_random(),
		.data = data,
	};

	/* The kernel that forwards reads IPv4 options: "no operation" it leaves alone. */
	if (!oracle_below(4)) {
		spec.ip.options_length = (uint8_t)(oracle_below(11) * 4);
		memset(spec.ip.options, 1, spec.ip.options_length);
	}
	if (protocol == ORACLE_TCP)
		spec.options_length = oracle_random_options(spec.options);
	return spec;
}

static void random_super(uint8_t protocol)
{
	static uint8_t packet[65536];
	struct oracle_packet spec = random_spec(protocol);
	uint32_t ip_length = 20U + spec.ip.options_length;
	/* Small ones more often than by chance. */
	uint32_t size = size_min + oracle_below(oracle_below(8) ? 1500 : 8);
	struct virtio_net_hdr vnet = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = (uint16_t)size,
		.csum_start = (uint16_t)ip_length,
		.csum_offset = 16,
	};
	struct iovec iov = {.iov_base = packet};
	uint32_t length = size * SEGMENTS_MAX;

	vnet.hdr_len = (uint16_t)(ip_length + 20 + spec.options_length);
	if (protocol == ORACLE_UDP) {
		vnet.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		vnet.csum_offset = 6;
		vnet.hdr_len = (uint16_t)(ip_length + 8);
	} else if (spec.flags & ORACLE_CWR) {
		vnet.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	}
	if (length > 65535U - 120)
		length = 65535U - 120;
	/* More than one segment: a kernel does not call a smaller one a super-packet. */
	spec.ip.payload_length = size + 1 + oracle_below(length - size);
	iov.iov_len = oracle_write(packet, &spec);
	oracle_seal_partial(packet, (uint32_t)iov.iov_len);
	compare(&vnet, &iov, 1);
}

static void sink(void *context, const struct virtio_net_hdr *vnet, const struct iovec *iov,
		 unsigned int count, unsigned int packets)
{
	unsigned int *merged = context;

	*merged += packets > 1;
	if (!error)
		compare(vnet, iov, count);
}

/* A stream of segments through the coalescer; every super-packet it makes goes to "in". */
static void random_stream(unsigned int *merged)
{
	static uint8_t slots[SEGMENTS_MAX][2048];
	struct cv_coalescer *coalescer = cv_coalesce_create(sink, merged);
	struct oracle_packet spec = random_spec(ORACLE_TCP);
	static const struct virtio_net_hdr none;
	uint32_t count = 2 + oracle_below(SEGMENTS_MAX - 2);
	struct cv_ipv4 ip;

	spec.ip.options_length = 0;
	spec.flags = ORACLE_ACK | (oracle_below(2) ? ORACLE_CWR : 0);
	spec.ip.payload_length = size_min + oracle_below(oracle_below(8) ? 1000 : 8);
	for (uint32_t i = 0; i < count; i++) {
		if (i + 1 == count)
			spec.flags |= oracle_below(2) ? ORACLE_PSH : ORACLE_FIN;
		cv_ipv4_parse(slots[i], oracle_write(slots[i], &spec), &ip);
		cv_coalesce_add(coalescer, NULL, &none, slots[i], &ip);
		spec.sequence += spec.ip.payload_length;
		spec.ip.id++;
		spec.flags &= (uint8_t)~ORACLE_CWR;
	}
	cv_coalesce_flush(coalescer);
	cv_coalesce_destroy(coalescer);
}

/* In a guest (tests/guest), or the machine's own. */
static bool is_debian(void)
{
	struct utsname kernel;

	return getenv("GUEST_KERNEL") || (!uname(&kernel) && strstr(kernel.version, "Debian"));
}

static int report(int number, const char *name)
{
	int failed = error != NULL;

	printf("%s %d - %s%s%s\n", failed ? "not ok" : "ok", number, name, failed ? ": " : "",
	       failed ? error : "");
	error = NULL;
	return failed;
}

int main(void)
{
	bool has_uso = true;
	unsigned int merged = 0;
	int failed = 0;
	int i;

	if (is_debian())
		size_min = DEBIAN_SIZE_MIN;
	in_fd = open_tun("in", TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6);
	if (in_fd < 0 && errno == EINVAL) {
		has_uso = false;
		in_fd = open_tun("in", TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN);
	}
	out_fd = open_tun("out", 0);
	if (in_fd < 0 || out_fd < 0 || system(set_up) != 0) {
		printf("Bail out! no TUN devices: %s\n", strerror(errno));
		return 1;
	}
	oracle_fill(data, sizeof(data));
	puts("1..3");
	for (i = 0; i < ROUNDS && !error; i++)
		random_super(ORACLE_TCP);
	failed += report(1, "TCP super-packets are cut as the kernel cuts them");
	for (i = 0; has_uso && i < ROUNDS && !error; i++)
		random_super(ORACLE_UDP);
	if (has_uso)
		failed += report(2, "UDP super-packets are cut as the kernel cuts them");
	else
		puts("ok 2 - UDP super-packets # SKIP this kernel's TUN has no USO");
	for (i = 0; i < ROUNDS && !error; i++)
		random_stream(&merged);
	if (!error && merged != ROUNDS)
		error = "not every stream was merged";
	failed += report(3, "the kernel takes super-packets of the coalescer and cuts them back");
	return failed != 0;
}
