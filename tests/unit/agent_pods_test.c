/* SPDX-License-Identifier: Apache-2.0 */
/* Attachments: ADD, attach and DEL, in turn and at once, over a real database that can be full. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/event.h>

#include "agent/pods.h"
#include "netns.h"

enum {
	LIMIT_S = 20
};

static struct event_base *base;
static char directory[64];
static struct cv_nl *nl;
static struct cv_addresses *addresses;
static struct cv_endpoint_set *endpoints;
static struct cv_pods *pods;
static int routes; /* in the kernel, as pods say */
static unsigned int told;
static char handles[512];

/* One answer's place. */
struct answer {
	int rc;
	bool is_there;
	char address[64], device[32];
};

/* ---- what pods ask for ----------------------------------------------------------------- */

static int on_route(void *data, const struct cv_table_route *route, bool add,
		    struct cv_error *error)
{
	(void)data;
	(void)error;
	assert_int_equal(route->prefix.length, 32);
	routes += add ? 1 : -1;
	return 0;
}

static uint32_t mtu(void *data)
{
	(void)data;
	return 1480;
}

static const char *node_name(void *data)
{
	(void)data;
	return "a1";
}

static const char *owner(void *data, __be32 address)
{
	(void)data;
	(void)address;
	return NULL;
}

static void on_changed(void *data)
{
	(void)data;
}

static const struct cv_pods_ops ops = {
	.route = on_route,
	.mtu = mtu,
	.node_name = node_name,
	.owner = owner,
	.changed = on_changed,
};

static void keep_silent(int priority, const char *text)
{
	(void)priority;
	(void)text;
}

/* ---- beginning and end ----------------------------------------------------------------- */

static void configure(void)
{
	struct cv_ipam_world world = {.node = "a1", .pool_count = 1, .declared_count = 1};

	world.pools = calloc(1, sizeof(*world.pools));
	world.declared = calloc(1, sizeof(*world.declared));
	snprintf(world.pools->name, sizeof(world.pools->name), "pods");
	cv_prefix_parse("10.244.0.0/16", &world.pools->cidr);
	world.pools->block_size = 26;
	world.pools->selects_us = world.pools->for_workload = true;
	cv_prefix_parse("10.244.1.0/26", world.declared);
	cv_addresses_configure(addresses, &world);
}

static void open_all(void)
{
	const struct cv_addresses_options address_options = {
		.base = base,
		.state_dir = directory,
	};
	const struct cv_endpoint_set_options endpoint_options = {
		.run_dir = directory,
		.nl = nl,
		.no_fastpath = "there is none",
		.log = keep_silent,
	};
	struct cv_pods_options options = {
		.base = base,
		.run_dir = directory,
		.nl = nl,
		.ops = &ops,
	};
	struct cv_error error;

	assert_int_equal(cv_addresses_create(&address_options, &addresses, &error), 0);
	assert_int_equal(cv_endpoint_set_create(&endpoint_options, &endpoints, &error), 0);
	configure();
	options.addresses = addresses;
	options.endpoints = endpoints;
	assert_int_equal(cv_pods_create(&options, &pods, &error), 0);
	cv_pods_start(pods);
}

static void close_all(void)
{
	cv_addresses_destroy(addresses);
	cv_pods_destroy(pods);
	cv_endpoint_set_destroy(endpoints);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/culvert-pods-XXXXXX");
	assert_non_null(mkdtemp(directory));
	cv_netns_enter_new();
	assert_int_equal(cv_nl_create(&nl), 0);
	base = event_base_new();
	routes = 0;
	told = 0;
	open_all();
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	close_all();
	cv_nl_destroy(nl);
	event_base_free(base);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command); /* NOLINT(cert-env33-c) */
}

/* No file may be written beyond its first bytes: so no commit is possible. */
static void fill_disk(bool is_full)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = is_full ? 1 : limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
}

/* ---- asking ------------------------------------------------------------------------------ */

static void run_until(unsigned int count)
{
	const struct timeval limit = {.tv_sec = LIMIT_S};

	event_base_loopexit(base, &limit);
	while (told < count && !event_base_got_exit(base))
		event_base_loop(base, EVLOOP_ONCE);
	fill_disk(false);
	assert_int_equal(told, count);
	told = 0;
}

static void on_answer(void *context, int rc, const struct cv_error *error, json_t *result)
{
	struct answer *answer = context;
	const char *address =
		json_string_value(json_array_get(json_object_get(result, "addresses"), 0));
	const char *device = json_string_value(json_object_get(result, "device"));

	(void)error;
	assert_false(answer->is_there);
	answer->is_there = true;
	answer->rc = rc;
	snprintf(answer->address, sizeof(answer->address), "%s", address ? address : "");
	snprintf(answer->device, sizeof(answer->device), "%s", device ? device : "");
	json_decref(result);
	told++;
}

static const struct cv_pods_key key = {"net", "c1", "eth0"};

static void ask_add(struct answer *answer)
{
	const struct cv_pods_add add = {
		.key = key,
		.netns = "/proc/self/ns/net",
		.bypass = CV_ENDPOINT_BYPASS_OFF,
	};

	*answer = (struct answer){.rc = 0};
	cv_pods_add(pods, &add, on_answer, answer);
}

static void ask_attach(struct answer *answer, const struct answer *added)
{
	struct cv_pods_attach attach = {.key = key, .device = added->device, .count = 1};

	assert_int_equal(cv_prefix_parse(added->address, &attach.addresses[0]), 0);
	*answer = (struct answer){.rc = 0};
	cv_pods_attach(pods, &attach, on_answer, answer);
}

static void ask_delete(struct answer *answer)
{
	*answer = (struct answer){.rc = 0};
	cv_pods_delete(pods, &key, on_answer, answer);
}

static void make_device(const struct answer *added)
{
	cv_sh("ip link add %s type veth peer name p0", added->device);
	cv_sh("ip link set %s up alias culvert:net/c1/eth0", added->device);
}

static void on_looked(void *context, int rc, const struct cv_error *error, const void *result)
{
	const struct cv_ipam_view *view = result;

	(void)context;
	(void)error;
	assert_int_equal(rc, 0);
	handles[0] = '\0';
	for (size_t i = 0; i < view->block_count; i++) {
		for (size_t k = 0; k < view->blocks[i].assignment_count; k++) {
			strcat(handles, view->blocks[i].assignments[k].handle);
			strcat(handles, " ");
		}
	}
	told++;
}

static size_t count_notes(void)
{
	struct cv_kv_list list = {.count = 0};
	struct cv_error error;
	size_t count;

	assert_int_equal(cv_addresses_local_list(addresses, "attachment/", &list, &error), 0);
	count = list.count;
	cv_kv_list_fini(&list);
	return count;
}

/* Of the one pod there is: entry, note and address; or nothing. */
static void expect(bool is_there, enum cv_pod_state state, int wanted_routes)
{
	told = 0;
	cv_addresses_look(addresses, on_looked, NULL);
	run_until(1);
	assert_string_equal(handles, is_there ? "net.c1.eth0 " : "");
	assert_int_equal(count_notes(), is_there);
	assert_int_equal(cv_pods_count(pods), is_there);
	if (is_there)
		assert_int_equal(cv_pods_at(pods, 0)->state, state);
	assert_int_equal(routes, wanted_routes);
}

static void add_it(struct answer *added)
{
	ask_add(added);
	run_until(1);
	assert_int_equal(added->rc, 0);
	expect(true, CV_POD_PENDING, 0);
}

static void attach_it(struct answer *added)
{
	struct answer attached;

	add_it(added);
	make_device(added);
	ask_attach(&attached, added);
	run_until(1);
	assert_int_equal(attached.rc, 0);
	expect(true, CV_POD_ATTACHED, 1);
}

static void delete_it(void)
{
	struct answer deleted;

	ask_delete(&deleted);
	run_until(1);
	assert_int_equal(deleted.rc, 0);
	expect(false, CV_POD_PENDING, 0);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void test_one_after_the_other(void **state)
{
	struct answer added, again;

	(void)state;
	attach_it(&added);
	/* Once more is the same. */
	ask_add(&again);
	run_until(1);
	assert_int_equal(again.rc, 0);
	assert_string_equal(again.address, added.address);
	expect(true, CV_POD_ATTACHED, 1);
	delete_it();
	assert_int_not_equal(cv_sh_status("ip link show dev %s 2>/dev/null", added.device), 0);
	/* What is not there is no failure. */
	delete_it();
}

static void test_attach_without_add(void **state)
{
	struct answer added, attached;

	(void)state;
	add_it(&added);
	/* Nor one without its device. */
	ask_attach(&attached, &added);
	assert_int_equal(attached.rc, -ENODEV);
	told = 0;
	expect(true, CV_POD_PENDING, 0);
	delete_it();
	ask_attach(&attached, &added);
	assert_int_equal(attached.rc, -ENOENT);
	told = 0;
	expect(false, CV_POD_PENDING, 0);
}

static void test_two_at_once(void **state)
{
	struct answer one, two;

	(void)state;
	ask_add(&one);
	ask_add(&two);
	run_until(2);
	assert_int_equal(one.rc, 0);
	assert_int_equal(two.rc, 0);
	assert_string_equal(one.address, two.address);
	expect(true, CV_POD_PENDING, 0);
	ask_delete(&one);
	ask_delete(&two);
	run_until(2);
	assert_int_equal(one.rc, 0);
	assert_int_equal(two.rc, 0);
	expect(false, CV_POD_PENDING, 0);
}

/* A DEL overtakes nothing, but ends it; an ADD behind it must wait. */
static void test_delete_before_add_is_over(void **state)
{
	struct answer added, deleted, again;

	(void)state;
	ask_add(&added);
	ask_delete(&deleted);
	ask_add(&again);
	assert_int_equal(again.rc, -EBUSY);
	run_until(3);
	assert_int_equal(added.rc, -EBUSY);
	assert_int_equal(deleted.rc, 0);
	expect(false, CV_POD_PENDING, 0);
	add_it(&added);
}

static void test_restored_from_disk(void **state)
{
	struct answer added, attached;

	(void)state;
	add_it(&added);
	close_all();
	open_all();
	expect(true, CV_POD_PENDING, 0);
	/* The plugin goes on, though the daemon is another one. */
	make_device(&added);
	ask_attach(&attached, &added);
	run_until(1);
	assert_int_equal(attached.rc, 0);
	close_all();
	open_all();
	expect(true, CV_POD_ATTACHED, 1);
	assert_string_equal(cv_pods_at(pods, 0)->device, added.device);
	assert_int_equal(cv_pods_at(pods, 0)->count, 1);
	delete_it();
}

/* A disk that is full at each step: it fails, nothing is half done, and it can be done again. */
static void test_full_disk(void **state)
{
	struct answer added, answer;

	(void)state;
	attach_it(&added); /* so that there is a database */
	delete_it();
	fill_disk(true);
	ask_add(&answer);
	run_until(1);
	assert_int_not_equal(answer.rc, 0);
	delete_it();
	add_it(&added);
	make_device(&added);
	fill_disk(true);
	ask_attach(&answer, &added);
	run_until(1);
	assert_int_not_equal(answer.rc, 0);
	expect(true, CV_POD_PENDING, 0);
	ask_attach(&answer, &added);
	run_until(1);
	assert_int_equal(answer.rc, 0);
	expect(true, CV_POD_ATTACHED, 1);
	fill_disk(true);
	ask_delete(&answer);
	run_until(1);
	assert_int_not_equal(answer.rc, 0);
	assert_int_equal(count_notes(), 1);
	delete_it();
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_after_the_other), TEST(test_attach_without_add),
		TEST(test_two_at_once),		TEST(test_delete_before_add_is_over),
		TEST(test_restored_from_disk),	TEST(test_full_disk),
	};

	if (!cv_netns_available())
		return 0;
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests_name("agent_pods", tests, NULL, NULL);
}
