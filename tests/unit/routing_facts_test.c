/* SPDX-License-Identifier: Apache-2.0 */
/* routing/facts against the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "netns.h"
#include "routing/facts.h"

static bool is_index(int ifindex, void *data)
{
	return ifindex == *(int *)data;
}

static bool has_gateway(const struct cv_facts *facts, const char *address)
{
	size_t found = 0;

	for (size_t i = 0; i < facts->gateway_count; i++)
		found += facts->gateways[i] == cv_addr(address);
	assert_in_range(found, 0, 1);
	return found;
}

static void test_reads_devices_addresses_and_gateways(void **state)
{
	const struct cv_fact_interface *v0;
	struct cv_facts facts;
	struct cv_nl *nl;
	int ours;

	(void)state;
	cv_netns_enter_new();
	/* Created in another order than that of their indices. */
	cv_sh("ip link add v0 index 700 mtu 1400 type veth peer name v1 index 20 && "
	      "ip link add br0 index 300 type bridge && ip link set v0 up && ip link set v1 up && "
	      "ip addr add 192.0.2.1/24 dev v0 && ip addr add 192.0.2.7/24 dev v0 && "
	      "ip addr add 10.244.1.1/32 dev br0");
	cv_sh("ip route add default via 192.0.2.9 && ip route add 10.1.0.0/16 via 192.0.2.9 && "
	      "ip route add 10.2.0.0/16 via 192.0.2.10 proto 84 && "
	      "ip route add 10.3.0.0/16 via 192.0.2.11 proto bird metric 31 && "
	      "ip route add 10.4.0.0/16 via 192.0.2.12 proto bird metric 32");
	ours = (int)if_nametoindex("br0");
	assert_int_equal(cv_nl_create(&nl), 0);
	assert_int_equal(cv_facts_read(nl, is_index, &ours, 84, &facts), 0);

	for (size_t i = 1; i < facts.interface_count; i++)
		assert_true(facts.interfaces[i - 1].index < facts.interfaces[i].index);
	v0 = cv_facts_interface(&facts, 700);
	assert_non_null(v0);
	assert_string_equal(v0->name, "v0");
	assert_string_equal(v0->kind, "veth");
	assert_int_equal(v0->mtu, 1400);
	assert_true(v0->flags & IFF_UP);
	assert_false(v0->is_ours);
	assert_true(cv_facts_interface_named(&facts, "br0")->is_ours);
	assert_ptr_equal(cv_facts_interface_named(&facts, "v0"), v0);
	assert_null(cv_facts_interface_named(&facts, "v2"));
	assert_null(cv_facts_interface(&facts, 701));

	assert_int_equal(facts.address_count, 4); /* and 127.0.0.1 */
	assert_ptr_equal(cv_facts_address(&facts, cv_addr("192.0.2.7"))->interface, v0);
	assert_int_equal(cv_facts_address(&facts, cv_addr("192.0.2.7"))->address.length, 24);
	assert_int_equal(cv_facts_address(&facts, cv_addr("10.244.1.1"))->ifindex, ours);
	assert_null(cv_facts_address(&facts, cv_addr("192.0.2.8")));

	assert_int_equal(facts.gateway_count, 2);
	assert_true(has_gateway(&facts, "192.0.2.9"));
	/* Ours, our BIRD's, another BIRD's. */
	assert_false(has_gateway(&facts, "192.0.2.10"));
	assert_false(has_gateway(&facts, "192.0.2.11"));
	assert_true(has_gateway(&facts, "192.0.2.12"));
	cv_facts_fini(&facts);
	assert_int_equal(facts.interface_count, 0);
	cv_facts_fini(&facts);
	cv_nl_destroy(nl);
}

static void test_an_empty_namespace(void **state)
{
	struct cv_facts facts;
	struct cv_nl *nl;

	(void)state;
	cv_netns_enter_new();
	assert_int_equal(cv_nl_create(&nl), 0);
	assert_int_equal(cv_facts_read(nl, NULL, NULL, 84, &facts), 0);
	assert_non_null(cv_facts_interface_named(&facts, "lo"));
	assert_int_equal(facts.gateway_count, 0);
	cv_facts_fini(&facts);
	cv_nl_destroy(nl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_devices_addresses_and_gateways),
		cmocka_unit_test(test_an_empty_namespace),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
