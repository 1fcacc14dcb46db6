/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/route_table, cv_nl_batch, and adding and deleting addresses, against the kernel.
 *
 *     v0 192.0.2.1/24 ---- v1        w0 203.0.113.1/24 ---- w1
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/link.h"
#include "net/route.h"
#include "net/route_table.h"
#include "netns.h"

enum {
	PROTOCOL = 84,
	MANY = 1000, /* ten system calls */
};

static struct cv_nl *nl;
static int v0, w0;

static int setup(void **state)
{
	(void)state;
	cv_netns_enter_underlays(&v0, &w0);
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

static struct cv_prefix prefix(const char *text)
{
	struct cv_prefix result;

	assert_int_equal(cv_prefix_parse(text, &result), 0);
	return result;
}

static struct cv_table_route via(const char *to, const char *gateway, int oif, uint32_t metric)
{
	return (struct cv_table_route){
		.prefix = prefix(to),
		.type = RTN_UNICAST,
		.protocol = PROTOCOL,
		.metric = metric,
		.oif = oif,
		.gateway = cv_addr(gateway),
	};
}

static int change(enum cv_route_verb verb, struct cv_table_route route)
{
	struct cv_route_change one = {.verb = verb, .route = route, .result = 12345};
	size_t failed = 12345;

	assert_int_equal(cv_route_table_change(nl, &one, 1, &failed), 0);
	assert_int_equal(failed, one.result ? 1 : 0);
	return one.result;
}

/* ---- listing ------------------------------------------------------------------------ */

struct found {
	size_t count;
	struct cv_table_route routes[64];
};

static int take(const struct cv_table_route *route, void *data)
{
	struct found *found = data;

	assert_in_range(found->count, 0, 63);
	found->routes[found->count++] = *route;
	return 0;
}

static struct found list(uint8_t protocol)
{
	struct found found = {.count = 0};

	assert_int_equal(cv_route_table_for_each(nl, protocol, take, &found), 0);
	return found;
}

static void test_lists_what_ip_route_has_made(void **state)
{
	struct found found;
	const struct cv_table_route *r;

	(void)state;
	cv_sh("ip route add 10.1.0.0/24 via 192.0.2.9 dev v0 onlink proto 84 metric 64 src "
	      "192.0.2.1");
	cv_sh("ip route add blackhole 10.2.0.0/16 proto 84 metric 65000");
	cv_sh("ip route add 10.3.0.0/16 dev v0 scope link proto 84 mtu 1400");
	cv_sh("ip route add 10.4.0.0/16 proto 84 nexthop via 192.0.2.9 nexthop via 192.0.2.10");
	cv_sh("ip route add 10.4.4.0/24 dev v0 scope link proto 84 mtu lock 1400");
	/* Not to be listed: another protocol, another table, another TOS. */
	cv_sh("ip route add 10.5.0.0/16 via 192.0.2.9 proto 85");
	cv_sh("ip route add 10.6.0.0/16 via 192.0.2.9 proto 84 table 100");
	cv_sh("ip route add 10.7.0.0/16 via 192.0.2.9 proto 84 tos 0x10");
	found = list(PROTOCOL);
	assert_int_equal(found.count, 5);
	r = &found.routes[0];
	assert_int_equal(r->prefix.address, cv_addr("10.1.0.0"));
	assert_int_equal(r->prefix.length, 24);
	assert_int_equal(r->type, RTN_UNICAST);
	assert_int_equal(r->protocol, PROTOCOL);
	assert_int_equal(r->scope, RT_SCOPE_UNIVERSE);
	assert_true(r->onlink);
	assert_int_equal(r->metric, 64);
	assert_int_equal(r->oif, v0);
	assert_int_equal(r->gateway, cv_addr("192.0.2.9"));
	assert_int_equal(r->source, cv_addr("192.0.2.1"));
	assert_false(r->multipath);
	assert_false(r->has_more);
	r = &found.routes[1];
	assert_int_equal(r->type, RTN_BLACKHOLE);
	assert_int_equal(r->oif, 0);
	assert_int_equal(r->metric, 65000);
	r = &found.routes[2];
	assert_int_equal(r->scope, RT_SCOPE_LINK);
	assert_int_equal(r->gateway, 0);
	assert_int_equal(r->mtu, 1400);
	assert_false(r->has_more);
	r = &found.routes[3];
	assert_true(r->multipath);
	assert_int_equal(r->oif, 0);
	r = &found.routes[4];
	assert_int_equal(r->mtu, 1400);
	assert_true(r->has_more);
	/* Of all protocols: the two connected networks and 10.5.0.0/16, too. */
	assert_int_equal(list(0).count, 8);
}

static void test_lists_nothing_in_an_empty_namespace(void **state)
{
	struct cv_nl *own;
	struct found found = {.count = 0};
	int back = cv_netns_open_current();

	(void)state;
	cv_netns_enter_new();
	assert_int_equal(cv_nl_create(&own), 0);
	assert_int_equal(cv_route_table_for_each(own, 0, take, &found), 0);
	assert_int_equal(cv_route_table_for_each(own, PROTOCOL, take, &found), 0);
	assert_int_equal(found.count, 0);
	cv_nl_destroy(own);
	cv_netns_switch(back);
}

static int stop(const struct cv_table_route *route, void *data)
{
	(void)route;
	++*(int *)data;
	return 7;
}

static void test_stops_when_told_to(void **state)
{
	int calls = 0;

	(void)state;
	assert_int_equal(cv_route_table_for_each(nl, 0, stop, &calls), 7);
	assert_int_equal(calls, 1);
}

/* ---- changing ------------------------------------------------------------------------ */

static void test_adds_every_kind(void **state)
{
	struct cv_table_route onlink = via("10.1.0.0/24", "198.51.100.7", v0, 64);
	struct cv_table_route device = {.prefix = prefix("10.2.0.0/24"),
					.type = RTN_UNICAST,
					.protocol = PROTOCOL,
					.oif = w0};
	struct cv_table_route guard = {.prefix = prefix("10.0.0.0/8"),
				       .type = RTN_UNREACHABLE,
				       .protocol = PROTOCOL,
				       .metric = 65001};
	struct cv_table_route hole = {.prefix = prefix("10.3.0.0/26"),
				      .type = RTN_BLACKHOLE,
				      .protocol = PROTOCOL,
				      .metric = 65000};

	(void)state;
	/* A gateway that no connected network has. */
	assert_int_equal(change(CV_ROUTE_ADD, onlink), -ENETUNREACH);
	assert_string_equal(cv_nl_error_text(nl), "Nexthop has invalid gateway");
	onlink.onlink = true;
	onlink.source = cv_addr("192.0.2.1");
	assert_int_equal(change(CV_ROUTE_ADD, onlink), 0);
	assert_string_equal(cv_nl_error_text(nl), "");
	assert_int_equal(change(CV_ROUTE_ADD, device), 0);
	assert_int_equal(change(CV_ROUTE_ADD, guard), 0);
	assert_int_equal(change(CV_ROUTE_ADD, hole), 0);
	cv_sh("test \"$(ip route show proto 84)\" = '"
	      "unreachable 10.0.0.0/8 metric 65001 \n"
	      "10.1.0.0/24 via 198.51.100.7 dev v0 src 192.0.2.1 metric 64 onlink \n"
	      "10.2.0.0/24 dev w0 scope link \n"
	      "blackhole 10.3.0.0/26 metric 65000 '");
	assert_int_equal(change(CV_ROUTE_ADD, hole), -EEXIST);
	assert_int_equal(change(CV_ROUTE_DELETE, hole), 0);
	assert_int_equal(change(CV_ROUTE_DELETE, hole), -ESRCH);
	assert_int_equal(change(CV_ROUTE_DELETE, guard), 0);
	assert_int_equal(change(CV_ROUTE_DELETE, onlink), 0);
	device.scope = RT_SCOPE_LINK;
	assert_int_equal(change(CV_ROUTE_DELETE, device), 0);
	assert_int_equal(list(PROTOCOL).count, 0);
}

/* The default route has no RTA_DST. */
static void test_adds_and_deletes_the_default_route(void **state)
{
	(void)state;
	assert_int_equal(change(CV_ROUTE_ADD, via("0.0.0.0/0", "192.0.2.9", v0, 64)), 0);
	cv_sh("ip route show default | grep -q 'via 192.0.2.9 dev v0 proto 84 metric 64'");
	assert_int_equal(list(PROTOCOL).routes[0].prefix.length, 0);
	assert_int_equal(change(CV_ROUTE_DELETE, via("0.0.0.0/0", "192.0.2.9", v0, 64)), 0);
}

static void test_deletes_nobody_elses(void **state)
{
	struct cv_table_route ours = via("10.1.0.0/24", "192.0.2.9", v0, 64);

	(void)state;
	cv_sh("ip route add 10.1.0.0/24 via 192.0.2.9 proto 85 metric 64");
	assert_int_equal(change(CV_ROUTE_ADD, ours), -EEXIST);
	assert_int_equal(change(CV_ROUTE_DELETE, ours), -ESRCH);
	/* Beside theirs, in whatever order: only ours goes. */
	assert_int_equal(change(CV_ROUTE_APPEND, ours), 0);
	assert_int_equal(change(CV_ROUTE_APPEND, ours), -EEXIST);
	assert_int_equal(change(CV_ROUTE_DELETE, ours), 0);
	cv_sh("test \"$(ip route show 10.1.0.0/24)\" = "
	      "'10.1.0.0/24 via 192.0.2.9 dev v0 proto 85 metric 64 '");
	/* One of ours with another metric, gateway or device is not meant either. */
	assert_int_equal(change(CV_ROUTE_ADD, via("10.2.0.0/24", "192.0.2.9", v0, 64)), 0);
	assert_int_equal(change(CV_ROUTE_DELETE, via("10.2.0.0/24", "192.0.2.9", v0, 65)), -ESRCH);
	assert_int_equal(change(CV_ROUTE_DELETE, via("10.2.0.0/24", "192.0.2.8", v0, 64)), -ESRCH);
	assert_int_equal(change(CV_ROUTE_DELETE, via("10.2.0.0/24", "192.0.2.9", w0, 64)), -ESRCH);
	assert_int_equal(list(PROTOCOL).count, 1);
}

/* Appending and deleting is replacing, also where only a flag or the source differs. */
static void test_append_and_delete_replace(void **state)
{
	struct cv_table_route old = via("10.1.0.0/24", "192.0.2.9", v0, 64);
	struct cv_table_route new[3] = {old, old, old};
	struct found found;

	(void)state;
	new[0].onlink = true;
	new[1].source = cv_addr("192.0.2.1");
	new[2].oif = w0;
	new[2].gateway = cv_addr("203.0.113.9");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(change(CV_ROUTE_ADD, old), 0);
		assert_int_equal(change(CV_ROUTE_APPEND, new[i]), 0);
		found = list(PROTOCOL);
		assert_int_equal(found.count, 2);
		assert_int_equal(found.routes[0].oif, v0);
		assert_int_equal(change(CV_ROUTE_DELETE, old), 0);
		found = list(PROTOCOL);
		assert_int_equal(found.count, 1);
		assert_int_equal(found.routes[0].onlink, new[i].onlink);
		assert_int_equal(found.routes[0].source, new[i].source);
		assert_int_equal(found.routes[0].gateway, new[i].gateway);
		assert_int_equal(change(CV_ROUTE_DELETE, new[i]), 0);
	}
}

static struct cv_table_route numbered(unsigned int i, const char *gateway)
{
	struct cv_table_route route = via("10.0.0.0/32", gateway, v0, 64);
	char text[CV_PREFIX_TEXT_MAX];

	snprintf(text, sizeof(text), "10.9.%u.%u/32", i / 250, i % 250);
	route.prefix = prefix(text);
	return route;
}

/* Failures are told of the right ones, wherever they stand among the system calls. */
/* Several devices are one route; other sorts of several next hops are told, and no more. */
static void test_several_devices(void **state)
{
	struct cv_table_route route = via("10.1.0.0/24", "0.0.0.0", 0, 64);
	struct found found;

	(void)state;
	route.device_count = 2;
	route.devices[0] = v0 < w0 ? v0 : w0;
	route.devices[1] = v0 < w0 ? w0 : v0;
	assert_int_equal(change(CV_ROUTE_ADD, route), 0);
	cv_sh("ip route show 10.1.0.0/24 | grep -c 'nexthop dev [vw]0 weight 1' | grep -qx 2");
	found = list(PROTOCOL);
	assert_int_equal(found.count, 1);
	assert_true(cv_table_route_same_devices(&found.routes[0], &route));
	assert_false(found.routes[0].multipath || found.routes[0].has_more);
	assert_int_equal(found.routes[0].oif, 0);
	/* Replaced by one of them, and back: what is deleted is the one that is meant. */
	assert_int_equal(
		change(CV_ROUTE_APPEND, via("10.1.0.0/24", "0.0.0.0", route.devices[0], 64)), 0);
	route.scope = found.routes[0].scope;
	assert_int_equal(change(CV_ROUTE_DELETE, route), 0);
	found = list(PROTOCOL);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.routes[0].oif, route.devices[0]);
	assert_int_equal(found.routes[0].device_count, 0);
	assert_int_equal(change(CV_ROUTE_APPEND, route), 0);
	assert_int_equal(change(CV_ROUTE_DELETE, found.routes[0]), 0);
	found = list(PROTOCOL);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.routes[0].device_count, 2);
	assert_int_equal(change(CV_ROUTE_DELETE, found.routes[0]), 0);
	assert_int_equal(list(PROTOCOL).count, 0);
	/* Not of our make. */
	cv_sh("ip route add 10.2.0.0/24 proto 84 nexthop dev v0 weight 2 nexthop dev w0");
	cv_sh("ip route add 10.3.0.0/24 proto 84 nexthop via 192.0.2.9 dev v0 nexthop dev w0");
	found = list(PROTOCOL);
	assert_int_equal(found.count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(found.routes[i].multipath);
		assert_int_equal(found.routes[i].device_count, 0);
	}
	cv_sh("ip route flush proto 84");
}

static void test_many_with_failures_between(void **state)
{
	struct cv_route_change *changes = calloc(MANY, sizeof(*changes));
	size_t failed, want_failed = 0;

	(void)state;
	assert_non_null(changes);
	for (unsigned int i = 0; i < MANY; i++) {
		bool is_bad = i % 7 == 3 || i / 100 == 4 || i == MANY - 1;

		changes[i].verb = CV_ROUTE_ADD;
		changes[i].route = numbered(i, is_bad ? "198.51.100.1" : "192.0.2.9");
		changes[i].result = 999;
		want_failed += is_bad;
	}
	assert_int_equal(cv_route_table_change(nl, changes, MANY, &failed), 0);
	assert_int_equal(failed, want_failed);
	assert_string_equal(cv_nl_error_text(nl), "Nexthop has invalid gateway");
	for (unsigned int i = 0; i < MANY; i++) {
		bool is_bad = i % 7 == 3 || i / 100 == 4 || i == MANY - 1;

		assert_int_equal(changes[i].result, is_bad ? -ENETUNREACH : 0);
	}
	cv_sh("test $(ip route show proto 84 | wc -l) = %zu", MANY - want_failed);
	/* All fail: their answers fit into the socket. */
	assert_int_equal(cv_route_table_change(nl, changes, MANY, &failed), 0);
	assert_int_equal(failed, MANY);
	/* The socket is as good as ever. */
	assert_int_equal(change(CV_ROUTE_ADD, via("10.1.0.0/24", "192.0.2.9", v0, 64)), 0);
	assert_int_equal(cv_route_table_change(nl, changes, 0, &failed), 0);
	assert_int_equal(failed, 0);
	free(changes);
}

/* ---- gateways -------------------------------------------------------------------------- */

struct gateways {
	size_t count;
	__be32 items[16];
};

static int take_gateway(__be32 gateway, void *data)
{
	struct gateways *gateways = data;

	assert_in_range(gateways->count, 0, 15);
	gateways->items[gateways->count++] = gateway;
	return 0;
}

static bool has(const struct gateways *gateways, const char *address)
{
	for (size_t i = 0; i < gateways->count; i++) {
		if (gateways->items[i] == cv_addr(address))
			return true;
	}
	return false;
}

static void test_gateways_but_ours(void **state)
{
	const struct cv_route_owner owners[] = {
		{.protocol = PROTOCOL},
		{.protocol = RTPROT_BIRD, .metric = 31},
	};
	struct gateways gateways = {.count = 0};

	(void)state;
	cv_sh("ip route add default via 192.0.2.9 && ip route add 10.1.0.0/16 via 192.0.2.9");
	cv_sh("ip route add 10.2.0.0/16 nexthop via 192.0.2.10 nexthop via 203.0.113.9");
	cv_sh("ip nexthop add id 5 via 203.0.113.10 dev w0 && ip route add 10.3.0.0/16 nhid 5");
	cv_sh("ip route add 10.4.0.0/16 via 192.0.2.11 proto 84");
	cv_sh("ip route add 10.5.0.0/16 via 192.0.2.12 table 100");
	cv_sh("ip route add 10.6.0.0/16 via 192.0.2.13 proto bird metric 31 && "
	      "ip route add 10.7.0.0/16 proto bird metric 31 nexthop via 192.0.2.14 nexthop via "
	      "203.0.113.14");
	/* Somebody else's BIRD, and somebody else's metric. */
	cv_sh("ip route add 10.6.0.0/16 via 192.0.2.15 proto bird metric 32 && "
	      "ip route add 10.8.0.0/16 via 192.0.2.16 metric 31");
	assert_int_equal(cv_route_for_each_gateway_except(nl, owners, 2, take_gateway, &gateways),
			 0);
	assert_int_equal(gateways.count, 6);
	assert_true(has(&gateways, "192.0.2.15"));
	assert_true(has(&gateways, "192.0.2.16"));
	assert_true(has(&gateways, "192.0.2.9"));
	assert_true(has(&gateways, "192.0.2.10"));
	assert_true(has(&gateways, "203.0.113.9"));
	assert_true(has(&gateways, "203.0.113.10"));
	/* Index 0 is no device, and does not mean all of them. */
	gateways.count = 0;
	assert_int_equal(cv_route_for_each_gateway(nl, 0, take_gateway, &gateways), 0);
	assert_int_equal(gateways.count, 0);
}

/* ---- addresses -------------------------------------------------------------------------- */

static void test_addresses(void **state)
{
	const struct cv_prefix host = {cv_addr("10.244.1.1"), 32};
	const struct cv_prefix net = {cv_addr("10.8.0.7"), 24};

	(void)state;
	assert_int_equal(cv_address_add(nl, v0, &host), 0);
	assert_int_equal(cv_address_add(nl, v0, &host), -EEXIST);
	assert_int_equal(cv_address_add(nl, v0, &net), 0);
	cv_sh("ip addr show dev v0 | grep -q 'inet 10.244.1.1/32 scope global v0'");
	cv_sh("ip addr show dev v0 | grep -q 'inet 10.8.0.7/24 scope global v0'");
	cv_sh("ip route show 10.8.0.0/24 | grep -q 'dev v0'");
	assert_int_equal(cv_address_delete(nl, v0, &host), 0);
	assert_int_equal(cv_address_delete(nl, v0, &host), -EADDRNOTAVAIL);
	assert_int_equal(cv_address_delete(nl, w0, &net), -EADDRNOTAVAIL);
	assert_int_equal(cv_address_add(nl, 12345, &host), -ENODEV);
	cv_sh("test $(ip -o -4 addr show dev v0 | wc -l) = 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lists_what_ip_route_has_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lists_nothing_in_an_empty_namespace, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_stops_when_told_to, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adds_every_kind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_adds_and_deletes_the_default_route, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_deletes_nobody_elses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append_and_delete_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_several_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_with_failures_between, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gateways_but_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
