/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mending what was damaged at random: one call, after which the documents are what a naive oracle
 * makes of the same damage. The oracle knows no documents, only who has what.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "ipam_world.h"

#define BLOCKS	"ipam/v2/assignment/ipv4/block/"
#define HOSTS	"ipam/v2/host/"
#define HANDLES "ipam/v2/handle/"

enum {
	ROUNDS = 150,
	IN_POOL = 12, /* blocks; those behind are in no pool */
	BLOCK_COUNT = 15,
	SIZE = 4,	/* addresses of a block */
	LIVE = 3,	/* nodes; those behind are gone */
	NODE_COUNT = 5, /* … of which one may be nobody */
	HANDLE_COUNT = 12,
	NOBODY = -1,
	UNNAMED = HANDLE_COUNT, /* an address that is no handle's */
};

enum state {
	ABSENT,
	GOOD, /* of an affinity: confirmed */
	PENDING,
	MALFORMED,
};

struct block {
	enum state state;
	int owner;
	struct {
		int is_taken, handle, node; /* ints all: compared byte by byte */
	} addresses[SIZE];
};

struct handle {
	enum state state;
	int counts[BLOCK_COUNT], has_ipv6;
};

struct documents {
	struct block blocks[BLOCK_COUNT];
	enum state affinities[BLOCK_COUNT][NODE_COUNT];
	struct handle handles[HANDLE_COUNT];
};

static struct kv_memory *memory;
static struct cv_kv *kv;
static struct cv_ipam *ipam;
static int round_number;

static const char *const nodes[NODE_COUNT] = {"node-1", "node-2", "node-3", "gone-1", "gone-2"};

static void open_all(void)
{
	struct cv_ipam_world world = ipam_world("node-1", "10.244.0.0/24", 30, true);

	for (int i = 0; i < LIVE; i++)
		ipam_world_node(&world, nodes[i]);
	memory = kv_memory_create();
	kv = kv_memory_open(memory);
	ipam = ipam_open(kv, world);
}

static void close_all(void)
{
	cv_ipam_destroy(ipam);
	cv_kv_destroy(kv);
	kv_memory_destroy(memory);
}

static bool one_in(long n)
{
	return random() % n == 0;
}

static int any(int count)
{
	return (int)(random() % count);
}

/* ---- documents, written and read ----------------------------------------------------- */

static const char *cidr_of(int block, char separator)
{
	static char text[32];

	snprintf(text, sizeof(text), "10.%d.0.%d%c30", block < IN_POOL ? 244 : 9, 4 * block,
		 separator);
	return text;
}

static int block_of(const char *cidr, char separator)
{
	for (int i = 0; i < BLOCK_COUNT; i++) {
		if (!strcmp(cidr_of(i, separator), cidr))
			return i;
	}
	fail_msg("round %d: block %s", round_number, cidr);
	return -1;
}

static int node_of(const char *name, size_t length)
{
	for (int i = 0; i < NODE_COUNT; i++) {
		if (strlen(nodes[i]) == length && !strncmp(nodes[i], name, length))
			return i;
	}
	fail_msg("round %d: node %s", round_number, name);
	return -1;
}

static int handle_of(const char *name)
{
	int number = -1;

	if (sscanf(name, "h%d", &number) != 1 || number < 0 || number >= HANDLE_COUNT)
		fail_msg("round %d: handle %s", round_number, name);
	return number;
}

static void put_json(const char *key, json_t *document)
{
	char *text = json_dumps(document, JSON_COMPACT);

	ipam_put(kv, key, text);
	free(text);
	json_decref(document);
}

static void put_block(int index, const struct block *block)
{
	json_t *allocations = json_array(), *queue = json_array(), *attributes = json_array();
	json_t *affinity = json_null();
	char key[128];

	for (int i = 0; i < SIZE; i++) {
		json_t *secondary = json_object();
		char name[16];

		if (!block->addresses[i].is_taken) {
			json_decref(secondary);
			json_array_append_new(allocations, json_null());
			json_array_append_new(queue, json_integer(i));
			continue;
		}
		json_array_append_new(allocations,
				      json_integer((json_int_t)json_array_size(attributes)));
		snprintf(name, sizeof(name), "h%d", block->addresses[i].handle);
		if (block->addresses[i].node != NOBODY)
			json_object_set_new(secondary, "node",
					    json_string(nodes[block->addresses[i].node]));
		json_array_append_new(attributes,
				      json_pack("{s:s?, s:o}", "handle_id",
						block->addresses[i].handle == UNNAMED ? NULL : name,
						"secondary", secondary));
	}
	if (block->owner != NOBODY)
		affinity = json_sprintf("host:%s", nodes[block->owner]);
	snprintf(key, sizeof(key), BLOCKS "%s", cidr_of(index, '-'));
	put_json(key, json_pack("{s:s, s:o, s:o, s:o, s:o, s:b}", "cidr", cidr_of(index, '/'),
				"affinity", affinity, "allocations", allocations, "unallocated",
				queue, "attributes", attributes, "deleted", false));
}

static void put_handle(int index, const struct handle *handle)
{
	json_t *counts = json_object();
	char key[128];

	for (int i = 0; i < BLOCK_COUNT; i++) {
		if (handle->counts[i])
			json_object_set_new(counts, cidr_of(i, '/'),
					    json_integer(handle->counts[i]));
	}
	if (handle->has_ipv6)
		json_object_set_new(counts, "fd00::/122", json_integer(1));
	snprintf(key, sizeof(key), HANDLES "h%d", index);
	put_json(key, json_pack("{s:o, s:b}", "block", counts, "deleted", false));
}

static void put_documents(const struct documents *documents)
{
	static const char *const states[] = {NULL, "{\"state\":\"confirmed\"}",
					     "{\"state\":\"pending\"}", "no JSON"};
	char key[128];

	for (int i = 0; i < BLOCK_COUNT; i++) {
		snprintf(key, sizeof(key), BLOCKS "%s", cidr_of(i, '-'));
		if (documents->blocks[i].state == GOOD)
			put_block(i, &documents->blocks[i]);
		else if (documents->blocks[i].state == MALFORMED)
			ipam_put(kv, key, states[MALFORMED]);
		for (int k = 0; k < NODE_COUNT; k++) {
			snprintf(key, sizeof(key), HOSTS "%s/ipv4/block/%s", nodes[k],
				 cidr_of(i, '-'));
			if (documents->affinities[i][k] != ABSENT)
				ipam_put(kv, key, states[documents->affinities[i][k]]);
		}
	}
	for (int i = 0; i < HANDLE_COUNT; i++) {
		snprintf(key, sizeof(key), HANDLES "h%d", i);
		if (documents->handles[i].state == GOOD)
			put_handle(i, &documents->handles[i]);
		else if (documents->handles[i].state == MALFORMED)
			ipam_put(kv, key, states[MALFORMED]);
	}
}

static void read_block(struct documents *documents, const char *cidr, const json_t *document)
{
	struct block *block = &documents->blocks[block_of(cidr, '-')];
	const json_t *attributes = json_object_get(document, "attributes");
	const char *owner = json_string_value(json_object_get(document, "affinity"));

	block->state = document ? GOOD : MALFORMED;
	if (!document)
		return;
	block->owner = owner ? node_of(owner + 5, strlen(owner + 5)) : NOBODY;
	for (size_t i = 0; i < SIZE; i++) {
		const json_t *at = json_array_get(json_object_get(document, "allocations"), i);
		const json_t *attribute =
			json_array_get(attributes, (size_t)json_integer_value(at));
		const char *handle = json_string_value(json_object_get(attribute, "handle_id"));
		const char *node = json_string_value(
			json_object_get(json_object_get(attribute, "secondary"), "node"));

		if (json_is_null(at))
			continue;
		block->addresses[i].is_taken = true;
		block->addresses[i].handle = handle ? handle_of(handle) : UNNAMED;
		block->addresses[i].node = node ? node_of(node, strlen(node)) : NOBODY;
	}
}

static void read_affinity(struct documents *documents, const char *key, const json_t *document)
{
	const char *slash = strchr(key, '/');
	int node = node_of(key, (size_t)(slash - key));
	const char *state = json_string_value(json_object_get(document, "state"));
	enum state *affinity = &documents->affinities[block_of(strrchr(key, '/') + 1, '-')][node];

	*affinity = !document ? MALFORMED : !strcmp(state, "confirmed") ? GOOD : PENDING;
}

static void read_handle(struct documents *documents, const char *name, const json_t *document)
{
	struct handle *handle = &documents->handles[handle_of(name)];
	const char *cidr;
	json_t *count;

	handle->state = document ? GOOD : MALFORMED;
	json_object_foreach(json_object_get(document, "block"), cidr, count)
	{
		if (strchr(cidr, ':'))
			handle->has_ipv6 = true;
		else
			handle->counts[block_of(cidr, '/')] = (int)json_integer_value(count);
	}
}

static void read_documents(struct documents *ret_documents)
{
	struct cv_kv_list list;

	memset(ret_documents, 0, sizeof(*ret_documents));
	assert_int_equal(cv_kv_list(kv, "", &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++) {
		const char *key = list.items[i].key;
		json_t *document = json_loads(list.items[i].value, 0, NULL);

		if (!strncmp(key, BLOCKS, strlen(BLOCKS)))
			read_block(ret_documents, key + strlen(BLOCKS), document);
		else if (!strncmp(key, HOSTS, strlen(HOSTS)))
			read_affinity(ret_documents, key + strlen(HOSTS), document);
		else
			read_handle(ret_documents, key + strlen(HANDLES), document);
		json_decref(document);
	}
	cv_kv_list_fini(&list);
}

/* ---- damage -------------------------------------------------------------------------- */

static void damage_block(struct documents *documents, int index, bool malforms)
{
	struct block *block = &documents->blocks[index];
	int fill = any(3); /* none, some, most */

	if (one_in(4))
		return;
	block->state = malforms && one_in(12) ? MALFORMED : GOOD;
	block->owner = one_in(6) ? NOBODY : any(NODE_COUNT);
	for (int i = 0; i < SIZE; i++) {
		int handle = one_in(16) ? UNNAMED : any(HANDLE_COUNT);

		if (!fill || one_in(1 + fill))
			continue;
		if (handle != UNNAMED)
			documents->handles[handle].counts[index]++;
		if (block->state == MALFORMED)
			continue;
		block->addresses[i].is_taken = true;
		block->addresses[i].handle = handle;
		block->addresses[i].node = one_in(4)				 ? NOBODY
					   : one_in(2) && block->owner != NOBODY ? block->owner
										 : any(NODE_COUNT);
	}
	if (block->owner != NOBODY && !one_in(5))
		documents->affinities[index][block->owner] = GOOD;
	if (block->state == MALFORMED)
		block->owner = 0; /* nobody can read it */
}

static void damage_handle(struct handle *handle, bool malforms)
{
	bool is_used = false;

	for (int i = 0; i < BLOCK_COUNT; i++)
		is_used |= handle->counts[i] != 0;
	handle->has_ipv6 = one_in(8);
	handle->state = is_used || handle->has_ipv6 || one_in(8) ? GOOD : ABSENT;
	if (one_in(6))
		handle->counts[any(BLOCK_COUNT)] = any(SIZE);
	if (one_in(8))
		handle->state = ABSENT;
	if (malforms && one_in(10))
		handle->state = MALFORMED;
	if (handle->state != GOOD)
		memset(handle->counts, 0, sizeof(handle->counts));
	handle->has_ipv6 &= handle->state == GOOD;
}

/* As it was right once, and then not everything was. */
static void damage(struct documents *ret_documents, bool malforms)
{
	struct documents *documents = ret_documents;

	memset(documents, 0, sizeof(*documents));
	for (int i = 0; i < BLOCK_COUNT; i++) {
		damage_block(documents, i, malforms);
		for (int k = 0; k < NODE_COUNT; k++) {
			if (one_in(15))
				documents->affinities[i][k] = one_in(2)	 ? PENDING
							      : malforms ? MALFORMED
									 : GOOD;
		}
	}
	for (int i = 0; i < HANDLE_COUNT; i++)
		damage_handle(&documents->handles[i], malforms);
}

/* ---- the oracle ---------------------------------------------------------------------- */

/* What nobody will release. Returns whether an address must stay all the same. */
static bool take_back(struct documents *documents, int index)
{
	struct block *block = &documents->blocks[index];
	bool is_kept = false;

	for (int i = 0; i < SIZE; i++) {
		int node = block->addresses[i].node == NOBODY ? block->owner
							      : block->addresses[i].node;
		int handle = block->addresses[i].handle;

		if (!block->addresses[i].is_taken || node < LIVE)
			continue;
		if (handle != UNNAMED && documents->handles[handle].state == MALFORMED)
			is_kept = true;
		else
			memset(&block->addresses[i], 0, sizeof(block->addresses[i]));
	}
	return is_kept;
}

static bool is_empty(const struct block *block)
{
	for (int i = 0; i < SIZE; i++) {
		if (block->addresses[i].is_taken)
			return false;
	}
	return true;
}

static void mend_block(struct documents *documents, int index)
{
	struct block *block = &documents->blocks[index];
	enum state *affinities = documents->affinities[index];
	int owner = block->owner;
	bool is_kept = take_back(documents, index);

	if (!is_kept && is_empty(block) && (owner >= LIVE || index >= IN_POOL)) {
		memset(block, 0, sizeof(*block));
		if (owner != NOBODY)
			affinities[owner] = ABSENT;
	} else if (!is_kept && owner >= LIVE) {
		block->owner = NOBODY;
		affinities[owner] = ABSENT;
	} else if (owner != NOBODY && owner < LIVE && affinities[owner] != MALFORMED) {
		affinities[owner] = GOOD;
	}
}

static void mend_affinities(struct documents *documents, int index)
{
	const struct block *block = &documents->blocks[index];

	for (int k = 0; k < NODE_COUNT; k++) {
		enum state *affinity = &documents->affinities[index][k];

		if (*affinity == MALFORMED || block->state == MALFORMED)
			continue;
		if (block->state == ABSENT || block->owner != k)
			*affinity = ABSENT;
	}
}

static void mend_handle(struct documents *documents, int index)
{
	struct handle *handle = &documents->handles[index];
	bool is_used = handle->has_ipv6;

	if (handle->state == MALFORMED)
		return;
	for (int i = 0; i < BLOCK_COUNT; i++) {
		const struct block *block = &documents->blocks[i];

		if (block->state != MALFORMED)
			handle->counts[i] = 0;
		for (int k = 0; block->state == GOOD && k < SIZE; k++)
			handle->counts[i] +=
				block->addresses[k].is_taken && block->addresses[k].handle == index;
		is_used |= handle->counts[i] != 0;
	}
	handle->state = is_used ? GOOD : ABSENT;
}

static void mend_documents(struct documents *documents)
{
	for (int i = 0; i < BLOCK_COUNT; i++) {
		if (documents->blocks[i].state == GOOD)
			mend_block(documents, i);
		mend_affinities(documents, i);
	}
	for (int i = 0; i < HANDLE_COUNT; i++)
		mend_handle(documents, i);
}

/* ---- one call ------------------------------------------------------------------------ */

/* In any order: callers sort them by their names. */
static void shuffle(struct cv_ipam_fault *faults, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t k = (size_t)random() % i;
		struct cv_ipam_fault fault = faults[k];

		faults[k] = faults[i - 1];
		faults[i - 1] = fault;
	}
}

static size_t fix(void)
{
	struct cv_ipam_view view;
	struct cv_error error = {.text = ""};
	size_t mended = 0;

	assert_int_equal(cv_ipam_look(ipam, &view, NULL), 0);
	shuffle(view.faults, view.fault_count);
	if (cv_ipam_fix(ipam, view.faults, view.fault_count, &mended, &error))
		fail_msg("round %d: %s", round_number, error.text);
	cv_ipam_view_fini(&view);
	return mended;
}

static void expect_same(const struct documents *there, const struct documents *wanted)
{
	for (int i = 0; i < BLOCK_COUNT; i++) {
		if (memcmp(&there->blocks[i], &wanted->blocks[i], sizeof(there->blocks[i])))
			fail_msg("round %d: block %s: state %d, not %d; owner %d, not %d",
				 round_number, cidr_of(i, '/'), there->blocks[i].state,
				 wanted->blocks[i].state, there->blocks[i].owner,
				 wanted->blocks[i].owner);
		for (int k = 0; k < NODE_COUNT; k++) {
			if (there->affinities[i][k] != wanted->affinities[i][k])
				fail_msg("round %d: affinity of %s to %s: %d, not %d", round_number,
					 nodes[k], cidr_of(i, '/'), there->affinities[i][k],
					 wanted->affinities[i][k]);
		}
	}
	for (int i = 0; i < HANDLE_COUNT; i++) {
		if (memcmp(&there->handles[i], &wanted->handles[i], sizeof(there->handles[i])))
			fail_msg("round %d: handle h%d: state %d, not %d", round_number, i,
				 there->handles[i].state, wanted->handles[i].state);
	}
}

/* Without malformed documents nothing is left but what must be decided by somebody. */
static void expect_no_faults(bool malforms)
{
	struct cv_ipam_view view;

	assert_int_equal(cv_ipam_look(ipam, &view, NULL), 0);
	for (size_t i = 0; i < view.fault_count; i++) {
		const struct cv_ipam_fault *fault = &view.faults[i];

		if (fault->is_fixable ? fault->kind != CV_IPAM_FAULT_NODE_GONE || !malforms
				      : fault->kind != CV_IPAM_FAULT_NO_POOL && !malforms)
			fail_msg("round %d: %s: %s", round_number, fault->key, fault->text);
	}
	cv_ipam_view_fini(&view);
}

static void damage_and_mend(void (*interfere)(void), bool malforms)
{
	struct documents wanted, there;

	damage(&wanted, malforms);
	put_documents(&wanted);
	read_documents(&there);
	expect_same(&there, &wanted); /* what was written can be read */
	mend_documents(&wanted);
	if (interfere)
		interfere();
	fix();
	kv_memory_set_meanwhile(memory, NULL, NULL);
	kv_memory_set_faults(memory, NULL, NULL);
	read_documents(&there);
	expect_same(&there, &wanted);
	expect_no_faults(malforms);
	assert_int_equal(fix(), 0);
}

static void for_all_rounds(void (*interfere)(void), bool malforms)
{
	for (round_number = 0; round_number < ROUNDS; round_number++) {
		srandom((unsigned int)round_number + 1);
		open_all();
		damage_and_mend(interfere, malforms);
		close_all();
	}
}

static void test_random(void **state)
{
	(void)state;
	for_all_rounds(NULL, false);
}

static void test_malformed(void **state)
{
	(void)state;
	for_all_rounds(NULL, true);
}

/* ---- others, who get on meanwhile ------------------------------------------------------ */

static int interruptions;

/* Before each commit somebody writes what is there already: it has another revision. */
static void touch_anything(void *data)
{
	struct cv_kv_list list;

	(void)data;
	if (!interruptions)
		return;
	interruptions--;
	assert_int_equal(cv_kv_list(kv, "", &list, NULL), 0);
	for (size_t i = 0; i < list.count; i++)
		ipam_put(kv, list.items[i].key, list.items[i].value);
	cv_kv_list_fini(&list);
}

static void interrupt(void)
{
	interruptions = 1 + any(8);
	kv_memory_set_meanwhile(memory, touch_anything, NULL);
}

static void test_interrupted(void **state)
{
	(void)state;
	for_all_rounds(interrupt, false);
}

/* Without end: it gives up, and says what it has done. */
static void test_always_interrupted(void **state)
{
	struct documents damaged, there;
	unsigned int refused;

	(void)state;
	srandom(1);
	open_all();
	damage(&damaged, false);
	put_documents(&damaged);
	interruptions = INT_MAX;
	kv_memory_set_meanwhile(memory, touch_anything, NULL);
	kv_memory_calls(memory);
	assert_int_equal(fix(), 0);
	refused = kv_memory_calls(memory).refused;
	assert_true(refused > 0 && refused < 1000);
	read_documents(&there);
	expect_same(&there, &damaged);
	close_all();
}

static int timeouts;

static enum kv_fault time_out(void *data)
{
	(void)data;
	if (!timeouts || !one_in(3))
		return KV_FAULT_NONE;
	timeouts--;
	return one_in(2) ? KV_FAULT_TIMEOUT_DONE : KV_FAULT_TIMEOUT_NOT;
}

/* As many as one call bears. */
static void lose_answers(void)
{
	timeouts = 1 + any(3);
	kv_memory_set_faults(memory, time_out, NULL);
}

static void test_lost_answers(void **state)
{
	(void)state;
	for_all_rounds(lose_answers, false);
}

/* ---- all ------------------------------------------------------------------------------- */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),	     cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_interrupted),  cmocka_unit_test(test_always_interrupted),
		cmocka_unit_test(test_lost_answers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
