/* SPDX-License-Identifier: Apache-2.0 */
/* Moving resources and addresses: everything arrives, nothing is overwritten, and again is fine. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipam/migration.h"
#include "kv_memory.h"
#include "store/resource_key.h"

#define BLOCK	    "ipam/v2/assignment/ipv4/block/"
#define OUR_BLOCK   BLOCK "10.244.1.0-26"
#define THEIR_BLOCK BLOCK "10.244.2.0-26"

static struct kv_memory *memories[2];
static struct cv_kv *from, *to;
static struct cv_migration migration;
static struct cv_error error;
static struct cv_migration_progress progress;

static int begin(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		memories[i] = kv_memory_create();
	from = kv_memory_open(memories[0]);
	to = kv_memory_open(memories[1]);
	progress.written = 0;
	return 0;
}

static int end(void **state)
{
	(void)state;
	cv_migration_fini(&migration);
	cv_kv_destroy(from);
	cv_kv_destroy(to);
	for (size_t i = 0; i < 2; i++)
		kv_memory_destroy(memories[i]);
	return 0;
}

static void put(struct cv_kv *kv, const char *key, const char *value)
{
	const struct cv_kv_operation operation = {key, value, CV_KV_WHATEVER};

	assert_int_equal(cv_kv_commit(kv, &operation, 1, NULL, &error), 0);
}

static char *get(struct cv_kv *kv, const char *key)
{
	static char value[4096];
	struct cv_kv_item item;

	if (cv_kv_get(kv, key, &item, &error))
		return NULL;
	snprintf(value, sizeof(value), "%s", item.value);
	cv_kv_item_fini(&item);
	return value;
}

static size_t count_keys(struct cv_kv *kv)
{
	struct cv_kv_list list;
	size_t count;

	assert_int_equal(cv_kv_list(kv, "", &list, &error), 0);
	count = list.count;
	cv_kv_list_fini(&list);
	return count;
}

/* A block of /26 whose address 1 has this handle; NULL: nobody. The caller frees. */
static char *block_text(const char *cidr, const char *node, const char *handle)
{
	json_t *allocations = json_array(), *attributes = json_array(), *block;
	char affinity[80], *text;

	for (int i = 0; i < 64; i++)
		json_array_append_new(allocations,
				      i == 1 && handle ? json_integer(0) : json_null());
	if (handle)
		json_array_append_new(attributes, json_pack("{s:s, s:{s:s}}", "handle_id", handle,
							    "secondary", "node", node));
	snprintf(affinity, sizeof(affinity), "host:%s", node);
	block = json_pack("{s:s, s:s, s:o, s:[], s:o}", "cidr", cidr, "affinity", affinity,
			  "allocations", allocations, "unallocated", "attributes", attributes);
	text = json_dumps(block, JSON_COMPACT);
	json_decref(block);
	return text;
}

static void put_block(struct cv_kv *kv, const char *key, const char *cidr, const char *node,
		      const char *handle)
{
	char *text = block_text(cidr, node, handle);

	put(kv, key, text);
	free(text);
}

/* This node's: a block with one address. */
static void fill_documents(void)
{
	put_block(from, OUR_BLOCK, "10.244.1.0/26", "a1", "net.one.eth0");
	put(from, "ipam/v2/handle/net.one.eth0",
	    "{\"handleID\":\"net.one.eth0\",\"block\":{\"10.244.1.0/26\":1}}");
	put(from, "ipam/v2/host/a1/ipv4/block/10.244.1.0-26", "{\"state\":\"confirmed\"}");
}

static const char manifest_text[] =
	"apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: pool}\n"
	"spec: {cidr: 10.244.0.0/16, ipipMode: Always, blockSize: 26}\n---\n"
	"apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: a1}\n"
	"spec: {bgp: {ipv4Address: 192.168.100.1/24}}\n---\n"
	"apiVersion: projectcalico.org/v3\nkind: BlockAffinity\nmetadata: {name: a1-1}\n"
	"spec: {cidr: 10.244.1.0/25, node: a1, state: confirmed}\n---\n"
	"apiVersion: projectcalico.org/v3\nkind: BlockAffinity\nmetadata: {name: b1-2}\n"
	"spec: {cidr: 10.244.2.0/26, node: b1, state: confirmed}\n";

static void add_snapshot(const char *text, const char *node)
{
	struct cv_manifest manifest;
	struct cv_snapshot *snapshot;

	assert_int_equal(cv_manifest_parse("test", text, strlen(text), &manifest, &error), 0);
	assert_int_equal(cv_snapshot_create(manifest.resources, manifest.count, &snapshot, &error),
			 0);
	assert_int_equal(cv_migration_add_snapshot(&migration, snapshot, node, &error), 0);
	cv_snapshot_put(snapshot);
	cv_manifest_fini(&manifest);
}

static void gather(void)
{
	cv_migration_fini(&migration);
	assert_int_equal(cv_migration_add_documents(&migration, from, &error), 0);
	add_snapshot(manifest_text, "a1");
}

static void compare(void)
{
	assert_int_equal(cv_migration_compare(&migration, to, &error), 0);
}

static void write_all(void)
{
	assert_int_equal(cv_migration_write(&migration, to, &progress, &error), 0);
}

static void moves_all_of_a_node(void **state)
{
	char key[CV_RESOURCE_KEY_MAX];

	(void)state;
	fill_documents();
	gather();
	compare();
	assert_int_equal(migration.conflicts.count, 0);
	assert_int_equal(migration.counts[CV_MIGRATION_RESOURCE], 2);
	/* The second half of the /25 and b1's are made. */
	assert_int_equal(migration.counts[CV_MIGRATION_BLOCK], 3);
	assert_int_equal(migration.counts[CV_MIGRATION_AFFINITY], 3);
	assert_int_equal(migration.counts[CV_MIGRATION_HANDLE], 1);
	assert_int_equal(count_keys(to), 0);
	write_all();
	assert_int_equal(count_keys(to), 9);
	assert_int_equal(progress.written, 9);
	assert_non_null(strstr(get(to, OUR_BLOCK), "net.one.eth0"));
	assert_non_null(strstr(get(to, cv_resource_key(CV_KIND_IP_POOL, "pool", key)),
			       "\"cidr\":\"10.244.0.0/16\""));
	/* Nobody is to borrow from whom is still to come; our own is as any other. */
	assert_non_null(strstr(get(to, THEIR_BLOCK), "\"strictAffinity\":true"));
	assert_non_null(strstr(get(to, THEIR_BLOCK), "\"affinity\":\"host:b1\""));
	assert_non_null(strstr(get(to, BLOCK "10.244.1.64-26"), "\"strictAffinity\":false"));
	assert_non_null(get(to, "ipam/v2/host/b1/ipv4/block/10.244.2.0-26"));
}

static void does_it_again(void **state)
{
	(void)state;
	fill_documents();
	gather();
	compare();
	write_all();
	gather();
	compare();
	assert_int_equal(migration.conflicts.count, 0);
	assert_int_equal(migration.equal, migration.count);
	progress.written = 0;
	write_all();
	assert_int_equal(progress.written, 0);
}

/* Whatever of it was written before it was interrupted. */
static void goes_on_after_a_crash(void **state)
{
	struct cv_kv_list list;

	(void)state;
	fill_documents();
	gather();
	compare();
	write_all();
	assert_int_equal(cv_kv_list(to, "", &list, &error), 0);
	for (size_t kept = 0; kept < list.count; kept++) {
		struct kv_memory *memory = kv_memory_create();
		struct cv_kv *half = kv_memory_open(memory);

		for (size_t i = 0; i < kept; i++)
			put(half, list.items[i].key, list.items[i].value);
		gather();
		assert_int_equal(cv_migration_compare(&migration, half, &error), 0);
		assert_int_equal(migration.conflicts.count, 0);
		assert_int_equal(migration.equal, kept);
		assert_int_equal(cv_migration_write(&migration, half, &progress, &error), 0);
		assert_int_equal(count_keys(half), list.count);
		cv_kv_destroy(half);
		kv_memory_destroy(memory);
	}
	cv_kv_list_fini(&list);
}

/* a1 has made b1's block; b1 has addresses in it. */
static void replaces_its_placeholder(void **state)
{
	(void)state;
	fill_documents();
	gather();
	compare();
	write_all();
	cv_migration_fini(&migration);
	put_block(from, THEIR_BLOCK, "10.244.2.0/26", "b1", "net.far.eth0");
	assert_int_equal(cv_migration_add_documents(&migration, from, &error), 0);
	compare();
	assert_int_equal(migration.conflicts.count, 0);
	write_all();
	assert_non_null(strstr(get(to, THEIR_BLOCK), "net.far.eth0"));
	assert_null(strstr(get(to, THEIR_BLOCK), "\"strictAffinity\":true"));
}

/* And a1 after b1: it has nothing to say about b1's. */
static void leaves_what_others_have_moved(void **state)
{
	(void)state;
	put_block(to, THEIR_BLOCK, "10.244.2.0/26", "b1", "net.far.eth0");
	fill_documents();
	gather();
	compare();
	assert_int_equal(migration.conflicts.count, 0);
	write_all();
	assert_non_null(strstr(get(to, THEIR_BLOCK), "net.far.eth0"));
}

static void expect_conflict(const char *text)
{
	size_t before = count_keys(to);

	gather();
	compare();
	assert_int_equal(migration.conflicts.count, 1);
	assert_string_equal(migration.conflicts.texts[0], text);
	assert_int_equal(count_keys(to), before);
}

static void finds_other_addresses(void **state)
{
	(void)state;
	fill_documents();
	put_block(to, OUR_BLOCK, "10.244.1.0/26", "a1", "net.other.eth0");
	expect_conflict(OUR_BLOCK " is there, and differs");
}

static void finds_a_block_of_another(void **state)
{
	(void)state;
	fill_documents();
	put_block(to, OUR_BLOCK, "10.244.1.0/26", "c1", NULL);
	expect_conflict(OUR_BLOCK " is there, and differs");
}

static void finds_blocks_within_ours(void **state)
{
	(void)state;
	fill_documents();
	put_block(to, BLOCK "10.244.1.32-27", "10.244.1.32/27", "c1", NULL);
	expect_conflict(BLOCK "10.244.1.32-27 lies in " OUR_BLOCK);
}

static void finds_other_resources(void **state)
{
	(void)state;
	put(to, "resources/v3/projectcalico.org/ippools/pool",
	    "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"IPPool\",\"metadata\":{\"name\":"
	    "\"pool\"},\"spec\":{\"cidr\":\"10.245.0.0/16\",\"ipipMode\":\"Always\"}}");
	expect_conflict("resources/v3/projectcalico.org/ippools/pool is there, and differs");
}

/* The same in other words, and with what a server has added. */
static void takes_the_same_in_other_words(void **state)
{
	(void)state;
	put(to, "resources/v3/projectcalico.org/ippools/pool",
	    "{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"uid\":"
	    "\"4f1c\",\"name\":\"pool\",\"creationTimestamp\":\"2026-11-26T17:00:00Z\"},"
	    "\"spec\":{\"blockSize\":26,\"ipipMode\":\"Always\",\"cidr\":\"10.244.0.0/16\"}}");
	fill_documents();
	gather();
	compare();
	assert_int_equal(migration.conflicts.count, 0);
	assert_int_equal(migration.equal, 1);
}

/* Somebody writes between the look and the commit: nothing of his is lost. */
static void loses_a_race(void **state)
{
	(void)state;
	fill_documents();
	gather();
	compare();
	put_block(to, OUR_BLOCK, "10.244.1.0/26", "a1", "net.other.eth0");
	assert_int_equal(cv_migration_write(&migration, to, &progress, &error), -EAGAIN);
	assert_non_null(strstr(get(to, OUR_BLOCK), "net.other.eth0"));
	/* Its handle belongs to the same commit. */
	assert_null(get(to, "ipam/v2/handle/net.one.eth0"));
	compare();
	assert_int_equal(migration.conflicts.count, 1);
}

/* An answer is lost: whether it has happened shows the next look. */
static void survives_a_lost_answer(void **state)
{
	static const enum kv_fault faults[] = {KV_FAULT_TIMEOUT_DONE, KV_FAULT_TIMEOUT_NOT};

	(void)state;
	fill_documents();
	for (size_t i = 0; i < 2; i++) {
		gather();
		compare();
		kv_memory_fail_next(memories[1], faults[i]);
		if (i == 1)
			put_block(from, BLOCK "10.244.3.0-26", "10.244.3.0/26", "a1", NULL);
		gather();
		compare();
		assert_int_equal(cv_migration_write(&migration, to, &progress, &error), -EAGAIN);
		compare();
		assert_int_equal(migration.conflicts.count, 0);
		write_all();
	}
	assert_int_equal(count_keys(to), 10);
}

/* Nobody to ask in the middle of it. */
static void stops_where_etcd_does(void **state)
{
	(void)state;
	fill_documents();
	gather();
	compare();
	kv_memory_fail_next(memories[1], KV_FAULT_AWAY);
	assert_int_equal(cv_migration_write(&migration, to, &progress, &error), -EHOSTUNREACH);
	assert_int_equal(progress.written, 0);
}

/* More than a commit takes. */
static void moves_many(void **state)
{
	enum {
		MANY = 700
	};
	char key[128], value[128];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "ipam/v2/handle/net.c%d.eth0", i);
		snprintf(value, sizeof(value), "{\"handleID\":\"net.c%d.eth0\",\"block\":{}}", i);
		put(from, key, value);
	}
	assert_int_equal(cv_migration_add_documents(&migration, from, &error), 0);
	compare();
	write_all();
	assert_int_equal(count_keys(to), MANY);
	assert_int_equal(progress.written, MANY);
}

/* ---- from Calico ------------------------------------------------------------------------- */

static void fill_calico(void)
{
	put(from, "resources/v3/projectcalico.org/ippools/default-ipv4-ippool",
	    "{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":"
	    "\"default-ipv4-ippool\",\"uid\":\"9a\",\"creationTimestamp\":\"2026-01-01T00:00:00Z\"}"
	    ",\"spec\":{\"cidr\":\"10.244.0.0/16\",\"vxlanMode\":\"Never\",\"ipipMode\":\"Always\","
	    "\"natOutgoing\":true,\"blockSize\":26,\"nodeSelector\":\"all()\",\"allowedUses\":["
	    "\"Workload\",\"Tunnel\"]}}");
	put(from, "resources/v3/projectcalico.org/nodes/a1",
	    "{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":"
	    "\"a1\"},\"spec\":{\"bgp\":{\"ipv4Address\":\"192.168.100.1/24\","
	    "\"ipv4IPIPTunnelAddr\":\"10.244.1.0\"},\"orchRefs\":[{\"nodeName\":\"a1\","
	    "\"orchestrator\":\"k8s\"}]},\"status\":{\"podCIDRs\":[\"10.244.1.0/24\"]}}");
	put(from, "resources/v3/projectcalico.org/networkpolicies/default/knp.default.x", "{}");
	put(from, "resources/v3/projectcalico.org/profiles/kns.default", "{}");
	put_block(from, OUR_BLOCK, "10.244.1.0/26", "a1", "k8s-pod-network.c0ffee");
	put(from, "ipam/v2/handle/k8s-pod-network.c0ffee",
	    "{\"handleID\":\"k8s-pod-network.c0ffee\",\"block\":{\"10.244.1.0/26\":1,"
	    "\"fd00:10:244::/122\":1},\"deleted\":false}");
	put(from, "ipam/v2/handle/k8s-pod-network.six",
	    "{\"handleID\":\"k8s-pod-network.six\",\"block\":{\"fd00:10:244::/122\":1}}");
	put(from, "ipam/v2/host/a1/ipv4/block/10.244.1.0-26", "{\"state\":\"confirmed\"}");
	put(from, "ipam/v2/host/a1/ipv6/block/fd00:10:244::-122", "{\"state\":\"confirmed\"}");
	put(from, "ipam/v2/assignment/ipv6/block/fd00:10:244::-122", "{}");
}

static void moves_calico(void **state)
{
	(void)state;
	fill_calico();
	assert_int_equal(cv_migration_add_calico(&migration, from, &error), 0);
	compare();
	assert_int_equal(migration.conflicts.count, 0);
	write_all();
	assert_int_equal(count_keys(to), 5);
	assert_non_null(strstr(get(to, OUR_BLOCK), "k8s-pod-network.c0ffee"));
	assert_string_equal(get(to, "ipam/v2/handle/k8s-pod-network.c0ffee"),
			    "{\"handleID\":\"k8s-pod-network.c0ffee\",\"block\":{\"10.244.1.0/26\":"
			    "1},\"deleted\":false}");
	assert_null(get(to, "ipam/v2/handle/k8s-pod-network.six"));
	assert_non_null(strstr(get(to, "resources/v3/projectcalico.org/nodes/a1"),
			       "\"ipv4IPIPTunnelAddr\":\"10.244.1.0\""));
	/* Two kinds, handles, blocks and affinities of IPv6. */
	assert_int_equal(migration.skipped.count, 4);
	assert_string_equal(migration.skipped.texts[0],
			    "networkpolicies: 1 (culvert has no such kind)");
}

static void refuses_what_cannot_be_read(void **state)
{
	(void)state;
	fill_calico();
	put(from, "resources/v3/projectcalico.org/nodes/b1", "{\"kind\":\"Node\"");
	put(from, "resources/v3/projectcalico.org/nodes/b2",
	    "{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{\"name\":"
	    "\"b3\"}}");
	assert_int_equal(cv_migration_add_calico(&migration, from, &error), 0);
	assert_int_equal(migration.conflicts.count, 2);
	assert_non_null(strstr(migration.conflicts.texts[0], "it cannot be read"));
	assert_non_null(strstr(migration.conflicts.texts[1], "another resource"));
}

static void takes_calicos_configuration(void **state)
{
	(void)state;
	put(from, "ipam/v2/config",
	    "{\"strict_affinity\":true,\"auto_allocate_blocks\":true,\"maxBlocksPerHost\":20}");
	assert_int_equal(cv_migration_add_calico(&migration, from, &error), 0);
	compare();
	assert_int_equal(migration.conflicts.count, 0);
	write_all();
	assert_non_null(strstr(get(to, "resources/v3/projectcalico.org/ipamconfigurations/default"),
			       "\"strictAffinity\":true"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(moves_all_of_a_node),
		TEST(does_it_again),
		TEST(goes_on_after_a_crash),
		TEST(replaces_its_placeholder),
		TEST(leaves_what_others_have_moved),
		TEST(finds_other_addresses),
		TEST(finds_a_block_of_another),
		TEST(finds_blocks_within_ours),
		TEST(finds_other_resources),
		TEST(takes_the_same_in_other_words),
		TEST(loses_a_race),
		TEST(survives_a_lost_answer),
		TEST(stops_where_etcd_does),
		TEST(moves_many),
		TEST(moves_calico),
		TEST(refuses_what_cannot_be_read),
		TEST(takes_calicos_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
