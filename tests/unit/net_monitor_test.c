/* SPDX-License-Identifier: Apache-2.0 */
/* net/monitor against the kernel, in a namespace with v0 192.0.2.1/24 ---- v1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/monitor.h"
#include "netns.h"

static int monitor;

static int setup(void **state)
{
	(void)state;
	cv_netns_enter_new();
	cv_sh("ip link add v0 type veth peer name v1 && ip addr add 192.0.2.1/24 dev v0 && "
	      "ip link set v1 up && ip link set v0 up");
	cv_sysctl("net/ipv6/conf/v0/disable_ipv6", "1");
	cv_sysctl("net/ipv6/conf/v1/disable_ipv6", "1");
	cv_wait_running("v0");
	cv_wait_running("v1");
	monitor = cv_monitor_open();
	assert_return_code(monitor, -monitor);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(monitor);
	return 0;
}

/* What one command says, and that no more is to be read afterwards. */
static int changes_by(const char *command)
{
	int changes;

	(void)cv_monitor_drain(monitor);
	cv_sh("%s", command);
	changes = cv_monitor_drain(monitor);
	assert_true(changes >= 0);
	return changes;
}

static void test_descriptor(void **state)
{
	(void)state;
	assert_true(fcntl(monitor, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(monitor, F_GETFL) & O_NONBLOCK);
	assert_int_equal(cv_monitor_drain(monitor), 0);
}

static void test_each_kind(void **state)
{
	static const struct {
		const char *command;
		int change;
	} cases[] = {
		{"ip link set v0 mtu 1400", CV_MONITOR_LINK},
		{"ip link set v0 alias x", CV_MONITOR_LINK},
		{"ip route add 10.0.0.0/8 via 192.0.2.2", CV_MONITOR_ROUTE},
		{"ip route replace 10.0.0.0/8 via 192.0.2.3", CV_MONITOR_ROUTE},
		{"ip route add blackhole 10.9.0.0/16 table 88", CV_MONITOR_ROUTE},
		{"ip route del 10.0.0.0/8", CV_MONITOR_ROUTE},
		{"ip rule add from 10.0.0.0/8 table 100", CV_MONITOR_RULE},
		{"ip rule del from 10.0.0.0/8 table 100", CV_MONITOR_RULE},
		{"ip nexthop add id 1 via 192.0.2.2 dev v0", CV_MONITOR_NEXT_HOP},
		{"ip nexthop del id 1", CV_MONITOR_NEXT_HOP},
		{"tc qdisc add dev v0 clsact", CV_MONITOR_QDISC},
		{"tc qdisc del dev v0 clsact", CV_MONITOR_QDISC},
		{"ip addr add 192.0.2.9/32 dev v0 noprefixroute",
		 CV_MONITOR_ADDRESS | CV_MONITOR_ROUTE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(changes_by(cases[i].command), cases[i].change);
	assert_int_equal(cv_monitor_drain(monitor), 0);
}

static void test_compound_changes(void **state)
{
	int changes;

	(void)state;
	changes = changes_by("ip addr add 198.51.100.1/24 dev v0");
	assert_int_equal(changes, CV_MONITOR_ADDRESS | CV_MONITOR_ROUTE);
	/* The routes go without a notice of their own. */
	cv_sh("ip route add 10.0.0.0/8 via 192.0.2.2");
	assert_true(changes_by("ip link set v0 down") & CV_MONITOR_LINK);
	assert_true(changes_by("ip link add w0 type veth peer name w1") & CV_MONITOR_LINK);
	assert_true(changes_by("ip link del w0") & CV_MONITOR_LINK);
	assert_true(changes_by("sysctl -qw net.ipv4.conf.v0.forwarding=1") & CV_MONITOR_ROUTE);
}

static void test_nothing_foreign(void **state)
{
	(void)state;
	assert_int_equal(changes_by("ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev v0"), 0);
	assert_int_equal(changes_by("ip link show >/dev/null; ip route show >/dev/null"), 0);
}

static void test_poll(void **state)
{
	struct pollfd poll_fd = {.fd = monitor, .events = POLLIN};

	(void)state;
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	cv_sh("ip route add 10.0.0.0/8 via 192.0.2.2");
	assert_int_equal(poll(&poll_fd, 1, 1000), 1);
	assert_int_equal(cv_monitor_drain(monitor), CV_MONITOR_ROUTE);
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
}

static int drain_all(void)
{
	int changes, all = 0;

	while ((changes = cv_monitor_drain(monitor)) > 0)
		all |= changes;
	assert_int_equal(changes, 0);
	return all;
}

static void add_routes(int count)
{
	cv_sh("for i in $(seq 0 %d); do "
	      "echo route add 10.$((i / 250)).$((i %% 250)).0/24 via 192.0.2.2; done | ip -batch -",
	      count - 1);
}

/* A burst of 10,000 routes fits into the buffer; more than one drain may be needed. */
static void test_burst_fits(void **state)
{
	(void)state;
	add_routes(10000);
	assert_int_equal(drain_all(), CV_MONITOR_ROUTE);
}

static void test_overflow(void **state)
{
	int size = 4096, changes;

	(void)state;
	assert_return_code(setsockopt(monitor, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), errno);
	add_routes(500);
	assert_int_equal(drain_all(), CV_MONITOR_ROUTE | CV_MONITOR_OVERFLOW);
	/* It is over with the drain: the next change is an ordinary one. */
	changes = changes_by("ip link set v0 mtu 1300");
	assert_int_equal(changes, CV_MONITOR_LINK);
}

static void test_broken_descriptor(void **state)
{
	int pipe_fds[2];

	(void)state;
	assert_int_equal(cv_monitor_drain(-1), -EBADF);
	assert_return_code(pipe(pipe_fds), errno);
	assert_int_equal(cv_monitor_drain(pipe_fds[0]), -ENOTSOCK);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_descriptor),
		TEST(test_each_kind),
		TEST(test_compound_changes),
		TEST(test_nothing_foreign),
		TEST(test_poll),
		TEST(test_burst_fits),
		TEST(test_overflow),
		TEST(test_broken_descriptor),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests_name("net_monitor", tests, NULL, NULL);
}
