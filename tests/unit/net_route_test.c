/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/route and net/nexthop against the kernel.
 *
 *     here:  v0 192.0.2.1/24 ---- v1 (no address)      gateways 192.0.2.11, .12 behind v0
 *            w0 203.0.113.1/24 -- w1 (no address)      gateway  203.0.113.11 behind w0
 *
 * Agreement with real packets:
 *
 *     far: in1 ---- in0 10.9.0.1 :here: out0 10.9.1.1 ---- cap0 :far
 *                                       out1 10.9.2.1 ---- cap1
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/nexthop.h"
#include "net/route.h"
#include "netns.h"

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

static struct cv_route_flow flow_to(const char *destination)
{
	return (struct cv_route_flow){.destination = cv_addr(destination)};
}

static struct cv_route get(const struct cv_route_flow *flow)
{
	struct cv_route route;

	memset(&route, 0x55, sizeof(route));
	assert_int_equal(cv_route_get(nl, flow, &route), 0);
	return route;
}

static __be32 gateway_of(struct cv_route_flow flow)
{
	return get(&flow).gateway;
}

static struct cv_route_entry *match(const struct cv_route_flow *flow)
{
	static struct cv_route_entry entry;

	memset(&entry, 0x55, sizeof(entry));
	assert_int_equal(cv_route_match(nl, flow, &entry), 0);
	return &entry;
}

static bool lists(const struct cv_route_entry *entry, int oif, const char *gateway)
{
	for (unsigned int i = 0; i < entry->count; i++) {
		if (entry->next_hops[i].oif == oif &&
		    entry->next_hops[i].gateway == cv_addr(gateway))
			return true;
	}
	return false;
}

/* ---- one route -------------------------------------------------------------------- */

static void test_get_gateway_source_and_mtu(void **state)
{
	struct cv_route_flow flow = flow_to("198.51.100.7");
	struct cv_route route;

	(void)state;
	cv_sh("ip route add 198.51.100.0/24 via 192.0.2.11");
	route = get(&flow);
	assert_int_equal(route.type, RTN_UNICAST);
	assert_int_equal(route.oif, v0);
	assert_int_equal(route.gateway, cv_addr("192.0.2.11"));
	assert_int_equal(route.source, cv_addr("192.0.2.1"));
	assert_int_equal(route.mtu, 1500);
	assert_int_equal(route.expires_ms, 0);

	/* A change of the device's MTU is seen by the next question. */
	cv_sh("ip link set v0 mtu 1400");
	assert_int_equal(get(&flow).mtu, 1400);
	cv_sh("ip route replace 198.51.100.0/24 via 192.0.2.11 mtu 1300 src 203.0.113.1");
	assert_int_equal(get(&flow).mtu, 1300);
	assert_int_equal(get(&flow).source, cv_addr("203.0.113.1"));
	flow.source = cv_addr("192.0.2.1");
	assert_int_equal(get(&flow).source, cv_addr("192.0.2.1"));
}

static void test_get_on_link_and_onlink(void **state)
{
	struct cv_route_flow near = flow_to("192.0.2.9"), far = flow_to("198.51.100.7");

	(void)state;
	assert_int_equal(get(&near).gateway, 0);
	assert_int_equal(get(&near).oif, v0);
	cv_sh("ip route add 198.51.100.0/24 via 10.77.0.1 dev w0 onlink");
	assert_int_equal(get(&far).gateway, cv_addr("10.77.0.1"));
	assert_int_equal(get(&far).oif, w0);
}

static void test_get_and_match_local(void **state)
{
	struct cv_route_flow flow = flow_to("192.0.2.1");
	struct cv_route route = get(&flow);

	(void)state;
	assert_int_equal(route.type, RTN_LOCAL);
	assert_int_equal(route.oif, if_nametoindex("lo"));
	assert_int_equal(route.mtu, 65535); /* loopback's own is 65536 */
	assert_int_equal(match(&flow)->type, RTN_LOCAL);
	assert_int_equal(match(&flow)->prefix_length, 32);
	assert_int_equal(match(&flow)->prefix, cv_addr("192.0.2.1"));
	flow = flow_to("127.8.9.10");
	assert_int_equal(match(&flow)->type, RTN_LOCAL);
	assert_int_equal(match(&flow)->prefix_length, 8);
	assert_int_equal(match(&flow)->prefix, cv_addr("127.0.0.0"));
	flow = flow_to("192.0.2.255");
	assert_int_equal(get(&flow).type, RTN_BROADCAST);
	flow = flow_to("224.0.0.5");
	flow.oif = v0;
	assert_int_equal(get(&flow).type, RTN_MULTICAST);
}

static void refuses(const char *destination, int iif, int error)
{
	struct cv_route_flow flow = {.destination = cv_addr(destination), .iif = iif};
	struct cv_route_entry entry = {.count = 4711};
	struct cv_route route = {.mtu = 4711};

	if (iif)
		flow.source = cv_addr("203.0.113.9");
	assert_int_equal(cv_route_get(nl, &flow, &route), error);
	assert_int_equal(cv_route_match(nl, &flow, &entry), error);
	assert_int_equal(route.mtu, 4711);
	assert_int_equal(entry.count, 4711);
}

static void test_refusals(void **state)
{
	(void)state;
	cv_sysctl("net/ipv4/ip_forward", "1");
	cv_sh("ip route add blackhole 10.1.0.0/16 && ip route add unreachable 10.2.0.0/16 && "
	      "ip route add prohibit 10.3.0.0/16");
	for (int iif = 0; iif <= w0; iif += w0) {
		refuses("10.0.0.1", iif, -ENETUNREACH);
		refuses("10.1.0.1", iif, -EINVAL);
		refuses("10.2.0.1", iif, -EHOSTUNREACH);
		refuses("10.3.0.1", iif, -EACCES);
	}
	/* A more specific one wins over a usable default route. */
	cv_sh("ip route add default via 192.0.2.11");
	refuses("10.2.0.1", 0, -EHOSTUNREACH);
	refuses("10.1.0.1", 0, -EINVAL);
}

static void test_link_down_takes_the_route(void **state)
{
	struct cv_route_flow flow = flow_to("198.51.100.7");
	struct cv_route route;

	(void)state;
	cv_sh("ip route add 198.51.100.0/24 via 192.0.2.11 && ip link set v0 down");
	assert_int_equal(cv_route_get(nl, &flow, &route), -ENETUNREACH);
}

static void test_rules(void **state)
{
	struct cv_route_flow flow = flow_to("198.51.100.7"), plain = flow;

	(void)state;
	cv_sysctl("net/ipv4/ip_forward", "1");
	cv_sh("ip route add default via 192.0.2.11 && "
	      "ip route add default via 203.0.113.11 table 100 && "
	      "ip rule add tos 0x10 table 100 && "
	      "ip rule add from 203.0.113.1 table 100 && "
	      "ip rule add iif w0 table 100 && "
	      "ip rule add ipproto udp dport 53 table 100 && "
	      "ip rule add ipproto tcp sport 4000 table 100");
	assert_int_equal(gateway_of(plain), cv_addr("192.0.2.11"));
	flow.tos = 0x11; /* ECN bits do not count */
	assert_int_equal(gateway_of(flow), cv_addr("203.0.113.11"));
	flow = plain;
	flow.source = cv_addr("203.0.113.1");
	assert_int_equal(gateway_of(flow), cv_addr("203.0.113.11"));
	flow.source = cv_addr("192.0.2.1");
	assert_int_equal(gateway_of(flow), cv_addr("192.0.2.11"));
	flow = plain;
	flow.protocol = IPPROTO_UDP;
	flow.destination_port = htons(53);
	assert_int_equal(gateway_of(flow), cv_addr("203.0.113.11"));
	assert_true(lists(match(&flow), w0, "203.0.113.11"));
	flow.destination_port = htons(54);
	assert_int_equal(gateway_of(flow), cv_addr("192.0.2.11"));
	flow.protocol = IPPROTO_TCP;
	flow.source_port = htons(4000);
	assert_int_equal(gateway_of(flow), cv_addr("203.0.113.11"));
	flow = plain;
	flow.iif = w0;
	flow.source = cv_addr("203.0.113.77");
	assert_int_equal(gateway_of(flow), cv_addr("203.0.113.11"));
	assert_int_equal(match(&flow)->count, 1);
}

static void test_protocols_that_rtnetlink_does_not_know(void **state)
{
	struct cv_route_flow flow = flow_to("198.51.100.7");
	static const uint8_t protocols[] = {0, 1, 4, 6, 17, 47, 50, 132, 255};

	(void)state;
	cv_sh("ip route add 198.51.100.0/24 via 192.0.2.11");
	flow.source_port = htons(1000);
	flow.destination_port = htons(2000);
	for (size_t i = 0; i < sizeof(protocols); i++) {
		flow.protocol = protocols[i];
		assert_int_equal(gateway_of(flow), cv_addr("192.0.2.11"));
		assert_int_equal(match(&flow)->count, 1);
	}
}

/* ---- many next hops ----------------------------------------------------------------- */

static void test_match_lists_every_next_hop(void **state)
{
	struct cv_route_flow flow = flow_to("198.51.100.7");
	struct cv_route_entry *entry;

	(void)state;
	cv_sh("ip route add default via 203.0.113.11 && "
	      "ip route add 198.51.100.0/24 mtu 1333 nexthop via 192.0.2.11 nexthop via 192.0.2.12 "
	      "nexthop via 203.0.113.11 weight 3 nexthop dev w0");
	entry = match(&flow);
	assert_int_equal(entry->type, RTN_UNICAST);
	assert_int_equal(entry->prefix, cv_addr("198.51.100.0"));
	assert_int_equal(entry->prefix_length, 24);
	assert_int_equal(entry->mtu, 1333);
	assert_int_equal(entry->count, 4);
	assert_true(lists(entry, v0, "192.0.2.11"));
	assert_true(lists(entry, v0, "192.0.2.12"));
	assert_true(lists(entry, w0, "203.0.113.11"));
	assert_true(lists(entry, w0, "0.0.0.0"));
	flow = flow_to("10.0.0.1");
	entry = match(&flow);
	assert_int_equal(entry->prefix_length, 0);
	assert_int_equal(entry->prefix, 0);
	assert_int_equal(entry->mtu, 0);
	assert_int_equal(entry->count, 1);
	flow = flow_to("192.0.2.44");
	entry = match(&flow);
	assert_int_equal(entry->count, 1);
	assert_true(lists(entry, v0, "0.0.0.0"));
}

static void check_objects(void)
{
	struct cv_route_flow group = flow_to("198.51.100.7"), single = flow_to("198.51.101.7");
	struct cv_route_flow black = flow_to("198.51.102.7"), on_link = flow_to("198.51.103.7");
	struct cv_route_entry *entry = match(&group), refused;
	struct cv_route route;

	assert_int_equal(entry->count, 2);
	assert_true(lists(entry, v0, "192.0.2.11"));
	assert_true(lists(entry, w0, "203.0.113.11"));
	assert_int_equal(entry->prefix_length, 24);
	entry = match(&single);
	assert_int_equal(entry->count, 1);
	assert_true(lists(entry, v0, "192.0.2.11"));
	entry = match(&on_link);
	assert_int_equal(entry->count, 1);
	assert_true(lists(entry, w0, "0.0.0.0"));
	assert_int_equal(gateway_of(single), cv_addr("192.0.2.11"));
	assert_int_equal(cv_route_get(nl, &black, &route), -EINVAL);
	assert_int_equal(cv_route_match(nl, &black, &refused), -EINVAL);
}

static int collect(__be32 gateway, void *data)
{
	char *text = data, address[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &gateway, address, sizeof(address));
	strcat(text, address);
	strcat(text, " ");
	return 0;
}

/* The gateways behind a device, "A B ", in some order. */
static const char *gateways(int oif)
{
	static char text[8192];

	text[0] = '\0';
	assert_int_equal(cv_route_for_each_gateway(nl, oif, collect, text), 0);
	return text;
}

static void test_nexthop_objects(void **state)
{
	(void)state;
	cv_sh("ip nexthop add id 1 via 192.0.2.11 dev v0 && "
	      "ip nexthop add id 2 via 203.0.113.11 dev w0 && "
	      "ip nexthop add id 3 blackhole && ip nexthop add id 4 dev w0 && "
	      "ip nexthop add id 10 group 1/2,2 && "
	      "ip route add 198.51.100.0/24 nhid 10 && ip route add 198.51.101.0/24 nhid 1 && "
	      "ip route add 198.51.102.0/24 nhid 3 && ip route add 198.51.103.0/24 nhid 4");
	assert_true(cv_sysctl("net/ipv4/nexthop_compat_mode", "1"));
	check_objects();
	assert_string_equal(gateways(v0), "192.0.2.11 ");
	assert_string_equal(gateways(w0), "203.0.113.11 ");
	assert_true(cv_sysctl("net/ipv4/nexthop_compat_mode", "0"));
	check_objects();
	assert_string_equal(gateways(v0), "192.0.2.11 ");
	assert_string_equal(gateways(w0), "203.0.113.11 ");
	/* An object that is replaced below the route. */
	cv_sh("ip nexthop replace id 2 via 203.0.113.22 dev w0");
	assert_true(lists(match(&(struct cv_route_flow){.destination = cv_addr("198.51.100.1")}),
			  w0, "203.0.113.22"));
	assert_string_equal(gateways(w0), "203.0.113.22 ");
}

static void test_nexthop_resolve(void **state)
{
	struct cv_next_hop hops[4] = {0};

	(void)state;
	cv_sh("ip nexthop add id 1 via 192.0.2.11 dev v0 && ip nexthop add id 3 blackhole && "
	      "ip nexthop add id 2 via 192.0.2.12 dev v0 && ip nexthop add id 10 group 1/2");
	assert_int_equal(cv_nexthop_resolve(nl, 99, hops, 4), -ENOENT);
	assert_int_equal(cv_nexthop_resolve(nl, 3, hops, 4), 0);
	assert_int_equal(cv_nexthop_resolve(nl, 10, hops, 4), 2);
	assert_int_equal(hops[1].gateway, cv_addr("192.0.2.12"));
	assert_int_equal(cv_nexthop_resolve(nl, 10, hops, 1), 1);
	assert_int_equal(cv_nexthop_resolve(nl, 1, hops, 0), 0);
}

/* A group of the objects 1 to count; ip(8) builds none above 127 members. */
static void add_group(uint32_t id, uint32_t count)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct nexthop_grp members[300] = {0};
	struct nhmsg *message;

	assert_in_range(count, 1, 300);
	for (uint32_t i = 0; i < count; i++)
		members[i].id = i + 1;
	nlh->nlmsg_type = RTM_NEWNEXTHOP;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	message = mnl_nlmsg_put_extra_header(nlh, sizeof(*message));
	message->nh_family = AF_UNSPEC;
	mnl_attr_put_u32(nlh, NHA_ID, id);
	mnl_attr_put(nlh, NHA_GROUP, count * sizeof(members[0]), members);
	assert_int_equal(cv_nl_talk(nl, nlh, NULL, NULL), 0);
}

static void test_many_next_hops(void **state)
{
	struct cv_route_flow flow = flow_to("198.51.100.7");
	struct cv_route_entry entry = {.count = 4711};

	(void)state;
	cv_sh("ip route add 198.51.100.0/24 "
	      "$(for i in $(seq 11 210); do echo nexthop via 192.0.2.$i; done)");
	assert_int_equal(match(&flow)->count, 200);
	assert_true(lists(match(&flow), v0, "192.0.2.11"));
	assert_true(lists(match(&flow), v0, "192.0.2.210"));
	/* Beyond the kernel's own answer: an error, no half list. */
	cv_sh("ip addr add 10.8.0.1/16 dev v0 && ip route add 198.51.101.0/24 "
	      "$(for i in $(seq 1 250); do echo nexthop via 10.8.1.$i; done)");
	flow = flow_to("198.51.101.7");
	assert_int_equal(cv_route_match(nl, &flow, &entry), -EMSGSIZE);
	assert_int_equal(entry.count, 4711);
	/* A group's members are asked for one by one, up to our own maximum. */
	cv_sysctl("net/ipv4/nexthop_compat_mode", "0");
	cv_sh("for i in $(seq 1 300); do "
	      "echo nexthop add id $i via 10.8.$((i / 250)).$((i %% 250 + 2)) dev v0; done | "
	      "ip -batch -");
	add_group(1000, 300);
	cv_sh("ip route add 198.51.102.0/24 nhid 1000");
	flow = flow_to("198.51.102.7");
	assert_int_equal(match(&flow)->count, CV_ROUTE_NEXT_HOPS_MAX);
}

static void test_gateway_of_another_family(void **state)
{
	struct cv_route_flow flow = flow_to("198.51.100.7");
	struct cv_route route = {.mtu = 4711};

	(void)state;
	if (access("/proc/net/if_inet6", F_OK))
		skip();
	cv_sh("ip route add 198.51.100.0/24 via inet6 fe80::1 dev v0 && "
	      "ip route add 198.51.101.0/24 nexthop via inet6 fe80::1 dev v0 "
	      "nexthop via 203.0.113.11 && "
	      "ip nexthop add id 6 via fe80::1 dev v0 && ip route add 198.51.102.0/24 nhid 6");
	assert_int_equal(cv_route_get(nl, &flow, &route), -EAFNOSUPPORT);
	assert_int_equal(route.mtu, 4711);
	assert_int_equal(match(&flow)->count, 0);
	flow = flow_to("198.51.101.7");
	assert_int_equal(match(&flow)->count, 1);
	assert_true(lists(match(&flow), w0, "203.0.113.11"));
	flow = flow_to("198.51.102.7");
	assert_int_equal(match(&flow)->count, 0);
	cv_sysctl("net/ipv4/nexthop_compat_mode", "0");
	assert_int_equal(match(&flow)->count, 0);
	assert_string_equal(gateways(v0), "");
}

/* ---- gateways behind a device ---------------------------------------------------------- */

static int stop_at_second(__be32 gateway, void *data)
{
	int *calls = data;

	(void)gateway;
	return ++*calls == 2 ? 42 : 0;
}

static int ask_meanwhile(__be32 gateway, void *data)
{
	struct cv_route_flow flow = {.destination = gateway};

	*(int *)data += get(&flow).oif;
	return 0;
}

static void test_for_each_gateway(void **state)
{
	int calls = 0, sum = 0;

	(void)state;
	assert_string_equal(gateways(v0), "");
	cv_sh("ip route add 10.1.0.0/16 via 192.0.2.11 && ip route add 10.2.0.0/16 via 192.0.2.11 "
	      "&& "
	      "ip route add 10.3.0.0/16 via 192.0.2.11 table 77 && "
	      "ip route add 10.4.0.0/16 dev v0 && ip route add blackhole 10.5.0.0/16");
	assert_string_equal(gateways(v0), "192.0.2.11 ");
	assert_string_equal(gateways(w0), "");
	cv_sh("ip route add 10.6.0.0/16 via 203.0.113.11 table 77 && "
	      "ip route add 10.7.0.0/16 nexthop via 203.0.113.12 nexthop via 192.0.2.12");
	assert_int_equal(strlen(gateways(v0)), strlen("192.0.2.11 192.0.2.12 "));
	assert_non_null(strstr(gateways(v0), "192.0.2.11 "));
	assert_non_null(strstr(gateways(v0), "192.0.2.12 "));
	assert_int_equal(strlen(gateways(w0)), strlen("203.0.113.11 203.0.113.12 "));
	assert_int_equal(cv_route_for_each_gateway(nl, v0, stop_at_second, &calls), 42);
	assert_int_equal(calls, 2);
	assert_int_equal(cv_route_for_each_gateway(nl, v0, ask_meanwhile, &sum), 0);
	assert_int_equal(sum, 2 * v0);
}

static int count_gateway(__be32 gateway, void *data)
{
	(void)gateway;
	++*(int *)data;
	return 0;
}

static void test_for_each_gateway_of_many_routes(void **state)
{
	int count = 0;

	(void)state;
	cv_sh("for i in $(seq 0 3999); do "
	      "echo route add 10.$((i / 200)).$((i %% 200)).0/24 via 192.0.2.$((i %% 150 + 11)); "
	      "done | ip -batch -");
	assert_int_equal(cv_route_for_each_gateway(nl, v0, count_gateway, &count), 0);
	assert_int_equal(count, 150);
}

/* ---- agreement with what packets do ----------------------------------------------------- */

enum {
	FLOWS = 100
};

static void test_ecmp_spreads_and_is_stable(void **state)
{
	(void)state;
	cv_sh("ip route add 198.51.100.0/24 nexthop via 192.0.2.11 nexthop via 192.0.2.12");
	cv_sysctl("net/ipv4/fib_multipath_hash_policy", "1");
	for (int protocol = IPPROTO_TCP; protocol <= IPPROTO_UDP; protocol += 11) {
		int first = 0;

		for (int i = 0; i < 2 * FLOWS; i++) {
			struct cv_route_flow flow = flow_to("198.51.100.7");
			__be32 gateway;

			flow.protocol = (uint8_t)protocol;
			flow.source_port = htons((uint16_t)(20000 + i));
			flow.destination_port = htons(80);
			gateway = gateway_of(flow);
			assert_int_equal(gateway_of(flow), gateway);
			first += gateway == cv_addr("192.0.2.11");
		}
		assert_in_range(first, FLOWS / 2, 3 * FLOWS / 2);
	}
}

struct fan {
	int here, far;
	int inject;	/* AF_PACKET on in1 */
	int capture[2]; /* AF_PACKET on cap0 and cap1 */
	int in0;
};

static int packet_socket(const char *device)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	address.sll_ifindex = (int)if_nametoindex(device);
	assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
	return fd;
}

static void fan_create(struct fan *fan)
{
	fan->here = cv_netns_open_current();
	cv_netns_enter_new();
	fan->far = cv_netns_open_current();
	cv_netns_switch(fan->here);
	cv_sh("for p in in0:in1 out0:cap0 out1:cap1; do "
	      "ip link add ${p%%:*} type veth peer name ${p#*:} netns /proc/%d/fd/%d; done",
	      getpid(), fan->far);
	cv_netns_switch(fan->far);
	cv_sh("for i in in1 cap0 cap1; do ip link set $i up; done");
	fan->inject = packet_socket("in1");
	fan->capture[0] = packet_socket("cap0");
	fan->capture[1] = packet_socket("cap1");
	cv_netns_switch(fan->here);
	cv_sysctl("net/ipv4/ip_forward", "1");
	cv_sh("ip addr add 10.9.0.1/24 dev in0 && ip addr add 10.9.1.1/24 dev out0 && "
	      "ip addr add 10.9.2.1/24 dev out1 && "
	      "for i in in0 out0 out1; do ip link set $i address 02:00:00:00:00:0a up; done && "
	      "ip neigh replace 10.9.1.2 lladdr 02:00:00:00:00:0b dev out0 nud permanent && "
	      "ip neigh replace 10.9.2.2 lladdr 02:00:00:00:00:0b dev out1 nud permanent && "
	      "ip route add 198.51.100.0/24 nexthop via 10.9.1.2 nexthop via 10.9.2.2");
	fan->in0 = (int)if_nametoindex("in0");
	cv_wait_running("in0");
	cv_wait_running("out0");
	cv_wait_running("out1");
	cv_netns_switch(fan->far);
	cv_wait_running("in1");
	cv_netns_switch(fan->here);
}

static void fan_destroy(struct fan *fan)
{
	close(fan->inject);
	close(fan->capture[0]);
	close(fan->capture[1]);
	close(fan->here);
	close(fan->far);
}

/* Which of the two devices the next UDP packet with this source port came out of. */
static int captured_at(const struct fan *fan, uint16_t port)
{
	struct pollfd fds[2] = {{.fd = fan->capture[0], .events = POLLIN},
				{.fd = fan->capture[1], .events = POLLIN}};

	while (poll(fds, 2, 2000) > 0) {
		for (int i = 0; i < 2; i++) {
			unsigned char frame[2048];
			ssize_t length;

			if (!fds[i].revents)
				continue;
			length = recv(fds[i].fd, frame, sizeof(frame), 0);
			if (length >= 42 && frame[23] == IPPROTO_UDP &&
			    (frame[34] << 8 | frame[35]) == port)
				return i;
		}
	}
	return -1;
}

static void inject_udp(const struct fan *fan, const struct cv_route_flow *flow)
{
	unsigned char frame[64] = {2, 0, 0, 0, 0, 0x0a, 2, 0, 0, 0, 0, 0x0b, 8, 0};
	unsigned char *udp = frame + 34;

	cv_put_ipv4(frame + 14, IPPROTO_UDP, flow->source, flow->destination, 8);
	memcpy(udp, &flow->source_port, 2);
	memcpy(udp + 2, &flow->destination_port, 2);
	udp[5] = 8;
	assert_int_equal(send(fan->inject, frame, 42, 0), 42);
}

static void send_local_udp(const struct cv_route_flow *flow)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = flow->source,
				   .sin_port = flow->source_port};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_addr.s_addr = flow->destination,
				 .sin_port = flow->destination_port};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_return_code(bind(fd, (struct sockaddr *)&from, sizeof(from)), errno);
	assert_int_equal(sendto(fd, "", 0, 0, (struct sockaddr *)&to, sizeof(to)), 0);
	close(fd);
}

static void check_agreement(const struct fan *fan, int iif)
{
	int used[2] = {0};

	for (int i = 0; i < FLOWS; i++) {
		struct cv_route_flow flow = {
			.destination = htonl(ntohl(cv_addr("198.51.100.1")) + (unsigned int)i),
			.source = cv_addr(iif ? "10.9.0.77" : "10.9.0.1"),
			.protocol = IPPROTO_UDP,
			.source_port = htons((uint16_t)(30000 + i)),
			.destination_port = htons(53),
			.iif = iif,
		};
		int at;

		if (iif)
			inject_udp(fan, &flow);
		else
			send_local_udp(&flow);
		at = captured_at(fan, (uint16_t)(30000 + i));
		assert_in_range(at, 0, 1);
		assert_int_equal(gateway_of(flow), cv_addr(at ? "10.9.2.2" : "10.9.1.2"));
		used[at]++;
	}
	assert_in_range(used[0], FLOWS / 5, 4 * FLOWS / 5);
}

static void test_agrees_with_packets(void **state)
{
	struct fan fan;

	(void)state;
	fan_create(&fan);
	for (int policy = 0; policy < 2; policy++) {
		cv_sysctl("net/ipv4/fib_multipath_hash_policy", policy ? "1" : "0");
		check_agreement(&fan, fan.in0);
		check_agreement(&fan, 0);
	}
	fan_destroy(&fan);
}

/* The kernel remembers a route's last answer, its type included, at the next hop they share. */
static void test_multicast_route_beside_it(void **state)
{
	struct cv_route_flow unicast = flow_to("10.1.2.3"), multicast = flow_to("239.1.2.3");

	(void)state;
	cv_sh("ip route add 224.0.0.0/4 dev v0 && ip route add 10.0.0.0/8 dev v0");
	for (unsigned int i = 0; i < 20; i++) {
		(void)get(&multicast);
		assert_int_equal(get(&unicast).type, RTN_UNICAST);
		assert_int_equal(match(&unicast)->type, RTN_UNICAST);
		assert_true(lists(match(&unicast), v0, "0.0.0.0"));
	}
}

static void test_forwarding_off_refuses(void **state)
{
	struct cv_route_flow flow = flow_to("198.51.100.7");
	struct cv_route route;

	(void)state;
	cv_sh("ip route add 198.51.100.0/24 via 192.0.2.11");
	flow.iif = w0;
	flow.source = cv_addr("203.0.113.9");
	cv_sysctl("net/ipv4/ip_forward", "0");
	assert_int_equal(cv_route_get(nl, &flow, &route), -EHOSTUNREACH);
	cv_sysctl("net/ipv4/ip_forward", "1");
	assert_int_equal(cv_route_get(nl, &flow, &route), 0);
	assert_int_equal(route.source, 0);
	assert_int_equal(route.mtu, 1500);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_get_gateway_source_and_mtu),
		TEST(test_get_on_link_and_onlink),
		TEST(test_get_and_match_local),
		TEST(test_refusals),
		TEST(test_link_down_takes_the_route),
		TEST(test_rules),
		TEST(test_protocols_that_rtnetlink_does_not_know),
		TEST(test_match_lists_every_next_hop),
		TEST(test_nexthop_objects),
		TEST(test_nexthop_resolve),
		TEST(test_many_next_hops),
		TEST(test_gateway_of_another_family),
		TEST(test_for_each_gateway),
		TEST(test_for_each_gateway_of_many_routes),
		TEST(test_ecmp_spreads_and_is_stable),
		TEST(test_agrees_with_packets),
		TEST(test_multicast_route_beside_it),
		TEST(test_forwarding_off_refuses),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests_name("net_route", tests, NULL, NULL);
}
