/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address management of several nodes over one store: claiming, borrowing, giving back, lost races
 * and lost answers. At the end a simulation, against a naive oracle: who has which address.
 */
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
#include "wire/bytes.h"

enum {
	NODES = 10
};

static struct kv_memory *memory;
static struct cv_kv *kv[NODES];
static struct cv_ipam *nodes[NODES];

static int set_up(void **state)
{
	(void)state;
	memory = kv_memory_create();
	for (int i = 0; i < NODES; i++) {
		kv[i] = kv_memory_open(memory);
		nodes[i] = NULL;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++) {
		cv_ipam_destroy(nodes[i]);
		cv_kv_destroy(kv[i]);
	}
	kv_memory_destroy(memory);
	return 0;
}

static struct cv_ipam_world world_of(int node, const char *pool, uint8_t block_size)
{
	char name[16];

	snprintf(name, sizeof(name), "node-%d", node);
	return ipam_world(name, pool, block_size, true);
}

static void open_node(int node, struct cv_ipam_world world)
{
	cv_ipam_destroy(nodes[node]);
	nodes[node] = ipam_open(kv[node], world);
}

static size_t count_blocks(void)
{
	struct cv_kv_list list;
	size_t count;

	assert_int_equal(cv_kv_list(kv[0], "ipam/v2/assignment/", &list, NULL), 0);
	count = list.count;
	cv_kv_list_fini(&list);
	return count;
}

static void expect_no_faults(int node)
{
	struct cv_ipam_view view;

	assert_int_equal(cv_ipam_look(nodes[node], &view, NULL), 0);
	if (view.fault_count)
		fail_msg("%zu faults: %s: %s", view.fault_count, view.faults[0].key,
			 view.faults[0].text);
	cv_ipam_view_fini(&view);
}

static struct cv_ipam_result assign(int node, const char *handle)
{
	return ipam_request(nodes[node], (struct cv_ipam_request){.handle = handle});
}

/* ---- claiming -------------------------------------------------------------------- */

static void test_claims(void **state)
{
	struct cv_ipam_result first, second;
	struct kv_memory_calls calls;

	(void)state;
	open_node(1, world_of(1, "10.244.0.0/16", 26));
	open_node(2, world_of(2, "10.244.0.0/16", 26));
	first = assign(1, "a");
	second = assign(2, "b");
	assert_int_equal(first.rc, 0);
	assert_int_equal(second.rc, 0);
	assert_int_not_equal(first.block.address, second.block.address);
	assert_false(first.is_borrowed);
	assert_int_equal(count_blocks(), 2);
	expect_no_faults(1);
	/* A node that comes back knows its block, and reads nothing else. */
	open_node(1, world_of(1, "10.244.0.0/16", 26));
	kv_memory_calls(memory);
	assert_int_equal(assign(1, "c").block.address, first.block.address);
	calls = kv_memory_calls(memory);
	assert_int_equal(calls.gets, 1);
	assert_int_equal(calls.lists, 1);
	assert_int_equal(calls.commits, 1);
	/* The 65th address needs another block, all in one commit. */
	for (int i = 0; i < 62; i++)
		assert_int_equal(assign(1, "more").rc, 0);
	kv_memory_calls(memory);
	second = assign(1, "last");
	assert_int_equal(second.rc, 0);
	assert_false(second.is_borrowed);
	assert_int_not_equal(second.block.address, first.block.address);
	calls = kv_memory_calls(memory);
	assert_int_equal(calls.commits, 1);
	assert_int_equal(calls.largest, 3);
	assert_int_equal(count_blocks(), 3);
}

/* Where nodes begin follows from their names: hardly two of them at the same block. */
static void test_spreads(void **state)
{
	unsigned int lost = 0;

	(void)state;
	for (int i = 0; i < 200; i++) {
		char name[32];
		struct cv_ipam *node;

		snprintf(name, sizeof(name), "worker-%03d.example.org", i);
		node = ipam_open(kv[0], ipam_world(name, "10.244.0.0/16", 26, true));
		assert_int_equal(ipam_assign(node, name, NULL), 0);
		cv_ipam_destroy(node);
		lost += kv_memory_calls(memory).lists > 3;
	}
	assert_int_equal(count_blocks(), 200);
	assert_in_range(lost, 0, 70); /* of 1024 blocks, a fifth is taken at the end */
}

static void test_fills_a_pool(void **state)
{
	struct cv_ipam_result result;

	(void)state;
	open_node(1, world_of(1, "10.244.0.0/24", 30));
	for (int i = 0; i < 256; i++) {
		result = assign(1, "all");
		if (result.rc)
			fail_msg("%d: %s", i, result.error.text);
	}
	result = assign(1, "all");
	assert_int_equal(result.rc, -ENOSPC);
	assert_non_null(strstr(result.error.text, "64 blocks of this node"));
	assert_non_null(strstr(result.error.text, "in pools pool"));
	expect_no_faults(1);
}

static void test_limits(void **state)
{
	struct cv_ipam_world world = world_of(1, "10.244.0.0/24", 30);
	struct cv_ipam_request request = {.handle = "a", .address = ipam_address("10.244.0.77")};
	struct cv_ipam_result result;

	(void)state;
	world.max_blocks = 2;
	world.strict_affinity = true;
	open_node(1, world);
	for (int i = 0; i < 8; i++)
		assert_int_equal(assign(1, "a").rc, 0);
	assert_int_equal(assign(1, "a").rc, -ENOSPC);
	assert_int_equal(count_blocks(), 2);
	world = world_of(2, "10.244.0.0/24", 30);
	world.no_new_blocks = true;
	open_node(2, world);
	/* It has none; and nobody has room. */
	assert_int_equal(assign(2, "a").rc, -ENOSPC);
	result = ipam_request(nodes[2], request);
	assert_int_equal(result.rc, -EADDRNOTAVAIL);
	assert_non_null(strstr(result.error.text, "may have no more blocks"));
}

/* ---- borrowing ------------------------------------------------------------------- */

static void test_borrows(void **state)
{
	struct cv_ipam_world strict = world_of(3, "10.244.0.0/30", 30);
	struct cv_ipam_request request = {.handle = "c"};
	struct cv_ipam_result result;
	struct kv_memory_calls calls;

	(void)state;
	open_node(1, world_of(1, "10.244.0.0/30", 30));
	open_node(2, world_of(2, "10.244.0.0/30", 30));
	strict.strict_affinity = true;
	open_node(3, strict);
	assert_false(assign(1, "a").is_borrowed);
	result = assign(2, "b");
	assert_int_equal(result.rc, 0);
	assert_true(result.is_borrowed);
	/* From whom one has borrowed, one borrows again, without a list of all blocks. */
	kv_memory_calls(memory);
	assert_true(assign(2, "b").is_borrowed);
	calls = kv_memory_calls(memory);
	assert_int_equal(calls.lists, 1); /* of its own blocks */
	assert_int_equal(assign(3, "c").rc, -ENOSPC);
	request.address = ipam_address("10.244.0.3");
	result = ipam_request(nodes[3], request);
	assert_int_equal(result.rc, -EADDRNOTAVAIL);
	assert_non_null(strstr(result.error.text, "of node-1"));
	result = ipam_request(nodes[2], request);
	assert_int_equal(result.rc, 0);
	assert_true(result.is_borrowed);
	expect_no_faults(1);
	ipam_expect_released(nodes[2], "b", 2);
	/* The owner sees what was released. */
	assert_int_equal(assign(1, "d").rc, 0);
	assert_int_equal(assign(1, "d").rc, 0);
	assert_int_equal(assign(1, "d").rc, -ENOSPC);
}

/* What is in force is what is configured now, not when the block was made. */
static void test_strictness_changes(void **state)
{
	struct cv_ipam_world world = world_of(1, "10.244.0.0/30", 30);

	(void)state;
	world.strict_affinity = true;
	open_node(1, world);
	assert_int_equal(assign(1, "a").rc, 0);
	open_node(2, world_of(2, "10.244.0.0/30", 30));
	assert_true(assign(2, "b").is_borrowed);
	open_node(1, world_of(1, "10.244.0.0/30", 30));
	assert_int_equal(assign(1, "a").rc, 0);
	{
		char *text = ipam_document(kv[0], "ipam/v2/assignment/ipv4/block/10.244.0.0-30");

		assert_non_null(strstr(text, "\"strictAffinity\":false"));
		free(text);
	}
}

/* A block that may be kept for a node which is still to come lends nothing (migration.h). */
static void test_lends_nothing_that_is_kept(void **state)
{
	struct cv_ipam_world world = world_of(1, "10.244.0.0/30", 30);
	struct cv_ipam_request request = {.handle = "b", .address = ipam_address("10.244.0.2")};
	struct cv_ipam_result result;

	(void)state;
	world.strict_affinity = true;
	open_node(1, world);
	assert_int_equal(assign(1, "a").rc, 0);
	ipam_expect_released(nodes[1], "a", 1);
	assert_int_equal(count_blocks(), 1);
	open_node(2, world_of(2, "10.244.0.0/30", 30));
	assert_int_equal(assign(2, "b").rc, -ENOSPC);
	result = ipam_request(nodes[2], request);
	assert_int_equal(result.rc, -EADDRNOTAVAIL);
	assert_non_null(strstr(result.error.text, "of node-1"));
	assert_int_equal(assign(1, "a").rc, 0);
	assert_true(assign(2, "b").is_borrowed);
}

/* A pool that does not select the node lends nothing, nor can be asked for. */
static void test_not_selected(void **state)
{
	struct cv_ipam_world world = world_of(2, "10.244.0.0/30", 30);
	struct cv_ipam_request request = {.handle = "b", .address = ipam_address("10.244.0.2")};

	(void)state;
	open_node(1, world_of(1, "10.244.0.0/30", 30));
	assert_int_equal(assign(1, "a").rc, 0);
	world.pools[0].selects_us = false;
	open_node(2, world);
	assert_int_equal(assign(2, "b").rc, -ENOSPC);
	assert_int_equal(ipam_request(nodes[2], request).rc, -EADDRNOTAVAIL);
}

/* ---- giving back ----------------------------------------------------------------- */

static void test_gives_back(void **state)
{
	struct cv_ipam_world world = world_of(1, "10.244.0.0/24", 30);
	size_t count;

	(void)state;
	open_node(1, world);
	for (int i = 0; i < 4; i++)
		assert_int_equal(assign(1, "a").rc, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(assign(1, "b").rc, 0);
	assert_int_equal(assign(1, "c").rc, 0);
	assert_int_equal(count_blocks(), 3);
	assert_int_equal(cv_ipam_give_back(nodes[1], &count, NULL), 0);
	assert_int_equal(count, 0);
	ipam_expect_released(nodes[1], "b", 4);
	assert_int_equal(cv_ipam_give_back(nodes[1], &count, NULL), 0);
	assert_int_equal(count, 1);
	ipam_expect_released(nodes[1], "a", 4);
	ipam_expect_released(nodes[1], "c", 1);
	assert_int_equal(cv_ipam_give_back(nodes[1], &count, NULL), 0);
	assert_int_equal(count, 1); /* the last one stays */
	assert_int_equal(count_blocks(), 1);
	ipam_put(kv[0], "ipam/v2/host/node-1/ipv4/block/10.244.0.252-30",
		 "{\"state\":\"pending\"}");
	assert_int_equal(cv_ipam_give_back(nodes[1], &count, NULL), 0);
	assert_int_equal(count, 0); /* also beside an affinity without a block */
	ipam_put(kv[0], "ipam/v2/host/node-1/ipv4/block/10.244.0.252-30", NULL);
	expect_no_faults(1);
	/* But not if its pool is gone. */
	world = world_of(1, "10.99.0.0/24", 30);
	open_node(1, world);
	assert_int_equal(cv_ipam_give_back(nodes[1], &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_int_equal(count_blocks(), 0);
	assert_int_equal(assign(1, "d").rc, 0);
}

static void borrow_meanwhile(void *data)
{
	kv_memory_set_meanwhile(memory, NULL, NULL);
	*(struct cv_ipam_result *)data = ipam_request(
		nodes[2], (struct cv_ipam_request){.handle = "borrower",
						   .address = ipam_address("10.244.0.7")});
}

static void test_gives_back_in_a_race(void **state)
{
	struct cv_ipam_request request = {.handle = "a", .address = ipam_address("10.244.0.5")};
	struct cv_ipam_result result;
	size_t count;

	(void)state;
	open_node(1, world_of(1, "10.244.0.0/24", 30));
	open_node(2, world_of(2, "10.244.0.0/24", 30));
	assert_int_equal(ipam_request(nodes[1], request).rc, 0);
	request.address = ipam_address("10.244.0.1");
	assert_int_equal(ipam_request(nodes[1], request).rc, 0);
	ipam_expect_released(nodes[1], "a", 2);
	kv_memory_set_meanwhile(memory, borrow_meanwhile, &result);
	assert_int_equal(cv_ipam_give_back(nodes[1], &count, NULL), 0);
	kv_memory_set_meanwhile(memory, NULL, NULL);
	assert_int_equal(result.rc, 0);
	assert_true(result.is_borrowed);
	/* That one stays, and the other is not the last any more: but it was when it was seen. */
	assert_int_equal(count, 1);
	assert_int_equal(count_blocks(), 1);
	expect_no_faults(1);
}

/* A block whose node is gone is nobody's: the next who needs one takes it. */
static void test_adopts(void **state)
{
	struct cv_ipam_world world = world_of(1, "10.244.0.0/30", 30);
	struct cv_ipam_result result;

	(void)state;
	ipam_put(kv[0], "ipam/v2/assignment/ipv4/block/10.244.0.0-30",
		 "{\"cidr\":\"10.244.0.0/30\",\"affinity\":null,\"allocations\":[0,null,null,null],"
		 "\"unallocated\":[2,1,3],\"attributes\":[{\"handle_id\":\"x\",\"secondary\":"
		 "{\"node\":\"node-9\"}}],\"deleted\":false}");
	ipam_put(kv[0], "ipam/v2/handle/x", "{\"block\":{\"10.244.0.0/30\":1},\"deleted\":false}");
	world.strict_affinity = true;
	open_node(1, world);
	result = assign(1, "a");
	assert_int_equal(result.rc, 0);
	assert_int_equal(result.address, ipam_address("10.244.0.2"));
	assert_false(result.is_borrowed);
	expect_no_faults(1);
}

/* Calico's claim, interrupted between its steps: an affinity that is pending. */
static void test_pending(void **state)
{
	char *text;

	(void)state;
	ipam_put(kv[0], "ipam/v2/host/node-1/ipv4/block/10.244.0.4-30",
		 "{\"state\":\"pending\",\"deleted\":false}");
	open_node(1, world_of(1, "10.244.0.0/24", 30));
	ipam_expect(nodes[1], "a", "10.244.0.4");
	text = ipam_document(kv[0], "ipam/v2/host/node-1/ipv4/block/10.244.0.4-30");
	assert_string_equal(text, "{\"state\":\"confirmed\",\"deleted\":false}");
	free(text);
	/* The same, but another node was quicker with the block. */
	ipam_put(kv[0], "ipam/v2/host/node-2/ipv4/block/10.244.0.4-30",
		 "{\"state\":\"pending\",\"deleted\":false}");
	open_node(2, world_of(2, "10.244.0.0/24", 30));
	assert_int_not_equal(assign(2, "b").block.address, ipam_address("10.244.0.4"));
}

/* ---- races and lost answers ------------------------------------------------------ */

struct race {
	int node;
	struct cv_ipam_request request;
	struct cv_ipam_result result;
	int left;
};

static void race(void *data)
{
	struct race *other = data;

	if (!other->left--) {
		kv_memory_set_meanwhile(memory, NULL, NULL);
		other->left = 0;
		return;
	}
	other->result = ipam_request(nodes[other->node], other->request);
}

static void test_races(void **state)
{
	/* Both want the very same one; then both want any, of one block. */
	struct race other = {.node = 2, .request = {.handle = "b"}, .left = 1};
	struct cv_ipam_request request = {.handle = "a", .address = ipam_address("10.244.0.2")};
	struct cv_ipam_result result;

	(void)state;
	other.request.address = request.address;
	open_node(1, world_of(1, "10.244.0.0/29", 29));
	open_node(2, world_of(2, "10.244.0.0/29", 29));
	assert_int_equal(assign(1, "first").rc, 0);
	kv_memory_set_meanwhile(memory, race, &other);
	result = ipam_request(nodes[1], request);
	kv_memory_set_meanwhile(memory, NULL, NULL);
	assert_int_equal(other.result.rc, 0);
	assert_int_equal(result.rc, -EADDRINUSE);
	assert_non_null(strstr(result.error.text, "assigned to b on node-2"));
	other.request.address = 0;
	other.left = 3;
	kv_memory_set_meanwhile(memory, race, &other);
	result = assign(1, "a");
	kv_memory_set_meanwhile(memory, NULL, NULL);
	assert_int_equal(result.rc, 0);
	assert_int_not_equal(result.address, other.result.address);
	expect_no_faults(1);
}

static void expect_after_fault(enum kv_fault fault, int rc, const char *handle)
{
	struct cv_ipam_result result;
	struct cv_ipam_view view;
	size_t had = 0;

	kv_memory_fail_next(memory, fault);
	result = assign(1, handle);
	assert_int_equal(result.rc, rc);
	kv_memory_set_faults(memory, NULL, NULL);
	assert_int_equal(cv_ipam_look(nodes[1], &view, NULL), 0);
	assert_int_equal(view.fault_count, 0);
	for (size_t i = 0; i < view.block_count; i++)
		for (size_t j = 0; j < view.blocks[i].assignment_count; j++)
			had += !strcmp(view.blocks[i].assignments[j].handle, handle);
	cv_ipam_view_fini(&view);
	assert_int_equal(had, rc ? 0 : 1);
}

static void test_lost_answers(void **state)
{
	size_t released = 9;
	const char *handle = "happened";

	(void)state;
	open_node(1, world_of(1, "10.244.0.0/24", 30));
	expect_after_fault(KV_FAULT_TIMEOUT_DONE, 0, handle);
	expect_after_fault(KV_FAULT_TIMEOUT_NOT, 0, "did-not");
	expect_after_fault(KV_FAULT_TIMEOUT_LATER, 0, "later");
	expect_after_fault(KV_FAULT_LOST, 0, "lost");
	expect_after_fault(KV_FAULT_AWAY, -EHOSTUNREACH, "away");
	kv_memory_fail_next(memory, KV_FAULT_TIMEOUT_DONE);
	assert_int_equal(cv_ipam_release(nodes[1], &handle, 1, &released, NULL), 0);
	assert_int_equal(released, 1);
	handle = "did-not";
	kv_memory_fail_next(memory, KV_FAULT_TIMEOUT_NOT);
	assert_int_equal(cv_ipam_release(nodes[1], &handle, 1, &released, NULL), 0);
	assert_int_equal(released, 1);
	handle = "later";
	kv_memory_fail_next(memory, KV_FAULT_TIMEOUT_LATER);
	assert_int_equal(cv_ipam_release(nodes[1], &handle, 1, &released, NULL), 0);
	assert_int_equal(released, 1);
	handle = "lost";
	kv_memory_fail_next(memory, KV_FAULT_AWAY);
	assert_int_equal(cv_ipam_release(nodes[1], &handle, 1, &released, NULL), -EHOSTUNREACH);
	kv_memory_set_faults(memory, NULL, NULL);
	ipam_expect_released(nodes[1], handle, 1);
	expect_no_faults(1);
}

static enum kv_fault always_lost(void *data)
{
	++*(int *)data;
	return KV_FAULT_LOST;
}

static enum kv_fault never_answered(void *data)
{
	++*(int *)data;
	return KV_FAULT_TIMEOUT_NOT;
}

static void test_gives_up(void **state)
{
	int commits = 0;

	(void)state;
	open_node(1, world_of(1, "10.244.0.0/24", 30));
	kv_memory_set_faults(memory, never_answered, &commits);
	assert_int_equal(assign(1, "a").rc, -ETIMEDOUT);
	assert_in_range(commits, 2, 5);
	commits = 0;
	kv_memory_set_faults(memory, always_lost, &commits);
	assert_int_equal(assign(1, "a").rc, -EAGAIN);
	assert_in_range(commits, 50, 150);
}

/* ---- the simulation -------------------------------------------------------------- */

enum {
	HANDLES = 24, /* of each node */
	STEPS = 10000,
	MOST = 8, /* addresses of a handle */
};

/* What the handles have, as their owners were told. */
static struct {
	__be32 addresses[MOST];
	size_t count;
	bool is_unknown; /* after an error of the store */
} told[NODES][HANDLES];

static enum kv_fault some_fault(void *data)
{
	static const enum kv_fault faults[] = {KV_FAULT_LOST, KV_FAULT_TIMEOUT_DONE,
					       KV_FAULT_TIMEOUT_NOT, KV_FAULT_TIMEOUT_LATER,
					       KV_FAULT_AWAY};

	(void)data;
	return random() % 8 ? KV_FAULT_NONE : faults[random() % 5];
}

static void expect_nobody_has(__be32 address)
{
	for (int i = 0; i < NODES; i++)
		for (int j = 0; j < HANDLES; j++)
			for (size_t k = 0; k < told[i][j].count; k++)
				assert_int_not_equal(told[i][j].addresses[k], address);
}

static const char *handle_name(int node, int handle, char buffer[32])
{
	snprintf(buffer, 32, "n%d.h%d", node, handle);
	return buffer;
}

static void simulate_assign(int node)
{
	struct cv_ipam_request requests[6] = {0};
	struct cv_ipam_result results[6];
	char names[6][32];
	int handles[6];
	size_t count = 1 + (size_t)random() % 6;

	for (size_t i = 0; i < count; i++) {
		handles[i] = (int)(random() % HANDLES);
		requests[i].handle = handle_name(node, handles[i], names[i]);
		if (random() % 10 == 0)
			requests[i].address = cv_htonl(0x0af40000 + (uint32_t)random() % 256);
	}
	cv_ipam_assign(nodes[node], requests, count, results);
	for (size_t i = 0; i < count; i++) {
		int handle = handles[i];

		switch (results[i].rc) {
		case 0:
			expect_nobody_has(results[i].address);
			assert_int_not_equal(cv_ntohl(results[i].address) & 0xff, 13); /* hole */
			if (requests[i].address)
				assert_int_equal(results[i].address, requests[i].address);
			if (told[node][handle].count < MOST)
				told[node][handle].addresses[told[node][handle].count++] =
					results[i].address;
			else
				told[node][handle].is_unknown = true;
			break;
		case -ENOSPC:
		case -EADDRINUSE:
		case -EADDRNOTAVAIL:
			break;
		default:
			told[node][handle].is_unknown = true;
		}
	}
}

static void simulate_release(int node)
{
	int handle = (int)(random() % HANDLES);
	char name[32];
	const char *names[] = {handle_name(node, handle, name)};
	size_t count;
	int rc = cv_ipam_release(nodes[node], names, 1, &count, NULL);

	if (!rc && !told[node][handle].is_unknown)
		assert_int_equal(count, told[node][handle].count);
	/* Either way others may have them from now on. What was not known is not known yet: a
	 * commit that nobody waits for any more may still come. */
	told[node][handle].count = 0;
	told[node][handle].is_unknown = rc || told[node][handle].is_unknown;
}

static void simulate_rest(int node)
{
	size_t count;

	switch (random() % 3) {
	case 0:
		cv_ipam_give_back(nodes[node], &count, NULL);
		break;
	case 1:
		cv_ipam_doubt(nodes[node]);
		break;
	default: { /* the daemon starts anew */
		struct cv_ipam_world world = world_of(node, "10.244.0.0/24", 29);

		ipam_world_hole(&world, "10.244.0.13/32");
		open_node(node, world);
	}
	}
}

/* What the documents say and what was told are the same. */
static void compare_with_told(void)
{
	struct cv_ipam_view view;
	size_t in_documents = 0, in_told = 0;

	assert_int_equal(cv_ipam_look(nodes[0], &view, NULL), 0);
	for (size_t i = 0; i < view.block_count; i++)
		in_documents += view.blocks[i].assignment_count;
	for (int i = 0; i < NODES; i++)
		for (int j = 0; j < HANDLES; j++)
			in_told += told[i][j].count;
	assert_int_equal(in_documents, in_told);
	for (size_t i = 0; i < view.block_count; i++) {
		for (size_t j = 0; j < view.blocks[i].assignment_count; j++) {
			const struct cv_ipam_assignment *item = &view.blocks[i].assignments[j];
			int node, handle;
			bool is_there = false;

			assert_int_equal(sscanf(item->handle, "n%d.h%d", &node, &handle), 2);
			for (size_t k = 0; k < told[node][handle].count; k++)
				is_there = is_there ||
					   told[node][handle].addresses[k] == item->address;
			assert_true(is_there);
		}
	}
	for (size_t i = 0; i < view.fault_count; i++)
		fail_msg("%s: %s", view.faults[i].key, view.faults[i].text);
	cv_ipam_view_fini(&view);
}

/* What is not known is released: then all is known. */
static void settle(void)
{
	kv_memory_set_faults(memory, NULL, NULL);
	for (int i = 0; i < NODES; i++) {
		char name[32];
		const char *names[] = {name};

		cv_ipam_doubt(nodes[i]);
		/* What came late has come now. */
		ipam_put(kv[0], "other/barrier", "1");
		for (int j = 0; j < HANDLES; j++) {
			if (!told[i][j].is_unknown)
				continue;
			handle_name(i, j, name);
			assert_int_equal(cv_ipam_release(nodes[i], names, 1, NULL, NULL), 0);
			told[i][j].count = 0;
			told[i][j].is_unknown = false;
		}
	}
}

static void simulate(unsigned int seed)
{
	memset(told, 0, sizeof(told));
	srandom(seed);
	for (int i = 0; i < NODES; i++) {
		struct cv_ipam_world world = world_of(i, "10.244.0.0/24", 29);

		ipam_world_hole(&world, "10.244.0.13/32");
		open_node(i, world);
	}
	kv_memory_set_faults(memory, some_fault, NULL);
	for (int step = 1; step <= STEPS; step++) {
		int node = (int)(random() % NODES);
		long what = random() % 100;

		if (what < 45)
			simulate_assign(node);
		else if (what < 95)
			simulate_release(node);
		else
			simulate_rest(node);
		if (step % 2000)
			continue;
		settle();
		compare_with_told();
		kv_memory_set_faults(memory, some_fault, NULL);
	}
	kv_memory_set_faults(memory, NULL, NULL);
}

static void test_simulation(void **state)
{
	static const unsigned int seeds[] = {1, 6, 10};
	const char *seed = getenv("SEED");

	(void)state;
	if (seed) {
		simulate((unsigned int)strtoul(seed, NULL, 10));
		return;
	}
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		for (int j = 0; j < NODES; j++) {
			cv_ipam_destroy(nodes[j]);
			nodes[j] = NULL;
			cv_kv_destroy(kv[j]);
		}
		kv_memory_destroy(memory);
		set_up(NULL);
		simulate(seeds[i]);
	}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_claims),
		TEST(test_spreads),
		TEST(test_fills_a_pool),
		TEST(test_limits),
		TEST(test_borrows),
		TEST(test_strictness_changes),
		TEST(test_lends_nothing_that_is_kept),
		TEST(test_not_selected),
		TEST(test_gives_back),
		TEST(test_gives_back_in_a_race),
		TEST(test_adopts),
		TEST(test_pending),
		TEST(test_races),
		TEST(test_lost_answers),
		TEST(test_gives_up),
		TEST(test_simulation),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
