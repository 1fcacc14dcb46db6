/* SPDX-License-Identifier: Apache-2.0 */
/* What bridges have in blocks comes and goes: over a real database, with real devices. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/event.h>

#include "agent/bridges.h"
#include "netns.h"

enum {
	LIMIT_S = 20
};

#define HANDLE "bridge-gateway-a1-cbr0-10.244.1.0-28"

struct fixture {
	struct event_base *base;
	char directory[64];
	struct cv_addresses *addresses;
	struct cv_nl *nl;
	struct cv_bridges *bridges;
	struct cv_prefix block;
	bool is_used;
	unsigned int changes;
	unsigned int told;
	int rc; /* of what was told last */
	char handles[256];
};

static const char *node_name(void *data)
{
	(void)data;
	return "a1";
}

static void on_changed(void *data)
{
	struct fixture *fixture = data;

	fixture->changes++;
}

static bool is_used(void *data, const char *bridge, const struct cv_prefix *block)
{
	const struct fixture *fixture = data;

	assert_string_equal(bridge, "cbr0");
	assert_int_equal(cv_prefix_compare(block, &fixture->block), 0);
	return fixture->is_used;
}

static void run_until(struct fixture *fixture, unsigned int told)
{
	const struct timeval limit = {.tv_sec = LIMIT_S};

	event_base_loopexit(fixture->base, &limit);
	while (fixture->told < told && !event_base_got_exit(fixture->base))
		event_base_loop(fixture->base, EVLOOP_ONCE);
	assert_int_equal(fixture->told, told);
	fixture->told = 0;
}

/* ---- beginning and end ----------------------------------------------------------------- */

static void open_addresses(struct fixture *fixture)
{
	const struct cv_addresses_options options = {
		.base = fixture->base,
		.state_dir = fixture->directory,
	};
	struct cv_ipam_world world = {.node = "a1", .pool_count = 1, .declared_count = 1};
	struct cv_error error = {.text = ""};

	assert_int_equal(cv_addresses_create(&options, &fixture->addresses, &error), 0);
	world.pools = calloc(1, sizeof(*world.pools));
	world.declared = calloc(1, sizeof(*world.declared));
	snprintf(world.pools->name, sizeof(world.pools->name), "pods");
	cv_prefix_parse("10.244.0.0/16", &world.pools->cidr);
	world.pools->block_size = 28;
	world.pools->selects_us = world.pools->for_workload = true;
	cv_prefix_parse("10.244.1.0/28", world.declared);
	cv_addresses_configure(fixture->addresses, &world);
}

static void open_bridges(struct fixture *fixture)
{
	const struct cv_bridges_options options = {
		.nl = fixture->nl,
		.addresses = fixture->addresses,
		.node_name = node_name,
		.changed = on_changed,
		.is_used = is_used,
		.data = fixture,
	};
	struct cv_error error;

	assert_int_equal(cv_bridges_create(&options, &fixture->bridges, &error), 0);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/culvert-bridges-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	cv_netns_enter_new();
	assert_int_equal(cv_nl_create(&fixture->nl), 0);
	cv_prefix_parse("10.244.1.0/28", &fixture->block);
	fixture->base = event_base_new();
	open_addresses(fixture);
	open_bridges(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	cv_addresses_destroy(fixture->addresses);
	cv_bridges_destroy(fixture->bridges);
	cv_nl_destroy(fixture->nl);
	event_base_free(fixture->base);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->directory);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
	free(fixture);
	return 0;
}

/* Another daemon, after this one. */
static void restart(struct fixture *fixture)
{
	cv_addresses_destroy(fixture->addresses);
	cv_bridges_destroy(fixture->bridges);
	open_addresses(fixture);
	open_bridges(fixture);
}

/* ---- asking ------------------------------------------------------------------------------ */

static void on_prepared(void *context, int rc, const struct cv_error *error)
{
	struct fixture *fixture = context;

	(void)error;
	fixture->told++;
	fixture->rc = rc;
}

static void ask_for_gateway(struct fixture *fixture)
{
	cv_bridges_prepare(fixture->bridges, "cbr0", &fixture->block, 1480, on_prepared, fixture);
}

static void on_looked(void *context, int rc, const struct cv_error *error, const void *result)
{
	const struct cv_ipam_view *view = result;
	struct fixture *fixture = context;

	(void)error;
	assert_int_equal(rc, 0);
	fixture->told++;
	fixture->handles[0] = '\0';
	for (size_t i = 0; i < view->block_count; i++) {
		for (size_t k = 0; k < view->blocks[i].assignment_count; k++) {
			strcat(fixture->handles, " ");
			strcat(fixture->handles, view->blocks[i].assignments[k].handle);
		}
	}
}

/* Whatever was asked for before is done by then: of each of its steps, one is behind the other. */
static void let_it_settle(struct fixture *fixture)
{
	for (int i = 0; i < 4; i++) {
		cv_addresses_look(fixture->addresses, on_looked, fixture);
		run_until(fixture, 1);
	}
}

static size_t count_notes(struct fixture *fixture)
{
	struct cv_kv_list list;
	struct cv_error error;
	size_t count;

	assert_int_equal(cv_addresses_local_list(fixture->addresses, "bridge/", &list, &error), 0);
	count = list.count;
	cv_kv_list_fini(&list);
	return count;
}

static void expect_gateway(struct fixture *fixture, const char *address)
{
	let_it_settle(fixture);
	assert_string_equal(fixture->handles, " " HANDLE " " HANDLE " " HANDLE);
	assert_int_equal(cv_bridges_gateway(fixture->bridges, "cbr0", &fixture->block),
			 cv_addr(address));
	cv_sh("ip -4 -o address show dev cbr0 | grep -qF ' %s/28 '", address);
	assert_int_equal(count_notes(fixture), 1);
}

static void expect_nothing(struct fixture *fixture)
{
	let_it_settle(fixture);
	assert_string_equal(fixture->handles, "");
	assert_int_equal(cv_bridges_gateway(fixture->bridges, "cbr0", &fixture->block), 0);
	assert_int_not_equal(cv_sh_status("ip -4 -o address show | grep -qF 10.244."), 0);
	assert_int_equal(count_notes(fixture), 0);
}

static void make_gateway(struct fixture *fixture)
{
	ask_for_gateway(fixture);
	run_until(fixture, 1);
	assert_int_equal(fixture->rc, 0);
	expect_gateway(fixture, "10.244.1.1");
}

/* ---- tests --------------------------------------------------------------------------------- */

static void test_gives_back_what_no_pod_needs(void **state)
{
	struct fixture *fixture = *state;
	unsigned int changes;

	make_gateway(fixture);
	changes = fixture->changes;
	cv_bridges_observe(fixture->bridges);
	expect_gateway(fixture, "10.244.1.1");
	cv_bridges_observe(fixture->bridges);
	expect_nothing(fixture);
	assert_true(fixture->changes > changes);
	cv_sh("ip link show dev cbr0 >/dev/null");
	/* And anew. */
	make_gateway(fixture);
}

static void test_keeps_what_a_pod_needs(void **state)
{
	struct fixture *fixture = *state;

	make_gateway(fixture);
	for (int i = 0; i < 6; i++) {
		/* Never unused at two observations, one after the other. */
		fixture->is_used = i % 2;
		cv_bridges_observe(fixture->bridges);
	}
	expect_gateway(fixture, "10.244.1.1");
}

static void on_assigned(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct fixture *fixture = context;

	(void)error;
	(void)result;
	assert_int_equal(rc, 0);
	fixture->told++;
}

/* A pod has what would be the broadcast address: what the bridge has got by then goes back. */
static void test_a_block_without_room(void **state)
{
	struct cv_ipam_request request = {.handle = "overlay.c1.eth0",
					  .address = cv_addr("10.244.1.15")};
	struct fixture *fixture = *state;

	cv_addresses_assign(fixture->addresses, &request, on_assigned, fixture);
	run_until(fixture, 1);
	ask_for_gateway(fixture);
	run_until(fixture, 1);
	assert_int_equal(fixture->rc, -EADDRINUSE);
	let_it_settle(fixture);
	assert_string_equal(fixture->handles, " overlay.c1.eth0");
	assert_int_equal(cv_bridges_gateway(fixture->bridges, "cbr0", &fixture->block), 0);
}

/* An ADD that comes while the address is on its way back gets one all the same. */
static void test_an_add_at_the_same_time(void **state)
{
	struct fixture *fixture = *state;

	make_gateway(fixture);
	cv_bridges_observe(fixture->bridges);
	cv_bridges_observe(fixture->bridges);
	assert_int_equal(cv_bridges_gateway(fixture->bridges, "cbr0", &fixture->block), 0);
	ask_for_gateway(fixture);
	ask_for_gateway(fixture);
	fixture->is_used = true;
	cv_bridges_observe(fixture->bridges);
	cv_bridges_observe(fixture->bridges);
	assert_int_equal(fixture->told, 0);
	run_until(fixture, 2);
	assert_int_equal(fixture->rc, 0);
	expect_gateway(fixture, "10.244.1.1");
	restart(fixture);
	expect_gateway(fixture, "10.244.1.1");
}

static void test_a_bridge_that_is_gone(void **state)
{
	struct fixture *fixture = *state;

	make_gateway(fixture);
	cv_sh("ip link delete cbr0");
	restart(fixture);
	cv_bridges_observe(fixture->bridges);
	cv_bridges_observe(fixture->bridges);
	expect_nothing(fixture);
}

/* What a daemon had begun, the next one goes on with. */
static void test_goes_on_with_it(void **state)
{
	static const char *const notes[] = {
		/* As it is between the first step and the last, … */
		"{\"version\":1,\"name\":\"cbr0\",\"gateways\":[{\"block\":\"10.244.1.0/28\","
		"\"address\":\"10.244.1.1/28\",\"handle\":\"" HANDLE "\",\"leaving\":true}]}",
		/* … and of a gateway that says no handle, as they did not. */
		"{\"version\":1,\"name\":\"cbr0\",\"gateways\":[{\"block\":\"10.244.1.0/28\","
		"\"address\":\"10.244.1.1/28\",\"leaving\":true}]}",
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		fixture->is_used = false;
		make_gateway(fixture);
		cv_addresses_local_put(fixture->addresses, "bridge/cbr0", notes[i], NULL, NULL);
		let_it_settle(fixture);
		restart(fixture);
		assert_int_equal(cv_bridges_gateway(fixture->bridges, "cbr0", &fixture->block), 0);
		/* Even if a pod is in the block by now: it waits for a new one. */
		fixture->is_used = true;
		cv_bridges_observe(fixture->bridges);
		expect_nothing(fixture);
	}
}

/* Another address management's are not ours to give back. */
static void test_leaves_others_alone(void **state)
{
	struct fixture *fixture = *state;
	struct cv_prefix address = {cv_addr("10.99.0.1"), 24};
	struct cv_error error;

	assert_int_equal(cv_bridges_give(fixture->bridges, "cbr0", &address, &error), 0);
	cv_bridges_observe(fixture->bridges);
	cv_bridges_observe(fixture->bridges);
	let_it_settle(fixture);
	cv_sh("ip -4 -o address show dev cbr0 | grep -qF ' 10.99.0.1/24 '");
	assert_int_equal(count_notes(fixture), 1);
}

/* An end in the middle of it: nobody is told twice, and nothing is forgotten. */
static void test_an_end_in_the_middle(void **state)
{
	struct fixture *fixture = *state;

	make_gateway(fixture);
	cv_bridges_observe(fixture->bridges);
	cv_bridges_observe(fixture->bridges);
	ask_for_gateway(fixture);
	restart(fixture);
	assert_int_equal(fixture->told, 1);
	assert_int_equal(fixture->rc, -ECANCELED);
	fixture->told = 0;
	for (int i = 0; i < 3; i++)
		cv_bridges_observe(fixture->bridges);
	expect_nothing(fixture);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_gives_back_what_no_pod_needs), TEST(test_keeps_what_a_pod_needs),
		TEST(test_a_block_without_room),	 TEST(test_an_add_at_the_same_time),
		TEST(test_a_bridge_that_is_gone),	 TEST(test_goes_on_with_it),
		TEST(test_leaves_others_alone),		 TEST(test_an_end_in_the_middle),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests_name("agent_bridges", tests, NULL, NULL);
}
