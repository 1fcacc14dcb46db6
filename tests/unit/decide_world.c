/* SPDX-License-Identifier: Apache-2.0 */
/* A host and a store made by hand. */
#include "decide_world.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "netns.h"
#include "resources.h"

void cv_world_begin(struct cv_decide_world *world)
{
	memset(world, 0, sizeof(*world));
	world->name = "a1";
	cv_netns_enter_new();
	cv_sh("ip link add eth0 index %d type veth peer name far0 && ip link set eth0 up && "
	      "ip link set far0 up && ip addr add 192.168.100.1/24 dev eth0 && "
	      "ip route add default via 192.168.100.254",
	      CV_WORLD_ETH0);
	assert_int_equal(cv_nl_create(&world->nl), 0);
	cv_made_device(&world->host, 1, "lo", 65536, "127.0.0.1/8");
	cv_made_device(&world->host, CV_WORLD_ETH0, "eth0", 1500, "192.168.100.1/24");
	cv_made_gateway(&world->host, "192.168.100.254");
}

struct cv_resource *cv_world_add(struct cv_decide_world *world, struct cv_resource *resource)
{
	assert_in_range(world->count, 0, CV_WORLD_RESOURCES_MAX - 1);
	world->resources[world->count++] = resource;
	return resource;
}

static void forget(struct cv_decide_world *world)
{
	if (world->intent.snapshot)
		cv_intent_fini(&world->intent);
}

void cv_world_clear(struct cv_decide_world *world)
{
	forget(world);
	cv_test_put_all(world->resources, world->count);
	world->count = 0;
}

const struct cv_intent *cv_world_decide(struct cv_decide_world *world)
{
	struct cv_snapshot *snapshot = NULL;
	struct cv_detect detect;
	struct cv_error error;
	struct cv_decide_input input = {
		.facts = &world->host.facts,
		.node_name = world->name,
		.detect = &detect,
		.nl = world->nl,
		.pool_device = "culvert0",
		.keep_device = world->keep_device,
		.dead = world->dead,
		.dead_count = world->dead_count,
		.programs = world->programs,
		.claims_blocks = world->claims_blocks,
		.is_handing_over = world->is_handing_over,
		.handed = world->handed,
		.handed_count = world->handed_count,
		.learned = &world->learned,
	};

	forget(world);
	if (cv_detect_parse("first-found", &detect, &error) ||
	    cv_snapshot_create(world->resources, world->count, &snapshot, &error))
		fail_msg("%s", error.text);
	input.snapshot = snapshot;
	assert_int_equal(cv_decide(&input, &world->intent), 0);
	/* The intent has a reference of its own. */
	cv_snapshot_put(snapshot);
	cv_detect_fini(&detect);
	return &world->intent;
}

void cv_world_end(struct cv_decide_world *world)
{
	cv_world_clear(world);
	cv_nl_destroy(world->nl);
}

const char *cv_world_route_text(const struct cv_table_route *route, char buffer[128])
{
	char prefix[CV_PREFIX_TEXT_MAX], gateway[INET_ADDRSTRLEN], device[64] = "";
	struct in_addr in = {.s_addr = route->gateway};

	if (route->oif == CV_OIF_POOL_DEVICE)
		snprintf(device, sizeof(device), " dev pool");
	else if (route->oif)
		snprintf(device, sizeof(device), " dev %d", route->oif);
	for (unsigned int i = 0; i < route->device_count; i++)
		snprintf(device + strlen(device), sizeof(device) - strlen(device), "%s%d",
			 i ? "+" : " dev ", route->devices[i]);
	snprintf(buffer, 128, "%s%s%s%s%s metric %u%s",
		 route->type == RTN_BLACKHOLE	  ? "blackhole "
		 : route->type == RTN_UNREACHABLE ? "unreachable "
						  : "",
		 cv_prefix_format(&route->prefix, prefix), route->gateway ? " via " : "",
		 route->gateway ? inet_ntop(AF_INET, &in, gateway, sizeof(gateway)) : "", device,
		 route->metric, route->onlink ? " onlink" : "");
	return buffer;
}

void cv_world_assert_routes(const struct cv_decide_world *world, const char *const *lines)
{
	const struct cv_intent *intent = &world->intent;
	char text[128];
	size_t i;

	for (i = 0; i < intent->route_count; i++) {
		cv_world_route_text(&intent->routes[i], text);
		if (!lines[i] || strcmp(text, lines[i]))
			fail_msg("route %zu is \"%s\", wanted is \"%s\"", i, text,
				 lines[i] ? lines[i] : "none");
		assert_int_equal(intent->routes[i].protocol, intent->protocol);
	}
	if (lines[i])
		fail_msg("the route \"%s\" is missing", lines[i]);
}

bool cv_world_warns(const struct cv_decide_world *world, const char *words)
{
	for (size_t i = 0; i < world->intent.warnings.count; i++) {
		if (strstr(world->intent.warnings.texts[i], words))
			return true;
	}
	return false;
}
