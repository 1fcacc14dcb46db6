/* SPDX-License-Identifier: Apache-2.0 */
/* net/tun against the kernel, in a namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/link.h"
#include "net/netlink.h"
#include "net/tun.h"
#include "netns.h"

/* Linux 6.2 and 4.18; Debian 12's headers lack the first. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
	VNET_HDR = 10
};

static struct cv_nl *nl;

static int setup(void **state)
{
	(void)state;
	cv_netns_enter_new();
	assert_int_equal(cv_nl_create(&nl), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_nl_destroy(nl);
	nl = NULL;
	return 0;
}

static int open_tun(const char *name)
{
	int fd = cv_tun_open(name);

	assert_return_code(fd, -fd);
	return fd;
}

static struct cv_link link_of(const char *name)
{
	struct cv_link link;

	assert_int_equal(cv_link_get(nl, name, &link), 0);
	return link;
}

static bool exists(const char *name)
{
	struct cv_link link;

	return !cv_link_get(nl, name, &link);
}

static void test_creates_a_persistent_device(void **state)
{
	int fd = open_tun("tun0"), index, header_size = 0;
	struct cv_link link = link_of("tun0");

	(void)state;
	assert_string_equal(link.kind, "tun");
	assert_true(link.tun_is_tun && link.tun_multi_queue && link.tun_vnet_hdr &&
		    link.tun_persist);
	assert_int_equal(ioctl(fd, TUNGETVNETHDRSZ, &header_size), 0);
	assert_int_equal(header_size, VNET_HDR);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	index = link.index;
	close(fd);
	assert_int_equal(link_of("tun0").index, index);

	/* Opened again it is the same device; another header size does not survive. */
	fd = open_tun("tun0");
	assert_int_equal(link_of("tun0").index, index);
	header_size = 12;
	assert_int_equal(ioctl(fd, TUNSETVNETHDRSZ, &header_size), 0);
	close(fd);
	fd = open_tun("tun0");
	assert_int_equal(ioctl(fd, TUNGETVNETHDRSZ, &header_size), 0);
	assert_int_equal(header_size, VNET_HDR);

	assert_int_equal(cv_tun_set_persistent(fd, false), 0);
	close(fd);
	assert_false(exists("tun0"));
}

static void test_persistence_is_not_forced_upon_others(void **state)
{
	int fd = open_tun("tun0"), second;

	(void)state;
	assert_int_equal(cv_tun_set_persistent(fd, false), 0);
	second = open_tun("tun0");
	assert_false(link_of("tun0").tun_persist);
	assert_int_equal(cv_tun_set_persistent(second, true), 0);
	assert_true(link_of("tun0").tun_persist);
	close(fd);
	close(second);
	assert_true(exists("tun0"));
}

/* Send small UDP packets of this many flows into 10.0.0.0/24. */
static void send_flows(int flows)
{
	for (int i = 0; i < flows; i++) {
		struct sockaddr_in to = {.sin_family = AF_INET,
					 .sin_port = htons((uint16_t)(1000 + i)),
					 .sin_addr.s_addr = cv_addr("10.0.0.2")};
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		assert_true(fd >= 0);
		assert_int_equal(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
		close(fd);
	}
}

/* Read all IPv4 packets of a queue, check their shape, return how many. */
static int read_flows(int queue)
{
	unsigned char packet[2048];
	ssize_t length;
	int count = 0;

	while ((length = read(queue, packet, sizeof(packet))) > 0) {
		if (packet[VNET_HDR] >> 4 != 4)
			continue;
		assert_int_equal(length, VNET_HDR + 20 + 8 + 5);
		assert_int_equal(packet[VNET_HDR + 9], IPPROTO_UDP);
		assert_memory_equal(packet + VNET_HDR + 28, "hello", 5);
		count++;
	}
	assert_int_equal(errno, EAGAIN);
	return count;
}

static void test_queues_share_the_packets(void **state)
{
	int queues[4], used = 0, sum = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		queues[i] = open_tun("tun0");
	cv_sh("ip addr add 10.0.0.1/24 dev tun0 && ip link set tun0 up");
	cv_wait_running("tun0");
	send_flows(64);
	for (int i = 0; i < 4; i++) {
		int count = read_flows(queues[i]);

		used += count > 0;
		sum += count;
	}
	assert_int_equal(sum, 64);
	assert_in_range(used, 2, 4);
	/* A queue less: the others take its flows. */
	close(queues[0]);
	send_flows(64);
	sum = 0;
	for (int i = 1; i < 4; i++)
		sum += read_flows(queues[i]);
	assert_int_equal(sum, 64);
	for (int i = 1; i < 4; i++)
		close(queues[i]);
}

/* What an open device's offloads mean: checksums not filled in, TCP and UDP not segmented. */
static void test_offloads(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	static const char payload[9000];
	static unsigned char packet[65536 + VNET_HDR];
	struct virtio_net_hdr header;
	int fd = open_tun("tun0"), sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int size = 1000, packets = 0;
	ssize_t length, largest = 0;

	(void)state;
	cv_sh("ip addr add 10.0.0.1/24 dev tun0 && ip link set tun0 up");
	cv_wait_running("tun0");
	while (read(fd, packet, sizeof(packet)) > 0)
		;
	to.sin_addr.s_addr = cv_addr("10.0.0.2");
	assert_return_code(setsockopt(sender, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)),
			   errno);
	assert_int_equal(
		sendto(sender, payload, sizeof(payload), 0, (struct sockaddr *)&to, sizeof(to)),
		sizeof(payload));
	while ((length = read(fd, packet, sizeof(packet))) > 0) {
		if (packet[VNET_HDR] >> 4 != 4)
			continue;
		memcpy(&header, packet, sizeof(header));
		assert_true(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(header.csum_start, 20);
		assert_int_equal(header.csum_offset, 6);
		largest = length > largest ? length : largest;
		packets++;
	}
	if (cv_tun_has_udp_segmentation(fd)) {
		assert_int_equal(packets, 1);
		assert_int_equal(largest, VNET_HDR + 28 + 9000);
		assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
		assert_int_equal(header.gso_size, 1000);
	} else {
		assert_int_equal(packets, 9);
		assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	}
	cv_sh("ethtool -k tun0 | grep -q 'tx-tcp-segmentation: on' && "
	      "ethtool -k tun0 | grep -q 'tx-tcp-ecn-segmentation: on' && "
	      "ethtool -k tun0 | grep -q 'tx-tcp6-segmentation: off'");
	close(sender);
	close(fd);
}

static void test_names_that_are_taken(void **state)
{
	(void)state;
	cv_sh("ip link add v0 type veth peer name v1 && ip tuntap add tap0 mode tap multi_queue && "
	      "ip tuntap add single mode tun");
	assert_int_equal(cv_tun_open("v0"), -EINVAL);
	assert_int_equal(cv_tun_open("lo"), -EINVAL);
	assert_int_equal(cv_tun_open("tap0"), -EINVAL);
	assert_int_equal(cv_tun_open("single"), -EINVAL);
	/* All as they were. */
	assert_string_equal(link_of("v0").kind, "veth");
	assert_false(link_of("tap0").tun_is_tun);
	assert_false(link_of("single").tun_multi_queue);
}

/* Somebody holds a queue without vnet header: his wins, so that we must not come in. */
static void test_holder_without_vnet_header(void **state)
{
	struct ifreq request = {.ifr_name = "tun0",
				.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE};
	int holder = open("/dev/net/tun", O_RDWR | O_CLOEXEC), fd;

	(void)state;
	assert_true(holder >= 0);
	assert_return_code(ioctl(holder, TUNSETIFF, &request), errno);
	assert_return_code(ioctl(holder, TUNSETPERSIST, 1UL), errno);
	assert_int_equal(cv_tun_open("tun0"), -EBUSY);
	close(holder);
	/* Nobody holds it any more: ours to open. */
	fd = open_tun("tun0");
	assert_true(link_of("tun0").tun_vnet_hdr);
	close(fd);
}

static void test_impossible_names(void **state)
{
	static const char *const names[] = {"",
					    "tun%d",
					    "a/b",
					    "a b",
					    ".",
					    "..",
					    "sixteen-letters-",
					    "thirty-two-letters-for-one-name."};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(cv_tun_open(names[i]), -EINVAL);
	assert_false(exists("tun0"));
}

/* The error of cv_tun_open in a child that prepare() has put into some misery. */
static int error_in_child(int (*prepare)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		int fd = prepare() ? 0 : cv_tun_open("tun0");

		_exit(fd < 0 ? -fd : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int hide_device_node(void)
{
	return unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	       mount("none", "/dev/net", "tmpfs", 0, NULL);
}

static int drop_privilege(void)
{
	return setresuid(65534, 65534, 65534);
}

static void test_no_device_node_and_no_privilege(void **state)
{
	int err;

	(void)state;
	assert_int_equal(error_in_child(hide_device_node), ENOENT);
	err = error_in_child(drop_privilege);
	assert_true(err == EPERM || err == EACCES); /* EACCES: the node itself is root's only */
	assert_false(exists("tun0"));
}

static void test_carrier_goes_with_the_last_queue(void **state)
{
	int first = open_tun("tun0"), second = open_tun("tun0");

	(void)state;
	cv_sh("ip link set tun0 up");
	cv_wait_running("tun0");
	close(first);
	assert_true(link_of("tun0").flags & IFF_RUNNING);
	close(second);
	for (int i = 0; i < 2000 && link_of("tun0").flags & IFF_RUNNING; i++)
		poll(NULL, 0, 1);
	assert_false(link_of("tun0").flags & IFF_RUNNING);
	first = open_tun("tun0");
	cv_wait_running("tun0");
	close(first);
}

/* What the carrier holder is built on. */
static void test_a_detached_queue_keeps_the_carrier_and_gets_nothing(void **state)
{
	int detached = open_tun("tun0"), queue = open_tun("tun0");
	struct pollfd look = {.fd = detached, .events = POLLIN};

	(void)state;
	assert_int_equal(cv_tun_detach(detached), 0);
	assert_int_equal(cv_tun_detach(detached), -EINVAL);
	cv_sh("ip addr add 10.0.0.1/24 dev tun0 && ip link set tun0 up");
	cv_wait_running("tun0");
	send_flows(64);
	assert_int_equal(read_flows(queue), 64);
	close(queue);
	send_flows(64);
	assert_true(link_of("tun0").flags & IFF_RUNNING);
	assert_int_equal(read_flows(detached), 0);
	/* Again with queues in service: none of the flows is its. */
	queue = open_tun("tun0");
	send_flows(64);
	assert_int_equal(read_flows(queue), 64);
	assert_int_equal(read_flows(detached), 0);
	close(queue);
	assert_int_equal(poll(&look, 1, 0), 0);
	cv_sh("ip link del tun0");
	assert_int_equal(poll(&look, 1, 1000), 1);
	assert_true(look.revents & POLLERR);
	close(detached);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_creates_a_persistent_device),
		TEST(test_persistence_is_not_forced_upon_others),
		TEST(test_queues_share_the_packets),
		TEST(test_offloads),
		TEST(test_names_that_are_taken),
		TEST(test_holder_without_vnet_header),
		TEST(test_impossible_names),
		TEST(test_no_device_node_and_no_privilege),
		TEST(test_carrier_goes_with_the_last_queue),
		TEST(test_a_detached_queue_keeps_the_carrier_and_gets_nothing),
	};

	if (!cv_netns_available())
		return 0;
	if (access("/dev/net/tun", F_OK)) {
		puts("1..0 # SKIP no /dev/net/tun");
		return 0;
	}
	return cmocka_run_group_tests_name("net_tun", tests, NULL, NULL);
}
