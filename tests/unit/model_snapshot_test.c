/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: the rules between resources, each with its message; ownership against a naive oracle
 * that compares each claim with each; questions; digests; and that a large store is no trouble.
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

#include "model/snapshot.h"
#include "resources.h"

enum {
	RESOURCES_MAX = 16
};

/* Of the test that runs; placed at a.yaml:1, a.yaml:2 … as they come. */
static struct cv_resource *resources[RESOURCES_MAX];
static size_t resource_count;
static struct cv_error error;

static struct cv_resource *add(struct cv_resource *resource)
{
	resources[resource_count++] = resource;
	cv_test_place(resource, "a.yaml", (unsigned int)resource_count);
	return resource;
}

static int tear_down(void **state)
{
	(void)state;
	cv_test_put_all(resources, resource_count);
	resource_count = 0;
	return 0;
}

static struct cv_snapshot *make(void)
{
	struct cv_snapshot *snapshot;

	if (cv_snapshot_create(resources, resource_count, &snapshot, &error))
		fail_msg("%s", error.text);
	return snapshot;
}

static void assert_refused(int rc, const char *text)
{
	struct cv_snapshot *snapshot = NULL;

	error.text[0] = '\0';
	assert_int_equal(cv_snapshot_create(resources, resource_count, &snapshot, &error), rc);
	assert_null(snapshot);
	assert_string_equal(error.text, text);
}

/* All warnings, one after the other; "" for none. */
static void assert_warnings(const char *text)
{
	struct cv_snapshot *snapshot = make();
	char all[4096] = "";

	for (size_t i = 0; i < snapshot->warnings.count; i++) {
		strcat(all, i ? "\n" : "");
		strcat(all, snapshot->warnings.texts[i]);
	}
	assert_string_equal(all, text);
	cv_snapshot_put(snapshot);
}

/* Pool 10.244.0.0/16, nodes a1 and b1 with a /24 each. */
static void add_two_nodes(void)
{
	add(cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_CROSS_SUBNET));
	add(cv_test_node("a1", "192.168.100.1/24", "10.244.1.0"));
	add(cv_test_node("b1", "192.168.200.2/24", "10.244.2.0"));
	add(cv_test_affinity("a1", "10.244.1.0/24"));
	add(cv_test_affinity("b1", "10.244.2.0/24"));
}

/* ---- errors ---------------------------------------------------------------------- */

static void test_takes_good_ones(void **state)
{
	(void)state;
	assert_warnings("");
	add_two_nodes();
	add(cv_test_pool("next", "10.245.0.0/16", CV_IPIP_NEVER));
	add(cv_test_workload("bridge", "a1", "br0", "10.244.1.0/24"));
	add(cv_test_workload("vm", "b1", "tap0", "10.244.2.7/32"));
	add(cv_test_workload("moved", "b1", "tap1", "10.244.1.9/32")); /* borrowed of a1 */
	add(cv_test_affinity("a1", "10.245.0.0/16"));		       /* a whole pool */
	add(cv_test_reservation("reserved", "10.244.1.200/32"));
	add(cv_test_felix("default", "192.0.2.1/32"));
	assert_warnings("");
}

static void test_refuses_twice(void **state)
{
	(void)state;
	add(cv_test_node("a1", "192.168.100.1/24", NULL));
	add(cv_test_pool("a1", "10.244.0.0/16", CV_IPIP_NEVER)); /* another kind */
	add(cv_test_node("a1", "192.168.100.2/24", NULL));
	assert_refused(-EEXIST, "a.yaml:3: Node a1 is at a.yaml:1, too; remove one of them, or "
				"rename it");
	cv_test_place(resources[0], "b.yaml", 7);
	assert_refused(-EEXIST, "b.yaml:7: Node a1 is at a.yaml:3, too; remove one of them, or "
				"rename it");
}

static void test_refuses_overlapping_pools(void **state)
{
	(void)state;
	add(cv_test_pool("inner", "10.244.128.0/17", CV_IPIP_NEVER));
	add(cv_test_pool("apart", "10.0.0.0/16", CV_IPIP_NEVER));
	add(cv_test_pool("outer", "10.244.0.0/16", CV_IPIP_NEVER))->pool.disabled = true;
	assert_refused(-EINVAL, "a.yaml:3: IPPool outer: its cidr 10.244.0.0/16 overlaps "
				"10.244.128.0/17 of IPPool inner (a.yaml:1); pools must not share "
				"addresses");
}

static void test_refuses_shared_addresses(void **state)
{
	(void)state;
	add(cv_test_node("a1", "192.168.100.1/24", "10.244.1.1"));
	add(cv_test_node("b1", "192.168.100.1/24", "10.244.1.1"));
	assert_refused(-EINVAL,
		       "a.yaml:2: Node b1: its ipv4IPIPTunnelAddr 10.244.1.1 is the "
		       "ipv4IPIPTunnelAddr of Node a1 (a.yaml:1); every node needs its own");
	resources[1]->node.tunnel_address = 0;
	assert_refused(-EINVAL, "a.yaml:2: Node b1: its ipv4Address 192.168.100.1 is the "
				"ipv4Address of Node a1 (a.yaml:1); every node needs its own");
	resources[1]->node.address = cv_test_address("10.244.1.1");
	assert_refused(-EINVAL,
		       "a.yaml:2: Node b1: its ipv4Address 10.244.1.1 is the "
		       "ipv4IPIPTunnelAddr of Node a1 (a.yaml:1); every node needs its own");
	resources[1]->node.tunnel_address = resources[1]->node.address;
	resources[0]->node.tunnel_address = 0;
	assert_refused(-EINVAL, "a.yaml:2: Node b1: its ipv4Address and its ipv4IPIPTunnelAddr are "
				"both 10.244.1.1; take a tunnel address from one of its blocks");
}

static void test_foreign_tunnel_address(void **state)
{
	(void)state;
	add_two_nodes();
	resources[1]->node.tunnel_address = cv_test_address("10.244.2.77");
	/* As Calico does when a node's blocks are full. */
	assert_warnings("a.yaml:2: Node a1: its ipv4IPIPTunnelAddr 10.244.2.77 is borrowed from "
			"10.244.2.0/24 of node b1, BlockAffinity b1-10-244-2-0-24 (a.yaml:5)");
	/* Borrowed, and said so. */
	add(cv_test_workload("borrowed", "a1", "", "10.244.2.77"));
	assert_warnings("");
	resources[5]->workload.node[0] = 'b';
	assert_refused(-EINVAL, "a.yaml:2: Node a1: its ipv4IPIPTunnelAddr 10.244.2.77 lies within "
				"10.244.2.77/32 of node b1, Workload borrowed (a.yaml:6); take an "
				"address from its own blocks");
}

static void test_refuses_two_owners(void **state)
{
	(void)state;
	add_two_nodes();
	add(cv_test_affinity("b1", "10.244.1.0/24"));
	assert_refused(
		-EINVAL,
		"a.yaml:6: BlockAffinity b1-10-244-1-0-24: 10.244.1.0/24 of node b1 overlaps "
		"10.244.1.0/24 of node a1, BlockAffinity a1-10-244-1-0-24 (a.yaml:4); a "
		"prefix has one owner");
	resources[5]->affinity.state = CV_AFFINITY_PENDING;
	assert_warnings("");
	resources[5]->affinity.state = CV_AFFINITY_CONFIRMED;
	resources[5]->affinity.deleted = true;
	assert_warnings("");
	resources[5]->affinity.deleted = false;
	resources[5]->affinity.cidr = cv_test_prefix("10.244.0.0/20");
	assert_refused(
		-EINVAL,
		"a.yaml:6: BlockAffinity b1-10-244-1-0-24: 10.244.0.0/20 of node b1 overlaps "
		"10.244.1.0/24 of node a1, BlockAffinity a1-10-244-1-0-24 (a.yaml:4); a "
		"prefix has one owner");
}

static void test_refuses_borrowed_prefixes(void **state)
{
	(void)state;
	add_two_nodes();
	add(cv_test_workload("vm", "b1", "tap0", "10.244.1.8/31"));
	assert_refused(-EINVAL,
		       "a.yaml:6: Workload vm: 10.244.1.8/31 of node b1 overlaps 10.244.1.0/24 of "
		       "node a1, BlockAffinity a1-10-244-1-0-24 (a.yaml:4); only single addresses "
		       "may be borrowed from another node");
	resources[5]->workload.addresses[0] = cv_test_prefix("10.244.1.8");
	add(cv_test_workload("vm2", "a1", "tap1", "10.244.1.9 10.244.1.8"));
	assert_refused(-EINVAL,
		       "a.yaml:7: Workload vm2: 10.244.1.8/32 of node a1 overlaps 10.244.1.8/32 of "
		       "node b1, Workload vm (a.yaml:6); a prefix has one owner");
	free(resources[6]->workload.node);
	resources[6]->workload.node = strdup("b1");
	assert_refused(-EINVAL, "a.yaml:7: Workload vm2: 10.244.1.8/32 is in Workload vm "
				"(a.yaml:6), too; remove it from one of them");
}

static void test_refuses_block_sizes(void **state)
{
	(void)state;
	add(cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_ALWAYS));
	add(cv_test_node("a1", "192.168.100.1/24", NULL));
	add(cv_test_affinity("a1", "10.244.1.0/27"));
	assert_refused(
		-EINVAL,
		"a.yaml:3: BlockAffinity a1-10-244-1-0-27: 10.244.1.0/27 is smaller than a "
		"block of IPPool pool (a.yaml:1), whose blockSize is 26; a block is a /26 or "
		"larger");
	resources[2]->affinity.cidr = cv_test_prefix("10.0.0.0/8");
	assert_refused(-EINVAL, "a.yaml:3: BlockAffinity a1-10-244-1-0-27: 10.0.0.0/8 is larger "
				"than 10.244.0.0/16 of IPPool pool (a.yaml:1); a block lies within "
				"its pool");
	resources[2]->affinity.cidr = cv_test_prefix("10.244.0.0/16");
	assert_warnings("");
}

static void test_refuses_tunnels(void **state)
{
	struct cv_resource *a, *b;

	(void)state;
	add(cv_test_node("a1", NULL, NULL));
	add(cv_test_node("b1", NULL, NULL));
	a = add(cv_test_tunnel("tun0", "192.0.2.1", "192.0.2.2"));
	add(cv_test_tunnel("tun1", "192.0.2.1", "192.0.2.3"));
	add(cv_test_tunnel("tun2", "192.0.2.4", "192.0.2.2"));
	assert_warnings("");
	b = add(cv_test_tunnel("tun9", "192.0.2.1", "192.0.2.2"));
	b->tunnel->node = strdup("b1");
	assert_refused(-EINVAL, "a.yaml:6: Tunnel tun9 has the remote and local of Tunnel tun0 "
				"(a.yaml:3); no node can have both: change one, or give each its "
				"node");
	a->tunnel->node = strdup("a1");
	assert_warnings("");
	add(cv_test_tunnel("tun3", "192.0.2.1", "192.0.2.2"))->tunnel->node = strdup("a1");
	assert_refused(-EINVAL, "a.yaml:7: Tunnel tun3 has the remote and local of Tunnel tun0 "
				"(a.yaml:3); no node can have both: change one, or give each its "
				"node");
}

/* ---- warnings -------------------------------------------------------------------- */

static void test_warns(void **state)
{
	(void)state;
	add(cv_test_node("a1", "192.168.100.1", "10.9.9.9"));
	add(cv_test_affinity("a1", "10.250.1.0/24"));
	add(cv_test_workload("vm", "c1", "tap0", "10.244.7.7"));
	add(cv_test_pool("pool", "10.244.0.0/16", CV_IPIP_CROSS_SUBNET));
	add(cv_test_affinity("a1", "10.244.1.0/24"));
	add(cv_test_node("b1", "10.244.1.3/24", NULL));
	add(cv_test_affinity("a1", "10.244.1.0/24"));
	add(cv_test_tunnel("tun9", "192.0.2.1", "192.0.2.2"))->tunnel->node = strdup("d1");
	free(resources[6]->name);
	resources[6]->name = strdup("again");
	assert_warnings(
		"a.yaml:1: Node a1: its ipv4IPIPTunnelAddr 10.9.9.9 is in no IPPool; other nodes "
		"may not answer to it\n"
		"a.yaml:7: BlockAffinity again: 10.244.1.0/24 is in BlockAffinity a1-10-244-1-0-24 "
		"(a.yaml:5), too; one of them is enough\n"
		"a.yaml:6: Node b1: its ipv4Address 10.244.1.3 lies within 10.244.1.0/24 of "
		"BlockAffinity again (a.yaml:7); it stays the node's, but must not be assigned to "
		"a workload\n"
		"a.yaml:3: Workload vm: there is no Node c1, so nobody reaches 10.244.7.7/32; add "
		"the Node\n"
		"a.yaml:2: BlockAffinity a1-10-250-1-0-24: 10.250.1.0/24 is in no IPPool, so it is "
		"not routed; add an IPPool that contains it\n"
		"a.yaml:1: Node a1: ipv4Address 192.168.100.1 has no prefix, so CrossSubnet always "
		"tunnels to it; write it like 192.168.100.1/24\n"
		"a.yaml:8: Tunnel tun9: there is no Node d1; only a host that calls itself so "
		"makes "
		"this tunnel: add the Node, or mend the name");
}

/* Thousands of the same are a few and a number. */
static void test_counts_warnings(void **state)
{
	struct cv_resource *many[500];
	struct cv_snapshot *snapshot;

	(void)state;
	for (size_t i = 0; i < 500; i++) {
		char cidr[32];

		snprintf(cidr, sizeof(cidr), "10.%zu.%zu.0/24", i / 256, i % 256);
		many[i] = cv_test_affinity("a1", cidr);
	}
	assert_int_equal(cv_snapshot_create(many, 500, &snapshot, &error), 0);
	assert_int_equal(snapshot->warnings.count, 22);
	assert_string_equal(snapshot->warnings.texts[20], "490 more prefixes are in no pool");
	assert_string_equal(snapshot->warnings.texts[21],
			    "490 more resources are of nodes that there are not");
	cv_snapshot_put(snapshot);
	cv_test_put_all(many, 500);
}

/* ---- the oracle ------------------------------------------------------------------ */

static const char *owner_of(const struct cv_resource *resource)
{
	return resource->kind == CV_KIND_WORKLOAD ? resource->workload.node
						  : resource->affinity.node;
}

static const struct cv_prefix *prefix_of(const struct cv_resource *resource)
{
	return resource->kind == CV_KIND_WORKLOAD ? resource->workload.addresses
						  : &resource->affinity.cidr;
}

/* Whether two claims may stand side by side. */
static bool may_both(const struct cv_resource *a, const struct cv_resource *b)
{
	const struct cv_prefix *x = prefix_of(a), *y = prefix_of(b);
	bool is_same = x->address == y->address && x->length == y->length;
	const struct cv_resource *inner = x->length > y->length ? a : b;

	if (!cv_prefix_overlaps(x, y))
		return true;
	if (!strcmp(owner_of(a), owner_of(b)))
		return !(is_same && a->kind == CV_KIND_WORKLOAD && b->kind == CV_KIND_WORKLOAD);
	return inner->kind == CV_KIND_WORKLOAD && prefix_of(inner)->length == 32 && !is_same;
}

static void test_owners_as_pairs(void **state)
{
	static const char *const nodes[] = {"a1", "b1", "c1"};
	size_t taken = 0, rounds = 20000;

	(void)state;
	srand(3);
	for (size_t round = 0; round < rounds; round++) {
		size_t claims = (size_t)rand() % 6;
		struct cv_snapshot *snapshot;
		bool allowed = true;
		int rc;

		add(cv_test_pool("pool", "10.0.0.0/24", CV_IPIP_ALWAYS))->pool.block_size = 32;
		for (size_t i = 0; i < 2; i++) /* c1 is no Node */
			add(cv_test_node(nodes[i], NULL, NULL));
		for (size_t i = 0; i < claims; i++) {
			const char *node = nodes[rand() % 3];
			char name[16], cidr[32];
			int length = rand() % 2 ? 32 : 28 + rand() % 5;

			snprintf(name, sizeof(name), "claim%zu", i);
			snprintf(cidr, sizeof(cidr), "10.0.0.%d/%d",
				 rand() % 16 & ~((1 << (32 - length)) - 1), length);
			if (rand() % 2) {
				add(cv_test_workload(name, node, "tap0", cidr));
			} else {
				struct cv_resource *affinity = add(cv_test_affinity(node, cidr));

				free(affinity->name);
				affinity->name = strdup(name);
			}
		}
		for (size_t i = 3; i < resource_count; i++) {
			for (size_t j = i + 1; j < resource_count; j++)
				allowed &= may_both(resources[i], resources[j]);
		}
		rc = cv_snapshot_create(resources, resource_count, &snapshot, &error);
		assert_int_equal(rc, allowed ? 0 : -EINVAL);
		if (!rc)
			cv_snapshot_put(snapshot);
		taken += allowed;
		tear_down(NULL);
	}
	assert_in_range(taken, rounds / 10, rounds * 9 / 10);
}

/* ---- questions ------------------------------------------------------------------- */

static void test_answers(void **state)
{
	struct cv_snapshot *snapshot;
	struct cv_prefix block = cv_test_prefix("10.244.9.0/24"),
			 all = cv_test_prefix("10.0.0.0/8");
	struct cv_claim *claims;
	size_t count;

	(void)state;
	add_two_nodes();
	add(cv_test_pool("a-small-one", "10.0.0.8/31", CV_IPIP_NEVER));
	add(cv_test_workload("vm", "b1", "tap0", "10.244.2.7 172.16.0.0/12"));
	add(cv_test_workload("bridge", "a1", "br0", "10.244.1.0/24"));
	add(cv_test_affinity("c1", "10.244.3.0/24"));
	snapshot = make();

	cv_snapshot_kind(snapshot, CV_KIND_NODE, &count);
	assert_int_equal(count, 2);
	cv_snapshot_kind(snapshot, CV_KIND_TUNNEL, &count);
	assert_int_equal(count, 0);
	assert_ptr_equal(cv_snapshot_find(snapshot, CV_KIND_NODE, "b1"), resources[2]);
	assert_null(cv_snapshot_find(snapshot, CV_KIND_NODE, "pool"));
	assert_null(cv_snapshot_find(snapshot, CV_KIND_TUNNEL, "b1"));

	assert_ptr_equal(cv_snapshot_pool_of(snapshot, cv_test_address("10.0.0.9")), resources[5]);
	assert_null(cv_snapshot_pool_of(snapshot, cv_test_address("10.0.0.10")));
	assert_null(cv_snapshot_pool_of(snapshot, cv_test_address("10.0.0.7")));
	assert_null(cv_snapshot_pool_of(snapshot, cv_test_address("255.255.255.255")));
	assert_ptr_equal(cv_snapshot_pool_of(snapshot, cv_test_address("10.244.255.255")),
			 resources[0]);
	assert_ptr_equal(cv_snapshot_pool_of_prefix(snapshot, &block), resources[0]);
	assert_null(cv_snapshot_pool_of_prefix(snapshot, &all));

	assert_int_equal(cv_snapshot_claims(snapshot, &claims, &count), 0);
	assert_int_equal(count, 6);
	assert_ptr_equal(claims[0].resource, resources[3]); /* 10.244.1.0/24 */
	assert_ptr_equal(claims[0].node, resources[1]);
	assert_ptr_equal(claims[0].pool, resources[0]);
	assert_ptr_equal(claims[1].resource, resources[7]); /* the bridge behind it */
	assert_ptr_equal(claims[2].resource, resources[4]);
	assert_ptr_equal(claims[3].resource, resources[6]); /* 10.244.2.7/32 */
	assert_ptr_equal(claims[4].resource, resources[8]);
	assert_null(claims[4].node);
	assert_ptr_equal(claims[5].resource, resources[6]); /* 172.16.0.0/12 */
	assert_null(claims[5].pool);
	free(claims);
	cv_snapshot_put(snapshot);
}

static void test_felix(void **state)
{
	struct cv_felix_configuration felix, *common, *own;
	struct cv_snapshot *snapshot;

	(void)state;
	common = add(cv_test_felix("default", "192.0.2.1 192.0.2.2"))->felix;
	own = add(cv_test_felix("node.a1", NULL))->felix;
	add(cv_test_felix("node.a10", ""))->felix->ipip_mtu = 1000;
	common->has_ipip_enabled = common->ipip_enabled = true;
	common->ipip_mtu = 1400;
	common->nat_port_first = 1000;
	common->nat_port_last = 2000;
	common->device_route_protocol = 80;
	own->has_ipip_enabled = true;
	own->has_nat_exclusions = true;
	own->nat_exclusions = CV_NAT_EXCLUDE_POOLS_AND_HOSTS;
	own->nat_outgoing_address = cv_test_address("192.0.2.9");
	own->nat_port_last = 9;
	own->mtu_iface_pattern = strdup("eth.*");
	snapshot = make();
	cv_snapshot_felix(snapshot, "a1", &felix);
	assert_true(felix.has_ipip_enabled && !felix.ipip_enabled);
	assert_int_equal(felix.ipip_mtu, 1400);
	assert_int_equal(felix.nat_port_first, 0);
	assert_int_equal(felix.nat_port_last, 9);
	assert_true(felix.has_nat_exclusions);
	assert_int_equal(felix.nat_exclusions, CV_NAT_EXCLUDE_POOLS_AND_HOSTS);
	assert_int_equal(felix.nat_outgoing_address, cv_test_address("192.0.2.9"));
	assert_string_equal(felix.mtu_iface_pattern, "eth.*");
	assert_int_equal(felix.device_route_protocol, 80);
	assert_int_equal(felix.external_count, 2);
	cv_snapshot_felix(snapshot, "a10", &felix);
	assert_int_equal(felix.ipip_mtu, 1000);
	assert_true(felix.ipip_enabled && felix.has_external_nodes && !felix.external_count);
	cv_snapshot_felix(snapshot, "b1", &felix);
	assert_int_equal(felix.nat_port_first, 1000);
	cv_snapshot_felix(snapshot, NULL, &felix);
	assert_int_equal(felix.ipip_mtu, 1400);
	cv_snapshot_put(snapshot);
	tear_down(NULL);
	snapshot = make();
	cv_snapshot_felix(snapshot, "a1", &felix);
	assert_false(felix.has_ipip_enabled || felix.ipip_mtu || felix.has_nat_exclusions);
	cv_snapshot_put(snapshot);
}

/* ---- changes --------------------------------------------------------------------- */

static void test_immutable_fields(void **state)
{
	struct cv_snapshot *before, *after;
	struct cv_resource *pool;

	(void)state;
	add_two_nodes();
	before = make();
	assert_int_equal(cv_snapshot_check_change(before, before, &error), 0);
	cv_resource_put(resources[0]);
	pool = resources[0] = cv_test_pool("pool", "10.244.0.0/15", CV_IPIP_ALWAYS);
	cv_test_place(pool, "b.yaml", 9);
	after = make();
	assert_int_equal(cv_snapshot_check_change(before, after, &error), -EINVAL);
	assert_string_equal(
		error.text,
		"b.yaml:9: IPPool pool: its cidr is 10.244.0.0/16 (a.yaml:1) and cannot "
		"become 10.244.0.0/15; add a pool with another name, then delete this "
		"one");
	cv_snapshot_put(after);

	pool->pool.cidr = cv_test_prefix("10.244.0.0/16");
	after = make();
	assert_int_equal(cv_snapshot_check_change(before, after, &error), 0); /* the mode may */
	cv_snapshot_put(after);

	pool->pool.block_size = 24;
	after = make();
	assert_int_equal(cv_snapshot_check_change(before, after, &error), -EINVAL);
	assert_string_equal(
		error.text,
		"b.yaml:9: IPPool pool: its blockSize is 26 (a.yaml:1) and cannot become "
		"24 while it has blocks, like BlockAffinity a1-10-244-1-0-24 (a.yaml:4); "
		"delete its BlockAffinities first");
	cv_snapshot_put(after);

	/* Without its blocks it may; a block of another pool, or a workload, is none. */
	add(cv_test_pool("next", "10.245.0.0/16", CV_IPIP_NEVER));
	add(cv_test_workload("vm", "a1", "tap0", "10.244.1.1"));
	resources[1]->node.tunnel_address = resources[2]->node.tunnel_address = 0;
	resources[3]->affinity.cidr = cv_test_prefix("10.245.1.0/24");
	resources[4]->affinity.cidr = cv_test_prefix("10.245.2.0/24");
	after = make();
	assert_int_equal(cv_snapshot_check_change(before, after, &error), 0);
	/* Another name, a pool that goes. */
	assert_int_equal(cv_snapshot_check_change(after, before, &error), -EINVAL);
	cv_snapshot_put(after);
	cv_snapshot_put(before);
}

/* ---- digests --------------------------------------------------------------------- */

static void test_digest(void **state)
{
	struct cv_snapshot *snapshot, *other;
	char digest[CV_SNAPSHOT_DIGEST_MAX];

	(void)state;
	snapshot = make();
	assert_string_equal(cv_snapshot_digest(snapshot),
			    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	cv_snapshot_put(snapshot);
	add_two_nodes();
	snapshot = make();
	strcpy(digest, cv_snapshot_digest(snapshot));
	assert_int_equal(strlen(digest), 64);
	/* Neither order nor place is in it. */
	for (size_t i = 0; i < resource_count / 2; i++) {
		struct cv_resource *swap = resources[i];

		resources[i] = resources[resource_count - 1 - i];
		resources[resource_count - 1 - i] = swap;
		cv_test_place(swap, "elsewhere.yaml", 77);
	}
	other = make();
	assert_string_equal(cv_snapshot_digest(other), digest);
	assert_ptr_equal(other->resources[0], snapshot->resources[0]);
	cv_snapshot_put(other);
	cv_snapshot_put(snapshot);
	/* Every text is, and every name. */
	resources[0]->text[strlen(resources[0]->text) - 1]++;
	resources[0]->has_digest = false;
	snapshot = make();
	assert_string_not_equal(cv_snapshot_digest(snapshot), digest);
	cv_snapshot_put(snapshot);
	resources[0]->text[strlen(resources[0]->text) - 1]--;
	resources[0]->name[0]++;
	resources[0]->has_digest = false;
	snapshot = make();
	assert_string_not_equal(cv_snapshot_digest(snapshot), digest);
	assert_ptr_equal(cv_snapshot_get(snapshot), snapshot);
	cv_snapshot_put(snapshot);
	assert_int_equal(snapshot->count, resource_count);
	cv_snapshot_put(snapshot);
	cv_snapshot_put(NULL);
}

/* ---- scale ----------------------------------------------------------------------- */

enum {
	NODES = 5000,
	BLOCKS = 4 /* of each */
};

/*
 * 25,001 resources in the worst order. It takes some 40 ms; the limit is only to tell it from what
 * compares each with each, which takes many seconds.
 */
static void test_large(void **state)
{
	size_t count = 1 + NODES * (1 + BLOCKS), i = 0;
	struct cv_resource **many = test_calloc(count, sizeof(struct cv_resource *));
	struct cv_snapshot *snapshot;
	double before;

	(void)state;
	many[i++] = cv_test_pool("pool", "10.0.0.0/8", CV_IPIP_CROSS_SUBNET);
	for (unsigned int n = 0; n < NODES; n++) {
		char name[32], text[32];

		snprintf(name, sizeof(name), "node-%05u", n * 2477 % NODES);
		snprintf(text, sizeof(text), "172.16.%u.%u/24", n / 250, n % 250 + 1);
		many[i] = cv_test_node(name, text, NULL);
		many[i++]->node.tunnel_address = htonl(0x0a000000 + n * 256);
		for (unsigned int b = 0; b < BLOCKS; b++) {
			snprintf(text, sizeof(text), "10.%u.%u.%u/26", n / 256, n % 256, b * 64);
			many[i++] = cv_test_affinity(name, text);
		}
	}
	for (size_t k = count - 1; k > 0; k--) {
		size_t other = (size_t)rand() % (k + 1);
		struct cv_resource *swap = many[k];

		many[k] = many[other];
		many[other] = swap;
	}
	before = cv_test_cpu_ms();
	if (cv_snapshot_create(many, count, &snapshot, &error))
		fail_msg("%s", error.text);
	before = cv_test_cpu_ms() - before;
	print_message("# %zu resources: %.1f ms\n", count, before);
	assert_true(before < 1000);
	assert_int_equal(snapshot->warnings.count, 0);
	assert_int_equal(snapshot->claim_count, NODES * BLOCKS);
	cv_snapshot_put(snapshot);
	cv_test_put_all(many, count);
	test_free(many);
}

#define SNAPSHOT_TEST(f) cmocka_unit_test_teardown(f, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SNAPSHOT_TEST(test_takes_good_ones),
		SNAPSHOT_TEST(test_refuses_twice),
		SNAPSHOT_TEST(test_refuses_overlapping_pools),
		SNAPSHOT_TEST(test_refuses_shared_addresses),
		SNAPSHOT_TEST(test_foreign_tunnel_address),
		SNAPSHOT_TEST(test_refuses_two_owners),
		SNAPSHOT_TEST(test_refuses_borrowed_prefixes),
		SNAPSHOT_TEST(test_refuses_block_sizes),
		SNAPSHOT_TEST(test_refuses_tunnels),
		SNAPSHOT_TEST(test_warns),
		SNAPSHOT_TEST(test_counts_warnings),
		SNAPSHOT_TEST(test_owners_as_pairs),
		SNAPSHOT_TEST(test_answers),
		SNAPSHOT_TEST(test_felix),
		SNAPSHOT_TEST(test_immutable_fields),
		SNAPSHOT_TEST(test_digest),
		SNAPSHOT_TEST(test_large),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
