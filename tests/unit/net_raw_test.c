/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/raw against the kernel, and what the guard makes it do with ICMP errors.
 *
 *     near: a0 192.0.2.1 ---- b0 192.0.2.2 :far, which injects and captures
 *     near routes 198.51.100.0/24 via 192.0.2.2
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
#include <linux/icmp.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/netlink.h"
#include "net/raw.h"
#include "net/route.h"
#include "netns.h"

static struct cv_pair pair;
static struct cv_nl *nl;

static int setup(void **state)
{
	(void)state;
	cv_pair_create(&pair);
	/* Errors come in bursts here, and the kernel's own answers are looked for. */
	cv_sysctl("net/ipv4/icmp_ratemask", "0");
	cv_sysctl("net/ipv4/ip_forward", "1");
	assert_int_equal(cv_nl_create(&nl), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_nl_destroy(nl);
	cv_pair_destroy(&pair);
	return 0;
}

static int open_guard(void)
{
	int guard = cv_raw_open_guard();

	assert_return_code(guard, -guard);
	return guard;
}

/* Events of a descriptor that asks for input; errors are always told. */
static int events_of(int fd, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, timeout_ms) == 1 ? poll_fd.revents : 0;
}

static bool receives_nothing(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* An ICMP error from 192.0.2.2 that quotes an outer packet of ours to 198.51.100.7. */
static void inject_error(uint8_t type, uint8_t code, uint32_t rest, const void *quote,
			 size_t quoted)
{
	unsigned char packet[2000];
	unsigned char *icmp = packet + 20;
	uint32_t rest_be = htonl(rest);
	uint16_t sum;

	cv_put_ipv4(packet, IPPROTO_ICMP, cv_addr("192.0.2.2"), cv_addr("192.0.2.1"),
		    (uint16_t)(8 + quoted));
	memset(icmp, 0, 8);
	icmp[0] = type;
	icmp[1] = code;
	memcpy(icmp + 4, &rest_be, 4);
	memcpy(icmp + 8, quote, quoted);
	sum = htons(cv_test_checksum(icmp, 8 + quoted));
	memcpy(icmp + 2, &sum, 2);
	cv_pair_send(&pair, cv_pair_near_mac, packet, 28 + quoted);
}

static size_t our_outer_packet(unsigned char *packet)
{
	size_t length = cv_put_ipip_udp(packet, "192.0.2.1", "198.51.100.7", 4000, 1400);
	uint16_t sum;

	packet[6] = 0x40; /* DF */
	packet[10] = packet[11] = 0;
	sum = htons(cv_test_checksum(packet, 20));
	memcpy(packet + 10, &sum, 2);
	return length;
}

static struct cv_route route_to_far(int iif)
{
	struct cv_route_flow flow = {.destination = cv_addr("198.51.100.7"), .iif = iif};
	struct cv_route route;

	if (iif)
		flow.source = cv_addr("192.0.2.99");
	assert_int_equal(cv_route_get(nl, &flow, &route), 0);
	return route;
}

/* ---- the guard ----------------------------------------------------------------------- */

static void inject_outer(void)
{
	unsigned char packet[2000];
	size_t length = cv_put_ipip_udp(packet, "192.0.2.2", "192.0.2.1", 4000, 100);

	cv_pair_send(&pair, cv_pair_near_mac, packet, length);
}

static void ping_near(void)
{
	unsigned char packet[64];
	static const unsigned char echo[8] = {ICMP_ECHO, 0, 0xf7, 0xff};

	cv_put_ipv4(packet, IPPROTO_ICMP, cv_addr("192.0.2.2"), cv_addr("192.0.2.1"), 8);
	memcpy(packet + 20, echo, 8);
	cv_pair_send(&pair, cv_pair_near_mac, packet, 28);
}

static void test_guard_owns_protocol_4(void **state)
{
	unsigned char answer[2000];
	int guard;

	(void)state;
	/* Without it the kernel says so. */
	inject_outer();
	assert_true(cv_pair_receive(&pair, IPPROTO_ICMP, answer, sizeof(answer), 2000) > 28);
	assert_int_equal(answer[20], ICMP_DEST_UNREACH);
	assert_int_equal(answer[21], ICMP_PROT_UNREACH);
	guard = open_guard();
	inject_outer();
	ping_near();
	assert_true(cv_pair_receive(&pair, IPPROTO_ICMP, answer, sizeof(answer), 2000) >= 28);
	assert_int_equal(answer[20], ICMP_ECHOREPLY);
	assert_true(receives_nothing(guard));
	assert_int_equal(events_of(guard, 0), 0);
	assert_true(fcntl(guard, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(guard, F_GETFL) & O_NONBLOCK);
	close(guard);
}

static void test_guard_reads_frag_needed_and_the_kernel_learns_nothing(void **state)
{
	unsigned char packet[2000];
	size_t length = our_outer_packet(packet);
	struct cv_raw_error error;
	int guard;

	(void)state;
	guard = open_guard();
	assert_int_equal(cv_raw_read_error(guard, &error), -EAGAIN);
	inject_error(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1400, packet, 548);
	assert_true(events_of(guard, 2000) & POLLERR);
	assert_int_equal(cv_raw_read_error(guard, &error), 0);
	assert_int_equal(error.type, ICMP_DEST_UNREACH);
	assert_int_equal(error.code, ICMP_FRAG_NEEDED);
	assert_int_equal(error.info, 1400);
	assert_int_equal(error.offender, cv_addr("192.0.2.2"));
	assert_int_equal(error.quoted, 548);
	assert_memory_equal(error.quote, packet, 548);
	assert_true(length > 548);
	assert_int_equal(cv_raw_read_error(guard, &error), -EAGAIN);
	assert_int_equal(events_of(guard, 0), 0);

	/* Anybody can send such a thing: what it means is not the kernel's to decide. */
	assert_int_equal(route_to_far(0).mtu, 1500);
	close(guard);
}

/* What makes the kernel learn: a socket as other programs open it. */
static int open_believer(void)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_IPIP);

	assert_true(fd >= 0);
	return fd;
}

static void test_route_tells_what_the_kernel_learned(void **state)
{
	unsigned char packet[2000];
	struct cv_route route;
	int believer = open_believer();

	(void)state;
	our_outer_packet(packet);
	inject_error(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1400, packet, 548);
	/* Learned for packets of ours and for forwarded ones; it expires. */
	route = route_to_far(0);
	assert_int_equal(route.mtu, 1400);
	assert_in_range(route.expires_ms, 1, 600000);
	assert_int_equal(route_to_far(pair.near_ifindex).mtu, 1400);
	/* The FIB entry knows nothing of it. */
	cv_sh("ip route flush cache");
	assert_int_equal(route_to_far(0).mtu, 1500);
	close(believer);
}

static void test_guard_reads_each_type(void **state)
{
	static const struct {
		uint8_t type, code;
		uint32_t rest, info;
	} cases[] = {
		{ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0, 0},
		{ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, 0},
		{ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0, 0},
		{ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, 0},
		{ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, 0, 0},
		{ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0, 0},
		{ICMP_PARAMETERPROB, 0, 9U << 24, 9},
	};
	unsigned char packet[2000];
	int guard = open_guard();

	(void)state;
	our_outer_packet(packet);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cv_raw_error error;

		/* RFC 792's least quote: the header and eight bytes. */
		inject_error(cases[i].type, cases[i].code, cases[i].rest, packet, 28);
		assert_true(events_of(guard, 2000) & POLLERR);
		assert_int_equal(cv_raw_read_error(guard, &error), 0);
		assert_int_equal(error.type, cases[i].type);
		assert_int_equal(error.code, cases[i].code);
		assert_int_equal(error.info, cases[i].info);
		assert_int_equal(error.quoted, 28);
		assert_memory_equal(error.quote, packet, 28);
	}
	close(guard);
}

static void test_guard_ignores_errors_about_others(void **state)
{
	unsigned char packet[2000];
	struct cv_raw_error error;
	int guard = open_guard();

	(void)state;
	our_outer_packet(packet);
	packet[9] = IPPROTO_UDP;
	inject_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, packet, 28);
	packet[9] = 4;
	/* What the kernel keeps to itself. */
	inject_error(ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, 0, packet, 28);
	inject_error(ICMP_SOURCE_QUENCH, 0, 0, packet, 28);
	inject_error(ICMP_REDIRECT, ICMP_REDIR_HOST, 0xc0000263, packet, 28);
	inject_error(ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0, packet, 28);
	assert_true(events_of(guard, 2000) & POLLERR);
	assert_int_equal(cv_raw_read_error(guard, &error), 0);
	assert_int_equal(error.code, ICMP_NET_UNREACH);
	assert_int_equal(cv_raw_read_error(guard, &error), -EAGAIN);
	close(guard);
}

static void test_guard_cuts_a_long_quote(void **state)
{
	unsigned char packet[2000];
	struct cv_raw_error error;
	int guard = open_guard();

	(void)state;
	our_outer_packet(packet);
	inject_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, packet, 1400);
	assert_true(events_of(guard, 2000) & POLLERR);
	assert_int_equal(cv_raw_read_error(guard, &error), 0);
	assert_int_equal(error.quoted, CV_RAW_QUOTE_MAX);
	assert_memory_equal(error.quote, packet, CV_RAW_QUOTE_MAX);
	close(guard);
}

/*
 * The queue is too small for the error: it stays pending on the socket without a message,
 * and must not keep poll() awake for ever.
 */
static void test_guard_error_without_message_ends(void **state)
{
	unsigned char packet[2000];
	struct cv_raw_error error;
	int guard = open_guard(), size = 1;

	(void)state;
	our_outer_packet(packet);
	assert_return_code(setsockopt(guard, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), errno);
	inject_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, packet, 1400);
	inject_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, packet, 1400);
	assert_true(events_of(guard, 2000) & POLLERR);
	while (!cv_raw_read_error(guard, &error))
		;
	assert_int_equal(events_of(guard, 0), 0);
	close(guard);
}

/* More errors than the queue holds: the rest is lost, and it goes on. */
static void test_guard_overrun_ends(void **state)
{
	unsigned char packet[2000];
	struct cv_raw_error error;
	int guard = open_guard(), size = 20000, taken = 0, err;

	(void)state;
	our_outer_packet(packet);
	assert_return_code(setsockopt(guard, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), errno);
	for (int i = 0; i < 200; i++)
		inject_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, packet, 548);
	assert_true(events_of(guard, 2000) & POLLERR);
	while (!(err = cv_raw_read_error(guard, &error)))
		taken++;
	assert_int_equal(err, -EAGAIN);
	assert_in_range(taken, 1, 199);
	assert_int_equal(events_of(guard, 0), 0);
	inject_error(ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0, packet, 28);
	assert_true(events_of(guard, 2000) & POLLERR);
	assert_int_equal(cv_raw_read_error(guard, &error), 0);
	assert_int_equal(error.code, ICMP_NET_UNREACH);
	close(guard);
}

/* The queue as it is opened holds a burst. */
static void test_guard_holds_a_burst(void **state)
{
	unsigned char packet[2000];
	struct cv_raw_error error;
	int guard = open_guard(), taken = 0;

	(void)state;
	our_outer_packet(packet);
	for (int i = 0; i < 500; i++)
		inject_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, packet, 548);
	while (!cv_raw_read_error(guard, &error))
		taken++;
	assert_int_equal(taken, 500);
	close(guard);
}

/* Not an ICMP error: our own packet is too big for the device, said by the sending socket. */
static void test_guard_skips_local_errors(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = cv_addr("192.0.2.2")};
	unsigned char packet[2000] = {0};
	struct cv_raw_error error = {.quoted = 4711};
	int guard = open_guard();

	(void)state;
	cv_put_ipv4(packet, 4, cv_addr("192.0.2.1"), cv_addr("192.0.2.2"), 1900);
	assert_int_equal(sendto(guard, packet, 1920, 0, (struct sockaddr *)&to, sizeof(to)), -1);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(cv_raw_read_error(guard, &error), -ENOMSG);
	assert_int_equal(cv_raw_read_error(guard, &error), -EAGAIN);
	assert_int_equal(error.quoted, 4711);
	assert_int_equal(cv_raw_read_error(-1, &error), -EBADF);
	close(guard);
}

/* ---- the sender ------------------------------------------------------------------------ */

static ssize_t send_outer(int sender, const void *packet, size_t length)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = cv_addr("198.51.100.7")};
	ssize_t sent =
		sendto(sender, packet, length, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));

	return sent < 0 ? -errno : sent;
}

static void test_sender_sends_what_it_is_given(void **state)
{
	unsigned char packet[2000], seen[2000];
	size_t length = our_outer_packet(packet);
	int sender = cv_raw_open_sender();

	(void)state;
	assert_return_code(sender, -sender);
	packet[1] = 0xb9;
	packet[4] = 0x12; /* identification */
	packet[8] = 17;
	assert_int_equal(send_outer(sender, packet, length), length);
	assert_int_equal(cv_pair_receive(&pair, 4, seen, sizeof(seen), 2000), length);
	/* The kernel fills in the checksum, and nothing else. */
	assert_int_equal(cv_test_checksum(seen, 20), 0);
	memcpy(packet + 10, seen + 10, 2);
	assert_memory_equal(seen, packet, length);
	assert_true(fcntl(sender, F_GETFD) & FD_CLOEXEC);
	close(sender);
}

/* Errors about what it sent are the guard's; the next send succeeds. */
static void test_sender_has_no_pending_error(void **state)
{
	unsigned char packet[2000];
	size_t length = our_outer_packet(packet);
	int sender = cv_raw_open_sender(), guard = open_guard();
	struct cv_raw_error error;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send_outer(sender, packet, length), length);
		inject_error(ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0, packet, 28);
		assert_true(events_of(guard, 2000) & POLLERR);
		assert_int_equal(cv_raw_read_error(guard, &error), 0);
		assert_int_equal(events_of(sender, 0), 0);
	}
	assert_int_equal(send_outer(sender, packet, length), length);
	close(guard);
	close(sender);
}

static void test_sender_and_the_path_mtu(void **state)
{
	unsigned char packet[2000], seen[2000];
	size_t length = our_outer_packet(packet);
	int sender = cv_raw_open_sender(), believer = open_believer();

	(void)state;
	inject_error(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1000, packet, 28);
	assert_int_equal(route_to_far(0).mtu, 1000);
	assert_int_equal(send_outer(sender, packet, length), -EMSGSIZE);
	packet[6] = 0; /* without DF: in pieces */
	assert_int_equal(send_outer(sender, packet, length), length);
	assert_in_range(cv_pair_receive(&pair, 4, seen, sizeof(seen), 2000), 900, 1000);
	assert_int_equal(seen[6] & 0x20, 0x20);
	assert_in_range(cv_pair_receive(&pair, 4, seen, sizeof(seen), 2000), 400, 600);
	assert_int_equal(seen[6] & 0x20, 0);
	close(believer);
	close(sender);
}

static void test_sender_receives_nothing(void **state)
{
	unsigned char packet[64];
	int sender = cv_raw_open_sender();

	(void)state;
	cv_put_ipv4(packet, 255, cv_addr("192.0.2.2"), cv_addr("192.0.2.1"), 8);
	cv_pair_send(&pair, cv_pair_near_mac, packet, 28);
	assert_true(receives_nothing(sender));
	close(sender);
}

/* As raw.h tells: `ip rule from` counts with IP_PKTINFO, and not without. */
static void test_sender_and_source_rules(void **state)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in_pktinfo))] = {0};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = cv_addr("198.51.100.7")};
	unsigned char packet[2000];
	struct iovec iov = {.iov_base = packet, .iov_len = our_outer_packet(packet)};
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1};
	struct in_pktinfo info = {.ipi_spec_dst.s_addr = cv_addr("192.0.2.1")};
	int sender = cv_raw_open_sender();
	struct cmsghdr *cmsg;

	(void)state;
	cv_sh("ip rule add from 192.0.2.1 prohibit");
	assert_int_equal(sendmsg(sender, &message, 0), iov.iov_len);
	message.msg_control = control;
	message.msg_controllen = sizeof(control);
	cmsg = CMSG_FIRSTHDR(&message);
	cmsg->cmsg_level = IPPROTO_IP;
	cmsg->cmsg_type = IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	assert_int_equal(sendmsg(sender, &message, 0), -1);
	assert_int_equal(errno, EACCES);
	close(sender);
}

/* ---- ICMP ------------------------------------------------------------------------------ */

static int send_unreachable(int icmp, const char *destination)
{
	/* Net unreachable with 28 zero bytes of quote, checksummed. */
	unsigned char message[36] = {ICMP_DEST_UNREACH, 0, 0xfc, 0xff};

	return cv_raw_send_icmp(icmp, cv_addr(destination), message, sizeof(message));
}

static int open_icmp(void)
{
	int icmp = cv_raw_open_icmp();

	assert_return_code(icmp, -icmp);
	return icmp;
}

static void test_icmp_is_sent(void **state)
{
	unsigned char seen[2000];
	int icmp = open_icmp();

	(void)state;
	assert_int_equal(send_unreachable(icmp, "198.51.100.9"), 0);
	assert_int_equal(cv_pair_receive(&pair, IPPROTO_ICMP, seen, sizeof(seen), 2000), 56);
	assert_int_equal(seen[1], 0xc0);
	assert_int_equal(seen[6] & 0x40, 0); /* DF */
	assert_memory_equal(seen + 12, &(__be32){cv_addr("192.0.2.1")}, 4);
	assert_memory_equal(seen + 16, &(__be32){cv_addr("198.51.100.9")}, 4);
	assert_int_equal(seen[20], ICMP_DEST_UNREACH);
	assert_int_equal(cv_test_checksum(seen + 20, 36), 0);
	assert_true(fcntl(icmp, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(icmp, F_GETFL) & O_NONBLOCK);
	close(icmp);
}

static void test_icmp_failures_are_told(void **state)
{
	int icmp = open_icmp();

	(void)state;
	cv_sh("ip route add prohibit 10.3.0.0/16");
	assert_int_equal(send_unreachable(icmp, "10.9.9.9"), -ENETUNREACH);
	assert_int_equal(send_unreachable(icmp, "10.3.0.1"), -EACCES);
	assert_int_equal(send_unreachable(icmp, "192.0.2.255"), -EACCES); /* broadcast */
	assert_int_equal(send_unreachable(icmp, "198.51.100.9"), 0);
	assert_int_equal(send_unreachable(-1, "198.51.100.9"), -EBADF);
	close(icmp);
}

static void test_icmp_receives_nothing(void **state)
{
	unsigned char packet[128], seen[2000];
	int icmp = open_icmp();

	(void)state;
	for (int type = 0; type < 256; type += 3) {
		cv_put_ipv4(packet, IPPROTO_ICMP, cv_addr("192.0.2.2"), cv_addr("192.0.2.1"), 8);
		memset(packet + 20, 0, 8);
		packet[20] = (unsigned char)type;
		packet[22] = (unsigned char)~type;
		packet[23] = 0xff;
		cv_pair_send(&pair, cv_pair_near_mac, packet, 28);
	}
	ping_near();
	assert_true(cv_pair_receive(&pair, IPPROTO_ICMP, seen, sizeof(seen), 2000) >= 28);
	assert_true(receives_nothing(icmp));
	close(icmp);
}

/* An old ICMP error, pending on the socket, is no failure of the next message. */
static void test_icmp_pending_error_is_no_failure(void **state)
{
	unsigned char quote[28] = {0}, seen[2000];
	int icmp = open_icmp(), on = 1;

	(void)state;
	assert_return_code(setsockopt(icmp, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)), errno);
	cv_put_ipv4(quote, IPPROTO_ICMP, cv_addr("192.0.2.1"), cv_addr("198.51.100.9"), 8);
	inject_error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, quote, sizeof(quote));
	assert_true(events_of(icmp, 2000) & POLLERR);
	assert_int_equal(send_unreachable(icmp, "198.51.100.9"), 0);
	assert_int_equal(cv_pair_receive(&pair, IPPROTO_ICMP, seen, sizeof(seen), 2000), 56);
	close(icmp);
}

/* ---- privilege --------------------------------------------------------------------------- */

static void test_needs_privilege(void **state)
{
	int (*const opens[])(void) = {cv_raw_open_sender, cv_raw_open_guard, cv_raw_open_icmp};

	(void)state;
	for (size_t i = 0; i < sizeof(opens) / sizeof(opens[0]); i++) {
		pid_t child = fork();
		int status;

		if (!child)
			_exit(setresuid(65534, 65534, 65534) ? 0 : -opens[i]());
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(WEXITSTATUS(status), EPERM);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* An echo reply from far to a0. */
static void inject_reply(uint16_t id, uint16_t word)
{
	unsigned char packet[20 + 24] = {
		0x45, 0,
		0,    sizeof(packet),
		0,    0,
		0,    0,
		64,   IPPROTO_ICMP,
		0xf6, 0xcd,
		192,  0,
		2,    2,
		192,  0,
		2,    1,
	};
	uint32_t sum = 0;

	packet[24] = (uint8_t)(id >> 8);
	packet[25] = (uint8_t)id;
	packet[34] = (uint8_t)(word >> 8);
	packet[35] = (uint8_t)word;
	sum = (uint32_t)id + word;
	sum = ~((sum & 0xffff) + (sum >> 16));
	packet[22] = (uint8_t)(sum >> 8);
	packet[23] = (uint8_t)sum;
	cv_pair_send(&pair, cv_pair_near_mac, packet, sizeof(packet));
}

static void test_echo_takes_what_has_the_word(void **state)
{
	int fd = cv_raw_open_echo(0x4376, 14, 0xbeef);
	unsigned char packet[64];

	(void)state;
	assert_return_code(fd, -fd);
	inject_reply(0x4376, 0xbeee);
	inject_reply(0x4377, 0xbeef);
	inject_reply(0x4376, 0xbeef);
	assert_int_equal(events_of(fd, 2000), POLLIN);
	assert_int_equal(recv(fd, packet, sizeof(packet), MSG_DONTWAIT), 44);
	assert_memory_equal(packet + 24, "\x43\x76", 2);
	assert_memory_equal(packet + 34, "\xbe\xef", 2);
	assert_true(receives_nothing(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_guard_owns_protocol_4),
		TEST(test_echo_takes_what_has_the_word),
		TEST(test_guard_reads_frag_needed_and_the_kernel_learns_nothing),
		TEST(test_route_tells_what_the_kernel_learned),
		TEST(test_guard_reads_each_type),
		TEST(test_guard_ignores_errors_about_others),
		TEST(test_guard_cuts_a_long_quote),
		TEST(test_guard_error_without_message_ends),
		TEST(test_guard_overrun_ends),
		TEST(test_guard_holds_a_burst),
		TEST(test_guard_skips_local_errors),
		TEST(test_sender_sends_what_it_is_given),
		TEST(test_sender_has_no_pending_error),
		TEST(test_sender_and_the_path_mtu),
		TEST(test_sender_receives_nothing),
		TEST(test_sender_and_source_rules),
		TEST(test_icmp_is_sent),
		TEST(test_icmp_failures_are_told),
		TEST(test_icmp_receives_nothing),
		TEST(test_icmp_pending_error_is_no_failure),
		TEST(test_needs_privilege),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests_name("net_raw", tests, NULL, NULL);
}
