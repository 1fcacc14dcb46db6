/* SPDX-License-Identifier: Apache-2.0 */
/* A Node of our own making is made and changed; another's never. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/register.h"
#include "kv_memory.h"
#include "model/manifest.h"

#define KEY "resources/v3/projectcalico.org/nodes/a1"

static struct kv_memory *memory;
static struct cv_kv *kv;
static struct cv_error error;
static struct cv_registration registration;

static void put(const char *value)
{
	const struct cv_kv_operation operation = {KEY, value, CV_KV_WHATEVER};

	assert_int_equal(cv_kv_commit(kv, &operation, 1, NULL, &error), 0);
}

static const char *get(void)
{
	static char value[2048];
	struct cv_kv_item item;

	if (cv_kv_get(kv, KEY, &item, &error))
		return NULL;
	snprintf(value, sizeof(value), "%s", item.value);
	cv_kv_item_fini(&item);
	return value;
}

static int begin(void **state)
{
	(void)state;
	memory = kv_memory_create();
	kv = kv_memory_open(memory);
	registration = (struct cv_registration){
		.name = "a1",
		.address = {inet_addr("192.168.100.1"), 24},
		.method = "first-found: eth0",
	};
	return 0;
}

static int end(void **state)
{
	(void)state;
	cv_kv_destroy(kv);
	kv_memory_destroy(memory);
	return 0;
}

static void makes_a_node(void **state)
{
	struct cv_manifest manifest;
	const char *text;

	(void)state;
	assert_int_equal(cv_register_write(&registration, kv, &error), 0);
	text = get();
	assert_non_null(text);
	assert_int_equal(cv_manifest_parse("etcd", text, strlen(text), &manifest, &error), 0);
	assert_int_equal(manifest.count, 1);
	assert_int_equal(manifest.warnings.count, 0);
	assert_int_equal(manifest.resources[0]->kind, CV_KIND_NODE);
	assert_string_equal(manifest.resources[0]->name, "a1");
	assert_int_equal(manifest.resources[0]->node.address, inet_addr("192.168.100.1"));
	assert_int_equal(manifest.resources[0]->node.prefix_length, 24);
	/* It survives our own reading and printing. */
	assert_true(cv_register_is_ours(manifest.resources[0]->text));
	cv_manifest_fini(&manifest);
}

/* And all else in it stays: somebody may have added to it. */
static void changes_its_own(void **state)
{
	(void)state;
	put("{\"kind\":\"Node\",\"metadata\":{\"name\":\"a1\",\"uid\":\"7\",\"annotations\":{"
	    "\"culvert/address-detected-by\":\"first-found\"}},\"spec\":{\"bgp\":{\"ipv4Address\":"
	    "\"192.168.100.9/24\",\"asNumber\":65001}}}");
	assert_int_equal(cv_register_write(&registration, kv, &error), 0);
	assert_string_equal(
		get(),
		"{\"kind\":\"Node\",\"metadata\":{\"name\":\"a1\",\"uid\":\"7\",\"annotations\":{"
		"\"culvert/address-detected-by\":\"first-found\"}},\"spec\":{\"bgp\":{"
		"\"ipv4Address\":\"192.168.100.1/24\",\"asNumber\":65001}}}");
}

static void leaves_anothers_alone(void **state)
{
	static const char others[] = "{\"kind\":\"Node\",\"metadata\":{\"name\":\"a1\"},\"spec\":{"
				     "\"bgp\":{\"ipv4Address\":\"192.168.100.9/24\"}}}";

	(void)state;
	put(others);
	assert_int_equal(cv_register_write(&registration, kv, &error), 0);
	assert_string_equal(get(), others);
	assert_false(cv_register_is_ours(others));
	put("no JSON");
	assert_int_equal(cv_register_write(&registration, kv, &error), 0);
	assert_string_equal(get(), "no JSON");
}

static void writes_nothing_twice(void **state)
{
	(void)state;
	assert_int_equal(cv_register_write(&registration, kv, &error), 0);
	kv_memory_calls(memory);
	assert_int_equal(cv_register_write(&registration, kv, &error), 0);
	assert_int_equal(kv_memory_calls(memory).commits, 0);
}

static void be_first(void *data)
{
	(void)data;
	kv_memory_set_meanwhile(memory, NULL, NULL);
	put("{\"kind\":\"Node\",\"metadata\":{\"name\":\"a1\"}}");
}

static void loses_a_race(void **state)
{
	(void)state;
	kv_memory_set_meanwhile(memory, be_first, NULL);
	assert_int_equal(cv_register_write(&registration, kv, &error), -EAGAIN);
	assert_string_equal(get(), "{\"kind\":\"Node\",\"metadata\":{\"name\":\"a1\"}}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(makes_a_node),	    TEST(changes_its_own), TEST(leaves_anothers_alone),
		TEST(writes_nothing_twice), TEST(loses_a_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
