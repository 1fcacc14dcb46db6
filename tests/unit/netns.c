/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces, frames and packets for the tests of net/. */
#include "netns.h"

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
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const unsigned char cv_pair_near_mac[6] = {2, 0, 0, 0, 0, 0x0a};
const unsigned char cv_pair_far_mac[6] = {2, 0, 0, 0, 0, 0x0b};

bool cv_netns_available(void)
{
	int status = -1;
	pid_t child;

	if (geteuid() != 0) {
		puts("1..0 # SKIP needs root: makes network namespaces");
		return false;
	}
	child = fork();
	if (!child)
		_exit(unshare(CLONE_NEWNET) ? 1 : 0);
	if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
		return true;
	puts("1..0 # SKIP may not make network namespaces (CAP_SYS_ADMIN)");
	return false;
}

int cv_netns_open_current(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

void cv_netns_switch(int fd)
{
	assert_return_code(setns(fd, CLONE_NEWNET), errno);
}

void cv_netns_enter_new(void)
{
	assert_return_code(unshare(CLONE_NEWNET), errno);
	cv_sh("ip link set lo up");
}

void cv_netns_enter_underlays(int *ret_v0, int *ret_w0)
{
	cv_netns_enter_new();
	cv_sh("ip link add v0 type veth peer name v1 && ip link add w0 type veth peer name w1 && "
	      "for i in v0 v1 w0 w1; do ip link set $i up; done && "
	      "ip addr add 192.0.2.1/24 dev v0 && ip addr add 203.0.113.1/24 dev w0");
	*ret_v0 = (int)if_nametoindex("v0");
	*ret_w0 = (int)if_nametoindex("w0");
}

static int run(const char *format, va_list args)
{
	char command[4096];
	int length = vsnprintf(command, sizeof(command), format, args);
	int status;

	assert_in_range(length, 1, sizeof(command) - 1);
	status = system(command);
	if (status && WIFEXITED(status))
		print_message("# exit %d: %s\n", WEXITSTATUS(status), command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void cv_sh(const char *format, ...)
{
	va_list args;
	int status;

	va_start(args, format);
	status = run(format, args);
	va_end(args);
	assert_int_equal(status, 0);
}

int cv_sh_status(const char *format, ...)
{
	va_list args;
	int status;

	va_start(args, format);
	status = run(format, args);
	va_end(args);
	return status;
}

bool cv_sysctl(const char *path, const char *value)
{
	char name[256];
	ssize_t written;
	int fd;

	snprintf(name, sizeof(name), "/proc/sys/%s", path);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write(fd, value, strlen(value));
	close(fd);
	assert_int_equal(written, strlen(value));
	return true;
}

void cv_wait_running(const char *device)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};

	assert_true(fd >= 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	for (int i = 0; i < 5000 && !(request.ifr_flags & IFF_RUNNING); i++) {
		assert_return_code(ioctl(fd, SIOCGIFFLAGS, &request), errno);
		nanosleep(&moment, NULL);
	}
	close(fd);
	assert_true(request.ifr_flags & IFF_RUNNING);
	/* Whoever set the flag starts the queue before he gives up the lock that this takes. */
	cv_sh("ip link set %s up", device);
}

__be32 cv_addr(const char *text)
{
	struct in_addr address;

	assert_int_equal(inet_pton(AF_INET, text, &address), 1);
	return address.s_addr;
}

/* ---- two namespaces --------------------------------------------------------------- */

static int open_far_socket(int ifindex)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = ifindex};
	struct timeval patience = {.tv_sec = 2};
	int size = 8 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
			   errno);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), errno);
	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
	return fd;
}

void cv_pair_connect(struct cv_pair *pair)
{
	if (pair->far_socket >= 0)
		close(pair->far_socket);
	cv_sh("ip link add a0 address 02:00:00:00:00:0a type veth "
	      "peer name b0 address 02:00:00:00:00:0b netns /proc/%d/fd/%d",
	      getpid(), pair->far);
	cv_netns_switch(pair->far);
	cv_sysctl("net/ipv6/conf/b0/disable_ipv6", "1");
	cv_sh("ip link set b0 up && ip addr add 192.0.2.2/24 dev b0 && "
	      "ip neigh replace 192.0.2.1 lladdr 02:00:00:00:00:0a dev b0 nud permanent");
	pair->far_ifindex = (int)if_nametoindex("b0");
	pair->far_socket = open_far_socket(pair->far_ifindex);
	cv_netns_switch(pair->near);
	cv_sysctl("net/ipv6/conf/a0/disable_ipv6", "1");
	cv_sh("ip link set a0 up && ip addr add 192.0.2.1/24 dev a0 && "
	      "ip route add 198.51.100.0/24 via 192.0.2.2 && "
	      "ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:0b dev a0 nud permanent");
	pair->near_ifindex = (int)if_nametoindex("a0");
	cv_wait_running("a0");
	cv_netns_switch(pair->far);
	cv_wait_running("b0");
	cv_netns_switch(pair->near);
}

void cv_pair_create(struct cv_pair *pair)
{
	*pair = (struct cv_pair){.far_socket = -1};
	cv_netns_enter_new();
	pair->far = cv_netns_open_current();
	cv_netns_enter_new();
	pair->near = cv_netns_open_current();
	cv_pair_connect(pair);
}

void cv_pair_destroy(struct cv_pair *pair)
{
	close(pair->far_socket);
	close(pair->far);
	close(pair->near);
}

void cv_pair_send(const struct cv_pair *pair, const unsigned char to[6], const void *packet,
		  size_t length)
{
	unsigned char frame[2048];
	const unsigned char type[2] = {0x08, 0x00};

	assert_in_range(length, 1, sizeof(frame) - ETH_HLEN);
	memcpy(frame, to, 6);
	memcpy(frame + 6, cv_pair_far_mac, 6);
	memcpy(frame + 12, type, 2);
	memcpy(frame + ETH_HLEN, packet, length);
	assert_int_equal(send(pair->far_socket, frame, ETH_HLEN + length, 0), ETH_HLEN + length);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One frame; its length when it is an incoming IPv4 packet of the protocol, else 0. */
static size_t take_frame(const struct cv_pair *pair, uint8_t protocol, void *buffer, size_t size)
{
	unsigned char frame[65536];
	struct sockaddr_ll from;
	socklen_t from_length = sizeof(from);
	ssize_t length = recvfrom(pair->far_socket, frame, sizeof(frame), MSG_DONTWAIT,
				  (struct sockaddr *)&from, &from_length);

	if (length < ETH_HLEN + 20 || from.sll_pkttype == PACKET_OUTGOING ||
	    from.sll_protocol != htons(ETH_P_IP) || frame[ETH_HLEN + 9] != protocol)
		return 0;
	length -= ETH_HLEN;
	assert_in_range(length, 20, size);
	memcpy(buffer, frame + ETH_HLEN, (size_t)length);
	return (size_t)length;
}

size_t cv_pair_receive(const struct cv_pair *pair, uint8_t protocol, void *buffer, size_t size,
		       int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;

	for (;;) {
		struct pollfd poll_fd = {.fd = pair->far_socket, .events = POLLIN};
		int64_t left = end - now_ms();
		size_t length;

		if (poll(&poll_fd, 1, left > 0 ? (int)left : 0) <= 0)
			return 0;
		length = take_frame(pair, protocol, buffer, size);
		if (length)
			return length;
	}
}

/* ---- packets ---------------------------------------------------------------------- */

uint16_t cv_test_checksum(const void *data, size_t length)
{
	const unsigned char *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(unsigned char *at, unsigned int value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

void cv_put_ipv4(unsigned char *at, uint8_t protocol, __be32 source, __be32 destination,
		 uint16_t payload)
{
	memset(at, 0, 20);
	at[0] = 0x45;
	put16(at + 2, 20U + payload);
	at[8] = 64;
	at[9] = protocol;
	memcpy(at + 12, &source, 4);
	memcpy(at + 16, &destination, 4);
	put16(at + 10, cv_test_checksum(at, 20));
}

size_t cv_put_ipip_udp(unsigned char *at, const char *outer_source, const char *outer_destination,
		       uint16_t port, uint16_t payload)
{
	cv_put_ipv4(at, 4, cv_addr(outer_source), cv_addr(outer_destination),
		    (uint16_t)(28 + payload));
	cv_put_ipv4(at + 20, IPPROTO_UDP, cv_addr("10.244.1.2"), cv_addr("10.244.2.2"),
		    (uint16_t)(8 + payload));
	put16(at + 40, port);
	put16(at + 42, 9);
	put16(at + 44, 8U + payload);
	put16(at + 46, 0);
	for (size_t i = 0; i < payload; i++)
		at[48 + i] = (unsigned char)(i * 7 + port);
	return 48U + payload;
}
