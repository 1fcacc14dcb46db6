/* SPDX-License-Identifier: Apache-2.0 */
/* net/netlink and net/link against the kernel, in a namespace with v0 ---- v1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"
#include "net/netlink.h"
#include "netns.h"

static struct cv_nl *nl;
static int v0;

static int setup(void **state)
{
	(void)state;
	cv_netns_enter_new();
	cv_sh("ip link add v0 type veth peer name v1");
	v0 = (int)if_nametoindex("v0");
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

static struct cv_link get(const char *name)
{
	struct cv_link link;

	memset(&link, 0x55, sizeof(link));
	assert_int_equal(cv_link_get(nl, name, &link), 0);
	return link;
}

/* ---- the socket ------------------------------------------------------------------- */

static int stop_at_once(const struct nlmsghdr *nlh, void *data)
{
	(void)nlh;
	++*(int *)data;
	return MNL_CB_STOP;
}

static int give_up(const struct nlmsghdr *nlh, void *data)
{
	(void)nlh;
	++*(int *)data;
	return -EXFULL;
}

static struct nlmsghdr *dump_links(void)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	nlh->nlmsg_type = RTM_GETLINK;
	nlh->nlmsg_flags = NLM_F_DUMP;
	info->ifi_family = AF_UNSPEC;
	return nlh;
}

/* A dump of which only the beginning is wanted leaves the socket usable. */
static void test_talk_stops_early(void **state)
{
	int calls = 0;

	(void)state;
	cv_sh("for i in $(seq 200); do echo link add x$i type veth peer name y$i; done | "
	      "ip -batch -");
	assert_int_equal(cv_nl_talk(nl, dump_links(), stop_at_once, &calls), 0);
	assert_int_equal(calls, 1);
	assert_int_equal(cv_nl_talk(nl, dump_links(), give_up, &calls), -EXFULL);
	assert_int_equal(calls, 2);
	assert_int_equal(cv_nl_talk(nl, dump_links(), NULL, NULL), 0);
	assert_string_equal(get("x200").name, "x200");
}

static void test_talk_keeps_the_kernels_words(void **state)
{
	struct cv_link link;

	(void)state;
	assert_string_equal(cv_nl_error_text(nl), "");
	assert_int_equal(cv_link_set_mtu(nl, v0, 10), -EINVAL);
	assert_non_null(strstr(cv_nl_error_text(nl), "mtu"));
	assert_int_equal(cv_link_get(nl, "nobody", &link), -ENODEV);
	assert_null(strstr(cv_nl_error_text(nl), "mtu"));
	assert_int_equal(cv_link_get(nl, "v0", &link), 0);
	assert_string_equal(cv_nl_error_text(nl), "");
}

/* Strict checking is on: the kernel refuses what it does not understand. */
static void test_talk_is_strict(void **state)
{
	struct nlmsghdr *nlh = dump_links();
	struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

	(void)state;
	info->ifi_index = v0;
	assert_int_equal(cv_nl_talk(nl, nlh, NULL, NULL), -EINVAL);
}

static void test_create_and_destroy(void **state)
{
	struct cv_nl *other = NULL;

	(void)state;
	cv_nl_destroy(NULL);
	assert_int_equal(cv_nl_create(&other), 0);
	assert_true(fcntl(cv_nl_fd(other), F_GETFD) & FD_CLOEXEC);
	cv_nl_destroy(other);
}

/* ---- links ------------------------------------------------------------------------ */

static void test_get(void **state)
{
	struct cv_link link = get("v0"), same;

	(void)state;
	assert_int_equal(link.index, v0);
	assert_string_equal(link.name, "v0");
	assert_string_equal(link.kind, "veth");
	assert_string_equal(link.alias, "");
	assert_int_equal(link.mtu, 1500);
	assert_false(link.flags & IFF_UP);
	assert_false(link.tun_is_tun);
	assert_int_equal(cv_link_get_by_index(nl, v0, &same), 0);
	assert_string_equal(same.name, "v0");
	link = get("lo");
	assert_string_equal(link.kind, "");
	assert_int_equal(link.mtu, 65536);
	assert_true(link.flags & IFF_LOOPBACK);
}

static void test_get_what_is_not_there(void **state)
{
	struct cv_link link = {.index = 4711};
	char name[IFNAMSIZ] = "kept";
	uint32_t mtu = 4711;

	(void)state;
	assert_int_equal(cv_link_get(nl, "nobody", &link), -ENODEV);
	assert_int_equal(cv_link_get(nl, "", &link), -ENODEV);
	assert_int_equal(cv_link_get(nl, "v0v0v0v0v0v0v0v0", &link), -ENODEV);
	assert_int_equal(cv_link_get_by_index(nl, 9999, &link), -ENODEV);
	assert_int_equal(cv_link_get_by_index(nl, 0, &link), -ENODEV);
	assert_int_equal(cv_link_get_by_index(nl, -1, &link), -ENODEV);
	assert_int_equal(cv_link_get_mtu(nl, 9999, &mtu), -ENODEV);
	for (int index = -1; index <= 0; index++)
		assert_int_equal(cv_link_get_name(nl, index, name), -ENODEV);
	assert_int_equal(cv_link_get_name(nl, 9999, name), -ENODEV);
	assert_string_equal(name, "kept");
	assert_int_equal(link.index, 4711);
	assert_int_equal(mtu, 4711);
}

static void test_tun_kinds(void **state)
{
	struct cv_link link;

	(void)state;
	cv_sh("ip tuntap add t0 mode tun multi_queue vnet_hdr && ip tuntap add t1 mode tap");
	link = get("t0");
	assert_string_equal(link.kind, "tun");
	assert_true(link.tun_is_tun && link.tun_multi_queue && link.tun_vnet_hdr &&
		    link.tun_persist);
	link = get("t1");
	assert_string_equal(link.kind, "tun");
	assert_false(link.tun_is_tun || link.tun_multi_queue || link.tun_vnet_hdr);
	assert_true(link.tun_persist);
}

static void test_changes(void **state)
{
	char name[IFNAMSIZ];
	uint32_t mtu = 0;

	(void)state;
	assert_int_equal(cv_link_get_name(nl, v0, name), 0);
	assert_string_equal(name, "v0");
	assert_int_equal(cv_link_set_up(nl, v0, true), 0);
	assert_true(get("v0").flags & IFF_UP);
	assert_int_equal(cv_link_set_up(nl, v0, false), 0);
	assert_false(get("v0").flags & IFF_UP);
	assert_int_equal(cv_link_set_mtu(nl, v0, 1480), 0);
	assert_int_equal(get("v0").mtu, 1480);
	assert_int_equal(cv_link_get_mtu(nl, v0, &mtu), 0);
	assert_int_equal(mtu, 1480);
	cv_sh("ip link set v0 name renamed");
	assert_int_equal(cv_link_get_mtu(nl, v0, &mtu), 0);
	assert_int_equal(cv_link_get_name(nl, v0, name), 0);
	assert_string_equal(name, "renamed");
	assert_string_equal(get("renamed").name, "renamed");
	assert_int_equal(cv_link_set_tx_queue_length(nl, v0, 5000), 0);
	cv_sh("ip link show renamed | grep -q 'qlen 5000'");
	assert_int_equal(cv_link_delete(nl, v0), 0);
	assert_int_equal(cv_link_delete(nl, v0), -ENODEV);
	assert_int_equal(cv_link_get_name(nl, v0, name), -ENODEV);
	assert_int_equal(cv_link_set_mtu(nl, v0, 1480), -ENODEV);
	assert_int_equal(cv_link_set_up(nl, 0, true), -ENODEV);
	assert_int_equal(cv_link_delete(nl, 0), -ENODEV);
	assert_int_equal(cv_link_delete(nl, -5), -ENODEV);
}

static void test_alias(void **state)
{
	char text[CV_LINK_ALIAS_MAX + 1] = {0};

	(void)state;
	assert_int_equal(cv_link_set_alias(nl, v0, "culvert /run/culvert"), 0);
	assert_string_equal(get("v0").alias, "culvert /run/culvert");
	assert_int_equal(cv_link_set_alias(nl, v0, ""), 0);
	assert_string_equal(get("v0").alias, "");
	memset(text, 'x', CV_LINK_ALIAS_MAX - 1);
	assert_int_equal(cv_link_set_alias(nl, v0, text), 0);
	assert_string_equal(get("v0").alias, text);
	text[CV_LINK_ALIAS_MAX - 1] = 'y';
	assert_int_equal(cv_link_set_alias(nl, v0, text), -EINVAL);
}

static int name_link(const struct cv_link *link, void *data)
{
	strcat(data, link->name);
	strcat(data, " ");
	return 0;
}

static int stop_at_v1(const struct cv_link *link, void *data)
{
	struct cv_link again;

	++*(int *)data;
	assert_int_equal(cv_link_get_by_index(nl, link->index, &again), 0);
	return strcmp(link->name, "v1") ? 0 : -ECANCELED;
}

static void test_for_each(void **state)
{
	char names[256] = "";
	int calls = 0;

	(void)state;
	assert_int_equal(cv_link_for_each(nl, name_link, names), 0);
	assert_non_null(strstr(names, "lo "));
	assert_non_null(strstr(names, "v0 "));
	assert_non_null(strstr(names, "v1 "));
	assert_int_equal(cv_link_for_each(nl, stop_at_v1, &calls), -ECANCELED);
	assert_in_range(calls, 1, 8);
}

static int count_link(const struct cv_link *link, void *data)
{
	assert_true(link->index > 0 && link->name[0]);
	++*(int *)data;
	return 0;
}

/* More devices than one message holds, while others come and go. */
static void test_for_each_of_many(void **state)
{
	int before = 0, count = 0;

	(void)state;
	assert_int_equal(cv_link_for_each(nl, count_link, &before), 0);
	cv_sh("for i in $(seq 150); do echo link add x$i type veth peer name y$i; done | "
	      "ip -batch -");
	assert_int_equal(cv_link_for_each(nl, count_link, &count), 0);
	assert_int_equal(count, before + 300);
	cv_sh("(for i in $(seq 150); do ip link del x$i; done) &");
	for (int i = 0; i < 50; i++) {
		int err = cv_link_for_each(nl, count_link, &count);

		assert_true(!err || err == -EINTR);
	}
	cv_sh("while [ -e /proc/sys/net/ipv4/conf/x150 ]; do sleep 0.05; done");
	count = 0;
	assert_int_equal(cv_link_for_each(nl, count_link, &count), 0);
	assert_int_equal(count, before);
}

/* ---- addresses ----------------------------------------------------------------------- */

struct found {
	const char *address;
	struct cv_address entry;
	int count;
};

static int find_address(const struct cv_address *address, void *data)
{
	struct found *found = data;

	if (address->address == cv_addr(found->address)) {
		found->entry = *address;
		found->count++;
	}
	return 0;
}

static int stop_with_seven(const struct cv_address *address, void *data)
{
	(void)address;
	(void)data;
	return 7;
}

static struct cv_address find(const char *address)
{
	struct found found = {.address = address};

	assert_int_equal(cv_address_for_each(nl, find_address, &found), 0);
	assert_int_equal(found.count, 1);
	return found.entry;
}

static void test_addresses(void **state)
{
	struct cv_address address;

	(void)state;
	cv_sh("ip addr add 192.0.2.1/24 brd + dev v0 && ip addr add 192.0.2.7/32 dev v0 && "
	      "ip addr add 10.0.0.1 peer 10.0.0.2/30 dev v0");
	address = find("127.0.0.1");
	assert_int_equal(address.ifindex, if_nametoindex("lo"));
	assert_int_equal(address.prefix_length, 8);
	assert_int_equal(address.broadcast, 0);
	address = find("192.0.2.1");
	assert_int_equal(address.ifindex, v0);
	assert_int_equal(address.prefix_length, 24);
	assert_int_equal(address.broadcast, cv_addr("192.0.2.255"));
	assert_int_equal(find("192.0.2.7").prefix_length, 32);
	/* Of a point-to-point address, ours. */
	assert_int_equal(find("10.0.0.1").prefix_length, 30);
	assert_int_equal(cv_address_for_each(nl, stop_with_seven, NULL), 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_talk_stops_early),
		TEST(test_talk_keeps_the_kernels_words),
		TEST(test_talk_is_strict),
		TEST(test_create_and_destroy),
		TEST(test_get),
		TEST(test_get_what_is_not_there),
		TEST(test_tun_kinds),
		TEST(test_changes),
		TEST(test_alias),
		TEST(test_for_each),
		TEST(test_for_each_of_many),
		TEST(test_addresses),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests_name("net_link", tests, NULL, NULL);
}
