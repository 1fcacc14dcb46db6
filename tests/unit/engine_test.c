/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine with the kernel: what a lane in a world of its own cannot show.
 *
 *     near: a0 192.0.2.1 ---- b0 192.0.2.2 :far     198.51.100.0/24 via 192.0.2.2
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "engine/live.h"
#include "netns.h"

/* A tunnel's device keeps its index under another name; a removed one is found by name again. */
static void test_bound_device_is_followed(void **state)
{
	struct cv_live *live = test_calloc(1, sizeof(*live));
	struct cv_live_tunnel *tunnel = aligned_alloc(64, sizeof(*tunnel));
	struct cv_engine_tunnel config = {.ifindex = 10, .remote = 1, .dev = "u0"};
	int first;

	(void)state;
	cv_netns_enter_new();
	assert_non_null(tunnel);
	memset(tunnel, 0, sizeof(*tunnel));
	tunnel->config = config;
	assert_int_equal(cv_live_add(live, tunnel), 0);
	cv_live_resolve_devices(live, 0);
	assert_int_equal(tunnel->lanes[0].dev_index, 0);

	cv_sh("ip link add u0 type veth peer name u1");
	cv_live_resolve_devices(live, 0);
	first = tunnel->lanes[0].dev_index;
	assert_int_equal(first, (int)if_nametoindex("u0"));
	cv_sh("ip link set u0 name w0 && ip link add u0 type veth peer name w1");
	cv_live_resolve_devices(live, 0);
	assert_int_equal(tunnel->lanes[0].dev_index, first);
	cv_sh("ip link del w0");
	cv_live_resolve_devices(live, 0);
	assert_int_equal(tunnel->lanes[0].dev_index, (int)if_nametoindex("u0"));

	memcpy(config.dev, "lo", 3);
	assert_int_equal(cv_live_change(live, tunnel, &config), 0);
	cv_live_resolve_devices(live, 0);
	assert_int_equal(tunnel->lanes[0].dev_index, (int)if_nametoindex("lo"));
	free(tunnel);
	test_free(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound_device_is_followed),
	};

	if (!cv_netns_available())
		return 0;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
