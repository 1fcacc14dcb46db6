/* SPDX-License-Identifier: Apache-2.0 */
/* routing/self: methods as they are written, and what they find on hosts made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "made_facts.h"
#include "netns.h"
#include "resources.h"
#include "routing/self.h"

/* ---- reading a method --------------------------------------------------------------- */

static void test_methods(void **state)
{
	static const struct {
		const char *text;
		enum cv_detect_kind kind;
	} methods[] = {
		{"first-found", CV_DETECT_FIRST_FOUND},
		{"interface=eth0", CV_DETECT_INTERFACE},
		{"interface=eth.*,en(p|s)[0-9]+", CV_DETECT_INTERFACE},
		{"skip-interface=docker.*,wg0", CV_DETECT_SKIP_INTERFACE},
		{"can-reach=192.0.2.9", CV_DETECT_CAN_REACH},
		{"cidr=192.168.0.0/16", CV_DETECT_CIDR},
		{"cidr=192.168.0.0/16,10.0.0.0/8,0.0.0.0/0", CV_DETECT_CIDR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct cv_detect detect;
		struct cv_error error;

		if (cv_detect_parse(methods[i].text, &detect, &error))
			fail_msg("%s: %s", methods[i].text, error.text);
		assert_int_equal(detect.kind, methods[i].kind);
		assert_string_equal(detect.text, methods[i].text);
		cv_detect_fini(&detect);
		assert_null(detect.text);
		cv_detect_fini(&detect);
	}
}

static void test_what_is_no_method(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "there are first-found, interface=REGEX"},
		{"first", "\"first\" is no way to find a node's address"},
		{"first-found=eth0", "there are first-found"},
		{"First-Found", "there are first-found"},
		{"interface", "there are first-found"},
		{"interfaces=eth0", "there are first-found"},
		{"kubernetes-internal-ip", "there are first-found"},
		{"interface=", "something must follow \"=\""},
		{"interface=,", "something must follow \"=\""},
		{"skip-interface=", "something must follow \"=\""},
		{"cidr=", "something must follow \"=\""},
		{"can-reach=", "something must follow \"=\""},
		{"interface=eth[0", "\"eth[0\" is no extended regular expression ("},
		{"interface=eth0,(", "\"(\" is no extended regular expression ("},
		{"cidr=192.168.0.0", "\"192.168.0.0\" is no IPv4 network such as"},
		{"cidr=192.168.0.1/16", "\"192.168.0.1/16\" is no IPv4 network"},
		{"cidr=10.0.0.0/8,fd00::/8", "\"fd00::/8\" is no IPv4 network"},
		{"cidr=10.0.0.0/33", "\"10.0.0.0/33\" is no IPv4 network"},
		{"can-reach=example.org", "names are not looked up"},
		{"can-reach=192.0.2.0/24", "is no IPv4 address"},
		{"can-reach=192.0.2.1,192.0.2.2", "one address is wanted"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cv_detect detect = {.kind = CV_DETECT_CIDR};
		struct cv_error error = {.text = ""};

		assert_int_equal(cv_detect_parse(bad[i].text, &detect, &error), -EINVAL);
		assert_int_equal(detect.kind, CV_DETECT_CIDR);
		assert_null(detect.text);
		if (!strstr(error.text, bad[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, error.text,
				 bad[i].says);
	}
}

/* ---- looking ------------------------------------------------------------------------- */

/* A host with everything on it that is no node's way out, before its two cards. */
static void make_host(struct cv_made_facts *host)
{
	static const char *const never[] = {
		"docker0", "cbr0",	   "dummy0",   "virbr0",       "lxcbr0",
		"vethab1", "cali0123",	   "tunl0",    "flannel.1",    "kube-ipvs0",
		"cni0",	   "vxlan.calico", "culvert0", "nodelocaldns", "br-0123456789ab",
	};
	char address[32];

	*host = (struct cv_made_facts){.facts.interface_count = 0};
	cv_made_device(host, 1, "lo", 65536, "127.0.0.1/8 10.9.9.9/32");
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		snprintf(address, sizeof(address), "172.16.%zu.1/24", i);
		cv_made_device(host, 2 + (int)i, never[i], 1500, address);
	}
	cv_made_device(host, 100, "eth9", 1500, "192.0.2.9/24")->flags = 0;
	cv_made_device(host, 101, "tun7", 1480, "192.0.2.7/24")->is_ours = true;
	cv_made_device(host, 102, "eth0", 1500,
		       "169.254.7.7/16 192.168.100.1/24 192.168.100.77/25 10.1.0.1/16");
	cv_made_device(host, 103, "eth1", 9000, "10.2.0.1/16 198.51.100.5/32");
}

static void look(const struct cv_made_facts *host, struct cv_resource **resources, size_t count,
		 const char *name, const char *method, struct cv_self *ret_self)
{
	struct cv_snapshot *snapshot = NULL;
	struct cv_detect detect = {.text = NULL};
	struct cv_error error;
	struct cv_nl *nl;

	assert_int_equal(cv_nl_create(&nl), 0);
	if (cv_snapshot_create(resources, count, &snapshot, &error) ||
	    cv_detect_parse(method, &detect, &error))
		fail_msg("%s", error.text);
	cv_self_find(snapshot, name, &detect, &host->facts, nl, ret_self);
	/* What is told of a Node is told of one that lives on. */
	ret_self->node = NULL;
	cv_detect_fini(&detect);
	cv_snapshot_put(snapshot);
	cv_nl_destroy(nl);
}

static void test_methods_find(void **state)
{
	static const struct {
		const char *method, *address, *how;
	} cases[] = {
		{"first-found", "192.168.100.1/24", "first-found: eth0"},
		{"interface=eth1", "10.2.0.1/16", "interface=eth1: eth1"},
		{"interface=^eth.", "192.168.100.1/24", "interface=^eth.: eth0"},
		/* A part of the name will do, as with Calico. */
		{"interface=eth", "172.16.5.1/24", "interface=eth: vethab1"},
		{"interface=^th", NULL, NULL},
		{"interface=th1$", "10.2.0.1/16", NULL},
		{"interface=nothing,eth1", "10.2.0.1/16", NULL},
		/* One that is asked for by name is taken, though it would be skipped. */
		{"interface=docker0", "172.16.0.1/24", NULL},
		{"interface=^lo", "10.9.9.9/32", NULL},
		/* Down, or ours: never. */
		{"interface=eth9", NULL, NULL},
		{"interface=tun7", NULL, NULL},
		{"skip-interface=eth0", "10.2.0.1/16", "skip-interface=eth0: eth1"},
		{"skip-interface=eth.*", NULL, NULL},
		{"skip-interface=th0", "10.2.0.1/16", NULL},
		{"cidr=10.0.0.0/8", "10.9.9.9/32", NULL},
		{"cidr=10.2.0.0/16,10.1.0.0/16", "10.1.0.1/16",
		 "cidr=10.2.0.0/16,10.1.0.0/16: eth0"},
		{"cidr=198.51.100.0/24", "198.51.100.5/32", NULL},
		{"cidr=192.168.100.64/26", "192.168.100.77/25", NULL},
		{"cidr=192.0.2.0/24", NULL, NULL},
		{"cidr=169.254.0.0/16", NULL, NULL},
		{"cidr=127.0.0.0/8", NULL, NULL},
	};
	struct cv_made_facts host;

	(void)state;
	make_host(&host);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cv_prefix want = {.address = 0};
		struct cv_self self;

		look(&host, NULL, 0, "a1", cases[i].method, &self);
		if (cases[i].address)
			want = cv_test_prefix(cases[i].address);
		if (self.address != want.address || self.prefix_length != want.length)
			fail_msg("%s: %s%s", cases[i].method, self.how, self.problem);
		assert_string_equal(self.name, "a1");
		assert_int_equal(!cases[i].address, strstr(self.problem, cases[i].method) != NULL);
		if (cases[i].address)
			assert_string_equal(self.problem, "");
		else
			assert_non_null(strstr(self.problem, "give Node a1 a bgp.ipv4Address, or"));
		if (cases[i].how)
			assert_string_equal(self.how, cases[i].how);
	}
}

static void test_a_host_without_addresses(void **state)
{
	struct cv_made_facts host = {.facts.interface_count = 0};
	struct cv_self self;

	(void)state;
	look(&host, NULL, 0, "a1", "first-found", &self);
	assert_int_equal(self.address, 0);
	assert_non_null(strstr(self.problem, "not found by first-found"));
}

/* can-reach asks the kernel: the source that it would take. */
static void test_can_reach(void **state)
{
	static const struct {
		const char *method, *address;
	} cases[] = {
		{"can-reach=192.0.2.200", "192.0.2.1/24"},
		{"can-reach=203.0.113.9", "198.51.100.1/28"}, /* by default */
		{"can-reach=10.7.0.1", "192.0.2.77/24"},      /* the route's own source */
		{"can-reach=10.8.0.1", NULL},		      /* unreachable */
	};
	struct cv_made_facts unused = {.facts.interface_count = 0};
	struct cv_made_facts made = unused;
	struct cv_facts facts;
	struct cv_self self;
	struct cv_nl *nl;

	(void)state;
	cv_netns_enter_new();
	cv_sh("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && "
	      "ip addr add 192.0.2.1/24 dev v0 && ip addr add 192.0.2.77/24 dev v0 && "
	      "ip addr add 198.51.100.1/28 dev v1 && ip route add default via 198.51.100.2 && "
	      "ip route add 10.7.0.0/16 via 192.0.2.3 src 192.0.2.77 && "
	      "ip route add unreachable 10.8.0.0/16");
	assert_int_equal(cv_nl_create(&nl), 0);
	assert_int_equal(cv_facts_read(nl, NULL, NULL, 84, &facts), 0);
	cv_nl_destroy(nl);
	made.facts = facts;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cv_prefix want = {.address = 0};

		look(&made, NULL, 0, "a1", cases[i].method, &self);
		if (cases[i].address)
			want = cv_test_prefix(cases[i].address);
		if (self.address != want.address || self.prefix_length != want.length)
			fail_msg("%s: %s%s", cases[i].method, self.how, self.problem);
		assert_int_equal(!self.address, self.problem[0] != '\0');
	}
	cv_facts_fini(&facts);
}

/* ---- as the Node says --------------------------------------------------------------------- */

static void test_as_the_node_says(void **state)
{
	static const struct {
		const char *address; /* bgp.ipv4Address */
		const char *want;
		const char *says; /* how, or the problem */
		int ifindex;
	} cases[] = {
		{"192.168.100.1/24", "192.168.100.1/24", "Node a1, on eth0", 102},
		/* What is published counts, whatever the device has. */
		{"192.168.100.1/16", "192.168.100.1/16", "Node a1, on eth0", 102},
		{"192.168.100.1/32", "192.168.100.1/32", "Node a1, on eth0", 102},
		{"192.168.100.77", "192.168.100.77/25", "Node a1, with the prefix length of eth0",
		 102},
		{"10.2.0.1", "10.2.0.1/16", "Node a1, with the prefix length of eth1", 103},
		{"198.51.100.5", "198.51.100.5/32", "Node a1, with the prefix length of eth1", 103},
		/* On the loopback device, as routers' own addresses are. */
		{"10.9.9.9", "10.9.9.9/32", "Node a1, with the prefix length of lo", 1},
		/* Down, but it is this host's. */
		{"192.0.2.9/24", "192.0.2.9/24", "Node a1, on eth9", 100},
		{"192.168.100.2/24", NULL, "Node a1 has the address 192.168.100.2, which no device",
		 0},
		{"192.168.100.2", NULL, "correct bgp.ipv4Address, or add the address", 0},
	};
	struct cv_made_facts host;

	(void)state;
	make_host(&host);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cv_resource *node = cv_test_node("a1", cases[i].address, NULL);
		struct cv_prefix want = {.address = 0};
		struct cv_self self;

		/* The method is not asked. */
		look(&host, &node, 1, "a1", "interface=eth1", &self);
		if (cases[i].want)
			want = cv_test_prefix(cases[i].want);
		if (self.address != want.address || self.prefix_length != want.length ||
		    self.ifindex != cases[i].ifindex)
			fail_msg("%s: %s%s", cases[i].address, self.how, self.problem);
		assert_int_equal(!cases[i].want, self.problem[0] != '\0');
		assert_non_null(strstr(cases[i].want ? self.how : self.problem, cases[i].says));
		cv_resource_put(node);
	}
}

/* A Node without an address: found as if there were none. One of another name is not ours. */
static void test_nodes_without_an_address(void **state)
{
	struct cv_resource *nodes[] = {cv_test_node("a1", NULL, "10.244.1.0"),
				       cv_test_node("b1", "192.168.200.2/24", NULL)};
	struct cv_made_facts host;
	struct cv_self self;

	(void)state;
	make_host(&host);
	look(&host, nodes, 2, "a1", "first-found", &self);
	assert_int_equal(self.address, cv_test_address("192.168.100.1"));
	look(&host, nodes, 2, "A1", "first-found", &self);
	assert_string_equal(self.name, "A1");
	assert_int_equal(self.address, cv_test_address("192.168.100.1"));
	cv_test_put_all(nodes, 2);
}

static void test_the_address_of_another_node(void **state)
{
	struct cv_resource *nodes[] = {cv_test_node("a1", NULL, NULL),
				       cv_test_node("b1", "192.168.100.1/24", NULL)};
	static const char *const names[] = {"a1", "unknown"};
	struct cv_made_facts host;
	struct cv_self self;

	(void)state;
	make_host(&host);
	for (size_t i = 0; i < 2; i++) {
		look(&host, nodes, 2, names[i], "first-found", &self);
		assert_int_equal(self.address, 0);
		assert_non_null(strstr(self.problem,
				       "its address 192.168.100.1 is that of Node b1; "
				       "start culvertd with --node b1"));
		assert_non_null(strstr(self.problem, names[i]));
		/* Another way to look finds another. */
		look(&host, nodes, 2, names[i], "interface=eth1", &self);
		assert_int_equal(self.address, cv_test_address("10.2.0.1"));
	}
	cv_test_put_all(nodes, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_what_is_no_method),
		cmocka_unit_test(test_methods_find),
		cmocka_unit_test(test_a_host_without_addresses),
		cmocka_unit_test(test_as_the_node_says),
		cmocka_unit_test(test_nodes_without_an_address),
		cmocka_unit_test(test_the_address_of_another_node),
		cmocka_unit_test(test_can_reach),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
