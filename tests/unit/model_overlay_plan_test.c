/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first manifest of an overlay: word for word once, the blocks of many inputs against a naive
 * oracle and the rules of snapshots and overlays, and what is refused.
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
#include "model/overlay_plan.h"
#include "resources.h"

enum {
	NODES_MAX = 80
};

static struct cv_overlay_plan_node nodes[NODES_MAX];
static struct cv_overlay_plan_input input;
static struct cv_error error;

static int set_up(void **state)
{
	(void)state;
	cv_overlay_plan_init(&input);
	input.nodes = nodes;
	error.text[0] = '\0';
	return 0;
}

static void set_pool(const char *text)
{
	if (cv_overlay_plan_parse_pool(text, &input, &error))
		fail_msg("%s", error.text);
}

static void add_node(const char *text)
{
	if (cv_overlay_plan_parse_node(text, &nodes[input.node_count++], &error))
		fail_msg("%s", error.text);
}

static char *plan(void)
{
	char *yaml;

	if (cv_overlay_plan(&input, &yaml, &error))
		fail_msg("%s", error.text);
	return yaml;
}

/* ---- what is printed ------------------------------------------------------------- */

static void test_first_time(void **state)
{
	char *yaml, *again;

	(void)state;
	set_pool("10.244.0.0/16");
	add_node("a1=192.168.100.1/24");
	add_node("b1=192.168.200.2/24");
	yaml = plan();
	assert_string_equal(
		yaml,
		"# An overlay of 2 nodes in 10.244.0.0/16, as `culvert plan` made it. Copy it to "
		"every node, and there:\n"
		"#\n"
		"#   culvert apply -f FILE\n"
		"#\n"
		"---\n"
		"# All addresses of the overlay.\n"
		"apiVersion: projectcalico.org/v3\n"
		"kind: IPPool\n"
		"metadata:\n"
		"  name: default-ipv4-ippool\n"
		"spec:\n"
		"  cidr: 10.244.0.0/16\n"
		"  blockSize: 24\n"
		"  # CrossSubnet: tunnel between subnets, direct within one. Also: Always, Never.\n"
		"  ipipMode: CrossSubnet\n"
		"  # What leaves the overlay gets its node's address, or (false) keeps its own.\n"
		"  natOutgoing: true\n"
		"---\n"
		"apiVersion: projectcalico.org/v3\n"
		"kind: Node\n"
		"metadata:\n"
		"  name: a1\n"
		"spec:\n"
		"  bgp:\n"
		"    ipv4Address: 192.168.100.1/24\n"
		"    ipv4IPIPTunnelAddr: 10.244.1.0\n"
		"---\n"
		"apiVersion: projectcalico.org/v3\n"
		"kind: BlockAffinity\n"
		"metadata:\n"
		"  name: a1-10-244-1-0-24\n"
		"spec:\n"
		"  cidr: 10.244.1.0/24\n"
		"  node: a1\n"
		"  state: confirmed\n"
		"---\n"
		"apiVersion: projectcalico.org/v3\n"
		"kind: Node\n"
		"metadata:\n"
		"  name: b1\n"
		"spec:\n"
		"  bgp:\n"
		"    ipv4Address: 192.168.200.2/24\n"
		"    ipv4IPIPTunnelAddr: 10.244.2.0\n"
		"---\n"
		"apiVersion: projectcalico.org/v3\n"
		"kind: BlockAffinity\n"
		"metadata:\n"
		"  name: b1-10-244-2-0-24\n"
		"spec:\n"
		"  cidr: 10.244.2.0/24\n"
		"  node: b1\n"
		"  state: confirmed\n"
		"# One more node: a Node and a BlockAffinity like these; the next free block is "
		"10.244.3.0/24.\n");
	again = plan();
	assert_string_equal(again, yaml);
	free(again);
	free(yaml);
	input.ipip_mode = CV_IPIP_ALWAYS;
	input.nat_outgoing = false;
	input.block_length = 28;
	yaml = plan();
	assert_non_null(strstr(yaml, "  ipipMode: Always\n"));
	assert_non_null(strstr(yaml, "  natOutgoing: false\n"));
	assert_non_null(strstr(yaml, "  blockSize: 28\n"));
	assert_non_null(strstr(yaml, "  cidr: 10.244.0.16/28\n"));
	free(yaml);
}

/* The lines that begin so, what follows in each, with spaces between them. */
static const char *collect(const char *yaml, const char *begin)
{
	static char all[4096];
	char *p = all;

	*p = '\0';
	for (const char *line = yaml; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, begin, strlen(begin)))
			p += snprintf(p, sizeof(all) - (size_t)(p - all), "%s%.*s",
				      p == all ? "" : " ", (int)strcspn(line + strlen(begin), "\n"),
				      line + strlen(begin));
	}
	return all;
}

/* The pool of the seed contains its nodes: their subnets are stepped over. */
static void test_nodes_inside_of_pool(void **state)
{
	char *yaml;

	(void)state;
	set_pool("192.168.0.0/16");
	add_node("a1=192.168.1.1/24");
	add_node("b1=192.168.2.77/23");
	add_node("c1=192.168.100.1/24");
	add_node("d1=192.168.5.1/32");
	yaml = plan();
	assert_string_equal(collect(yaml, "    ipv4IPIPTunnelAddr: "),
			    "192.168.4.0 192.168.6.0 192.168.7.0 192.168.8.0");
	assert_null(strstr(yaml, "Beware"));
	free(yaml);
	add_node("e1=192.168.6.1/16");
	yaml = plan();
	assert_string_equal(collect(yaml, "    ipv4IPIPTunnelAddr: "),
			    "192.168.4.0 192.168.7.0 192.168.8.0 192.168.9.0 192.168.10.0");
	assert_string_equal(collect(yaml, "# Beware: "),
			    "the subnet 192.168.0.0/16 of node e1 has the whole pool in it. Hosts "
			    "there that are no nodes");
	free(yaml);
}

static void test_block_lengths(void **state)
{
	static const struct {
		const char *pool;
		unsigned int nodes;
		const char *size, *first;
	} cases[] = {
		{"10.0.0.0/8", 1, "24", "10.0.1.0/24"},
		{"10.0.0.0/20", 4, "24", "10.0.1.0/24"},
		{"10.0.0.0/20", 5, "25", "10.0.0.128/25"},
		{"10.0.0.0/20", 8, "25", "10.0.0.128/25"},
		{"10.0.0.0/20", 9, "26", "10.0.0.64/26"},
		{"10.0.0.0/20", 16, "26", "10.0.0.64/26"},
		{"10.0.0.0/20", 17, "26", "10.0.0.0/26"},
		{"10.0.0.0/20", 64, "26", "10.0.0.0/26"},
		{"10.0.0.0/20", 65, "27", "10.0.0.0/27"},
		{"10.0.0.0/24", 2, "26", "10.0.0.0/26"},
		{"10.0.0.0/24", 1, "26", "10.0.0.64/26"},
		{"10.0.0.0/26", 1, "26", "10.0.0.0/26"},
		{"10.0.0.0/26", 2, "27", "10.0.0.0/27"},
		{"10.0.0.0/26", 32, "31", "10.0.0.0/31"},
		{"10.0.0.0/30", 1, "30", "10.0.0.0/30"},
		{"10.0.0.0/30", 2, "31", "10.0.0.0/31"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[64], *yaml;

		set_up(state);
		set_pool(cases[i].pool);
		for (unsigned int n = 0; n < cases[i].nodes; n++) {
			snprintf(text, sizeof(text), "n%u=172.16.0.%u/24", n, n + 1);
			add_node(text);
		}
		yaml = plan();
		assert_string_equal(collect(yaml, "  blockSize: "), cases[i].size);
		snprintf(text, sizeof(text), "%s %s", cases[i].pool, cases[i].first);
		assert_memory_equal(collect(yaml, "  cidr: "), text, strlen(text));
		free(yaml);
	}
}

static void test_quotes_names(void **state)
{
	char *yaml;

	(void)state;
	set_pool("10.244.0.0/16");
	add_node("1=192.168.100.1/24");
	add_node("true=192.168.100.2/24");
	add_node("a-1.example.org=192.168.100.3/24");
	yaml = plan();
	assert_string_equal(collect(yaml, "  node: "), "\"1\" \"true\" a-1.example.org");
	assert_string_equal(collect(yaml, "  name: "),
			    "default-ipv4-ippool \"1\" \"1-10-244-1-0-24\" \"true\" "
			    "\"true-10-244-2-0-24\" a-1.example.org a-1.example.org-10-244-3-0-24");
	free(yaml);
}

/* ---- the oracle ------------------------------------------------------------------ */

/* Whether a block meets a node's address, or a subnet that is a part of the pool. */
static bool is_touched(const struct cv_prefix *block)
{
	for (size_t i = 0; i < input.node_count; i++) {
		const struct cv_prefix subnet = {nodes[i].address, nodes[i].prefix_length};

		if (cv_prefix_has(block, nodes[i].address) ||
		    (cv_prefix_overlaps(block, &subnet) && subnet.length > input.pool.length))
			return true;
	}
	return false;
}

/* All blocks of the length that could be given, in order. */
static size_t naive_blocks(uint8_t length, struct cv_prefix *blocks, size_t max)
{
	uint32_t first = cv_prefix_first(&input.pool);
	size_t count = 0;

	for (uint32_t i = 0; i < UINT32_C(1) << (length - input.pool.length); i++) {
		struct cv_prefix block = {htonl(first + (i << (32 - length))), length};

		if (!is_touched(&block) && count < max)
			blocks[count++] = block;
	}
	return count;
}

/* The blocks that a manifest gives, as snapshots and overlays see them. */
static void check_manifest(const char *yaml, const struct cv_prefix *blocks, size_t count)
{
	struct cv_resource *resources[2 * NODES_MAX + 1];
	struct cv_snapshot *snapshot;
	struct cv_overlay overlay;
	struct cv_overlay_host host = {0};
	char *words = strdup(collect(yaml, "  cidr: ")), *rest;
	const char *word = strtok_r(words, " ", &rest); /* the pool's */
	size_t used = 0, given = 0, start;

	resources[used++] = cv_test_pool("default-ipv4-ippool", word, CV_IPIP_CROSS_SUBNET);
	resources[0]->pool.block_size = (uint8_t)atoi(collect(yaml, "  blockSize: "));
	start = blocks[0].address == resources[0]->pool.cidr.address &&
		count >= 4 * input.node_count;
	for (word = strtok_r(NULL, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		const struct cv_overlay_plan_node *node = &nodes[given];
		struct cv_resource *affinity = cv_test_affinity(node->name, word);
		struct cv_prefix address = {node->address, node->prefix_length};
		char text[CV_PREFIX_TEXT_MAX];

		assert_int_equal(
			cv_prefix_compare(&affinity->affinity.cidr, &blocks[start + given]), 0);
		resources[used++] = affinity;
		resources[used] = cv_test_node(node->name, cv_prefix_format(&address, text), NULL);
		resources[used++]->node.tunnel_address = affinity->affinity.cidr.address;
		given++;
	}
	assert_int_equal(given, input.node_count);
	if (cv_snapshot_create(resources, used, &snapshot, &error))
		fail_msg("%s", error.text);
	assert_int_equal(snapshot->warnings.count, 0);
	assert_int_equal(cv_overlay_init(&overlay, snapshot, &host), 0);
	for (size_t i = 0; i < given; i++) {
		const struct cv_prefix *block = &blocks[start + i];

		for (uint32_t a = cv_prefix_first(block); a <= cv_prefix_last(block); a++)
			assert_true(cv_ranges_has(&overlay.space, htonl(a)));
	}
	cv_overlay_fini(&overlay);
	cv_snapshot_put(snapshot);
	cv_test_put_all(resources, used);
	free(words);
}

static void random_input(void **state)
{
	char text[64];

	set_up(state);
	snprintf(text, sizeof(text), "10.0.%d.0/%d", rand() % 4 * 4, 22 + rand() % 2);
	set_pool(text);
	input.block_length = rand() % 2 ? (uint8_t)(26 + rand() % 4) : 0;
	for (int n = 1 + rand() % 8; n > 0; n--) {
		/* Never the first or the last of a subnet, never the same twice. */
		snprintf(text, sizeof(text), "n%d=10.0.%d.%d/%d", n, rand() % 16, 1 + n * 6,
			 rand() % 4 ? 22 + rand() % 3 : 32);
		add_node(text);
	}
}

static void test_as_naively_chosen(void **state)
{
	static struct cv_prefix blocks[1024];
	size_t refused = 0;

	srand(5);
	for (int round = 0; round < 2000; round++) {
		char *yaml = NULL;
		int rc;

		random_input(state);
		rc = cv_overlay_plan(&input, &yaml, &error);
		if (rc) {
			uint8_t length = input.block_length ? input.block_length : 31;

			assert_int_equal(rc, -ENOSPC);
			assert_true(naive_blocks(length, blocks, 1024) < input.node_count);
			refused++;
		} else {
			uint8_t length = (uint8_t)atoi(collect(yaml, "  blockSize: "));

			if (input.block_length)
				assert_int_equal(length, input.block_length);
			check_manifest(yaml, blocks, naive_blocks(length, blocks, 1024));
		}
		free(yaml);
	}
	assert_in_range(refused, 1, 1000);
}

/* ---- what is refused ------------------------------------------------------------- */

static void test_refuses_words(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"a1", "\"a1\" is not a node; write it like a1=192.168.100.1/24"},
		{"=192.168.100.1/24", "a node has no name; write NAME=ADDRESS/LENGTH"},
		{"A1=192.168.100.1/24", "node \"A1\" cannot be named so; a name has lower-case "
					"letters, digits, and '-' or '.' between them"},
		{"-a=192.168.100.1/24", "node \"-a\" cannot be named so; a name has lower-case "
					"letters, digits, and '-' or '.' between them"},
		{"a-=192.168.100.1/24", "node \"a-\" cannot be named so; a name has lower-case "
					"letters, digits, and '-' or '.' between them"},
		{"a..b=192.168.100.1/24", "node \"a..b\" cannot be named so; a name has lower-case "
					  "letters, digits, and '-' or '.' between them"},
		{"a.-b=192.168.100.1/24", "node \"a.-b\" cannot be named so; a name has lower-case "
					  "letters, digits, and '-' or '.' between them"},
		{"a_b=192.168.100.1/24", "node \"a_b\" cannot be named so; a name has lower-case "
					 "letters, digits, and '-' or '.' between them"},
		{"a1=", "node a1: \"\" is not an IPv4 address with its length; write it like "
			"a1=192.168.100.1/24"},
		{"a1=fd00::1/64", "node a1: \"fd00::1/64\" is not an IPv4 address with its length; "
				  "write it like a1=192.168.100.1/24"},
		{"a1=192.168.100.1",
		 "node a1: give the length of its subnet, like 192.168.100.1/24: by it CrossSubnet "
		 "knows which nodes need no tunnel (/32: always tunnel)"},
		{"a1=192.168.100.0/24", "node a1: 192.168.100.0/24 is the address of its subnet "
					"itself; give the address by "
					"which other nodes reach it"},
		{"a1=192.168.100.255/24", "node a1: 192.168.100.255/24 is its subnet's broadcast "
					  "address; give the address by "
					  "which other nodes reach it"},
		{"a1=127.0.0.1/8",
		 "node a1: 127.0.0.1/8 is a loopback address; give the address by "
		 "which other nodes reach it"},
		{"a1=224.0.0.1/24",
		 "node a1: 224.0.0.1/24 is a multicast address; give the address "
		 "by which other nodes reach it"},
		{"a1=0.0.0.0/24", "node a1: 0.0.0.0/24 is no host's address; give the address by "
				  "which other nodes reach it"},
		{"a1=192.168.100.1/7", "node a1: 192.168.100.1/7: no subnet is a /7; give the "
				       "length that `ip address` shows there"},
	};
	struct cv_overlay_plan_node node;
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cv_overlay_plan_parse_node(cases[i].text, &node, &error), -EINVAL);
		assert_string_equal(error.text, cases[i].error);
	}
	memset(text, 'a', 235);
	strcpy(text + 235, "=192.168.100.1/24");
	assert_int_equal(cv_overlay_plan_parse_node(text, &node, &error), -EINVAL);
	assert_non_null(strstr(error.text, "has a name of more than 234 characters"));
	assert_int_equal(cv_overlay_plan_parse_node(text + 1, &node, &error), 0);
	assert_int_equal(cv_overlay_plan_parse_node("a1=192.168.100.0/31", &node, &error), 0);
	assert_int_equal(cv_overlay_plan_parse_node("a1=192.168.100.0/32", &node, &error), 0);
}

static void test_refuses_pools(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"10.244.0.0", "pool \"10.244.0.0\" is not an IPv4 prefix; write it like "
			       "10.244.0.0/16"},
		{"fd00::/8", "pool \"fd00::/8\" is not an IPv4 prefix; write it like "
			     "10.244.0.0/16"},
		{"10.244.7.0/16", "pool 10.244.7.0/16 has bits set behind its length; did you mean "
				  "10.244.0.0/16?"},
		{"10.244.0.0/31",
		 "pool 10.244.0.0/31: a pool is from a /8 to a /30; take a private "
		 "range, like 10.244.0.0/16"},
		{"127.0.0.0/16", "pool 127.0.0.0/16 has addresses that no host can have; take a "
				 "private range, like 10.244.0.0/16"},
		{"0.0.0.0/0", "pool 0.0.0.0/0 has addresses that no host can have; take a private "
			      "range, like 10.244.0.0/16"},
		{"239.0.0.0/8", "pool 239.0.0.0/8 has addresses that no host can have; take a "
				"private range, like 10.244.0.0/16"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cv_overlay_plan_parse_pool(cases[i].text, &input, &error),
				 -EINVAL);
		assert_string_equal(error.text, cases[i].error);
	}
}

static void assert_refused(int rc, const char *text)
{
	char *yaml = NULL;

	assert_int_equal(cv_overlay_plan(&input, &yaml, &error), rc);
	assert_null(yaml);
	assert_string_equal(error.text, text);
}

static void test_refuses_inputs(void **state)
{
	(void)state;
	set_pool("10.244.0.0/27");
	assert_refused(-EINVAL,
		       "no nodes; name each host of the overlay, like a1=192.168.100.1/24");
	add_node("a1=192.168.100.1/24");
	add_node("b1=192.168.100.2/24");
	add_node("a1=192.168.100.3/24");
	assert_refused(-EINVAL, "node a1 is there twice; give each node a name of its own");
	strcpy(nodes[2].name, "c1");
	nodes[2].address = nodes[0].address;
	assert_refused(-EINVAL,
		       "nodes a1 and c1 have the same address 192.168.100.1; give each its "
		       "own");
	nodes[2].address = cv_test_address("192.168.100.3");
	input.block_length = 32;
	assert_refused(-EINVAL, "block length /32: give one from /20 to /31");
	input.block_length = 26;
	assert_refused(-EINVAL,
		       "blocks of /26 are larger than pool 10.244.0.0/27; give a length of "
		       "27 or more");
	input.block_length = 28;
	assert_refused(-ENOSPC, "pool 10.244.0.0/27 has 2 blocks of /28 beside the nodes' own "
				"addresses, too few for 3 nodes; take a larger pool, or smaller "
				"blocks");
	input.block_length = 0;
	set_pool("10.244.0.0/30");
	assert_refused(-ENOSPC, "pool 10.244.0.0/30 has 2 blocks of /31 beside the nodes' own "
				"addresses, too few for 3 nodes; take a larger pool");
}

#define PLAN_TEST(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAN_TEST(test_first_time),	   PLAN_TEST(test_nodes_inside_of_pool),
		PLAN_TEST(test_block_lengths),	   PLAN_TEST(test_quotes_names),
		PLAN_TEST(test_as_naively_chosen), PLAN_TEST(test_refuses_words),
		PLAN_TEST(test_refuses_pools),	   PLAN_TEST(test_refuses_inputs),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
