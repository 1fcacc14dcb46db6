/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine tells the fast path of who may send, and of remote ends. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/teach.h"
#include "net/monitor.h"
#include "packets.h"
#include "world.h"

#define US    "192.168.100.1"
#define B1    "192.168.200.2"
#define B2    "192.168.200.3"
#define POD_A "10.244.1.2"
#define POD_B "10.244.2.2"

enum {
	/* teach.c's */
	REFUSALS_PER_SECOND = 500,
	REPEATS_PER_SECOND = 500,
};

/* A pupil that writes down what it is told. */
struct fixture {
	struct world *world;
	struct cv_live_tunnel *tunnel;
	struct cv_teacher teacher;
	struct cv_fp_stamp stamp;
	int stamp_error;
	unsigned int asked_at_stamp; /* questions to routing before the stamp was taken */
	unsigned int words, arrivals, remotes;
	struct cv_fp_word_key key;
	struct cv_fp_word word;
	struct cv_fp_arrival_key arrival_key;
	struct cv_fp_word arrival;
	struct cv_fp_remote remote;
};

static int stamp(void *context, struct cv_fp_stamp *ret_stamp)
{
	struct fixture *fixture = context;

	fixture->asked_at_stamp = fixture->world->asked;
	*ret_stamp = fixture->stamp;
	return fixture->stamp_error;
}

static void word(void *context, const struct cv_fp_word_key *key, const struct cv_fp_word *value)
{
	struct fixture *fixture = context;

	fixture->words++;
	fixture->key = *key;
	fixture->word = *value;
}

static void arrival(void *context, const struct cv_fp_arrival_key *key,
		    const struct cv_fp_word *value)
{
	struct fixture *fixture = context;

	fixture->arrivals++;
	fixture->arrival_key = *key;
	fixture->arrival = *value;
}

static void remote(void *context, __be32 address, const struct cv_fp_remote *value)
{
	struct fixture *fixture = context;

	(void)address;
	fixture->remotes++;
	fixture->remote = *value;
}

static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	fixture->world = world_create();
	fixture->teacher = (struct cv_teacher){
		.context = fixture,
		.stamp = stamp,
		.word = word,
		.arrival = arrival,
		.remote = remote,
	};
	fixture->stamp = (struct cv_fp_stamp){.genid = 7, .generation = 3};
	fixture->world->shared.teacher = &fixture->teacher;
	fixture->tunnel = world_tunnel(fixture->world, WORLD_TUN0, NULL, US);
	world_hop(world_route(fixture->world, "10.244.2.0/24", RTN_UNICAST), WORLD_TUN0, B1);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	world_destroy(fixture->world);
	test_free(fixture);
	return 0;
}

/* An outer packet from one of the peers with an inner one from source. */
static void receive(struct fixture *fixture, const char *from, const char *source)
{
	uint8_t inner[256], outer[512];
	const struct header_of of = {
		.source = world_addr(source),
		.destination = world_addr(POD_A),
		.tos = 0xb8,
	};
	uint32_t length = write_ipv4(inner, &of, NULL, 64);

	length = write_outer(outer, world_addr(from), world_addr(US), 0, inner, length);
	world_in(fixture->world, NULL, outer, length);
}

static void test_tells_a_permission(void **state)
{
	struct fixture *fixture = *state;

	receive(fixture, B1, POD_B);
	assert_int_equal(fixture->world->delivered.count, 1);
	assert_int_equal(fixture->words, 1);
	assert_int_equal(fixture->key.tunnel, WORLD_TUN0);
	assert_int_equal(fixture->key.outer_source, world_addr(B1));
	assert_int_equal(fixture->key.inner_source, world_addr(POD_B));
	assert_int_equal(fixture->key.inner_destination, world_addr(POD_A));
	assert_int_equal(fixture->key.tos, 0xb8);
	assert_int_equal(fixture->word.drop, CV_DROP_NONE);
	assert_int_equal(fixture->word.stamp.genid, 7);
	assert_int_equal(fixture->word.stamp.generation, 3);
	/* By the packet's own device, or handed over: only the former says something of it. */
	assert_int_equal(fixture->arrivals, fixture->arrival_key.ifindex ? 1 : 0);
}

static void test_tells_a_refusal(void **state)
{
	struct fixture *fixture = *state;

	world_hop(world_route(fixture->world, "10.244.3.0/24", RTN_UNICAST), WORLD_TUN0, B2);
	receive(fixture, B2, POD_B);
	assert_int_equal(fixture->world->delivered.count, 0);
	assert_int_equal(fixture->words, 1);
	assert_int_equal(fixture->word.drop, CV_DROP_SOURCE_NOT_ROUTED_BACK);
}

/* The answer that the packet itself got may be old; the word's is asked for after the stamp. */
static void test_asks_after_the_stamp(void **state)
{
	struct fixture *fixture = *state;

	receive(fixture, B1, POD_B);
	assert_true(fixture->world->asked > fixture->asked_at_stamp);
}

/*
 * A packet that is here although its answer is remembered means that the fast path does not know
 * it: it is told again, but only so often.
 */
static void test_tells_again(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2 * REPEATS_PER_SECOND; i++)
		receive(fixture, B1, POD_B);
	assert_int_equal(fixture->words, 1 + REPEATS_PER_SECOND);
	fixture->world->changes = CV_MONITOR_ROUTE;
	receive(fixture, B1, POD_B);
	assert_int_equal(fixture->words, 2 + REPEATS_PER_SECOND);
}

static void test_tells_nothing_without_a_stamp(void **state)
{
	struct fixture *fixture = *state;

	fixture->stamp_error = -EPERM;
	receive(fixture, B1, POD_B);
	fixture->stamp_error = 0;
	fixture->stamp.generation = 0;
	receive(fixture, B1, "10.244.2.3");
	assert_int_equal(fixture->words, 0);
	assert_int_equal(fixture->world->delivered.count, 2);
}

/* It rests on a list of routes, whose deletion no stamp tells of. */
static void test_keeps_who_is_a_peer_to_itself(void **state)
{
	struct fixture *fixture = *state;

	receive(fixture, B1, B1);
	assert_int_equal(fixture->world->delivered.count, 1);
	assert_int_equal(fixture->words, 0);
}

/* Of a declared one it rests on what makes all words expire when it changes. */
static void test_tells_of_declared_peers(void **state)
{
	struct fixture *fixture = *state;
	const __be32 peer = world_addr(B2);

	assert_int_equal(cv_owners_make(NULL, 0, &peer, 1, &fixture->tunnel->owners), 0);
	cv_router_forget(fixture->world->lane->router);
	receive(fixture, B2, B2);
	assert_int_equal(fixture->world->delivered.count, 1);
	assert_int_equal(fixture->words, 1);
	assert_int_equal(fixture->key.inner_source, peer);
	assert_int_equal(fixture->word.drop, CV_DROP_NONE);
	/* The other is one by a route alone, as before. */
	receive(fixture, B1, B1);
	assert_int_equal(fixture->world->delivered.count, 2);
	assert_int_equal(fixture->words, 1);
	cv_owners_fini(&fixture->tunnel->owners);
}

static void test_tells_only_so_many_refusals(void **state)
{
	struct fixture *fixture = *state;
	char source[32];

	world_hop(world_route(fixture->world, "10.244.3.0/24", RTN_UNICAST), WORLD_TUN0, B2);
	for (int i = 0; i < 2 * REFUSALS_PER_SECOND; i++) {
		snprintf(source, sizeof(source), "10.244.2.%d", 1 + i % 250);
		/* Another flow each time: nothing remembered answers. */
		fixture->world->changes = CV_MONITOR_ROUTE;
		receive(fixture, B2, source);
	}
	assert_int_equal(fixture->words, REFUSALS_PER_SECOND);
	fixture->world->now_ms += 1000;
	fixture->world->changes = CV_MONITOR_ROUTE;
	receive(fixture, B2, POD_B);
	assert_int_equal(fixture->words, REFUSALS_PER_SECOND + 1);
}

static void tell(void *context, __be32 address, const struct cv_remote_state *state)
{
	struct cv_remote_state *last = context;

	assert_int_equal(address, world_addr(B1));
	*last = *state;
}

static void test_shows_remotes(void **state)
{
	const struct cv_remote_error error = {.type = 3, .code = 1};
	struct fixture *fixture = *state;
	struct cv_remotes *remotes = fixture->world->shared.remotes;
	struct cv_remote_state last = {0};
	struct cv_remote_error taken;

	cv_remotes_observe(remotes, tell, &last);
	cv_remotes_lower_mtu(remotes, world_addr(B1), 1400, 1500, 1000, 500);
	assert_int_equal(last.mtu, 1400);
	assert_int_equal(last.mtu_until_ms, 1500);
	assert_int_equal(last.error_until_ms, 0);
	cv_remotes_set_error(remotes, world_addr(B1), &error, 1000);
	assert_true(last.error_until_ms > 1000);
	assert_int_equal(last.mtu, 1400);
	assert_true(cv_remotes_take_error(remotes, world_addr(B1), 1001, &taken));
	assert_int_equal(last.error_until_ms, 0);
	cv_remotes_observe(remotes, NULL, NULL);
	cv_remotes_lower_mtu(remotes, world_addr(B1), 1300, 1500, 1002, 500);
	assert_int_equal(last.mtu, 1400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tells_a_permission, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tells_a_refusal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asks_after_the_stamp, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tells_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tells_nothing_without_a_stamp, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_keeps_who_is_a_peer_to_itself, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_tells_of_declared_peers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tells_only_so_many_refusals, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_shows_remotes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
