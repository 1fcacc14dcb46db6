/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at all documents, finding what does not fit together, mending it. */
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

#define BLOCK(text)  "ipam/v2/assignment/ipv4/block/" text
#define HOST(text)   "ipam/v2/host/" text
#define HANDLE(text) "ipam/v2/handle/" text

static struct kv_memory *memory;
static struct cv_kv *kv;
static struct cv_ipam *ipam;
static struct cv_ipam_view view;

static int set_up(void **state)
{
	struct cv_ipam_world world = ipam_world("node-1", "10.244.0.0/24", 30, true);

	(void)state;
	ipam_world_node(&world, "node-1");
	ipam_world_node(&world, "node-2");
	memory = kv_memory_create();
	kv = kv_memory_open(memory);
	ipam = ipam_open(kv, world);
	view = (struct cv_ipam_view){0};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cv_ipam_view_fini(&view);
	cv_ipam_destroy(ipam);
	cv_kv_destroy(kv);
	kv_memory_destroy(memory);
	return 0;
}

static void look(void)
{
	cv_ipam_view_fini(&view);
	assert_int_equal(cv_ipam_look(ipam, &view, NULL), 0);
}

static const char *fault_text(size_t i)
{
	static char text[1024];

	snprintf(text, sizeof(text), "%s %s: %s%s", cv_ipam_fault_name(view.faults[i].kind),
		 view.faults[i].key, view.faults[i].text, view.faults[i].is_fixable ? "" : " !");
	return text;
}

/* There is one fault; mending it leaves none. */
static void expect_fault(const char *text)
{
	size_t mended;

	look();
	if (view.fault_count != 1)
		fail_msg("%zu faults: %s", view.fault_count, view.fault_count ? fault_text(0) : "");
	assert_string_equal(fault_text(0), text);
	assert_int_equal(cv_ipam_fix(ipam, view.faults, 1, &mended, NULL), 0);
	assert_int_equal(mended, view.faults[0].is_fixable);
	if (!view.faults[0].is_fixable)
		return;
	/* What is not so any more is left alone. */
	assert_int_equal(cv_ipam_fix(ipam, view.faults, 1, &mended, NULL), 0);
	assert_int_equal(mended, 0);
	look();
	if (view.fault_count)
		fail_msg("%s", fault_text(0));
}

/* A block with its first address given. */
static void put_block(const char *cidr, const char *owner, const char *handle, const char *node)
{
	char key[128], text[512];

	snprintf(key, sizeof(key), BLOCK("%s"), cidr);
	*strchr(key + strlen(BLOCK("")), '/') = '-';
	snprintf(text, sizeof(text),
		 "{\"cidr\":\"%s\",\"affinity\":\"host:%s\",\"allocations\":[0,null,null,null],"
		 "\"unallocated\":[1,2,3],\"attributes\":[{\"handle_id\":\"%s\",\"secondary\":"
		 "{\"node\":\"%s\"}}],\"deleted\":false}",
		 cidr, owner, handle, node);
	ipam_put(kv, key, text);
}

static void put_affinity(const char *node, const char *cidr)
{
	char key[128];

	snprintf(key, sizeof(key), HOST("%s/ipv4/block/%s"), node, cidr);
	ipam_put(kv, key, "{\"state\":\"confirmed\",\"deleted\":false}");
}

static void test_shows(void **state)
{
	struct cv_ipam_request request = {
		.handle = "a",
		.address = ipam_address("10.244.0.6"),
		.attributes = {{"pod", "web"}, {"namespace", "default"}},
		.attribute_count = 2,
	};
	const struct cv_ipam_assignment *assignment;

	(void)state;
	assert_int_equal(ipam_request(ipam, request).rc, 0);
	request.address = ipam_address("10.244.0.5");
	request.handle = "b";
	assert_int_equal(ipam_request(ipam, request).rc, 0);
	look();
	assert_int_equal(view.fault_count, 0);
	assert_int_equal(view.block_count, 1);
	assert_string_equal(view.blocks[0].node, "node-1");
	assert_true(view.blocks[0].has_affinity);
	assert_false(view.blocks[0].is_strict);
	assert_int_equal(view.blocks[0].free, 2);
	assert_int_equal(view.blocks[0].holes, 0);
	assert_int_equal(view.blocks[0].assignment_count, 2);
	assignment = &view.blocks[0].assignments[0];
	assert_int_equal(assignment->address, ipam_address("10.244.0.5"));
	assert_string_equal(assignment->handle, "b");
	assert_int_equal(assignment->attribute_count, 3);
	assert_string_equal(assignment->attributes[2].name, "pod");
	assert_string_equal(assignment->attributes[2].value, "web");
	assert_string_equal(view.blocks[0].assignments[1].handle, "a");
}

static void test_handles(void **state)
{
	char *text;

	(void)state;
	put_block("10.244.0.4/30", "node-1", "a", "node-1");
	put_affinity("node-1", "10.244.0.4-30");
	expect_fault("handle-missing " HANDLE("a") ": it is missing: block 10.244.0.4/30 has 1 "
						   "address of it");
	text = ipam_document(kv, HANDLE("a"));
	assert_string_equal(text, "{\"block\":{\"10.244.0.4/30\":1},\"deleted\":false}");
	free(text);
	ipam_put(kv, HANDLE("a"),
		 "{\"block\":{\"10.244.0.4/30\":3,\"10.9.0.0/26\":1,"
		 "\"fd00::/122\":1},\"deleted\":false,\"more\":[1]}");
	expect_fault("handle-count " HANDLE("a") ": it counts 3 in block 10.244.0.4/30, which has "
						 "1 of it");
	text = ipam_document(kv, HANDLE("a"));
	assert_string_equal(text, "{\"block\":{\"10.244.0.4/30\":1,\"fd00::/122\":1},"
				  "\"deleted\":false,\"more\":[1]}");
	free(text);
	ipam_put(kv, HANDLE("a"), "{\"block\":{\"fd00::/122\":1},\"deleted\":false}");
	expect_fault("handle-count " HANDLE("a") ": it counts none in block 10.244.0.4/30, which "
						 "has 1 of it");
	ipam_put(kv, HANDLE("b"), "{\"block\":{\"10.244.0.4/30\":1},\"deleted\":false}");
	expect_fault("handle-count " HANDLE("b") ": it counts 1 in block 10.244.0.4/30, which has "
						 "0 of it");
	assert_null(ipam_document(kv, HANDLE("b")));
	ipam_put(kv, HANDLE("c"), "{\"block\":{},\"deleted\":false}");
	expect_fault("handle-count " HANDLE("c") ": it has no address");
}

static void test_affinities(void **state)
{
	(void)state;
	ipam_expect_released(ipam, "none", 0);
	put_block("10.244.0.4/30", "node-2", "a", "node-2");
	ipam_put(kv, HANDLE("a"), "{\"block\":{\"10.244.0.4/30\":1},\"deleted\":false}");
	expect_fault("affinity-missing " BLOCK("10.244.0.4-30") ": it is of node node-2, which has "
								"no affinity to it");
	put_affinity("node-1", "10.244.0.4-30");
	expect_fault("affinity-stray " HOST("node-1/ipv4/block/10.244.0.4-30") ": its block is "
									       "node-2's");
	put_affinity("node-1", "10.244.0.8-30");
	expect_fault("affinity-stray " HOST("node-1/ipv4/block/10.244.0.8-30") ": its block is "
									       "missing");
	ipam_put(kv, HOST("node-2/ipv4/block/10.244.0.4-30"), "{\"state\":\"pending\"}");
	expect_fault("affinity-missing " BLOCK("10.244.0.4-30") ": it is of node node-2, whose "
								"affinity is not confirmed");
	/* What else Calico keeps of hosts. */
	ipam_put(kv, HOST("node-2/ipv6/block/fd00::-122"), "{}");
	look();
	assert_int_equal(view.fault_count, 0);
}

static void test_node_gone(void **state)
{
	char *text;

	(void)state;
	put_block("10.244.0.4/30", "old", "a", "old");
	put_affinity("old", "10.244.0.4-30");
	ipam_put(kv, HANDLE("a"), "{\"block\":{\"10.244.0.4/30\":1},\"deleted\":false}");
	expect_fault("node-gone " BLOCK("10.244.0.4-30") ": its node old is no more");
	assert_null(ipam_document(kv, BLOCK("10.244.0.4-30")));
	assert_null(ipam_document(kv, HOST("old/ipv4/block/10.244.0.4-30")));
	assert_null(ipam_document(kv, HANDLE("a")));
	/* What another node has borrowed of it stays. */
	put_block("10.244.0.8/30", "old", "b", "node-2");
	put_affinity("old", "10.244.0.8-30");
	ipam_put(kv, HANDLE("b"), "{\"block\":{\"10.244.0.8/30\":1},\"deleted\":false}");
	expect_fault("node-gone " BLOCK("10.244.0.8-30") ": its node old is no more");
	text = ipam_document(kv, BLOCK("10.244.0.8-30"));
	assert_non_null(strstr(text, "\"affinity\":null,\"allocations\":[0,null,null,null]"));
	free(text);
	assert_null(ipam_document(kv, HOST("old/ipv4/block/10.244.0.8-30")));
}

/* The block's node is there, who has borrowed of it is not. */
static void test_borrower_gone(void **state)
{
	char *text;

	(void)state;
	put_block("10.244.0.4/30", "node-2", "a", "old");
	put_affinity("node-2", "10.244.0.4-30");
	ipam_put(kv, HANDLE("a"), "{\"block\":{\"10.244.0.4/30\":1},\"deleted\":false}");
	expect_fault("node-gone " BLOCK("10.244.0.4-30") ": node old, which is no more, has "
							 "addresses of it");
	text = ipam_document(kv, BLOCK("10.244.0.4-30"));
	assert_non_null(strstr(text, "\"affinity\":\"host:node-2\",\"allocations\":[null,"));
	free(text);
	assert_null(ipam_document(kv, HANDLE("a")));
}

static void put_newcomers(const char *node)
{
	put_block("10.244.0.4/30", node, "b", node);
	put_affinity(node, "10.244.0.4-30");
	ipam_put(kv, HANDLE("b"), "{\"block\":{\"10.244.0.4/30\":1},\"deleted\":false}");
}

/*
 * A node that has come since, and that the world here does not have yet, has taken over the block
 * that was found to be of one that is gone: its addresses are in use. It may also have borrowed of
 * a block while that is mended.
 */
static void test_newcomer(void **state)
{
	char *before, *after;
	size_t mended;

	(void)state;
	put_block("10.244.0.4/30", "old", "a", "old");
	put_affinity("old", "10.244.0.4-30");
	look();
	assert_int_equal(view.faults[0].kind, CV_IPAM_FAULT_NODE_GONE);
	assert_string_equal(view.faults[0].node, "old");
	ipam_put(kv, HOST("old/ipv4/block/10.244.0.4-30"), NULL);
	put_newcomers("new");
	before = ipam_document(kv, BLOCK("10.244.0.4-30"));
	assert_int_equal(cv_ipam_fix(ipam, view.faults, 1, &mended, NULL), 0);
	assert_int_equal(mended, 0);
	after = ipam_document(kv, BLOCK("10.244.0.4-30"));
	assert_string_equal(after, before);
	free(before);
	free(after);

	put_block("10.244.0.8/30", "old", "c", "new");
	put_affinity("old", "10.244.0.8-30");
	ipam_put(kv, HANDLE("c"), "{\"block\":{\"10.244.0.8/30\":1},\"deleted\":false}");
	look();
	assert_int_equal(view.fault_count, 3); /* "new" is gone, too, as far as is known here */
	for (size_t i = 0; i < view.fault_count; i++)
		if (!strcmp(view.faults[i].node, "old"))
			assert_int_equal(cv_ipam_fix(ipam, &view.faults[i], 1, &mended, NULL), 0);
	after = ipam_document(kv, BLOCK("10.244.0.8-30"));
	assert_non_null(strstr(after, "\"affinity\":null,\"allocations\":[0,null,null,null]"));
	free(after);
}

/* A node of that name has come back, which is not known here yet: it has its Node. */
static void test_returned(void **state)
{
	static const char node[] = "resources/v3/projectcalico.org/nodes/old";
	char *before, *after;
	size_t mended;

	(void)state;
	put_block("10.244.0.4/30", "old", "a", "old");
	put_affinity("old", "10.244.0.4-30");
	ipam_put(kv, HANDLE("a"), "{\"block\":{\"10.244.0.4/30\":1},\"deleted\":false}");
	before = ipam_document(kv, BLOCK("10.244.0.4-30"));
	ipam_put(kv, node, "{}");
	look();
	assert_int_equal(view.fault_count, 1);
	assert_int_equal(cv_ipam_fix(ipam, view.faults, 1, &mended, NULL), 0);
	after = ipam_document(kv, BLOCK("10.244.0.4-30"));
	assert_string_equal(after, before);
	free(before);
	free(after);
	ipam_put(kv, node, NULL);
	expect_fault("node-gone " BLOCK("10.244.0.4-30") ": its node old is no more");
	assert_null(ipam_document(kv, HANDLE("a")));
}

/* More handles than one commit can change. */
static void test_large_node_gone(void **state)
{
	struct cv_ipam_world world = ipam_world("old", "10.244.0.0/16", 24, true);
	struct cv_ipam *old = ipam_open(kv, world);
	char handle[16];
	size_t mended;

	(void)state;
	for (int i = 0; i < 250; i++) {
		snprintf(handle, sizeof(handle), "pod%d", i);
		assert_int_equal(ipam_assign(old, handle, NULL), 0);
	}
	cv_ipam_destroy(old);
	look();
	for (size_t i = 0; i < view.fault_count; i++)
		assert_int_not_equal(view.faults[i].kind, CV_IPAM_FAULT_HANDLE_COUNT);
	assert_int_equal(cv_ipam_fix(ipam, view.faults, view.fault_count, &mended, NULL), 0);
	assert_true(mended > 0);
	look();
	assert_int_equal(view.block_count, 0);
	assert_int_equal(view.fault_count, 0);
}

static void test_never_mended(void **state)
{
	(void)state;
	ipam_put(kv, BLOCK("10.244.0.4-30"), "{\"cidr\":\"10.244.0.8/30\"}");
	expect_fault("malformed " BLOCK("10.244.0.4-30") ": it is malformed and nothing is done "
							 "with it: cidr is \"10.244.0.8/30\", not "
							 "10.244.0.4/30 as its key says !");
	/* Its handle counts what cannot be seen, and its affinity is right. */
	ipam_put(kv, HANDLE("a"), "{\"block\":{\"10.244.0.4/30\":1},\"deleted\":false}");
	put_affinity("node-1", "10.244.0.4-30");
	look();
	assert_int_equal(view.fault_count, 1);
	ipam_put(kv, BLOCK("10.244.0.4-30"), NULL);
	put_block("10.244.0.4/30", "node-1", "a", "node-1");
	ipam_put(kv, BLOCK("10.244.0.6-31"),
		 "{\"cidr\":\"10.244.0.6/31\",\"affinity\":null,\"allocations\":[null,null],"
		 "\"unallocated\":[0,1],\"attributes\":[],\"deleted\":false}");
	expect_fault("overlap " BLOCK("10.244.0.6-31") ": its addresses are also block "
						       "10.244.0.4/30's; release those of one, "
						       "then delete it !");
}

static void test_no_pool(void **state)
{
	(void)state;
	put_block("10.9.0.4/30", "node-1", "a", "node-1");
	put_affinity("node-1", "10.9.0.4-30");
	ipam_put(kv, HANDLE("a"), "{\"block\":{\"10.9.0.4/30\":1},\"deleted\":false}");
	expect_fault("no-pool " BLOCK("10.9.0.4-30") ": it is in no pool, and 1 of its addresses "
						     "are in use !");
	ipam_expect_released(ipam, "a", 1);
	expect_fault("no-pool " BLOCK("10.9.0.4-30") ": it is in no pool, and 0 of its addresses "
						     "are in use");
	assert_null(ipam_document(kv, HOST("node-1/ipv4/block/10.9.0.4-30")));
}

/* Somebody gets on while it is being mended: what he has written stays. */
static void change_block(void *data)
{
	struct cv_ipam_world world = ipam_world("node-2", "10.244.0.0/24", 30, true);
	struct cv_kv *other_kv = kv_memory_open(memory);
	struct cv_ipam *other = ipam_open(other_kv, world);
	struct cv_ipam_request request = {.handle = "b", .address = ipam_address("10.244.0.5")};

	(void)data;
	kv_memory_set_meanwhile(memory, NULL, NULL);
	assert_int_equal(ipam_request(other, request).rc, 0);
	cv_ipam_destroy(other);
	cv_kv_destroy(other_kv);
}

static void test_compares(void **state)
{
	size_t mended;

	(void)state;
	put_block("10.244.0.4/30", "node-1", "a", "node-1");
	put_affinity("node-1", "10.244.0.4-30");
	look();
	assert_int_equal(view.fault_count, 1);
	kv_memory_set_meanwhile(memory, change_block, NULL);
	kv_memory_calls(memory);
	assert_int_equal(cv_ipam_fix(ipam, view.faults, 1, &mended, NULL), 0);
	assert_int_equal(kv_memory_calls(memory).refused, 1);
	assert_int_equal(mended, 1);
	look();
	assert_int_equal(view.fault_count, 0);
	assert_int_equal(view.blocks[0].assignment_count, 2);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_shows),     TEST(test_handles),	  TEST(test_affinities),
		TEST(test_node_gone), TEST(test_borrower_gone),	  TEST(test_newcomer),
		TEST(test_returned),  TEST(test_large_node_gone), TEST(test_never_mended),
		TEST(test_no_pool),   TEST(test_compares),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
