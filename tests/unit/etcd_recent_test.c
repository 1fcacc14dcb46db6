/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a store is the one that was watched: against a whole map of keys, at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "store/etcd_recent.h"

enum {
	KEYS = 200,
	STEPS = 4000,
};

/* The naive store: each key's revision and value; revision 0: it is not there. */
struct world {
	int64_t revision;
	struct {
		int64_t revision;
		int value;
	} keys[KEYS];
};

static struct cv_kv_list list_of(const struct world *world)
{
	struct cv_kv_list list = {.items = calloc(KEYS, sizeof(list.items[0]))};

	assert_non_null(list.items);
	for (size_t i = 0; i < KEYS; i++) {
		struct cv_kv_item *item = &list.items[list.count];

		if (!world->keys[i].revision)
			continue;
		assert_true(asprintf(&item->key, "k%zu", i) > 0);
		assert_true(asprintf(&item->value, "v%d", world->keys[i].value) > 0);
		item->revision = world->keys[i].revision;
		list.count++;
	}
	return list;
}

static int newest_first(const void *a, const void *b)
{
	const struct cv_kv_item *x = a, *y = b;

	return x->revision > y->revision ? -1 : x->revision < y->revision;
}

static bool agrees(const struct cv_etcd_recent *recent, const struct world *world)
{
	struct cv_kv_list list = list_of(world);
	size_t keys = list.count;
	bool same;

	qsort(list.items, list.count, sizeof(list.items[0]), newest_first);
	while (list.count > CV_ETCD_RECENT_ASKED)
		cv_kv_item_fini(&list.items[--list.count]);
	same = cv_etcd_recent_agrees(recent, keys, &list);
	cv_kv_list_fini(&list);
	return same;
}

static void reset(struct cv_etcd_recent *recent, const struct world *world)
{
	struct cv_kv_list list = list_of(world);

	cv_etcd_recent_reset(recent, &list);
	cv_kv_list_fini(&list);
}

static void put(struct world *world, struct cv_etcd_recent *recent, size_t at, int value)
{
	bool is_new = !world->keys[at].revision;
	char key[16], text[16];

	world->keys[at].revision = ++world->revision;
	world->keys[at].value = value;
	if (!recent)
		return;
	snprintf(key, sizeof(key), "k%zu", at);
	snprintf(text, sizeof(text), "v%d", value);
	cv_etcd_recent_put(recent, key, text, world->revision, is_new);
}

static void delete_key(struct world *world, struct cv_etcd_recent *recent, size_t at)
{
	char key[16];

	if (!world->keys[at].revision)
		return;
	world->keys[at].revision = 0;
	world->revision++;
	if (!recent)
		return;
	snprintf(key, sizeof(key), "k%zu", at);
	cv_etcd_recent_delete(recent, key);
}

/* The same store always agrees, unless too much was deleted to tell. */
static void test_same(void **state)
{
	struct world world = {.revision = 1};
	struct cv_etcd_recent recent = {.count = 0};
	size_t lost = 0;

	(void)state;
	srand(7);
	assert_true(agrees(&recent, &world));
	for (size_t i = 0; i < STEPS; i++) {
		size_t at = (size_t)rand() % KEYS;

		if (rand() % 3)
			put(&world, &recent, at, rand());
		else
			delete_key(&world, &recent, at);
		if (!agrees(&recent, &world)) {
			lost++;
			assert_int_equal(recent.count, 0);
		}
		if (!recent.count || rand() % 100 == 0)
			reset(&recent, &world);
	}
	assert_true(lost < STEPS / 100);
	cv_etcd_recent_fini(&recent);
}

/* A store that was put back, and went another way up to the same revision or past it, does not. */
static void test_restored(void **state)
{
	(void)state;
	srand(8);
	for (size_t round = 0; round < 300; round++) {
		struct world world = {.revision = 1}, backup;
		struct cv_etcd_recent recent = {.count = 0};
		size_t changes = 1 + (size_t)rand() % 20;

		for (size_t i = 0; i < 100; i++)
			put(&world, NULL, (size_t)rand() % KEYS, rand());
		reset(&recent, &world);
		backup = world;
		for (size_t i = 0; i < changes; i++)
			put(&world, &recent, (size_t)rand() % KEYS, rand());
		assert_true(agrees(&recent, &world));
		assert_false(agrees(&recent, &backup));
		for (size_t i = 0; i < changes; i++) {
			if (rand() % 2)
				put(&backup, NULL, (size_t)rand() % KEYS, rand());
			else
				delete_key(&backup, NULL, (size_t)rand() % KEYS);
		}
		assert_false(agrees(&recent, &backup));
		cv_etcd_recent_fini(&recent);
	}
}

/* One key less, and everything else as it was. */
static void test_deleted(void **state)
{
	struct world world = {.revision = 1};
	struct cv_etcd_recent recent = {.count = 0};

	(void)state;
	for (size_t i = 0; i < KEYS; i++)
		put(&world, NULL, i, 1);
	reset(&recent, &world);
	world.keys[3].revision = 0;
	assert_false(agrees(&recent, &world));
	cv_etcd_recent_fini(&recent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_restored),
		cmocka_unit_test(test_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
