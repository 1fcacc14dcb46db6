/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of address management: those that Calico wrote are read and, unchanged, written
 * byte for byte; malformed ones are refused with a sentence; blocks against a naive oracle.
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

#include "ipam/affinity.h"
#include "ipam/block.h"
#include "ipam/handle.h"
#include "ipam/key.h"
#include "ipam_world.h"

/* ---- Calico's -------------------------------------------------------------------- */

/* As its versions 3.8 (affinity null, strictAffinity), 3.17, 3.27 and 3.30 write them. */
static const struct {
	const char *cidr, *text;
} golden_blocks[] = {
	{"10.244.2.0/30",
	 "{\"cidr\":\"10.244.2.0/"
	 "30\",\"affinity\":null,\"strictAffinity\":false,\"allocations\":[0,"
	 "null,null,null],\"unallocated\":[1,2,3],\"attributes\":[{\"handle_id\":null,"
	 "\"secondary\":null}],\"sequenceNumber\":0,\"sequenceNumberForAllocation\":{},"
	 "\"deleted\":false}"},
	{"10.20.241.64/28",
	 "{\"cidr\":\"10.20.241.64/28\",\"affinity\":\"host:master01\",\"allocations\":[0,null,1,"
	 "null,null,null,null,null,null,null,2,2,null,null,null,null],\"unallocated\":[12,13,14,15,"
	 "1,3,4,5,6,7,8,9],\"attributes\":[{\"handle_id\":\"ipip-tunnel-addr-master01\","
	 "\"secondary\":{\"node\":\"master01\",\"type\":\"ipipTunnelAddress\"}},{\"handle_id\":"
	 "\"k8s-pod-network.b2f0dd\",\"secondary\":{\"namespace\":\"kube-system\",\"node\":"
	 "\"master01\",\"pod\":\"coredns-85d9df8444-4m2vw\",\"timestamp\":\"2024-01-09 08:51:14."
	 "871 +0000 UTC\"}},{\"handle_id\":\"two\",\"secondary\":{\"node\":\"master02\"}}],"
	 "\"sequenceNumber\":1704790274889236721,\"sequenceNumberForAllocation\":{\"0\":"
	 "1704790274889236717,\"10\":1704790274889236718,\"11\":1704790274889236719,\"2\":"
	 "1704790274889236720},\"deleted\":false}"},
	{"10.0.0.8/31",
	 "{\"cidr\":\"10.0.0.8/31\",\"affinity\":\"virtual:load-balancer\",\"allocations\":[null,"
	 "null],\"unallocated\":[1,0],\"attributes\":[],\"sequenceNumber\":5,"
	 "\"sequenceNumberForAllocation\":{},\"deleted\":false,\"affinityClaimTime\":"
	 "\"2025-03-01T10:00:00Z\",\"future\":{\"b\":[1,2.5,null],\"a\":\"\xc3\xa4\"}}"},
	{"10.0.0.8/32",
	 "{\"cidr\":\"10.0.0.8/32\",\"affinity\":\"host:n\",\"allocations\":[0],\"unallocated\":[],"
	 "\"attributes\":[{\"handle_id\":\"h\",\"secondary\":{\"node\":\"n\"},\"alternate\":{\"x\":"
	 "\"y\"}}],\"sequenceNumber\":5,\"sequenceNumberForAllocation\":{\"0\":4},"
	 "\"deleted\":false}"},
};

static void test_golden_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(golden_blocks) / sizeof(golden_blocks[0]); i++) {
		struct cv_prefix cidr = ipam_prefix(golden_blocks[i].cidr);
		struct cv_block block;
		struct cv_error error = {""};
		char *text;

		if (cv_block_parse(golden_blocks[i].text, &cidr, &block, &error))
			fail_msg("%s", error.text);
		text = cv_block_print(&block);
		assert_string_equal(text, golden_blocks[i].text);
		free(text);
		cv_block_fini(&block);
	}
}

static void test_reads_calico(void **state)
{
	struct cv_prefix cidr = ipam_prefix(golden_blocks[1].cidr);
	struct cv_block block;
	struct cv_ranges none = {0};
	uint32_t ordinal;

	(void)state;
	assert_int_equal(cv_block_parse(golden_blocks[1].text, &cidr, &block, NULL), 0);
	assert_string_equal(cv_block_node(&block), "master01");
	assert_true(cv_block_is_of(&block, "master01"));
	assert_int_equal(cv_block_count_allocated(&block), 4);
	assert_int_equal(cv_block_count_free(&block, &none), 12);
	assert_true(cv_block_next(&block, &none, &ordinal));
	assert_int_equal(ordinal, 12);
	assert_int_equal(cv_block_find(&block, "two", 0), 10);
	assert_int_equal(cv_block_find(&block, "two", 11), 11);
	assert_int_equal(cv_block_find(&block, "three", 0), 16);
	assert_int_equal(cv_block_address(&block, 10), ipam_address("10.20.241.74"));
	assert_string_equal(cv_block_attribute_of(&block, 10)->node, "master02");
	cv_block_release(&block, 2);
	assert_int_equal(block.attribute_count, 2);
	assert_int_equal(block.allocations[10], 1);
	cv_block_release(&block, 10);
	assert_int_equal(block.attribute_count, 2);
	cv_block_fini(&block);
	cidr = ipam_prefix(golden_blocks[2].cidr);
	assert_int_equal(cv_block_parse(golden_blocks[2].text, &cidr, &block, NULL), 0);
	assert_null(cv_block_node(&block));
	cv_block_fini(&block);
}

static void test_golden_others(void **state)
{
	static const char *const handles[] = {
		"{\"block\":{\"10.20.241.64/26\":1},\"deleted\":false}",
		("{\"block\":{\"10.20.241.64/26\":1,\"10.3.0.0/26\":2,\"fd00::/122\":1},"
		 "\"deleted\":false}"),
		"{\"block\":{},\"deleted\":true,\"handleID\":\"x\"}",
	};
	static const char *const affinities[] = {
		"{\"state\":\"confirmed\",\"deleted\":false}",
		"{\"state\":\"pending\",\"deleted\":false}",
		"{\"state\":\"pendingDeletion\",\"deleted\":true,\"type\":\"host\"}",
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct cv_handle handle;
		struct cv_affinity affinity;
		char *text;

		assert_int_equal(cv_handle_parse(handles[i], &handle, NULL), 0);
		text = cv_handle_print(&handle);
		assert_string_equal(text, handles[i]);
		free(text);
		cv_handle_fini(&handle);
		assert_int_equal(cv_affinity_parse(affinities[i], &affinity, NULL), 0);
		assert_int_equal(affinity.state, i);
		text = cv_affinity_print(&affinity);
		assert_string_equal(text, affinities[i]);
		free(text);
		cv_affinity_fini(&affinity);
	}
}

/* ---- malformed ------------------------------------------------------------------- */

static void test_bad_blocks(void **state)
{
#define DOCUMENT(members) "{\"cidr\":\"10.0.0.0/30\"," members "}"
#define FREE		  "\"allocations\":[null,null,null,null]"
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"", "no JSON"},
		{"[]", "no JSON object"},
		{"{\"a\":1,\"a\":2}", "duplicate"},
		{"{}", "cidr is \"\", not 10.0.0.0/30"},
		{"{\"cidr\":\"10.0.0.0/29\"}", "cidr is \"10.0.0.0/29\", not 10.0.0.0/30"},
		{DOCUMENT("\"affinity\":5"), "affinity is no text"},
		{DOCUMENT("\"strictAffinity\":\"yes\""), "neither true nor false"},
		{DOCUMENT("\"affinity\":null"), "allocations is no list of 4"},
		{DOCUMENT("\"allocations\":[null,null,null]"), "allocations is no list of 4"},
		{DOCUMENT("\"allocations\":[0,null,null,null]"), "that of ordinal 0 is neither"},
		{DOCUMENT("\"allocations\":[null,-1,null,null]"), "that of ordinal 1 is neither"},
		{DOCUMENT("\"allocations\":[null,1.5,null,null]"), "that of ordinal 1 is neither"},
		{DOCUMENT(FREE ",\"unallocated\":{}"), "unallocated is no list"},
		{DOCUMENT(FREE ",\"unallocated\":[0,4]"), "no ordinal of the block"},
		{DOCUMENT(FREE ",\"unallocated\":[1,2,1]"), "ordinal 1 stands twice"},
		{DOCUMENT("\"attributes\":[{}],\"allocations\":[null,0,null,null],"
			  "\"unallocated\":[0,1]"),
		 "ordinal 1 is both allocated and unallocated"},
		{DOCUMENT("\"attributes\":{}"), "attributes is no list"},
		{DOCUMENT("\"attributes\":[3]"), "an attribute is no object"},
		{DOCUMENT("\"attributes\":[{\"handle_id\":3}]"), "an attribute is no object"},
		{DOCUMENT("\"attributes\":[{\"secondary\":{\"node\":3}}]"),
		 "an attribute is no object"},
		{DOCUMENT(FREE ",\"sequenceNumber\":-1"), "sequenceNumber"},
		{DOCUMENT(FREE ",\"sequenceNumberForAllocation\":{\"x\":1}"), "an entry"},
		{DOCUMENT(FREE ",\"sequenceNumberForAllocation\":{\"4\":1}"), "an entry"},
	};
	struct cv_prefix cidr = ipam_prefix("10.0.0.0/30");
	struct cv_block block;
	struct cv_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(cv_block_parse(cases[i].text, &cidr, &block, &error), -EUCLEAN);
		if (!strstr(error.text, cases[i].words))
			fail_msg("%s: \"%s\"", cases[i].text, error.text);
	}
	cidr.length = 19;
	assert_int_equal(cv_block_parse("{}", &cidr, &block, &error), -EUCLEAN);
	/* An address that is in no list is nobody's, and goes to the end. */
	cidr.length = 30;
	assert_int_equal(
		cv_block_parse(DOCUMENT(FREE ",\"unallocated\":[3,1]"), &cidr, &block, &error), 0);
	assert_int_equal(block.queue_count, 4);
	assert_int_equal(block.queue[0], 3);
	assert_int_equal(block.queue[2], 0);
	assert_int_equal(block.queue[3], 2);
	cv_block_fini(&block);
}

static void test_bad_others(void **state)
{
	struct cv_handle handle;
	struct cv_affinity affinity;
	struct cv_error error;

	(void)state;
	assert_int_equal(cv_handle_parse("{\"block\":[]}", &handle, &error), -EUCLEAN);
	assert_int_equal(cv_handle_parse("{\"block\":{\"10.0.0.0/26\":-1}}", &handle, &error),
			 -EUCLEAN);
	assert_int_equal(cv_handle_parse("{\"block\":{\"10.0.0.0/26\":\"1\"}}", &handle, &error),
			 -EUCLEAN);
	assert_non_null(strstr(error.text, "10.0.0.0/26"));
	assert_int_equal(cv_handle_parse("{\"block\":null}", &handle, &error), 0);
	assert_true(cv_handle_is_empty(&handle));
	cv_handle_fini(&handle);
	assert_int_equal(cv_affinity_parse("{\"state\":\"maybe\"}", &affinity, &error), -EUCLEAN);
	assert_string_equal(error.text, "state is \"maybe\"");
	assert_int_equal(cv_affinity_parse("{\"state\":1}", &affinity, &error), -EUCLEAN);
	assert_int_equal(cv_affinity_parse("{}", &affinity, &error), 0);
	assert_int_equal(affinity.state, CV_IPAM_CONFIRMED);
}

/* ---- keys ------------------------------------------------------------------------ */

static void test_keys(void **state)
{
	static const char *const no_keys[] = {
		"ipam/v2/assignment/ipv4/block/10.0.0.0",
		"ipam/v2/assignment/ipv4/block/10.0.0.1-24",
		"ipam/v2/assignment/ipv4/block/10.0.0.0-24-",
		"ipam/v2/assignment/ipv6/block/fd00::-122",
		"ipam/v2/assignment/ipv4/block/100.100.100.100-320",
		"ipam/v2/host//ipv4/block/10.0.0.0-24",
		"ipam/v2/host/n/ipv6/block/10.0.0.0-24",
		"ipam/v2/host/n/ipv4/10.0.0.0-24",
		"ipam/v2/handle/",
		"ipam/v2/handle/a/b",
		"resources/v3/x",
	};
	struct cv_prefix cidr = ipam_prefix("10.244.1.64/26"), read;
	char key[CV_IPAM_KEY_MAX], node[CV_IPAM_NODE_MAX];
	const char *handle;

	(void)state;
	cv_ipam_key_block(&cidr, key);
	assert_string_equal(key, "ipam/v2/assignment/ipv4/block/10.244.1.64-26");
	assert_true(cv_ipam_key_is_block(key, &read));
	assert_int_equal(cv_prefix_compare(&read, &cidr), 0);
	assert_false(cv_ipam_key_is_affinity(key, node, &read));
	cv_ipam_key_affinity("node-1.example", &cidr, key);
	assert_string_equal(key, "ipam/v2/host/node-1.example/ipv4/block/10.244.1.64-26");
	assert_true(cv_ipam_key_is_affinity(key, node, &read));
	assert_string_equal(node, "node-1.example");
	assert_int_equal(cv_prefix_compare(&read, &cidr), 0);
	cv_ipam_key_handle("k8s.x", key);
	assert_true(cv_ipam_key_is_handle(key, &handle));
	assert_string_equal(handle, "k8s.x");
	for (size_t i = 0; i < sizeof(no_keys) / sizeof(no_keys[0]); i++) {
		assert_false(cv_ipam_key_is_block(no_keys[i], &read));
		assert_false(cv_ipam_key_is_affinity(no_keys[i], node, &read));
		assert_false(cv_ipam_key_is_handle(no_keys[i], &handle));
	}
}

/* ---- against an oracle ----------------------------------------------------------- */

enum {
	ORACLE_SIZE = 64,
	ORACLE_HANDLES = 10
};

/* Who has each address, and the order of those that are free. */
struct oracle {
	int owners[ORACLE_SIZE]; /* -1: nobody */
	uint32_t queue[ORACLE_SIZE];
	uint32_t count;
};

static void assert_same(const struct cv_block *block, const struct oracle *oracle)
{
	char handle[16];
	uint32_t references = 0;

	assert_int_equal(block->queue_count, oracle->count);
	assert_memory_equal(block->queue, oracle->queue, oracle->count * sizeof(uint32_t));
	for (uint32_t i = 0; i < ORACLE_SIZE; i++) {
		snprintf(handle, sizeof(handle), "h%d", oracle->owners[i]);
		assert_int_equal(cv_block_has(block, i, NULL), oracle->owners[i] >= 0);
		assert_int_equal(cv_block_has(block, i, handle), oracle->owners[i] >= 0);
		assert_int_equal(block->has_sequence[i], oracle->owners[i] >= 0);
	}
	for (uint32_t i = 0; i < block->attribute_count; i++)
		references += block->attributes[i].references;
	assert_int_equal(references, ORACLE_SIZE - oracle->count);
}

static void oracle_take(struct oracle *oracle, uint32_t ordinal, int owner)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < oracle->count; i++)
		if (oracle->queue[i] != ordinal)
			oracle->queue[kept++] = oracle->queue[i];
	oracle->count = kept;
	oracle->owners[ordinal] = owner;
}

static void step(struct cv_block *block, struct oracle *oracle)
{
	uint32_t ordinal = (uint32_t)random() % ORACLE_SIZE;
	int owner = (int)(random() % ORACLE_HANDLES);
	struct cv_ranges none = {0};
	char handle[16], text[64];

	if (random() % 3 == 0 && cv_block_next(block, &none, &ordinal))
		assert_int_equal(ordinal, oracle->queue[0]);
	if (oracle->owners[ordinal] >= 0) {
		cv_block_release(block, ordinal);
		oracle->owners[ordinal] = -1;
		oracle->queue[oracle->count++] = ordinal;
		return;
	}
	snprintf(handle, sizeof(handle), "h%d", owner);
	snprintf(text, sizeof(text), "{\"handle_id\":\"%s\",\"secondary\":{\"n\":\"%ld\"}}", handle,
		 random() % 2);
	assert_int_equal(cv_block_assign(block, ordinal, handle, NULL, text), 0);
	oracle_take(oracle, ordinal, owner);
}

static void test_oracle(void **state)
{
	struct cv_prefix cidr = ipam_prefix("10.0.0.0/26");
	struct cv_block block, again;
	struct oracle oracle = {.count = ORACLE_SIZE};
	char *text, *second;

	(void)state;
	srandom(5);
	assert_int_equal(cv_block_init(&block, &cidr, "n", false), 0);
	for (uint32_t i = 0; i < ORACLE_SIZE; i++) {
		oracle.owners[i] = -1;
		oracle.queue[i] = i;
	}
	for (int i = 0; i < 5000; i++) {
		step(&block, &oracle);
		assert_same(&block, &oracle);
		if (i % 10)
			continue;
		cv_block_count_change(&block);
		text = cv_block_print(&block);
		assert_int_equal(cv_block_parse(text, &cidr, &again, NULL), 0);
		second = cv_block_print(&again);
		assert_string_equal(second, text);
		free(text);
		free(second);
		cv_block_fini(&block);
		block = again;
	}
	cv_block_fini(&block);
}

/* The largest block, full. */
static void test_largest(void **state)
{
	struct cv_prefix cidr = ipam_prefix("10.240.0.0/20");
	struct cv_block block, again;
	struct cv_ranges none = {0};
	char handle[16], attribute[64];
	char *text;
	uint32_t ordinal;

	(void)state;
	assert_int_equal(cv_block_init(&block, &cidr, "n", true), 0);
	for (uint32_t i = 0; i < 4096; i++) {
		assert_true(cv_block_next(&block, &none, &ordinal));
		assert_int_equal(ordinal, i);
		snprintf(handle, sizeof(handle), "h%u", i);
		snprintf(attribute, sizeof(attribute), "{\"handle_id\":\"%s\"}", handle);
		assert_int_equal(cv_block_assign(&block, i, handle, NULL, attribute), 0);
	}
	assert_false(cv_block_next(&block, &none, &ordinal));
	text = cv_block_print(&block);
	assert_int_equal(cv_block_parse(text, &cidr, &again, NULL), 0);
	free(text);
	for (uint32_t i = 0; i < 4096; i++) {
		snprintf(handle, sizeof(handle), "h%u", i);
		assert_int_equal(cv_block_find(&again, handle, i), i);
		cv_block_release(&again, i);
	}
	assert_int_equal(again.attribute_count, 0);
	cv_block_fini(&again);
	cv_block_fini(&block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden_blocks), cmocka_unit_test(test_reads_calico),
		cmocka_unit_test(test_golden_others), cmocka_unit_test(test_bad_blocks),
		cmocka_unit_test(test_bad_others),    cmocka_unit_test(test_keys),
		cmocka_unit_test(test_oracle),	      cmocka_unit_test(test_largest),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
