/* SPDX-License-Identifier: Apache-2.0 */
/* Assigning and releasing on one host, with declared blocks: as over SQLite. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ipam_world.h"

static struct kv_memory *memory;
static struct cv_kv *kv;

static int set_up(void **state)
{
	(void)state;
	memory = kv_memory_create();
	kv = kv_memory_open(memory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cv_kv_destroy(kv);
	kv_memory_destroy(memory);
	return 0;
}

/* node-1 with 10.244.1.0/28 in blocks of /30. */
static struct cv_ipam_world small_world(void)
{
	struct cv_ipam_world world = ipam_world("node-1", "10.244.0.0/16", 30, false);

	ipam_world_declare(&world, "10.244.1.0/28");
	return world;
}

static void test_one_after_the_other(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	char handle[16], address[CV_ADDRESS_TEXT_MAX];

	(void)state;
	for (int i = 0; i < 16; i++) {
		snprintf(handle, sizeof(handle), "pod%d", i);
		snprintf(address, sizeof(address), "10.244.1.%d", i);
		ipam_expect(ipam, handle, address);
	}
	assert_int_equal(ipam_assign(ipam, "pod16", NULL), -ENOSPC);
	/* First in, first out; across the blocks, the first that has one. */
	ipam_expect_released(ipam, "pod9", 1);
	ipam_expect_released(ipam, "pod8", 1);
	ipam_expect(ipam, "new", "10.244.1.9");
	ipam_expect(ipam, "newer", "10.244.1.8");
	ipam_expect_released(ipam, "nobody", 0);
	cv_ipam_destroy(ipam);
}

static void test_not_reused_at_once(void **state)
{
	struct cv_ipam_world world = ipam_world("node-1", "10.244.0.0/16", 26, false);
	struct cv_ipam *ipam;
	char address[CV_ADDRESS_TEXT_MAX];

	(void)state;
	ipam_world_declare(&world, "10.244.1.0/26");
	ipam = ipam_open(kv, world);
	for (int i = 0; i < 200; i++) {
		snprintf(address, sizeof(address), "10.244.1.%d", i % 64);
		ipam_expect(ipam, "pod", address);
		ipam_expect_released(ipam, "pod", 1);
	}
	cv_ipam_destroy(ipam);
}

/* The common case: one commit, nothing read; after a restart, the block alone. */
static void test_costs_one_commit(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	struct kv_memory_calls calls;

	(void)state;
	ipam_expect(ipam, "a", "10.244.1.0");
	kv_memory_calls(memory);
	ipam_expect(ipam, "b", "10.244.1.1");
	calls = kv_memory_calls(memory);
	assert_int_equal(calls.commits, 1);
	assert_int_equal(calls.gets, 0);
	assert_int_equal(calls.lists, 0);
	assert_int_equal(calls.largest, 2);
	ipam_expect_released(ipam, "b", 1);
	calls = kv_memory_calls(memory);
	assert_int_equal(calls.commits, 1);
	assert_int_equal(calls.gets, 1); /* the handle */
	assert_int_equal(calls.lists, 0);
	cv_ipam_destroy(ipam);
}

static void test_survives(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());

	(void)state;
	ipam_expect(ipam, "a", "10.244.1.0");
	ipam_expect(ipam, "b", "10.244.1.1");
	ipam_expect_released(ipam, "a", 1);
	cv_ipam_destroy(ipam);
	ipam = ipam_open(kv, small_world());
	ipam_expect(ipam, "c", "10.244.1.2");
	ipam_expect(ipam, "d", "10.244.1.3");
	ipam_expect(ipam, "e", "10.244.1.0");
	cv_ipam_destroy(ipam);
}

static void test_documents(void **state)
{
	static const char block_tail[] =
		"\"attributes\":[{\"handle_id\":\"net.c1.eth0\",\"secondary\":{\"namespace\":"
		"\"default\",\"node\":\"node-1\",\"pod\":\"web\"}}],\"sequenceNumber\":";
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	struct cv_ipam_request request = {
		.handle = "net.c1.eth0",
		.attributes = {{"pod", "web"}, {"namespace", "default"}},
		.attribute_count = 2,
	};
	char *text;

	(void)state;
	assert_int_equal(ipam_request(ipam, request).rc, 0);
	text = ipam_document(kv, "ipam/v2/assignment/ipv4/block/10.244.1.0-30");
	assert_non_null(strstr(text, "{\"cidr\":\"10.244.1.0/30\",\"affinity\":\"host:node-1\","
				     "\"strictAffinity\":false,\"allocations\":[0,null,null,null],"
				     "\"unallocated\":[1,2,3],"));
	assert_non_null(strstr(text, block_tail));
	assert_non_null(strstr(text, ",\"sequenceNumberForAllocation\":{\"0\":"));
	assert_non_null(strstr(text, "},\"deleted\":false}"));
	free(text);
	text = ipam_document(kv, "ipam/v2/handle/net.c1.eth0");
	assert_string_equal(text, "{\"block\":{\"10.244.1.0/30\":1},\"deleted\":false}");
	free(text);
	text = ipam_document(kv, "ipam/v2/host/node-1/ipv4/block/10.244.1.0-30");
	assert_string_equal(text, "{\"state\":\"confirmed\",\"deleted\":false}");
	free(text);
	ipam_expect_released(ipam, "net.c1.eth0", 1);
	assert_null(ipam_document(kv, "ipam/v2/handle/net.c1.eth0"));
	text = ipam_document(kv, "ipam/v2/assignment/ipv4/block/10.244.1.0-30");
	assert_non_null(strstr(text, "\"allocations\":[null,null,null,null],"
				     "\"unallocated\":[1,2,3,0],\"attributes\":[],"));
	free(text);
	cv_ipam_destroy(ipam);
}

/* By its node an address is routed; a reserved one is to be nowhere. */
static void test_nobodys(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	struct cv_ipam_request request = {
		.handle = "reserved-10.244.1.2",
		.attributes = {{"type", "reserved"}},
		.attribute_count = 1,
		.is_nobodys = true,
	};
	char *text;

	(void)state;
	assert_int_equal(ipam_request(ipam, request).rc, 0);
	text = ipam_document(kv, "ipam/v2/assignment/ipv4/block/10.244.1.0-30");
	assert_non_null(strstr(text, "\"secondary\":{\"type\":\"reserved\"}"));
	free(text);
	cv_ipam_destroy(ipam);
}

/* ---- what is asked for ----------------------------------------------------------- */

static void expect_refused(struct cv_ipam *ipam, struct cv_ipam_request request, int rc,
			   const char *words)
{
	struct cv_ipam_result result = ipam_request(ipam, request);

	if (result.rc != rc || !strstr(result.error.text, words))
		fail_msg("%d \"%s\", not %d with \"%s\"", result.rc, result.error.text, rc, words);
	assert_int_equal(result.address, 0);
}

static void test_by_address(void **state)
{
	struct cv_ipam_world world = small_world();
	struct cv_ipam *ipam;
	struct cv_ipam_request request = {.handle = "a"};
	struct cv_ipam_result result;

	(void)state;
	ipam_world_hole(&world, "10.244.1.8/29");
	ipam_world_hole(&world, "10.244.1.9/32");
	ipam = ipam_open(kv, world);
	request.address = ipam_address("10.244.1.6");
	result = ipam_request(ipam, request);
	assert_int_equal(result.rc, 0);
	assert_int_equal(result.address, request.address);
	request.handle = "b";
	expect_refused(ipam, request, -EADDRINUSE, "10.244.1.6 is assigned to a on node-1");
	request.address = ipam_address("10.244.2.1");
	expect_refused(ipam, request, -EADDRNOTAVAIL, "in no block of this node");
	request.address = ipam_address("10.245.2.1");
	expect_refused(ipam, request, -EADDRNOTAVAIL, "in no pool");
	request.address = ipam_address("10.244.1.9");
	expect_refused(ipam, request, -EADDRNOTAVAIL, "10.244.1.9/32 is reserved");
	request.address = ipam_address("10.244.1.10");
	expect_refused(ipam, request, -EADDRNOTAVAIL, "10.244.1.8/29 is reserved");
	/* The queue is without what was taken out of its middle. */
	ipam_expect(ipam, "c0", "10.244.1.0");
	for (int i = 1; i < 4; i++)
		assert_int_equal(ipam_assign(ipam, "c", NULL), 0);
	ipam_expect(ipam, "c4", "10.244.1.4");
	ipam_expect(ipam, "c5", "10.244.1.5");
	ipam_expect(ipam, "c7", "10.244.1.7");
	assert_int_equal(ipam_assign(ipam, "d", NULL), -ENOSPC);
	cv_ipam_destroy(ipam);
}

static void test_by_pool(void **state)
{
	struct cv_ipam_world world = small_world();
	struct cv_ipam_pool *pool = ipam_world_pool(&world, "manual", "10.250.0.0/24", 30);
	struct cv_ipam *ipam;
	const char *names[] = {"manual"}, *cidrs[] = {"10.250.0.0/24"}, *none[] = {"manul"};
	const char *tunnels[] = {"tunnels"};
	struct cv_ipam_request request = {.handle = "a", .pools = names, .pool_count = 1};

	(void)state;
	pool->is_manual = true;
	pool = ipam_world_pool(&world, "tunnels", "10.251.0.0/24", 30);
	pool->for_workload = false;
	ipam_world_declare(&world, "10.250.0.4/30");
	ipam_world_declare(&world, "10.251.0.0/30");
	ipam = ipam_open(kv, world);
	ipam_expect(ipam, "b", "10.244.1.0");
	assert_int_equal(ipam_request(ipam, request).address, ipam_address("10.250.0.4"));
	request.pools = cidrs;
	assert_int_equal(ipam_request(ipam, request).address, ipam_address("10.250.0.5"));
	request.pools = none;
	expect_refused(ipam, request, -ENOENT, "no pool \"manul\"");
	request.pools = tunnels;
	expect_refused(ipam, request, -ENOSPC, "no address is free");
	request.for_tunnel = true;
	assert_int_equal(ipam_request(ipam, request).address, ipam_address("10.251.0.0"));
	ipam_expect_released(ipam, "a", 3);
	cv_ipam_destroy(ipam);
}

static void test_holes(void **state)
{
	struct cv_ipam_world world = small_world();
	struct cv_ipam *ipam;

	(void)state;
	ipam_world_hole(&world, "10.244.1.0/32");
	ipam_world_hole(&world, "10.244.1.4/30"); /* a whole block: it is never made */
	ipam = ipam_open(kv, world);
	ipam_expect(ipam, "a", "10.244.1.1");
	ipam_expect(ipam, "b", "10.244.1.2");
	ipam_expect(ipam, "c", "10.244.1.3");
	ipam_expect(ipam, "d", "10.244.1.8");
	assert_null(ipam_document(kv, "ipam/v2/assignment/ipv4/block/10.244.1.4-30"));
	cv_ipam_destroy(ipam);
	/* What becomes a hole later is not given again, although the document has it as free. */
	world = small_world();
	ipam_world_hole(&world, "10.244.1.1/32");
	ipam = ipam_open(kv, world);
	ipam_expect_released(ipam, "a", 1);
	ipam_expect(ipam, "e", "10.244.1.0");
	ipam_expect(ipam, "f", "10.244.1.4");
	cv_ipam_destroy(ipam);
}

static void test_repeated(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	struct cv_ipam_request request = {.handle = "a", .is_repeated = true};
	struct cv_ipam_result result = ipam_request(ipam, request);
	__be32 first = result.address;

	(void)state;
	assert_false(result.was_there);
	result = ipam_request(ipam, request);
	assert_true(result.was_there);
	assert_int_equal(result.address, first);
	/* Of a handle that nobody remembers. */
	cv_ipam_destroy(ipam);
	ipam = ipam_open(kv, small_world());
	result = ipam_request(ipam, request);
	assert_true(result.was_there);
	assert_int_equal(result.address, first);
	request.address = ipam_address("10.244.1.7");
	result = ipam_request(ipam, request);
	assert_false(result.was_there);
	result = ipam_request(ipam, request);
	assert_true(result.was_there);
	assert_int_equal(result.address, ipam_address("10.244.1.7"));
	/* Somebody else has released them meanwhile: what is remembered is no answer. */
	{
		struct cv_kv *other_kv = kv_memory_open(memory);
		struct cv_ipam *other = ipam_open(other_kv, small_world());

		ipam_expect_released(other, "a", 2);
		cv_ipam_destroy(other);
		cv_kv_destroy(other_kv);
	}
	result = ipam_request(ipam, request);
	assert_int_equal(result.rc, 0);
	assert_false(result.was_there);
	ipam_expect_released(ipam, "a", 1);
	cv_ipam_destroy(ipam);
}

/* All blocks are full, by the very handle that asks again after a restart. */
static void test_repeated_when_full(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	struct cv_ipam_request request = {.handle = "all", .is_repeated = true};
	struct cv_ipam_result result;

	(void)state;
	for (int i = 0; i < 16; i++)
		assert_int_equal(ipam_assign(ipam, "all", NULL), 0);
	cv_ipam_destroy(ipam);
	ipam = ipam_open(kv, small_world());
	result = ipam_request(ipam, request);
	assert_int_equal(result.rc, 0);
	assert_true(result.was_there);
	cv_ipam_destroy(ipam);
	ipam = ipam_open(kv, small_world());
	request.handle = "other";
	assert_int_equal(ipam_request(ipam, request).rc, -ENOSPC);
	cv_ipam_destroy(ipam);
}

/* Nothing is declared for the node yet. */
static void test_without_blocks(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, ipam_world("node-1", "10.244.0.0/16", 30, false));

	(void)state;
	assert_int_equal(ipam_assign(ipam, "a", NULL), -ENOSPC);
	ipam_expect_released(ipam, "a", 0);
	cv_ipam_destroy(ipam);
}

static void test_many_at_once(void **state)
{
	enum {
		MANY = 300
	};
	struct cv_ipam_world world = ipam_world("node-1", "10.244.0.0/16", 26, false);
	static struct cv_ipam_request requests[MANY];
	static struct cv_ipam_result results[MANY];
	static char handles[MANY][16];
	static const char *names[MANY];
	struct kv_memory_calls calls;
	struct cv_ipam *ipam;
	size_t count = 0;

	(void)state;
	ipam_world_declare(&world, "10.244.0.0/24");
	ipam = ipam_open(kv, world);
	for (int i = 0; i < MANY; i++) {
		snprintf(handles[i], sizeof(handles[i]), "pod%d", i);
		names[i] = handles[i];
		requests[i] = (struct cv_ipam_request){.handle = handles[i]};
	}
	/* 256 there are. */
	assert_int_equal(cv_ipam_assign(ipam, requests, MANY, results), MANY - 256);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(results[i].rc, i < 256 ? 0 : -ENOSPC);
		for (int j = 0; i < 256 && j < i; j++)
			assert_int_not_equal(results[i].address, results[j].address);
	}
	calls = kv_memory_calls(memory);
	assert_in_range(calls.commits, 1, 4);
	assert_in_range(calls.largest, 90, CV_KV_OPERATIONS);
	assert_int_equal(cv_ipam_release(ipam, names, MANY, &count, NULL), 0);
	assert_int_equal(count, 256);
	calls = kv_memory_calls(memory);
	assert_in_range(calls.commits, 1, 4);
	cv_ipam_destroy(ipam);
}

/* One handle in more blocks than a commit can change. */
static void test_handle_of_many_blocks(void **state)
{
	struct cv_ipam_world world = ipam_world("node-1", "10.244.0.0/16", 31, false);
	struct cv_ipam *ipam;
	char *text;

	(void)state;
	ipam_world_declare(&world, "10.244.0.0/23");
	ipam = ipam_open(kv, world);
	for (int i = 0; i < 300; i++)
		assert_int_equal(ipam_assign(ipam, "much", NULL), 0);
	ipam_expect_released(ipam, "much", 300);
	assert_null(ipam_document(kv, "ipam/v2/handle/much"));
	text = ipam_document(kv, "ipam/v2/assignment/ipv4/block/10.244.1.0-31");
	assert_non_null(strstr(text, "\"allocations\":[null,null]"));
	free(text);
	cv_ipam_destroy(ipam);
}

static void test_release_address(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	struct cv_error error;
	__be32 first = ipam_address("10.244.1.0");
	char *text;

	(void)state;
	ipam_expect(ipam, "a", "10.244.1.0");
	ipam_expect(ipam, "a", "10.244.1.1");
	assert_int_equal(cv_ipam_release_address(ipam, first, "b", &error), -EPERM);
	assert_string_equal(error.text, "10.244.1.0 is assigned to a, not to b");
	assert_int_equal(cv_ipam_release_address(ipam, first, "a", &error), 0);
	text = ipam_document(kv, "ipam/v2/handle/a");
	assert_string_equal(text, "{\"block\":{\"10.244.1.0/30\":1},\"deleted\":false}");
	free(text);
	assert_int_equal(cv_ipam_release_address(ipam, first, NULL, &error), -ENOENT);
	assert_string_equal(error.text, "10.244.1.0 is not assigned");
	assert_int_equal(cv_ipam_release_address(ipam, ipam_address("192.0.2.1"), NULL, &error),
			 -ENOENT);
	assert_int_equal(cv_ipam_release_address(ipam, ipam_address("10.244.1.1"), NULL, &error),
			 0);
	assert_null(ipam_document(kv, "ipam/v2/handle/a"));
	cv_ipam_destroy(ipam);
}

static void test_refuses_handles(void **state)
{
	static const char *const bad[] = {"", "a/b", "a b", "\xc3\xa4", "a\n"};
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	char longest[CV_IPAM_HANDLE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ipam_assign(ipam, bad[i], NULL), -EINVAL);
	memset(longest, 'h', sizeof(longest));
	longest[CV_IPAM_HANDLE_MAX] = '\0';
	assert_int_equal(ipam_assign(ipam, longest, NULL), -EINVAL);
	longest[CV_IPAM_HANDLE_MAX - 1] = '\0';
	assert_int_equal(ipam_assign(ipam, longest, NULL), 0);
	ipam_expect_released(ipam, longest, 1);
	cv_ipam_destroy(ipam);
}

/* ---- what is there is not what should be ----------------------------------------- */

static void test_malformed_is_kept(void **state)
{
	static const char key[] = "ipam/v2/assignment/ipv4/block/10.244.1.0-30";
	static const char broken[] = "{\"cidr\":\"10.244.1.0/30\",\"allocations\":[0,null]}";
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	struct cv_ipam_request request = {.handle = "a", .address = ipam_address("10.244.1.1")};
	char *text;

	(void)state;
	ipam_put(kv, key, broken);
	ipam_put(kv, "ipam/v2/handle/b", "[1]");
	expect_refused(ipam, request, -EUCLEAN, key);
	ipam_expect(ipam, "a", "10.244.1.4");
	text = ipam_document(kv, key);
	assert_string_equal(text, broken);
	free(text);
	expect_refused(ipam, (struct cv_ipam_request){.handle = "b"}, -EUCLEAN, "handle/b");
	text = ipam_document(kv, "ipam/v2/handle/b");
	assert_string_equal(text, "[1]");
	free(text);
	cv_ipam_destroy(ipam);
}

/* A pool that was made anew with another blockSize: the former blocks' addresses are not given a
 * second time. */
static void test_block_size_changed(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());
	struct cv_ipam_world world;

	(void)state;
	ipam_expect(ipam, "a", "10.244.1.0");
	cv_ipam_destroy(ipam);
	for (uint8_t size = 28; size <= 32; size++) {
		if (size == 30)
			continue;
		world = ipam_world("node-1", "10.244.0.0/16", size, false);
		ipam_world_declare(&world, "10.244.1.0/28");
		ipam = ipam_open(kv, world);
		if (size < 30)
			assert_int_equal(ipam_assign(ipam, "b", NULL), size == 28 ? -ENOSPC : 0);
		else
			ipam_expect(ipam, "c", size == 31 ? "10.244.1.4" : "10.244.1.6");
		cv_ipam_destroy(ipam);
	}
}

/* Handles count what a block does not have, and the other way round. */
static void test_stray_handles(void **state)
{
	struct cv_ipam *ipam = ipam_open(kv, small_world());

	(void)state;
	ipam_put(kv, "ipam/v2/handle/stray",
		 "{\"block\":{\"10.244.1.0/30\":2,\"10.99.0.0/26\":1},\"deleted\":false}");
	ipam_expect(ipam, "stray", "10.244.1.0");
	ipam_expect_released(ipam, "stray", 1);
	assert_null(ipam_document(kv, "ipam/v2/handle/stray"));
	ipam_expect(ipam, "lost", "10.244.1.1");
	ipam_put(kv, "ipam/v2/handle/lost", NULL);
	ipam_expect_released(ipam, "lost", 1);
	/* What is of IPv6 is Calico's. */
	ipam_put(kv, "ipam/v2/handle/dual", "{\"block\":{\"fd00::/122\":1},\"deleted\":false}");
	ipam_expect(ipam, "dual", "10.244.1.2");
	ipam_expect_released(ipam, "dual", 1);
	{
		char *text = ipam_document(kv, "ipam/v2/handle/dual");

		assert_string_equal(text, "{\"block\":{\"fd00::/122\":1},\"deleted\":false}");
		free(text);
	}
	cv_ipam_destroy(ipam);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_after_the_other),
		TEST(test_not_reused_at_once),
		TEST(test_costs_one_commit),
		TEST(test_survives),
		TEST(test_documents),
		TEST(test_nobodys),
		TEST(test_by_address),
		TEST(test_by_pool),
		TEST(test_holes),
		TEST(test_repeated),
		TEST(test_repeated_when_full),
		TEST(test_without_blocks),
		TEST(test_many_at_once),
		TEST(test_handle_of_many_blocks),
		TEST(test_release_address),
		TEST(test_refuses_handles),
		TEST(test_malformed_is_kept),
		TEST(test_block_size_changed),
		TEST(test_stray_handles),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
