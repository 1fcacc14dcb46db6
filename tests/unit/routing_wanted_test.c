/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from decisions: who may send, NAT, and what people are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide_world.h"
#include "netns.h"
#include "resources.h"

static struct cv_decide_world world;

static struct cv_resource *add_two_nodes(enum cv_ipip_mode mode)
{
	struct cv_resource *pool =
		cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", mode));

	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", "10.244.1.0"));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", "10.244.3.0"));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.1.0/24"));
	cv_world_add(&world, cv_test_affinity("b1", "10.244.3.0/24"));
	return pool;
}

static void assert_prefixes(const struct cv_prefix *got, size_t count, const char *want)
{
	char text[1024] = "", one[CV_PREFIX_TEXT_MAX];

	for (size_t i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 cv_prefix_format(&got[i], one));
	assert_string_equal(text, want);
}

/* ---- who may send --------------------------------------------------------------------- */

static bool has_peer(const char *address)
{
	return cv_owners_has_peer(&world.intent.owners, cv_test_address(address));
}

static __be32 owner_of(const char *address)
{
	return cv_owners_find(&world.intent.owners, cv_test_address(address));
}

static void test_owners_of_every_mode(void **state)
{
	static const enum cv_ipip_mode modes[] = {CV_IPIP_NEVER, CV_IPIP_ALWAYS,
						  CV_IPIP_CROSS_SUBNET};

	(void)state;
	cv_world_begin(&world);
	for (size_t i = 0; i < 3; i++) {
		/* Whatever the path: the other end may be a moment ahead. */
		add_two_nodes(modes[i]);
		cv_world_add(&world, cv_test_affinity("b1", "172.20.0.0/24")); /* in no pool */
		cv_world_add(&world, cv_test_affinity("gone", "10.244.9.0/24"));
		cv_world_decide(&world);
		assert_int_equal(world.intent.owners.peer_count, 1);
		assert_true(has_peer("192.168.200.2"));
		assert_false(has_peer("192.168.100.1"));
		assert_int_equal(owner_of("10.244.3.0"), cv_test_address("192.168.200.2"));
		assert_int_equal(owner_of("10.244.3.255"), cv_test_address("192.168.200.2"));
		assert_int_equal(owner_of("172.20.0.1"), cv_test_address("192.168.200.2"));
		assert_int_equal(owner_of("10.244.1.2"), 0);
		assert_int_equal(owner_of("10.244.4.0"), 0);
		assert_int_equal(owner_of("10.244.9.1"), 0);
		cv_world_clear(&world);
	}
	cv_world_end(&world);
}

static void test_external_nodes(void **state)
{
	(void)state;
	cv_world_begin(&world);
	add_two_nodes(CV_IPIP_ALWAYS);
	cv_world_add(&world, cv_test_felix("default", "192.0.2.7 198.51.100.16/30 10.0.0.0/8"));
	cv_world_decide(&world);
	assert_true(has_peer("192.0.2.7") && has_peer("198.51.100.16") &&
		    has_peer("198.51.100.19") && has_peer("192.168.200.2"));
	assert_false(has_peer("198.51.100.20") || has_peer("198.51.100.15") ||
		     has_peer("10.0.0.1"));
	assert_int_equal(world.intent.owners.peer_count, 6);
	assert_true(cv_world_warns(&world, "externalNodesList 10.0.0.0/8: only its routes' next"));
	assert_false(cv_world_warns(&world, "externalNodesList 198"));
	/* This node's own list counts more, also an empty one. */
	cv_world_add(&world, cv_test_felix("node.a1", "192.0.2.8"));
	cv_world_decide(&world);
	assert_true(has_peer("192.0.2.8"));
	assert_false(has_peer("192.0.2.7"));
	cv_world_end(&world);
}

/* ---- NAT ------------------------------------------------------------------------------- */

static void test_nat(void **state)
{
	const struct cv_nat_intent *nat = &world.intent.nat;
	struct cv_felix_configuration *felix;
	struct cv_resource *pool;

	(void)state;
	cv_world_begin(&world);
	pool = add_two_nodes(CV_IPIP_CROSS_SUBNET);
	cv_world_add(&world, cv_test_pool("other", "10.8.0.0/24", CV_IPIP_NEVER))
		->pool.nat_outgoing = true;
	cv_world_decide(&world);
	assert_true(nat->wanted);
	assert_prefixes(nat->sources, nat->source_count, "10.8.0.0/24");
	assert_prefixes(nat->overlay, nat->overlay_count, "10.8.0.0/24 10.244.0.0/16");
	assert_int_equal(nat->host_count, 0);
	assert_string_equal(nat->device, "culvert0");
	assert_int_equal(nat->tunnel_address, cv_test_address("10.244.1.0"));
	assert_int_equal(nat->outer_source, cv_test_address("192.168.100.1"));
	assert_int_equal(nat->address, 0);
	assert_int_equal(nat->port_last, 0);

	pool->pool.nat_outgoing = true;
	cv_world_add(&world, cv_test_reservation("kept", "10.244.128.0/17"));
	felix = cv_world_add(&world, cv_test_felix("default", "192.0.2.7 203.0.113.0/24"))->felix;
	felix->has_nat_exclusions = true;
	felix->nat_exclusions = CV_NAT_EXCLUDE_POOLS_AND_HOSTS;
	felix->nat_port_first = 32768;
	felix->nat_port_last = 60999;
	felix->nat_outgoing_address = cv_test_address("192.168.100.10");
	cv_world_decide(&world);
	assert_prefixes(nat->sources, nat->source_count, "10.8.0.0/24 10.244.0.0/17");
	assert_prefixes(nat->overlay, nat->overlay_count, "10.8.0.0/24 10.244.0.0/17");
	assert_prefixes(nat->hosts, nat->host_count,
			"192.168.100.1/32 192.168.200.2/32 192.0.2.7/32 203.0.113.0/24");
	assert_int_equal(nat->port_first, 32768);
	assert_int_equal(nat->port_last, 60999);
	assert_int_equal(nat->address, cv_test_address("192.168.100.10"));
	felix->nat_exclusions = CV_NAT_EXCLUDE_POOLS;
	cv_world_decide(&world);
	assert_int_equal(nat->host_count, 0);
	cv_world_end(&world);
}

static void test_no_nat(void **state)
{
	const struct cv_nat_intent *nat = &world.intent.nat;

	(void)state;
	cv_world_begin(&world);
	cv_world_decide(&world);
	assert_false(nat->wanted);
	add_two_nodes(CV_IPIP_NEVER);
	cv_world_decide(&world);
	assert_false(nat->wanted);
	/* Without a tunnel, its address and its packets are no matter. */
	world.resources[0]->pool.nat_outgoing = true;
	cv_world_decide(&world);
	assert_true(nat->wanted);
	assert_string_equal(nat->device, "");
	assert_int_equal(nat->tunnel_address, 0);
	assert_int_equal(nat->outer_source, 0);
	cv_world_end(&world);
}

/* ---- what people are told ------------------------------------------------------------------ */

static const char *warning_of(const char *words)
{
	for (size_t i = 0; i < world.intent.warnings.count; i++) {
		if (strstr(world.intent.warnings.texts[i], words))
			return world.intent.warnings.texts[i];
	}
	fail_msg("nothing is said of \"%s\"", words);
	return NULL;
}

/* The line that a node without a block is told to add is a manifest; with it, all is well. */
static void apply_what_is_told(const char *block)
{
	const char *line =
		strchr(warning_of("this node owns no block; add to the manifest of all "), '{');
	struct cv_manifest manifest;
	struct cv_error error;
	char text[CV_PREFIX_TEXT_MAX];

	assert_non_null(line);
	if (cv_manifest_parse("told.yaml", line, strlen(line), &manifest, &error))
		fail_msg("%s\n%s", error.text, line);
	assert_int_equal(manifest.count, 1);
	assert_int_equal(manifest.warnings.count, 0);
	assert_string_equal(cv_prefix_format(&manifest.resources[0]->affinity.cidr, text), block);
	cv_world_add(&world, cv_resource_get(manifest.resources[0]));
	cv_manifest_fini(&manifest);
	cv_world_decide(&world);
	assert_false(cv_world_warns(&world, "owns no block"));
	assert_int_equal(cv_intent_decision(&world.intent, cv_test_prefix(block).address)->path,
			 CV_PATH_LOCAL);
}

static void test_no_block(void **state)
{
	struct cv_resource *pool;

	(void)state;
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("aaa-off", "10.1.0.0/16", CV_IPIP_ALWAYS))
		->pool.disabled = true;
	cv_world_add(&world, cv_test_pool("aab-tunnels", "10.2.0.0/16", CV_IPIP_ALWAYS))
		->pool.allowed_uses = CV_USE_TUNNEL;
	pool = cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", "10.244.0.70"));
	cv_world_add(&world, cv_test_affinity("b1", "10.244.0.0/26"));
	cv_world_decide(&world);
	apply_what_is_told("10.244.0.128/26");

	/* A hole is no block, nor is what is too small between blocks; sizes are the pool's. */
	cv_world_clear(&world);
	pool = cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	pool->pool.block_size = 24;
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "10.244.2.2/32", NULL));
	cv_world_add(&world, cv_test_reservation("kept", "10.244.0.7 10.244.1.255"));
	cv_world_add(&world, cv_test_affinity("b1", "10.244.3.0/24"));
	cv_world_decide(&world);
	apply_what_is_told("10.244.4.0/24");

	/* The last one, up to the end of all addresses. */
	cv_world_clear(&world);
	cv_world_add(&world, cv_test_pool("pool", "255.255.255.0/24", CV_IPIP_ALWAYS))
		->pool.block_size = 25;
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", NULL));
	cv_world_add(&world, cv_test_affinity("b1", "255.255.255.0/25"));
	cv_world_decide(&world);
	warning_of("cidr: 255.255.255.128/25, node: a1");
	cv_world_add(&world, cv_test_affinity("b1", "255.255.255.128/25"));
	cv_world_decide(&world);
	warning_of("this node owns no block, and IPPool pool has none left");
	world.claims_blocks = true;
	cv_world_decide(&world);
	assert_false(cv_world_warns(&world, "owns no block"));
	world.claims_blocks = false;
	cv_world_end(&world);
}

/* Not only this node's own, but what is lent from what is told would surprise. */
static void test_no_block_beside_tunnel_addresses(void **state)
{
	(void)state;
	cv_world_begin(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", "10.244.0.5"));
	cv_world_decide(&world);
	apply_what_is_told("10.244.0.64/26");
	cv_world_end(&world);
}

static void test_selector(void **state)
{
	struct cv_resource *pool, *node;

	(void)state;
	cv_world_begin(&world);
	pool = cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	node = cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.1.0/24"));
	cv_world_add(&world, cv_test_workload("w", "a1", "", "10.244.9.1"));
	free(pool->pool.node_selector);
	pool->pool.node_selector = strdup("zone == 'east'");
	cv_world_decide(&world);
	warning_of("this node has BlockAffinity a1-10-244-1-0-24 of IPPool pool, whose "
		   "nodeSelector does not match it; it is kept");
	warning_of("this node has Workload w of IPPool pool");
	/* … and it is. */
	assert_int_equal(cv_intent_decision(&world.intent, cv_test_address("10.244.1.2"))->path,
			 CV_PATH_LOCAL);
	cv_test_label(node, "zone", "east");
	cv_world_decide(&world);
	assert_false(cv_world_warns(&world, "nodeSelector"));
	cv_world_end(&world);
}

/* A bridge in a pool that nobody declares is a hole, which nobody would guess. */
static void test_undeclared(void **state)
{
	static const char words[] =
		"10.244.1.0/26 of br0 is inside IPPool pool, but no BlockAffinity";

	(void)state;
	cv_world_begin(&world);
	cv_made_device(&world.host, 7, "br0", 1500, "10.244.1.1/26");
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.9.0/26"));
	cv_world_decide(&world);
	warning_of(words);
	/* It is said what it is; by a node's subnet, too. */
	cv_world_add(&world, cv_test_reservation("office", "10.244.1.0/24"));
	cv_world_decide(&world);
	assert_false(cv_world_warns(&world, " of br0 "));
	cv_world_clear(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "10.244.1.9/26", NULL));
	cv_world_decide(&world);
	assert_false(cv_world_warns(&world, " of br0 "));
	cv_world_clear(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_affinity("a1", "10.244.1.0/26"));
	cv_world_decide(&world);
	assert_false(cv_world_warns(&world, " of br0 "));
	/* There is a router in it. */
	cv_world_clear(&world);
	cv_world_add(&world, cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	cv_world_decide(&world);
	warning_of(words);
	cv_made_gateway(&world.host, "10.244.1.62");
	cv_world_decide(&world);
	assert_false(cv_world_warns(&world, " of br0 "));
	cv_world_end(&world);
}

static void test_ipip_off(void **state)
{
	struct cv_resource *felix, *pool;

	(void)state;
	cv_world_begin(&world);
	pool = add_two_nodes(CV_IPIP_ALWAYS);
	felix = cv_world_add(&world, cv_test_felix("node.a1", ""));
	felix->felix->has_ipip_enabled = true;
	cv_world_decide(&world);
	warning_of("FelixConfiguration says ipipEnabled: false, so nothing is tunnelled");
	assert_false(world.intent.has_device);
	pool->pool.ipip_mode = CV_IPIP_NEVER;
	cv_world_decide(&world);
	assert_false(cv_world_warns(&world, "ipipEnabled"));
	cv_world_end(&world);
}

static void test_no_address(void **state)
{
	(void)state;
	cv_world_begin(&world);
	add_two_nodes(CV_IPIP_ALWAYS);
	world.name = "nobody"; /* found, but it is a1's address */
	cv_world_decide(&world);
	warning_of("this node is nobody, but its address 192.168.100.1 is that of Node a1");
	assert_int_equal(world.intent.route_count, 0);
	assert_false(world.intent.has_device);
	assert_false(world.intent.nat.wanted);
	/* No Node, but an address of its own: as any other. */
	world.host.addresses[1].address = cv_test_prefix("192.168.100.9/24");
	cv_world_decide(&world);
	assert_true(world.intent.has_device);
	assert_int_equal(world.intent.peer_count, 2);
	warning_of("this node owns no block");
	warning_of("cidr: 10.244.0.0/26, node: nobody");
	warning_of("the pool device has no address");
	cv_world_end(&world);
}

/* ---- claims with nodes in them ---------------------------------------------------------- */

/* By a walk: the route that the kernel would take, or NULL. */
static const struct cv_table_route *route_to(__be32 address)
{
	const struct cv_table_route *best = NULL;

	for (size_t i = 0; i < world.intent.route_count; i++) {
		const struct cv_table_route *route = &world.intent.routes[i];

		if (!cv_prefix_has(&route->prefix, address))
			continue;
		if (!best || route->prefix.length > best->prefix.length ||
		    (route->prefix.length == best->prefix.length && route->metric < best->metric))
			best = route;
	}
	return best;
}

/*
 * b1's block has b1 and c1 themselves in it, and addresses that a2 has borrowed. Few peers have one
 * metric, many several.
 */
static void check_claim_around_hosts(size_t peers)
{
	char name[32], address[32];

	cv_world_add(&world, cv_test_pool("pool", "192.168.200.0/24", CV_IPIP_ALWAYS));
	cv_world_add(&world, cv_test_node("a1", "192.168.100.1/24", NULL));
	cv_world_add(&world, cv_test_node("a2", "192.168.100.2/24", NULL));
	cv_world_add(&world, cv_test_node("b1", "192.168.200.2/24", NULL));
	cv_world_add(&world, cv_test_node("c1", "192.168.200.9/24", NULL));
	cv_world_add(&world, cv_test_affinity("b1", "192.168.200.0/24"));
	cv_world_add(&world, cv_test_workload("w", "a2", NULL,
					      "192.168.200.3/32 192.168.200.8/32 "
					      "192.168.200.128/32"));
	for (size_t i = 0; i < peers; i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		snprintf(address, sizeof(address), "172.16.%zu.%zu/16", i / 250, i % 250 + 1);
		cv_world_add(&world, cv_test_node(name, address, NULL));
	}
	cv_world_decide(&world);
	for (unsigned int i = 0; i < 256; i++) {
		const struct cv_table_route *route;

		snprintf(address, sizeof(address), "192.168.200.%u", i);
		route = route_to(cv_test_address(address));
		if (i == 2 || i == 9) {
			assert_null(route);
			continue;
		}
		assert_non_null(route);
		assert_int_equal(route->gateway,
				 cv_test_address(i == 3 || i == 8 || i == 128 ? "192.168.100.2"
									      : "192.168.200.2"));
	}
	cv_world_clear(&world);
}

static void test_claims_around_hosts(void **state)
{
	(void)state;
	cv_world_begin(&world);
	check_claim_around_hosts(0);
	check_claim_around_hosts(400);
	cv_world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners_of_every_mode),
		cmocka_unit_test(test_external_nodes),
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_no_nat),
		cmocka_unit_test(test_no_block),
		cmocka_unit_test(test_no_block_beside_tunnel_addresses),
		cmocka_unit_test(test_selector),
		cmocka_unit_test(test_undeclared),
		cmocka_unit_test(test_ipip_off),
		cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_claims_around_hosts),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
