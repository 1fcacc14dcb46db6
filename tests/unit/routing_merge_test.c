/* SPDX-License-Identifier: Apache-2.0 */
/* Routes that several Tunnels have: by all of them, or by those that lead somewhere. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide_world.h"
#include "netns.h"
#include "resources.h"

static struct cv_decide_world world;

/* A Tunnel with its device; the prefixes are routed into it. */
static void add_tunnel(const char *name, int device, const char *remote, const char *prefixes)
{
	char words[128], *rest;
	struct cv_tunnel_resource *tunnel =
		cv_world_add(&world, cv_test_tunnel(name, "192.168.100.1", remote))->tunnel;

	cv_made_device(&world.host, device, name, 1480, "")->is_ours = true;
	tunnel->routes = calloc(4, sizeof(*tunnel->routes));
	assert_non_null(tunnel->routes);
	snprintf(words, sizeof(words), "%s", prefixes);
	for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		tunnel->routes[tunnel->route_count++] = cv_test_prefix(word);
}

/* Of several Tunnels that list one prefix, all are used; those that lead to a dead end are not, if
 * they need not be, where that is asked for. */
static void test_tunnels_of_one_prefix(void **state)
{
	static const char *const all[] = {
		"172.20.0.0/16 dev 207+208+209 metric 64",
		"172.21.0.0/16 dev 207 metric 64",
		"172.22.0.0/16 dev 208+209 metric 64",
		NULL,
	};
	static const char *const without_208[] = {
		"172.20.0.0/16 dev 207+209 metric 64",
		"172.21.0.0/16 dev 207 metric 64",
		"172.22.0.0/16 dev 209 metric 64",
		NULL,
	};
	static const char *const only_207[] = {
		"172.20.0.0/16 dev 207 metric 64",
		"172.21.0.0/16 dev 207 metric 64",
		/* Both are dead: both stay. */
		"172.22.0.0/16 dev 208+209 metric 64",
		NULL,
	};
	static const int dead[] = {208, 209, 207};
	struct cv_resource *path = calloc(1, sizeof(*path));

	(void)state;
	assert_non_null(path);
	*path = (struct cv_resource){
		.kind = CV_KIND_PATH_CONFIGURATION,
		.references = 1,
		.name = strdup("default"),
		.text = strdup("{}"),
		.origin.file = strdup("test.yaml"),
	};
	cv_path_configuration_init(&path->path);
	cv_world_begin(&world);
	add_tunnel("tun9", 207, "192.0.2.9", "172.21.0.0/16 172.20.0.0/16");
	add_tunnel("tun8", 208, "192.0.2.8", "172.22.0.0/16 172.20.0.0/16 172.20.0.0/16");
	add_tunnel("tun7", 209, "192.0.2.7", "172.20.0.0/16 172.22.0.0/16");
	cv_world_decide(&world);
	cv_world_assert_routes(&world, all);
	/* Not asked for. */
	world.dead = dead;
	world.dead_count = 1;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, all);
	cv_world_add(&world, path);
	cv_world_decide(&world);
	cv_world_assert_routes(&world, all);
	path->path.skip_dead_next_hops = true;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, without_208);
	world.dead_count = 2;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, only_207);
	world.dead_count = 3;
	cv_world_decide(&world);
	cv_world_assert_routes(&world, all);
	assert_int_equal(world.intent.warnings.count, 0);
	cv_world_end(&world);
}

/* What is a claim's is not shared with a Tunnel; and there is an end to how many share. */
static void test_tunnels_beside_claims(void **state)
{
	static const char *const lines[] = {
		"172.20.0.0/16 dev 207+208+209+210+211+212+213+214 metric 64",
		"172.21.0.0/16 dev 206 metric 64",
		NULL,
	};
	char name[16], remote[16];

	(void)state;
	cv_world_begin(&world);
	cv_made_device(&world.host, 206, "br0", 1500, "");
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_workload("w", "a1", "br0", "172.21.0.0/16"));
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "tun%d", i);
		snprintf(remote, sizeof(remote), "192.0.2.%d", i + 1);
		add_tunnel(name, 207 + i, remote,
			   i ? "172.20.0.0/16" : "172.20.0.0/16 172.21.0.0/16");
	}
	cv_world_decide(&world);
	cv_world_assert_routes(&world, lines);
	assert_true(cv_world_warns(&world, "more than 8 Tunnels have the route 172.20.0.0/16"));
	cv_world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tunnels_of_one_prefix),
		cmocka_unit_test(test_tunnels_beside_claims),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
