/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routing/routes against the kernel, with a look at every step that it makes.
 *
 *     v0 192.0.2.1/24 ---- v1       (pool device:) p0 ---- p1
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netns.h"
#include "routing/routes.h"

enum {
	OURS = 84,
	FORMER = 85,
	WANTED_MAX = 64,
	ROUNDS = 60,
};

static struct cv_nl *nl;
static struct cv_routes *routes;
static struct cv_routes_report report;
static int v0, p0;

static struct cv_table_route wanted[WANTED_MAX];
static size_t count;

static void make_pool_device(void)
{
	cv_sh("ip link add p0 type veth peer name p1 && ip link set p0 up && ip link set p1 up");
	p0 = (int)if_nametoindex("p0");
}

static int setup(void **state)
{
	(void)state;
	cv_netns_enter_new();
	cv_sh("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && "
	      "ip addr add 192.0.2.1/24 dev v0");
	v0 = (int)if_nametoindex("v0");
	make_pool_device();
	assert_int_equal(cv_nl_create(&nl), 0);
	routes = cv_routes_create(nl, 0);
	assert_non_null(routes);
	count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_routes_destroy(routes);
	cv_nl_destroy(nl);
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct cv_table_route *x = a, *y = b;
	int order = cv_prefix_compare(&x->prefix, &y->prefix);

	return order ? order : (x->metric > y->metric) - (x->metric < y->metric);
}

static struct cv_table_route *want(const char *prefix, uint8_t type, const char *gateway, int oif,
				   uint32_t metric)
{
	struct cv_table_route *route = &wanted[count++];

	assert_in_range(count, 1, WANTED_MAX);
	*route = (struct cv_table_route){.type = type,
					 .metric = metric,
					 .oif = oif,
					 .onlink = gateway,
					 .gateway = gateway ? cv_addr(gateway) : 0};
	assert_int_equal(cv_prefix_parse(prefix, &route->prefix), 0);
	return route;
}

/* What a node has: two peers' blocks, an own block, the guard. */
static void want_usual(void)
{
	count = 0;
	want("10.244.1.0/26", RTN_BLACKHOLE, NULL, 0, 65000);
	want("10.244.2.0/26", RTN_UNICAST, "198.51.100.2", p0, 64);
	want("10.244.3.0/26", RTN_UNICAST, "192.0.2.3", v0, 64);
	want("10.244.0.0/16", RTN_UNREACHABLE, NULL, 0, 65001);
}

static void apply_as(uint8_t protocol, bool look)
{
	qsort(wanted, count, sizeof(wanted[0]), compare);
	memset(&report, 0x55, sizeof(report));
	assert_int_equal(cv_routes_apply(routes, wanted, count, protocol, look, &report), 0);
}

static void apply(bool look)
{
	apply_as(OURS, look);
}

static void assert_report(size_t added, size_t replaced, size_t deleted, size_t repaired)
{
	if (report.failed)
		print_message("# %s\n", report.first_failure);
	assert_int_equal(report.added, added);
	assert_int_equal(report.replaced, replaced);
	assert_int_equal(report.deleted, deleted);
	assert_int_equal(report.repaired, repaired);
	assert_int_equal(report.failed, 0);
	assert_string_equal(report.first_failure, "");
}

static void assert_table(const char *lines)
{
	cv_sh("test \"$(ip route show proto 84 | sed 's/ *$//' | sort)\" = \"$(printf '%s' | "
	      "sort)\"",
	      lines);
}

/* The same, of a route by several devices, which `ip route` prints on lines. */
static void assert_nexthops(const char *lines)
{
	cv_sh("test \"$(ip route show proto 84 | sed 's/^[ \t]*//;s/ *$//' | sort)\" = \"$(printf "
	      "'%s' | sort)\"",
	      lines);
}

#define USUAL                                                       \
	"unreachable 10.244.0.0/16 metric 65001\\n"                 \
	"blackhole 10.244.1.0/26 metric 65000\\n"                   \
	"10.244.2.0/26 via 198.51.100.2 dev p0 metric 64 onlink\\n" \
	"10.244.3.0/26 via 192.0.2.3 dev v0 metric 64 onlink\\n"

/* ---- what is made -------------------------------------------------------------------- */

static void test_makes_changes_and_unmakes(void **state)
{
	(void)state;
	want_usual();
	apply(true);
	assert_report(4, 0, 0, 0);
	assert_table(USUAL);
	apply(true);
	assert_report(0, 0, 0, 0);
	apply(false);
	assert_report(0, 0, 0, 0);

	/* 10.244.2.0/26 moves, 10.244.3.0/26 goes, 10.244.4.0/26 comes. */
	count = 0;
	want("10.244.1.0/26", RTN_BLACKHOLE, NULL, 0, 65000);
	want("10.244.2.0/26", RTN_UNICAST, "198.51.100.4", p0, 64);
	want("10.244.4.0/26", RTN_UNICAST, NULL, v0, 64);
	want("10.244.0.0/16", RTN_UNREACHABLE, NULL, 0, 65001);
	apply(false);
	assert_report(1, 1, 1, 0);
	assert_table("unreachable 10.244.0.0/16 metric 65001\\n"
		     "blackhole 10.244.1.0/26 metric 65000\\n"
		     "10.244.2.0/26 via 198.51.100.4 dev p0 metric 64 onlink\\n"
		     "10.244.4.0/26 dev v0 scope link metric 64\\n");
	apply(true);
	assert_report(0, 0, 0, 0);
	count = 0;
	apply(false);
	assert_report(0, 0, 4, 0);
	assert_table("");
}

/* Routes by several devices: made, kept, changed to fewer and back, mended. */
static void test_several_devices(void **state)
{
	static const char both[] = "10.9.0.0/16 scope link metric 64\\n"
				   "nexthop dev p0 weight 1\\n"
				   "nexthop dev v0 weight 1\\n";
	struct cv_table_route *route;

	(void)state;
	route = want("10.9.0.0/16", RTN_UNICAST, NULL, 0, 64);
	route->device_count = 2;
	route->devices[0] = v0 < p0 ? v0 : p0;
	route->devices[1] = v0 < p0 ? p0 : v0;
	apply(true);
	assert_report(1, 0, 0, 0);
	assert_nexthops(both);
	apply(true);
	assert_report(0, 0, 0, 0);
	/* One is left out: the device that comes first, then the other. */
	for (unsigned int i = 0; i < 2; i++) {
		count = 0;
		want("10.9.0.0/16", RTN_UNICAST, NULL, i ? v0 : p0, 64);
		apply(false);
		assert_report(0, 1, 0, 0);
		assert_table(i ? "10.9.0.0/16 dev v0 scope link metric 64\\n"
			       : "10.9.0.0/16 dev p0 scope link metric 64\\n");
		count = 0;
		route = want("10.9.0.0/16", RTN_UNICAST, NULL, 0, 64);
		route->device_count = 2;
		route->devices[0] = v0 < p0 ? v0 : p0;
		route->devices[1] = v0 < p0 ? p0 : v0;
		apply(false);
		assert_report(0, 1, 0, 0);
		assert_nexthops(both);
	}
	/* Somebody's change is undone. */
	cv_sh("ip route replace 10.9.0.0/16 proto 84 metric 64 nexthop dev v0 weight 2 nexthop dev "
	      "p0");
	apply(true);
	assert_report(0, 1, 0, 1);
	assert_nexthops(both);
	count = 0;
	apply(false);
	assert_report(0, 0, 1, 0);
	assert_table("");
}

/* A daemon that comes after another finds its routes, and what is not wanted any more. */
static void test_takes_over_what_it_finds(void **state)
{
	(void)state;
	want_usual();
	apply(true);
	cv_sh("ip route add 10.244.9.0/26 via 192.0.2.3 proto 84 metric 64");
	cv_routes_destroy(routes);
	routes = cv_routes_create(nl, OURS);
	apply(false);
	assert_report(0, 0, 1, 0);
	assert_table(USUAL);
}

static void test_protocol_changes(void **state)
{
	(void)state;
	cv_routes_destroy(routes);
	routes = cv_routes_create(nl, FORMER);
	cv_sh("ip route add 10.244.2.0/26 via 198.51.100.2 dev p0 onlink proto 85 metric 64 && "
	      "ip route add 10.244.9.0/26 via 192.0.2.3 proto 85 metric 64 && "
	      "ip route add 10.244.9.0/26 via 192.0.2.3 proto 86 metric 65");
	want_usual();
	apply(true);
	assert_report(3, 1, 1, 0);
	assert_table(USUAL);
	cv_sh("test -z \"$(ip route show proto 85)\" && ip route show proto 86 | grep -q "
	      "10.244.9.0");
	/* And in the running daemon, with a look and without. */
	apply_as(FORMER, false);
	assert_report(0, 4, 0, 0);
	apply_as(OURS, true);
	assert_report(0, 4, 0, 0);
	assert_table(USUAL);
	cv_sh("test -z \"$(ip route show proto 85)\"");
	/* Routes of the former protocol are other people's now. */
	cv_sh("ip route add 10.9.0.0/16 via 192.0.2.3 proto 85");
	apply(true);
	assert_report(0, 0, 0, 0);
	cv_sh("ip route show proto 85 | grep -q 10.9.0.0");
}

static void test_purge(void **state)
{
	size_t purged = 99;

	(void)state;
	want_usual();
	apply(true);
	cv_sh("ip route add 10.9.0.0/16 via 192.0.2.3 proto 85");
	assert_int_equal(cv_routes_purge(nl, OURS, &purged), 0);
	assert_int_equal(purged, 4);
	assert_table("");
	cv_sh("ip route show proto 85 | grep -q 10.9.0.0");
	assert_int_equal(cv_routes_purge(nl, OURS, &purged), 0);
	assert_int_equal(purged, 0);
}

/* ---- other people --------------------------------------------------------------------- */

/* Felix's routes to pods, where both have one number. */
static void test_routes_of_our_number_without_metric(void **state)
{
	(void)state;
	want_usual();
	cv_sh("ip route add 10.244.1.7 dev v0 proto 84 scope link");
	apply(true);
	cv_sh("ip route show 10.244.1.7 | grep -q 'proto 84'");
	count = 0;
	apply(true);
	assert_table("10.244.1.7 dev v0 scope link");
}

static void test_foreign_route_in_the_way(void **state)
{
	(void)state;
	cv_sh("ip route add 10.244.2.0/26 via 192.0.2.9 proto static metric 64");
	want_usual();
	apply(true);
	assert_int_equal(report.added, 3);
	assert_int_equal(report.failed, 1);
	assert_string_equal(
		report.first_failure,
		"10.244.2.0/26 via 198.51.100.2 dev p0 metric 64: somebody else's route "
		"has this prefix and metric: delete it, or give it another metric");
	cv_sh("test \"$(ip route show 10.244.2.0/26)\" = "
	      "'10.244.2.0/26 via 192.0.2.9 dev v0 proto static metric 64 '");
	/* Tried again, looked or not, and made once theirs has gone. */
	apply(false);
	assert_int_equal(report.failed, 1);
	apply(true);
	assert_int_equal(report.failed, 1);
	cv_sh("ip route show 10.244.2.0/26 | grep -q static && ip route del 10.244.2.0/26");
	apply(false);
	assert_report(1, 0, 0, 0);
	assert_table(USUAL);
}

static void test_foreign_route_of_another_metric(void **state)
{
	const char *theirs = "10.244.2.0/26 via 192.0.2.9 dev v0 proto static metric 10";

	(void)state;
	cv_sh("ip route add %s", theirs);
	want_usual();
	apply(true);
	assert_report(4, 0, 0, 0);
	count = 0;
	want("10.244.2.0/26", RTN_UNICAST, "198.51.100.4", p0, 64);
	apply(true);
	assert_report(0, 1, 3, 0);
	count = 0;
	apply(true);
	assert_report(0, 0, 1, 0);
	cv_sh("test \"$(ip route show 10.244.2.0/26)\" = '%s '", theirs);
}

/* Theirs came before or behind ours with the same metric: replacing ours leaves it alone. */
static void test_foreign_route_beside_ours(void **state)
{
	(void)state;
	want_usual();
	apply(true);
	cv_sh("ip route prepend 10.244.2.0/26 via 192.0.2.9 proto static metric 64 && "
	      "ip route append 10.244.3.0/26 via 192.0.2.9 proto static metric 64");
	count = 0;
	want("10.244.2.0/26", RTN_UNICAST, "198.51.100.4", p0, 64);
	want("10.244.3.0/26", RTN_UNICAST, "192.0.2.4", v0, 64);
	apply(false);
	assert_report(0, 2, 2, 0);
	assert_table("10.244.2.0/26 via 198.51.100.4 dev p0 metric 64 onlink\\n"
		     "10.244.3.0/26 via 192.0.2.4 dev v0 metric 64 onlink\\n");
	cv_sh("test $(ip route show proto static | wc -l) = 2");
	count = 0;
	apply(true);
	cv_sh("test $(ip route show proto static | wc -l) = 2");
	assert_table("");
}

/* A route is replaced by one that differs in nothing but its mtu, and back. */
static void test_mtu_of_a_route(void **state)
{
	static const uint32_t mtus[] = {8980, 4000, 0};

	(void)state;
	want_usual();
	apply(true);
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		bool look = i % 2;
		char text[64] = "";

		want_usual();
		wanted[1].mtu = mtus[i];
		assert_int_equal(wanted[1].prefix.address, cv_addr("10.244.2.0"));
		apply(look);
		assert_report(0, 1, 0, 0);
		if (mtus[i])
			snprintf(text, sizeof(text), "mtu %u", mtus[i]);
		cv_sh("test \"$(ip route show 10.244.2.0/26 | grep -o 'mtu.*[0-9]')\" = '%s'",
		      text);
		cv_sh("test $(ip route show 10.244.2.0/26 | wc -l) = 1");
		apply(true);
		assert_report(0, 0, 0, 0);
	}
	assert_table(USUAL);
}

/* ---- repairs --------------------------------------------------------------------------- */

static void test_repairs_what_was_deleted_or_changed(void **state)
{
	(void)state;
	want_usual();
	apply(true);
	cv_sh("ip route del 10.244.3.0/26 && ip route del blackhole 10.244.1.0/26 && "
	      "ip route replace 10.244.2.0/26 via 192.0.2.9 proto 84 metric 64");
	apply(false);
	assert_report(0, 0, 0, 0);
	apply(true);
	assert_report(2, 1, 0, 3);
	assert_table(USUAL);
	/* With one attribute more than we make. */
	cv_sh("ip route replace 10.244.3.0/26 via 192.0.2.3 dev v0 onlink proto 84 metric 64 mtu "
	      "1200");
	apply(true);
	assert_report(0, 1, 0, 1);
	assert_table(USUAL);
	cv_sh("ip route replace 10.244.3.0/26 proto 84 metric 64 nexthop via 192.0.2.3 nexthop via "
	      "192.0.2.4");
	apply(true);
	assert_report(0, 1, 0, 1);
	assert_table(USUAL);
	/* Overwritten by somebody in his own name: his stays, and we say so. */
	cv_sh("ip route replace 10.244.3.0/26 via 192.0.2.9 proto static metric 64");
	apply(true);
	assert_int_equal(report.failed, 1);
	cv_sh("ip route show 10.244.3.0/26 | grep -q 'via 192.0.2.9'");
}

/* The kernel takes a device's routes away with it, and tells nobody. */
static void test_pool_device_made_again(void **state)
{
	(void)state;
	for (int look = 0; look < 2; look++) {
		want_usual();
		apply(true);
		cv_sh("ip link del p0");
		make_pool_device();
		want_usual();
		apply(look);
		assert_int_equal(report.added + report.replaced, 1);
		assert_int_equal(report.failed, 0);
		assert_table(USUAL);
		apply(true);
		assert_report(0, 0, 0, 0);
	}
	/* Down and up again: the route by it is made once more. */
	cv_sh("ip link set p0 down && ip link set p0 up");
	apply(true);
	assert_report(1, 0, 0, 1);
	assert_table(USUAL);
	/* Without a device: the others are made, and it is said which is not. */
	cv_sh("ip link del p0");
	apply(true);
	assert_int_equal(report.failed, 1);
	assert_non_null(strstr(report.first_failure, "10.244.2.0/26 via 198.51.100.2 dev if"));
	make_pool_device();
	want_usual();
	apply(false);
	assert_int_equal(report.failed, 0);
	assert_table(USUAL);
}

/* A replacement that the kernel refuses leaves the old route, also when asked again. */
static void test_refused_replacement_leaves_the_old(void **state)
{
	(void)state;
	want_usual();
	apply(true);
	count = 0;
	want("10.244.3.0/26", RTN_UNICAST, "203.0.113.1", v0, 64)->onlink = false;
	for (int i = 0; i < 4; i++) {
		apply(i % 2);
		assert_int_equal(report.failed, 1);
		assert_string_equal(report.first_failure,
				    "10.244.3.0/26 via 203.0.113.1 dev v0 metric 64: Network is "
				    "unreachable: Nexthop has invalid gateway");
		assert_table("10.244.3.0/26 via 192.0.2.3 dev v0 metric 64 onlink\\n");
	}
	wanted[0].onlink = true;
	apply(false);
	assert_report(0, 1, 0, 0);
}

/* ---- the order ---------------------------------------------------------------------------- */

/* The kernel's notices of one call, and a table made of them, searched the plain way. */
struct replay {
	struct mnl_socket *socket;
	struct cv_table_route table[4 * WANTED_MAX];
	size_t count;
};

static void replay_open(struct replay *replay)
{
	int size = 4 << 20;

	replay->socket = mnl_socket_open(NETLINK_ROUTE);
	assert_non_null(replay->socket);
	assert_int_equal(setsockopt(mnl_socket_get_fd(replay->socket), SOL_SOCKET, SO_RCVBUFFORCE,
				    &size, sizeof(size)),
			 0);
	assert_int_equal(mnl_socket_bind(replay->socket, RTMGRP_IPV4_ROUTE, MNL_SOCKET_AUTOPID), 0);
}

static struct cv_table_route parse_notice(const struct nlmsghdr *nlh)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct cv_table_route route = {.prefix.length = rtm->rtm_dst_len, .type = rtm->rtm_type};
	struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		if (mnl_attr_get_type(attr) == RTA_DST)
			route.prefix.address = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_PRIORITY)
			route.metric = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_GATEWAY)
			route.gateway = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_OIF)
			route.oif = (int)mnl_attr_get_u32(attr);
	}
	return route;
}

static void replay_take(struct replay *replay, const struct nlmsghdr *nlh)
{
	struct cv_table_route route = parse_notice(nlh);
	size_t i = 0;

	if (nlh->nlmsg_type == RTM_NEWROUTE) {
		assert_in_range(replay->count, 0, 4 * WANTED_MAX - 1);
		replay->table[replay->count++] = route;
		return;
	}
	assert_int_equal(nlh->nlmsg_type, RTM_DELROUTE);
	while (i < replay->count &&
	       (compare(&replay->table[i], &route) || replay->table[i].type != route.type ||
		replay->table[i].gateway != route.gateway || replay->table[i].oif != route.oif))
		i++;
	assert_true(i < replay->count);
	memmove(&replay->table[i], &replay->table[i + 1],
		(--replay->count - i) * sizeof(replay->table[0]));
}

enum fate {
	FATE_NONE, /* no route of ours: other people's may have one */
	FATE_REFUSED,
	FATE_CARRIED,
};

/* By the best route: longest prefix, least metric, first come. */
static enum fate look_up(const struct cv_table_route *table, size_t entries, __be32 address)
{
	const struct cv_table_route *best = NULL;

	for (size_t i = 0; i < entries; i++) {
		const struct cv_table_route *route = &table[i];

		if (cv_prefix_has(&route->prefix, address) &&
		    (!best || route->prefix.length > best->prefix.length ||
		     (route->prefix.length == best->prefix.length && route->metric < best->metric)))
			best = route;
	}
	if (!best)
		return FATE_NONE;
	return best->type == RTN_UNICAST ? FATE_CARRIED : FATE_REFUSED;
}

/* Random routes. */
static void want_random(unsigned int *seed)
{
	static const char *const gateways[] = {"192.0.2.3", "192.0.2.4", "192.0.2.5"};
	char text[CV_PREFIX_TEXT_MAX];

	count = 0;
	if (rand_r(seed) % 3)
		want("10.244.0.0/16", RTN_UNREACHABLE, NULL, 0, 65001);
	for (unsigned int block = 0; block < 8; block++) {
		const char *gateway = gateways[rand_r(seed) % 3];

		snprintf(text, sizeof(text), "10.244.%u.0/24", block);
		if (rand_r(seed) % 3 == 0)
			want(text, RTN_BLACKHOLE, NULL, 0, 65000);
		if (rand_r(seed) % 3 == 0)
			want(text, RTN_UNICAST, gateway, v0, 64);
		for (unsigned int half = 0; half < 2; half++) {
			snprintf(text, sizeof(text), "10.244.%u.%u/25", block, half * 128);
			if (rand_r(seed) % 2)
				want(text, RTN_UNICAST, gateways[rand_r(seed) % 3], v0, 64);
		}
	}
}

static __be32 probe_address(unsigned int i)
{
	char text[INET_ADDRSTRLEN];

	snprintf(text, sizeof(text), "10.244.%u.%u", i / 2, i % 2 * 128 + 7);
	return cv_addr(text);
}

/*
 * After every single notice: no address is refused that is neither before nor after, and none is
 * without a route that has one before and after.
 */
static void check_moment(const struct replay *replay, const struct cv_table_route *before,
			 size_t before_count)
{
	for (unsigned int i = 0; i < 16; i++) {
		__be32 address = probe_address(i);
		enum fate then = look_up(before, before_count, address);
		enum fate soon = look_up(wanted, count, address);
		enum fate now = look_up(replay->table, replay->count, address);

		if (now != FATE_CARRIED)
			assert_true(now == then || now == soon);
	}
}

static void follow(struct replay *replay, const struct cv_table_route *before, size_t before_count)
{
	static char buffer[65536] __attribute__((aligned(8)));

	for (;;) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buffer;
		ssize_t length = recv(mnl_socket_get_fd(replay->socket), buffer, sizeof(buffer),
				      MSG_DONTWAIT);
		int left = (int)length;

		if (length < 0)
			break;
		for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
			replay_take(replay, nlh);
			check_moment(replay, before, before_count);
		}
	}
	assert_int_equal(errno, EAGAIN);
	/* The whole: exactly what is wanted. */
	assert_int_equal(replay->count, count);
	for (size_t i = 0; i < count; i++)
		assert_non_null(lfind(&wanted[i], replay->table, &replay->count, sizeof(wanted[0]),
				      compare));
}

static void test_no_moment_without_a_route(void **state)
{
	static struct replay replay;
	static struct cv_table_route before[WANTED_MAX];
	unsigned int seed = 20240607;
	size_t replaced = 0;

	(void)state;
	replay_open(&replay);
	for (int round = 0; round < ROUNDS; round++) {
		size_t before_count = count;

		memcpy(before, wanted, sizeof(before));
		want_random(&seed);
		apply(round % 3 == 0);
		assert_int_equal(report.failed, 0);
		replaced += report.replaced;
		follow(&replay, before, before_count);
	}
	assert_true(replaced > ROUNDS);
	mnl_socket_close(replay.socket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_makes_changes_and_unmakes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_several_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_over_what_it_finds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protocol_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_purge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_route_in_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes_of_our_number_without_metric, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_foreign_route_of_another_metric, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_foreign_route_beside_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mtu_of_a_route, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repairs_what_was_deleted_or_changed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_pool_device_made_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_replacement_leaves_the_old, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_moment_without_a_route, setup, teardown),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
