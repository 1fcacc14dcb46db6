/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay space: the cases that it is there for, one by one, and random ones against a naive
 * oracle that asks the header's rules for each address of a small space.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/overlay.h"
#include "resources.h"

enum {
	ITEMS_MAX = 16
};

/* Of the test that runs. */
static struct cv_resource *resources[ITEMS_MAX];
static size_t resource_count;
static struct cv_prefix connected[ITEMS_MAX];
static __be32 gateways[ITEMS_MAX];
static struct cv_overlay_host host;
static struct cv_snapshot *snapshot;
static struct cv_overlay overlay;

static struct cv_resource *add(struct cv_resource *resource)
{
	resources[resource_count++] = resource;
	cv_test_place(resource, "a.yaml", (unsigned int)resource_count);
	return resource;
}

static void connect_to(const char *prefix)
{
	connected[host.connected_count++] = cv_test_prefix(prefix);
}

static void make(void)
{
	struct cv_error error;

	host.connected = connected;
	host.gateways = gateways;
	if (cv_snapshot_create(resources, resource_count, &snapshot, &error))
		fail_msg("%s", error.text);
	assert_int_equal(cv_overlay_init(&overlay, snapshot, &host), 0);
}

static int tear_down(void **state)
{
	(void)state;
	cv_overlay_fini(&overlay);
	cv_snapshot_put(snapshot);
	snapshot = NULL;
	cv_test_put_all(resources, resource_count);
	resource_count = 0;
	host = (struct cv_overlay_host){0};
	return 0;
}

static void assert_inside(const char *address)
{
	__be32 at = cv_test_address(address);

	if (!cv_ranges_has(&overlay.space, at) || cv_overlay_hole_of(&overlay, at))
		fail_msg("%s should be of the overlay", address);
}

/* resource: its name; NULL: this host's. */
static void assert_hole(const char *address, enum cv_hole_reason reason, const char *resource)
{
	__be32 at = cv_test_address(address);
	const struct cv_hole *hole = cv_overlay_hole_of(&overlay, at);

	if (!hole || cv_ranges_has(&overlay.space, at))
		fail_msg("%s should be in a hole", address);
	assert_string_equal(cv_hole_reason_text(hole->reason), cv_hole_reason_text(reason));
	if (resource)
		assert_string_equal(hole->resource->name, resource);
	else
		assert_null(hole->resource);
}

static void assert_warnings(const char *text)
{
	char all[4096] = "";

	for (size_t i = 0; i < overlay.warnings.count; i++) {
		strcat(all, i ? "\n" : "");
		strcat(all, overlay.warnings.texts[i]);
	}
	assert_string_equal(all, text);
}

/* A set has one form alone. */
static void assert_same(const struct cv_ranges *a, const struct cv_ranges *b)
{
	assert_int_equal(a->count, b->count);
	assert_memory_equal(a->items, b->items, a->count * sizeof(a->items[0]));
}

/* ---- cases ----------------------------------------------------------------------- */

static void test_pool_apart(void **state)
{
	(void)state;
	make(); /* nothing at all */
	assert_int_equal(overlay.space.count, 0);
	assert_null(cv_overlay_hole_of(&overlay, cv_test_address("10.244.1.1")));
	tear_down(NULL);
	add(cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	add(cv_test_node("a1", "192.168.100.1/24", NULL));
	connect_to("192.168.100.1/24");
	gateways[host.gateway_count++] = cv_test_address("192.168.100.254");
	make();
	assert_int_equal(overlay.space.count, 1);
	assert_int_equal(overlay.hole_count, 0);
	assert_warnings("");
}

/* The manifest that came with the project: the pool contains its nodes. At a1, with an office. */
static void test_seed(void **state)
{
	(void)state;
	add(cv_test_pool("default-ipv4-ippool", "192.168.0.0/16", CV_IPIP_CROSS_SUBNET))
		->pool.nat_outgoing = true;
	add(cv_test_node("a1", "192.168.100.1/24", "192.168.1.0"));
	add(cv_test_node("b1", "192.168.200.2/24", "192.168.2.0"));
	add(cv_test_affinity("a1", "192.168.1.0/24"));
	add(cv_test_affinity("b1", "192.168.2.0/24"));
	connect_to("192.168.100.1/24");
	connect_to("192.168.7.1/24"); /* the office */
	connect_to("192.168.1.1/24"); /* the pods' bridge */
	connect_to("127.0.0.1/8");
	gateways[host.gateway_count++] = cv_test_address("192.168.100.254");
	gateways[host.gateway_count++] = cv_test_address("192.168.77.1");
	make();
	assert_hole("192.168.100.1", CV_HOLE_NODE, "a1");
	assert_hole("192.168.200.2", CV_HOLE_NODE, "b1");
	assert_hole("192.168.100.7", CV_HOLE_NODE_PREFIX, "a1");
	assert_hole("192.168.200.255", CV_HOLE_NODE_PREFIX, "b1");
	assert_hole("192.168.100.254", CV_HOLE_GATEWAY, NULL);
	assert_hole("192.168.77.1", CV_HOLE_GATEWAY, NULL);
	assert_hole("192.168.7.9", CV_HOLE_CONNECTED, NULL);
	assert_inside("192.168.1.0");
	assert_inside("192.168.1.1");
	assert_inside("192.168.1.9");
	assert_inside("192.168.2.9");
	assert_inside("192.168.77.2");
	assert_inside("192.168.201.0");
	assert_same(&overlay.space, &overlay.nat);
	assert_same(&overlay.space, &overlay.encapsulated);
	assert_false(cv_ranges_has(&overlay.space, cv_test_address("192.167.255.255")));
	assert_warnings("");
}

static void test_prefix_that_is_the_pool(void **state)
{
	(void)state;
	add(cv_test_pool("pool", "192.168.0.0/16", CV_IPIP_ALWAYS));
	add(cv_test_node("a1", "192.168.100.1/16", NULL));
	add(cv_test_node("a2", "192.168.100.2/16", NULL)); /* the same prefix: one warning */
	add(cv_test_node("b1", "192.170.0.1/8", NULL));
	connect_to("192.168.100.1/16");
	connect_to("192.168.100.9/15");
	connect_to("192.169.0.9/15"); /* not in the pool itself */
	make();
	assert_hole("192.168.100.1", CV_HOLE_NODE, "a1");
	assert_hole("192.168.100.2", CV_HOLE_NODE, "a2");
	assert_hole("192.168.100.9", CV_HOLE_CONNECTED, NULL);
	assert_inside("192.168.100.3");
	assert_inside("192.168.0.0");
	assert_int_equal(overlay.hole_count, 4); /* 192.168.100.1 twice */
	assert_warnings("a.yaml:4: Node b1: the node's subnet 192.0.0.0/8 has all of IPPool pool "
			"(192.168.0.0/16) in it: only the node's address is kept out of the "
			"overlay; its neighbours in the pool are taken for overlay addresses\n"
			"this host: connected 192.168.0.0/15 has all of IPPool pool "
			"(192.168.0.0/16) in it: only its address is kept out of the overlay; "
			"neighbours in the pool are taken for overlay addresses\n"
			"a.yaml:2: Node a1: the node's subnet 192.168.0.0/16 has all of IPPool "
			"pool (192.168.0.0/16) in it: only the node's address is kept out of the "
			"overlay; its neighbours in the pool are taken for overlay addresses\n"
			"this host: connected 192.168.0.0/16 has all of IPPool pool "
			"(192.168.0.0/16) in it: only its address is kept out of the overlay; "
			"neighbours in the pool are taken for overlay addresses");
}

static void test_bridges_are_no_holes(void **state)
{
	(void)state;
	add(cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	add(cv_test_pool("own", "10.245.0.0/24", CV_IPIP_NEVER));
	add(cv_test_node("a1", "192.168.100.1/24", "10.244.9.9"));
	add(cv_test_affinity("a1", "10.244.1.0/24"));
	add(cv_test_affinity("a1", "10.244.2.0/25"));
	add(cv_test_affinity("a1", "10.245.0.0/24"));
	add(cv_test_workload("vm", "a1", "tap0", "10.244.3.7"));
	connect_to("10.244.1.1/24");   /* a claim */
	connect_to("10.244.1.129/25"); /* a part of one */
	connect_to("10.244.2.1/24");   /* has one in it */
	connect_to("10.244.3.7/32");   /* a workload */
	connect_to("10.244.9.9/32");   /* a tunnel address, as Calico's tunl0 has it */
	connect_to("10.244.8.8/32");   /* nobody said what this is */
	connect_to("10.245.0.1/24");   /* a whole pool, and claimed */
	gateways[host.gateway_count++] = cv_test_address("10.244.1.77"); /* a VM that routes */
	make();
	assert_inside("10.244.1.1");
	assert_inside("10.244.1.129");
	assert_inside("10.244.1.77");
	assert_inside("10.244.2.1");
	assert_hole("10.244.2.128", CV_HOLE_CONNECTED, NULL);
	assert_inside("10.244.3.7");
	assert_inside("10.244.9.9");
	assert_hole("10.244.8.8", CV_HOLE_CONNECTED, NULL);
	assert_inside("10.245.0.1");
	assert_int_equal(overlay.hole_count, 2);
	assert_warnings("");
}

/* What was said outright: these are holes within claims, too. */
static void test_listed(void **state)
{
	(void)state;
	add(cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	add(cv_test_node("a1", "10.244.1.9/24", NULL));
	add(cv_test_affinity("a1", "10.244.1.0/24"));
	add(cv_test_felix("default", "10.244.1.10 10.244.5.0/24 10.0.0.0/8 192.0.2.1"));
	add(cv_test_felix("node.b1", "10.244.1.11"));
	add(cv_test_reservation("kept", "10.244.1.128/25 10.244.0.0/16"));
	make();
	assert_hole("10.244.1.9", CV_HOLE_NODE, "a1");
	assert_hole("10.244.1.10", CV_HOLE_EXTERNAL, "default");
	assert_hole("10.244.1.11", CV_HOLE_EXTERNAL, "node.b1");
	assert_hole("10.244.5.77", CV_HOLE_EXTERNAL, "default");
	assert_hole("10.244.1.200", CV_HOLE_RESERVATION, "kept");
	assert_inside("10.244.1.12");
	assert_inside("10.244.9.9");
	assert_warnings(
		"a.yaml:4: FelixConfiguration default: in externalNodesList, 10.0.0.0/8 has "
		"all of IPPool pool (10.244.0.0/16) in it: it is ignored for the overlay; "
		"list the external nodes one by one\n"
		"a.yaml:6: IPReservation kept: reserved, 10.244.0.0/16 has all of IPPool "
		"pool (10.244.0.0/16) in it: it is ignored for the overlay; disable the "
		"pool, or reserve parts of it");
}

static void test_kinds_of_pools(void **state)
{
	(void)state;
	add(cv_test_pool("a", "10.0.0.0/24", CV_IPIP_NEVER))->pool.nat_outgoing = true;
	add(cv_test_pool("b", "10.0.1.0/24", CV_IPIP_ALWAYS))->pool.disabled = true;
	add(cv_test_pool("c", "10.0.3.0/32", CV_IPIP_CROSS_SUBNET));
	add(cv_test_node("a1", "10.0.0.9", NULL));
	add(cv_test_node("b1", "10.0.3.0", NULL)); /* a pool of one address, a node's */
	make();
	assert_int_equal(overlay.space.count, 2);
	assert_int_equal(overlay.space.items[1].first, 0x0a00000a);
	assert_int_equal(overlay.space.items[1].last, 0x0a0001ff);
	assert_int_equal(overlay.encapsulated.count, 1);
	assert_int_equal(overlay.encapsulated.items[0].first, 0x0a000100);
	assert_int_equal(overlay.nat.count, 2);
	assert_int_equal(overlay.nat.items[1].last, 0x0a0000ff);
	assert_hole("10.0.3.0", CV_HOLE_NODE, "b1");
}

/* ---- the oracle ------------------------------------------------------------------ */

static bool is_claimed(__be32 address)
{
	for (size_t i = 0; i < resource_count; i++) {
		const struct cv_resource *resource = resources[i];

		if (resource->kind == CV_KIND_BLOCK_AFFINITY &&
		    cv_prefix_has(&resource->affinity.cidr, address))
			return true;
		if (resource->kind == CV_KIND_WORKLOAD &&
		    cv_prefix_has(resource->workload.addresses, address))
			return true;
		if (resource->kind == CV_KIND_NODE && resource->node.tunnel_address == address)
			return true;
	}
	return false;
}

/* Whether a prefix is strictly inside of a pool, so that it can be left out. */
static bool fits(const struct cv_prefix *prefix)
{
	for (size_t i = 0; i < resource_count; i++) {
		if (resources[i]->kind == CV_KIND_IP_POOL &&
		    cv_prefix_contains(&resources[i]->pool.cidr, prefix) &&
		    (resources[i]->pool.cidr.length < prefix->length || prefix->length == 32))
			return true;
	}
	return false;
}

static bool is_left_out(const struct cv_prefix *list, size_t count, __be32 address)
{
	for (size_t i = 0; i < count; i++) {
		if (cv_prefix_has(&list[i], address) && fits(&list[i]))
			return true;
	}
	return false;
}

/* Whether what was said outright makes a hole here. */
static bool is_listed(__be32 address)
{
	for (size_t i = 0; i < resource_count; i++) {
		const struct cv_resource *resource = resources[i];

		if (resource->kind == CV_KIND_NODE && resource->node.address == address)
			return true;
		if (resource->kind == CV_KIND_FELIX_CONFIGURATION &&
		    is_left_out(resource->felix->external_nodes, resource->felix->external_count,
				address))
			return true;
		if (resource->kind == CV_KIND_IP_RESERVATION &&
		    is_left_out(resource->reservation.cidrs, resource->reservation.count, address))
			return true;
	}
	return false;
}

/* Whether what is concluded makes one. */
static bool is_underlay(__be32 address)
{
	for (size_t i = 0; i < host.gateway_count; i++) {
		if (gateways[i] == address)
			return true;
	}
	for (size_t i = 0; i < host.connected_count; i++) {
		if (connected[i].address == address || is_left_out(&connected[i], 1, address))
			return true;
	}
	for (size_t i = 0; i < resource_count; i++) {
		const struct cv_node *node = &resources[i]->node;
		const struct cv_prefix prefix = {node->address, node->prefix_length};

		if (resources[i]->kind == CV_KIND_NODE && node->has_prefix &&
		    is_left_out(&prefix, 1, address))
			return true;
	}
	return false;
}

static bool naive_has(__be32 address)
{
	bool in_pool = false;

	for (size_t i = 0; i < resource_count; i++)
		in_pool |= resources[i]->kind == CV_KIND_IP_POOL &&
			   cv_prefix_has(&resources[i]->pool.cidr, address);
	return in_pool && !is_listed(address) && (is_claimed(address) || !is_underlay(address));
}

/* "10.0.0.X/LENGTH" of a small space; its last bits may be set. */
static const char *random_prefix(int shortest, char text[32])
{
	snprintf(text, 32, "10.0.0.%d/%d", rand() % 128, shortest + rand() % (33 - shortest));
	return text;
}

static void random_world(void)
{
	static const char *const pools[][2] = {{"10.0.0.0/25", "10.0.1.0/24"},
					       {"10.0.0.0/26", "10.0.0.64/26"},
					       {"10.0.0.32/27", "10.0.0.64/28"}};
	size_t which = (size_t)rand() % 3;
	char text[32], other[32];

	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "pool%zu", i);
		add(cv_test_pool(text, pools[which][i], CV_IPIP_ALWAYS))->pool.block_size = 32;
	}
	/* In lanes of the last bits, so that addresses do not meet. */
	for (int i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "node%d", i);
		snprintf(other, sizeof(other), "10.0.0.%d/%d", rand() % 32 * 4 + i,
			 23 + rand() % 10);
		add(cv_test_node(text, rand() % 4 ? other : NULL, NULL));
	}
	snprintf(text, sizeof(text), "10.0.0.%d", rand() % 32 * 4 + 3);
	resources[2]->node.tunnel_address = cv_test_address(text);
	/* One node owns them all: who owns what is the snapshot's business. */
	for (int i = rand() % 3; i > 0; i--) {
		struct cv_resource *claim = cv_test_affinity("node0", random_prefix(28, other));
		struct cv_prefix *cidr = &claim->affinity.cidr;

		*cidr = cv_prefix_of(cidr->address, cidr->length);
		free(claim->name);
		snprintf(text, sizeof(text), "claim%d", i);
		claim->name = strdup(text);
		add(claim);
	}
	add(cv_test_workload("vm", "node0", "tap0", random_prefix(32, text)));
	add(cv_test_felix("default", rand() % 2 ? random_prefix(23, text) : NULL));
	add(cv_test_reservation("kept", rand() % 2 ? random_prefix(23, text) : ""));
	for (int i = rand() % 4; i > 0; i--)
		connect_to(random_prefix(23, text));
	snprintf(text, sizeof(text), "10.0.0.%d", rand() % 128);
	gateways[host.gateway_count++] = cv_test_address(text);
}

static void test_as_the_rules_say(void **state)
{
	(void)state;
	srand(4);
	for (int round = 0; round < 3000; round++) {
		random_world();
		make();
		for (uint32_t a = 0x0a000000 - 1; a <= 0x0a000000 + 512; a++) {
			bool wanted = naive_has(htonl(a));
			const struct cv_hole *hole = cv_overlay_hole_of(&overlay, htonl(a));

			if (cv_ranges_has(&overlay.space, htonl(a)) != wanted)
				fail_msg("round %d: 10.0.%u.%u", round, a >> 8 & 0xff, a & 0xff);
			assert_true(!hole || cv_prefix_has(&hole->prefix, htonl(a)));
			if (cv_snapshot_pool_of(snapshot, htonl(a)))
				assert_int_equal(hole == NULL, wanted);
			else
				assert_null(hole);
		}
		for (size_t i = 1; i < overlay.hole_count; i++) {
			const struct cv_hole *before = &overlay.holes[i - 1], *hole = before + 1;
			int order = cv_prefix_compare(&before->prefix, &hole->prefix);

			assert_true(order < 0 || (order == 0 && before->reason < hole->reason));
		}
		tear_down(NULL);
	}
}

/* ---- scale ----------------------------------------------------------------------- */

enum {
	NODES = 5000,
	BLOCKS = 4 /* of each */
};

/* Nodes inside of the pool, 250 in a subnet. The limit only tells it from a quadratic loop. */
static void test_large(void **state)
{
	size_t count = 1 + NODES * (1 + BLOCKS), i = 0;
	struct cv_resource **many = test_calloc(count, sizeof(struct cv_resource *));
	struct cv_error error;
	double before;

	(void)state;
	many[i++] = cv_test_pool("pool", "10.0.0.0/8", CV_IPIP_CROSS_SUBNET);
	for (unsigned int n = 0; n < NODES; n++) {
		char name[32], text[32];

		snprintf(name, sizeof(name), "node-%05u", n);
		snprintf(text, sizeof(text), "10.200.%u.%u/24", n / 250, n % 250 + 1);
		many[i++] = cv_test_node(name, text, NULL);
		for (unsigned int b = 0; b < BLOCKS; b++) {
			snprintf(text, sizeof(text), "10.%u.%u.%u/26", n / 256, n % 256, b * 64);
			many[i++] = cv_test_affinity(name, text);
		}
	}
	if (cv_snapshot_create(many, count, &snapshot, &error))
		fail_msg("%s", error.text);
	before = cv_test_cpu_ms();
	assert_int_equal(cv_overlay_init(&overlay, snapshot, &host), 0);
	before = cv_test_cpu_ms() - before;
	print_message("# %zu resources: %.1f ms\n", count, before);
	assert_true(before < 500);
	assert_int_equal(overlay.hole_count, NODES + NODES / 250);
	assert_hole("10.200.0.1", CV_HOLE_NODE, "node-00000");
	assert_hole("10.200.19.255", CV_HOLE_NODE_PREFIX, "node-04750");
	assert_inside("10.19.135.255");
	cv_test_put_all(many, count);
	test_free(many);
}

#define OVERLAY_TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OVERLAY_TEST(test_pool_apart),
		OVERLAY_TEST(test_seed),
		OVERLAY_TEST(test_prefix_that_is_the_pool),
		OVERLAY_TEST(test_bridges_are_no_holes),
		OVERLAY_TEST(test_listed),
		OVERLAY_TEST(test_kinds_of_pools),
		OVERLAY_TEST(test_as_the_rules_say),
		OVERLAY_TEST(test_large),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
