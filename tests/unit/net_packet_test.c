/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/packet against the kernel:  near: a0 192.0.2.1 ---- b0 192.0.2.2 :far, which injects.
 *
 * Where a test says that something does not arrive, something that must is sent after
 * it: a queue keeps its order, so no test waits for nothing to happen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/packet.h"
#include "net/tun.h"
#include "netns.h"

enum {
	VNET_HDR = 10
};

static const unsigned char stranger_mac[6] = {2, 0, 0, 0, 0, 0x77};
static const unsigned char broadcast_mac[6] = {255, 255, 255, 255, 255, 255};

static struct cv_pair pair;
static uint16_t group;
static int fd;

/* A received packet: its frame's parts found by cv_packet_info. */
struct received {
	struct virtio_net_hdr header;
	struct cv_packet_info info;
	unsigned char packet[65536]; /* from the outer IP header on */
	size_t length;
};

static int setup(void **state)
{
	(void)state;
	cv_pair_create(&pair);
	group = 0;
	fd = cv_packet_open(&group);
	assert_return_code(fd, -fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	cv_pair_destroy(&pair);
	return 0;
}

static bool wait_for(int socket, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = socket, .events = POLLIN};

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* Take one message, parse it. False when there is none within 2 s. */
static bool receive(int socket, struct received *received)
{
	static unsigned char data[VNET_HDR + 65536 + 64];
	_Alignas(struct cmsghdr) char control[CV_PACKET_CONTROL_SIZE];
	struct sockaddr_ll from;
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr message = {.msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t length;

	if (!wait_for(socket, 2000))
		return false;
	length = recvmsg(socket, &message, 0);
	assert_true(length > VNET_HDR);
	assert_int_equal(cv_packet_info(&message, &received->info), 0);
	memcpy(&received->header, data, VNET_HDR);
	received->length = (size_t)length - VNET_HDR - received->info.network_offset;
	memcpy(received->packet, data + VNET_HDR + received->info.network_offset, received->length);
	return true;
}

static struct received *expect(int socket)
{
	static struct received received;

	assert_true(receive(socket, &received));
	return &received;
}

static bool is_empty(int socket)
{
	char byte;

	return recv(socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void inject(uint16_t port, uint16_t payload)
{
	unsigned char packet[2000];
	size_t length = cv_put_ipip_udp(packet, "192.0.2.2", "192.0.2.1", port, payload);

	cv_pair_send(&pair, cv_pair_near_mac, packet, length);
}

static uint16_t port_of(const struct received *received)
{
	return (uint16_t)(received->packet[40] << 8 | received->packet[41]);
}

/* ---- what is delivered -------------------------------------------------------------- */

static void test_delivers_an_outer_packet(void **state)
{
	static const struct virtio_net_hdr zero;
	unsigned char packet[2000];
	size_t length = cv_put_ipip_udp(packet, "192.0.2.2", "192.0.2.1", 4000, 1000);
	struct received *received;

	(void)state;
	cv_pair_send(&pair, cv_pair_near_mac, packet, length);
	received = expect(fd);
	assert_memory_equal(&received->header, &zero, VNET_HDR);
	assert_int_equal(received->info.ifindex, pair.near_ifindex);
	assert_int_equal(received->info.network_offset, ETH_HLEN);
	assert_true(received->info.to_host);
	assert_int_equal(received->length, length);
	assert_memory_equal(received->packet, packet, length);
	assert_true(is_empty(fd));
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void test_ignores_everything_else(void **state)
{
	static const uint8_t protocols[] = {0, 1, 2, 6, 17, 41, 47, 50, 94};
	unsigned char packet[2000];
	size_t length = cv_put_ipip_udp(packet, "192.0.2.2", "192.0.2.1", 1, 100);

	(void)state;
	cv_pair_send(&pair, stranger_mac, packet, length);
	cv_pair_send(&pair, broadcast_mac, packet, length);
	for (size_t i = 0; i < sizeof(protocols); i++) {
		packet[9] = protocols[i];
		cv_pair_send(&pair, cv_pair_near_mac, packet, length);
	}
	cv_pair_send(&pair, cv_pair_near_mac, packet, 5); /* cut off before the protocol */
	inject(2, 100);
	assert_int_equal(port_of(expect(fd)), 2);
	assert_true(is_empty(fd));
}

/* Protocol 4 that leaves this host is no business of ours. */
static void test_ignores_outgoing(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = cv_addr("192.0.2.2")};
	int sender = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	unsigned char packet[2000];
	size_t length = cv_put_ipip_udp(packet, "192.0.2.1", "192.0.2.2", 1, 100);

	(void)state;
	assert_true(sender >= 0);
	assert_int_equal(sendto(sender, packet, length, 0, (struct sockaddr *)&to, sizeof(to)),
			 length);
	assert_int_equal(cv_pair_receive(&pair, 4, packet, sizeof(packet), 2000), length);
	inject(2, 100);
	assert_int_equal(port_of(expect(fd)), 2);
	assert_true(is_empty(fd));
	close(sender);
}

/* The peer's unfilled checksum: flags and start say where to fill it in. */
static void test_tells_of_unfilled_checksums(void **state)
{
	struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.csum_start = ETH_HLEN + 40,
					.csum_offset = 6};
	unsigned char data[VNET_HDR + ETH_HLEN + 400];
	size_t length =
		cv_put_ipip_udp(data + VNET_HDR + ETH_HLEN, "192.0.2.2", "192.0.2.1", 3, 99);
	struct received *received;
	int on = 1;

	(void)state;
	length += VNET_HDR + ETH_HLEN;
	memcpy(data, &header, VNET_HDR);
	memcpy(data + VNET_HDR, cv_pair_near_mac, 6);
	memcpy(data + VNET_HDR + 6, cv_pair_far_mac, 6);
	data[VNET_HDR + 12] = 8;
	data[VNET_HDR + 13] = 0;
	assert_return_code(
		setsockopt(pair.far_socket, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), errno);
	assert_int_equal(send(pair.far_socket, data, length, 0), length);
	received = expect(fd);
	assert_int_equal(received->header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(received->header.csum_start, ETH_HLEN + 40);
	assert_int_equal(received->header.csum_offset, 6);
	assert_int_equal(received->header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	assert_int_equal(port_of(received), 3);
}

/* Send the outer packet as two fragments, the second one first when asked. */
static void inject_fragments(uint16_t port, uint16_t payload, bool reversed)
{
	unsigned char whole[2000], part[2][2000];
	size_t length = cv_put_ipip_udp(whole, "192.0.2.2", "192.0.2.1", port, payload);
	size_t cut = 20 + 800, lengths[2] = {cut, length - cut + 20};

	memcpy(part[0], whole, cut);
	memcpy(part[1], whole, 20);
	memcpy(part[1] + 20, whole + cut, length - cut);
	for (int i = 0; i < 2; i++) {
		uint16_t sum;

		part[i][2] = (unsigned char)(lengths[i] >> 8);
		part[i][3] = (unsigned char)lengths[i];
		part[i][4] = (unsigned char)(port >> 8);
		part[i][5] = (unsigned char)port;
		part[i][6] = i ? 0 : 0x20; /* more fragments */
		part[i][7] = i ? 100 : 0;  /* 800 bytes in units of 8 */
		part[i][10] = part[i][11] = 0;
		sum = cv_test_checksum(part[i], 20);
		part[i][10] = (unsigned char)(sum >> 8);
		part[i][11] = (unsigned char)sum;
	}
	for (int i = 0; i < 2; i++) {
		int which = reversed ? !i : i;

		cv_pair_send(&pair, cv_pair_near_mac, part[which], lengths[which]);
	}
}

static void test_reassembles_fragments(void **state)
{
	(void)state;
	for (uint16_t port = 1; port <= 2; port++) {
		unsigned char whole[2000];
		size_t length = cv_put_ipip_udp(whole, "192.0.2.2", "192.0.2.1", port, 1400);
		struct received *received;

		inject_fragments(port, 1400, port == 2);
		received = expect(fd);
		assert_int_equal(received->length, length);
		assert_int_equal(received->packet[2] << 8 | received->packet[3], length);
		assert_int_equal(received->packet[6] & 0x3f, 0);
		assert_int_equal(received->packet[7], 0);
		assert_memory_equal(received->packet + 20, whole + 20, length - 20);
		assert_int_equal(received->info.network_offset, ETH_HLEN);
		assert_true(is_empty(fd));
	}
}

/* A device without link header: the packet begins at once. */
static void test_network_offset_without_link_header(void **state)
{
	unsigned char data[VNET_HDR + 400] = {0};
	size_t length = cv_put_ipip_udp(data + VNET_HDR, "10.0.0.2", "10.0.0.1", 5, 99);
	int tun = cv_tun_open("tun0");
	struct received *received;

	(void)state;
	assert_true(tun >= 0);
	cv_sh("ip link set tun0 up && ip addr add 10.0.0.1/24 dev tun0");
	cv_wait_running("tun0");
	assert_int_equal(write(tun, data, VNET_HDR + length), VNET_HDR + length);
	received = expect(fd);
	assert_int_equal(received->info.ifindex, if_nametoindex("tun0"));
	assert_int_equal(received->info.network_offset, 0);
	assert_int_equal(received->length, length);
	assert_int_equal(port_of(received), 5);
	close(tun);
}

/* Once, at the bridge that has the address, and not at its port too. */
static void test_bridge_delivers_once(void **state)
{
	(void)state;
	cv_sh("ip addr flush dev a0 && ip link add br0 address 02:00:00:00:00:0a type bridge && "
	      "ip link set a0 master br0 && ip addr add 192.0.2.1/24 dev br0 && "
	      "ip link set br0 up");
	cv_wait_running("br0");
	inject(6, 99);
	assert_int_equal(expect(fd)->info.ifindex, if_nametoindex("br0"));
	assert_true(is_empty(fd));
}

static void test_device_comes_again(void **state)
{
	int before = pair.near_ifindex;

	(void)state;
	inject(1, 99);
	assert_int_equal(port_of(expect(fd)), 1);
	cv_sh("ip link set a0 down && ip link set a0 up");
	cv_wait_running("a0");
	cv_netns_switch(pair.far);
	cv_wait_running("b0");
	cv_netns_switch(pair.near);
	inject(2, 99);
	assert_int_equal(port_of(expect(fd)), 2);
	cv_sh("ip link del a0");
	assert_true(is_empty(fd));
	cv_pair_connect(&pair);
	assert_int_not_equal(pair.near_ifindex, before);
	inject(3, 99);
	assert_int_equal(expect(fd)->info.ifindex, pair.near_ifindex);
	assert_true(is_empty(fd));
}

/* ---- fan-out ------------------------------------------------------------------------ */

/* An odd number of flows: a fan-out in turns would not keep them together by chance. */
enum {
	FLOWS = 63,
	ROUNDS = 4,
};

/* Read all of one socket; note at which socket each flow arrived, and how often. */
static int note_flows(int socket, int number, int at[FLOWS], int count[FLOWS])
{
	struct received received;
	int sum = 0;

	while (!is_empty(socket) && receive(socket, &received)) {
		unsigned int flow = port_of(&received) - 1000U;

		assert_in_range(flow, 0, FLOWS - 1);
		assert_true(!count[flow] || at[flow] == number);
		at[flow] = number;
		count[flow]++;
		sum++;
	}
	return sum;
}

static void test_fan_out_keeps_flows(void **state)
{
	int at[FLOWS], count[FLOWS] = {0};
	uint16_t same = group;
	int second = cv_packet_open(&same), sums[2];

	(void)state;
	assert_return_code(second, -second);
	assert_int_equal(same, group);
	for (int round = 0; round < ROUNDS; round++) {
		for (uint16_t i = 0; i < FLOWS; i++)
			inject((uint16_t)(1000 + i), 64);
	}
	sums[0] = note_flows(fd, 0, at, count);
	sums[1] = note_flows(second, 1, at, count);
	/* Each packet once, and both have work: the hash sees the inner flow. */
	assert_int_equal(sums[0] + sums[1], FLOWS * ROUNDS);
	assert_in_range(sums[0], FLOWS * ROUNDS / 5, FLOWS * ROUNDS * 4 / 5);
	for (int i = 0; i < FLOWS; i++)
		assert_int_equal(count[i], ROUNDS);
	/* Fragments go where the whole packets of their flow go. */
	for (uint16_t i = 0; i < 16; i++) {
		inject_fragments((uint16_t)(1000 + i), 1400, i & 1);
		count[i] = 1;
	}
	assert_int_equal(note_flows(fd, 0, at, count) + note_flows(second, 1, at, count), 16);
	close(second);
}

static void test_groups_are_distinct(void **state)
{
	uint16_t other = 0, none = 0;
	int second = cv_packet_open(&other), child_status;
	pid_t child;

	(void)state;
	assert_return_code(second, -second);
	assert_int_not_equal(group, 0);
	assert_int_not_equal(other, 0);
	assert_int_not_equal(other, group);
	/* Two groups: each gets everything. */
	inject(7, 99);
	assert_int_equal(port_of(expect(fd)), 7);
	assert_int_equal(port_of(expect(second)), 7);
	close(second);
	child = fork();
	if (!child)
		_exit(setresuid(65534, 65534, 65534) ? 0 : -cv_packet_open(&none));
	assert_int_equal(waitpid(child, &child_status, 0), child);
	assert_int_equal(WEXITSTATUS(child_status), EPERM);
}

/* ---- small parts ---------------------------------------------------------------------- */

static void test_counts_drops(void **state)
{
	struct received received;
	uint32_t drops;
	int size = 1, taken = 0;

	(void)state;
	assert_int_equal(cv_packet_drops(fd), 0);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), errno);
	for (int i = 0; i < 200; i++)
		inject(1, 1000);
	drops = cv_packet_drops(fd);
	while (!is_empty(fd) && receive(fd, &received))
		taken++;
	assert_in_range(drops, 1, 200);
	assert_int_equal(drops + (unsigned int)taken, 200);
	assert_int_equal(cv_packet_drops(fd), 0);
	assert_int_equal(cv_packet_drops(-1), 0);
}

static void test_buffer_holds_a_burst(void **state)
{
	struct received received;
	int taken = 0;

	(void)state;
	for (int i = 0; i < 5000; i++)
		inject(1, 1400);
	while (!is_empty(fd) && receive(fd, &received))
		taken++;
	assert_int_equal(taken, 5000);
	assert_int_equal(cv_packet_drops(fd), 0);
}

static void test_info_refuses_what_is_not_whole(void **state)
{
	char control[CV_PACKET_CONTROL_SIZE] = {0};
	struct sockaddr_ll from = {.sll_ifindex = 3};
	struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof(from)};
	struct cv_packet_info info = {.ifindex = 4711};

	(void)state;
	assert_int_equal(cv_packet_info(&message, &info), -EBADMSG);
	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	assert_int_equal(cv_packet_info(&message, &info), -EBADMSG);
	message.msg_namelen = 0;
	assert_int_equal(cv_packet_info(&message, &info), -EBADMSG);
	assert_int_equal(info.ifindex, 4711);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_delivers_an_outer_packet),
		TEST(test_ignores_everything_else),
		TEST(test_ignores_outgoing),
		TEST(test_tells_of_unfilled_checksums),
		TEST(test_reassembles_fragments),
		TEST(test_network_offset_without_link_header),
		TEST(test_bridge_delivers_once),
		TEST(test_device_comes_again),
		TEST(test_fan_out_keeps_flows),
		TEST(test_groups_are_distinct),
		TEST(test_counts_drops),
		TEST(test_buffer_holds_a_burst),
		TEST(test_info_refuses_what_is_not_whole),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests_name("net_packet", tests, NULL, NULL);
}
