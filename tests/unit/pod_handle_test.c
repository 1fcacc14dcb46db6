/* SPDX-License-Identifier: Apache-2.0 */
/* Handles of pods: told from all others, and never the same for two pods. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "agent/pod_handle.h"

static void names_a_pod(void **state)
{
	char buffer[CV_IPAM_HANDLE_MAX];

	(void)state;
	assert_string_equal(cv_pod_handle_format("overlay", "c0ffee", "eth0", buffer),
			    "overlay.c0ffee.eth0");
	assert_true(cv_pod_handle_is_ours(buffer, NULL));
}

static void cuts_what_is_too_long(void **state)
{
	char network[600], container[600], a[CV_IPAM_HANDLE_MAX], b[CV_IPAM_HANDLE_MAX];

	(void)state;
	memset(network, 'n', sizeof(network) - 1);
	network[sizeof(network) - 1] = '\0';
	memset(container, 'c', sizeof(container) - 1);
	container[sizeof(container) - 1] = '\0';
	cv_pod_handle_format(network, container, "eth0", a);
	assert_true(cv_pod_handle_is_ours(a, NULL));
	/* The last character makes the difference. */
	container[sizeof(container) - 2] = 'd';
	cv_pod_handle_format(network, container, "eth0", b);
	assert_string_not_equal(a, b);
	/* So does where one part ends and the next begins. */
	network[300] = '\0';
	cv_pod_handle_format(network, container, "eth0", a);
	assert_string_not_equal(a, b);
}

/* Names may have dots. */
static void tells_parts_with_dots_apart(void **state)
{
	static const char *const pods[][3] = {
		{"a", "b.c", "eth0"},	{"a.b", "c", "eth0"}, {"a", "b", "c.eth0"},
		{"a.b.c", "eth0", "5"}, {"a", "b.c", "5"},    {"a.b", "c", "eth0.5"},
		{"a.b", "c", "eth0_5"}, {"a", "b.c", ".5"},   {"a", "b.c", "_5"},
	};
	enum {
		COUNT = sizeof(pods) / sizeof(pods[0])
	};
	char handles[COUNT][CV_IPAM_HANDLE_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		cv_pod_handle_format(pods[i][0], pods[i][1], pods[i][2], handles[i]);
		assert_true(cv_pod_handle_is_ours(handles[i], NULL));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(handles[i], handles[j]);
	}
}

static void knows_others(void **state)
{
	static const char *const others[] = {
		"ipip-tunnel-addr-node.example.com",
		"vxlan-tunnel-addr-node.example.com",
		"bridge-gateway-a1-cbr0-10.244.1.0-26",
		"reserved-10.244.1.9",
		"k8s-pod-network.6c1d8e0b1d9c4bd1a8d1d2a3f8f1e0c5",
		"",
		"a",
		"a.b",
		".b.c",
		"a..c",
		"a.b.",
		"a.b.interface-of-16c",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(cv_pod_handle_is_ours(others[i], NULL));
	assert_true(cv_pod_handle_is_ours("a.b.interface-of-15", NULL));
	assert_true(cv_pod_handle_is_ours("net.work.con.tainer.eth0", NULL));
	/* What says what it is, is none, whatever it is called. */
	assert_false(cv_pod_handle_is_ours("a.b.eth0", "ipipTunnelAddress"));
}

/* Networks may be called as what is no pod's: their handles are told from that, and are no others.
 */
static void is_not_imitated(void **state)
{
	static const char *const pods[][4] = {
		{"reserved-10.244", "1", "9", "reserved-10.244.1.9"},
		{"reserved-", "c0ffee", "eth0", "reserved-.c0ffee.eth0"},
		{"bridge-gateway-a1-cbr0-10.244", "1", "0-26",
		 "bridge-gateway-a1-cbr0-10.244.1.0-26"},
		{"ipip-tunnel-addr-node", "example", "com", "ipip-tunnel-addr-node.example.com"},
		{"vxlan-tunnel-addr-node", "example", "com", "vxlan-tunnel-addr-node.example.com"},
		{"wireguard-tunnel-addr-a", "b", "c", "wireguard-tunnel-addr-a.b.c"},
	};
	char handle[CV_IPAM_HANDLE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(pods) / sizeof(pods[0]); i++) {
		cv_pod_handle_format(pods[i][0], pods[i][1], pods[i][2], handle);
		assert_string_not_equal(handle, pods[i][3]);
		assert_true(cv_pod_handle_is_ours(handle, NULL));
	}
	/* As they were before these had digests. */
	assert_true(cv_pod_handle_is_ours("reserved-words.c0ffee.eth0", NULL));
	assert_true(cv_pod_handle_is_ours("bridge-gateway-a1.c0ffee.eth0", NULL));
	/* A digest is 64 digits. */
	assert_false(cv_pod_handle_is_ours("ipip-tunnel-addr-a.#c0ffee.com", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_a_pod),
		cmocka_unit_test(cuts_what_is_too_long),
		cmocka_unit_test(tells_parts_with_dots_apart),
		cmocka_unit_test(knows_others),
		cmocka_unit_test(is_not_imitated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
