/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs of devices, neighbours, routes and deletions that the CNI plugin makes, against the kernel:
 *
 *     here: h0 ---- p0 :there (another namespace)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#include "net/link.h"
#include "net/namespace.h"
#include "net/neighbour.h"
#include "net/removal.h"
#include "net/unicast.h"
#include "net/veth.h"
#include "netns.h"

static const uint8_t here_mac[] = {2, 0, 0, 0, 0, 1}, there_mac[] = {2, 0, 0, 0, 0, 2};
static struct cv_nl *here, *there;
static int there_fd;

static int setup(void **state)
{
	int here_fd;

	(void)state;
	cv_netns_enter_new();
	there_fd = cv_netns_open_current();
	cv_netns_enter_new();
	here_fd = cv_netns_open_current();
	assert_int_equal(cv_namespace_nl(there_fd, &there), 0);
	assert_int_equal(cv_nl_create(&here), 0);
	close(here_fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_nl_destroy(here);
	cv_nl_destroy(there);
	close(there_fd);
	return 0;
}

static int make(int master)
{
	const struct cv_veth veth = {
		.here = {.name = "h0", .mac = here_mac, .up = true},
		.peer = {.name = "p0", .mac = there_mac},
		.peer_namespace = there_fd,
		.mtu = 1400,
		.master = master,
	};

	return cv_veth_create(here, &veth);
}

static struct cv_link get(struct cv_nl *nl, const char *name)
{
	struct cv_link link;

	assert_int_equal(cv_link_get(nl, name, &link), 0);
	return link;
}

static void test_both_ends_are_as_wanted(void **state)
{
	struct cv_link link;

	(void)state;
	assert_int_equal(make(0), 0);
	link = get(here, "h0");
	assert_string_equal(link.kind, "veth");
	assert_memory_equal(link.mac, here_mac, sizeof(here_mac));
	assert_int_equal(link.mtu, 1400);
	assert_true(link.flags & IFF_UP);
	assert_true(link.peer_away);
	link = get(there, "p0");
	assert_memory_equal(link.mac, there_mac, sizeof(there_mac));
	assert_int_equal(link.mtu, 1400);
	assert_false(link.flags & IFF_UP);
	assert_int_equal(cv_link_get(here, "p0", &link), -ENODEV);
	assert_int_equal(make(0), -EEXIST);
}

static void test_a_port_from_the_beginning(void **state)
{
	static const uint8_t none[CV_LINK_MAC_LENGTH];
	struct cv_link before;
	int bridge;

	(void)state;
	assert_int_equal(cv_link_add_bridge(here, "br0"), 0);
	before = get(here, "br0");
	bridge = before.index;
	assert_memory_not_equal(before.mac, none, sizeof(none));
	assert_int_equal(make(bridge), 0);
	assert_memory_equal(get(here, "br0").mac, before.mac, sizeof(before.mac));
	assert_int_equal(get(here, "h0").master, bridge);
	assert_int_equal(cv_link_set_hairpin(here, get(here, "h0").index, true), 0);
	cv_sh("bridge -d link show dev h0 | grep -q 'hairpin on'");
	assert_int_not_equal(cv_link_set_hairpin(here, bridge, true), 0);
}

static void test_a_removal_leaves_nothing(void **state)
{
	struct cv_link link;
	int index;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(make(0), 0);
		index = get(here, "h0").index;
		assert_int_equal(cv_removal_run(index), 0);
		assert_int_equal(cv_link_get(here, "h0", &link), -ENODEV);
		assert_int_equal(cv_link_get(there, "p0", &link), -ENODEV);
		assert_int_equal(cv_removal_run(index), -ENODEV);
	}
}

static void test_neighbours(void **state)
{
	struct cv_neighbour neighbour;
	int index;

	(void)state;
	assert_int_equal(make(0), 0);
	index = get(here, "h0").index;
	assert_int_equal(cv_neighbour_get(here, index, inet_addr("10.0.0.1"), &neighbour), -ENOENT);
	assert_int_equal(cv_neighbour_set(here, index, inet_addr("10.0.0.1"), here_mac), 0);
	assert_int_equal(cv_neighbour_set(here, index, inet_addr("10.0.0.1"), there_mac), 0);
	assert_int_equal(cv_neighbour_get(here, index, inet_addr("10.0.0.1"), &neighbour), 0);
	assert_memory_equal(neighbour.mac, there_mac, sizeof(there_mac));
	assert_true(neighbour.state & NUD_PERMANENT);
}

static void test_routes(void **state)
{
	struct cv_unicast route = {.prefix = {inet_addr("10.1.0.0"), 16},
				   .gateway = inet_addr("169.254.1.1"),
				   .onlink = true,
				   .metric = 7,
				   .mtu = 1300,
				   .advmss = 1200,
				   .table = 1000};

	(void)state;
	assert_int_equal(make(0), 0);
	route.oif = get(here, "h0").index;
	assert_int_equal(cv_unicast_add(here, &route), 0);
	assert_int_equal(cv_unicast_add(here, &route), -EEXIST);
	cv_sh("ip route show table 1000 | grep -q '10.1.0.0/16 via 169.254.1.1 dev h0 .*metric 7 "
	      ".*mtu 1300 advmss 1200'");
	route = (struct cv_unicast){
		.prefix = {inet_addr("10.2.0.0"), 16}, .oif = route.oif, .scope = RT_SCOPE_LINK};
	assert_int_equal(cv_unicast_add(here, &route), 0);
	cv_sh("ip route show | grep -q '10.2.0.0/16 dev h0 scope link'");
}

static void test_namespaces(void **state)
{
	struct cv_namespace_inode ours, theirs;
	struct cv_nl *nl;

	(void)state;
	assert_int_equal(cv_namespace_open("/nowhere"), -ENOENT);
	assert_int_equal(cv_namespace_open("/dev/null"), -EINVAL);
	assert_int_equal(cv_namespace_open("/proc/self/ns/uts"), -EINVAL);
	assert_int_equal(cv_namespace_inode(-1, &ours), 0);
	assert_int_equal(cv_namespace_inode(there_fd, &theirs), 0);
	assert_int_not_equal(ours.inode, theirs.inode);
	assert_int_equal(cv_namespace_nl(there_fd, &nl), 0);
	cv_nl_destroy(nl);
	assert_int_equal(cv_namespace_inode(-1, &theirs), 0);
	assert_int_equal(ours.inode, theirs.inode);
}

int main(void)
{
	const struct CMUnitTest net_veth[] = {
		cmocka_unit_test_setup_teardown(test_both_ends_are_as_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_port_from_the_beginning, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_removal_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_namespaces, setup, teardown),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(net_veth, NULL, NULL);
}
