/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of NBMA peers: right while routes stand still, bounded while they do not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "engine/peers.h"

struct fixture {
	struct cv_peers *peers;
	__be32 gateways[2]; /* of device 10, and of device 11 */
	unsigned int asked;
	unsigned int cost_ms; /* of each list */
	int err;
};

static void work(unsigned int ms)
{
	struct timespec now;
	uint64_t end_us = 0, now_us;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
		now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
		if (!end_us)
			end_us = now_us + ms * 1000U;
	} while (now_us < end_us);
}

static int gateways(void *context, int oif, int (*cb)(__be32 gateway, void *data), void *data)
{
	struct fixture *fixture = context;

	fixture->asked++;
	if (fixture->cost_ms)
		work(fixture->cost_ms);
	if (fixture->err)
		return fixture->err;
	return cb(fixture->gateways[oif - 10], data);
}

static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));
	const struct cv_peers_source source = {fixture, gateways};

	fixture->gateways[0] = 1;
	fixture->gateways[1] = 2;
	fixture->peers = cv_peers_create(&source);
	assert_non_null(fixture->peers);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	cv_peers_destroy(fixture->peers);
	test_free(fixture);
	return 0;
}

static bool has(struct fixture *fixture, int ifindex, __be32 address, uint32_t generation,
		uint64_t now_ms, bool want_fresh)
{
	bool is_fresh = !want_fresh;
	bool answer = cv_peers_has(fixture->peers, (unsigned int)ifindex, ifindex, address,
				   generation, now_ms, &is_fresh);

	assert_int_equal(is_fresh, want_fresh);
	return answer;
}

static void test_follows_routes(void **state)
{
	struct fixture *fixture = *state;

	assert_false(cv_peers_had(fixture->peers, 10, 10, 1));
	assert_true(has(fixture, 10, 1, 1, 1000, true));
	assert_false(has(fixture, 10, 2, 1, 1000, true));
	assert_int_equal(fixture->asked, 1);
	/* Two tunnels do not take turns. */
	for (unsigned int i = 0; i < 10; i++) {
		assert_true(has(fixture, 11, 2, 1, 1000, true));
		assert_true(has(fixture, 10, 1, 1, 1000, true));
	}
	assert_int_equal(fixture->asked, 2);
	fixture->gateways[0] = 3;
	assert_true(has(fixture, 10, 3, 2, 1001, true));
	assert_false(has(fixture, 10, 1, 2, 1001, true));
	assert_true(cv_peers_had(fixture->peers, 10, 10, 3));
	/* Another tunnel in the same slot. */
	assert_false(cv_peers_had(fixture->peers, 10, 11, 3));
	fixture->err = -ENOMEM;
	assert_false(has(fixture, 10, 3, 3, 1002, true));
}

/* A storm: a new generation with every batch, a batch every 5 ms, 10 ms for a list. */
static void test_storm_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	uint32_t generation = 1;
	uint64_t now_ms = 1000;
	bool is_fresh;

	fixture->cost_ms = 10;
	for (; now_ms < 2000; now_ms += 5, generation++) {
		assert_true(cv_peers_has(fixture->peers, 10, 10, 1, generation, now_ms, &is_fresh));
		assert_false(
			cv_peers_has(fixture->peers, 10, 10, 9, generation, now_ms, &is_fresh));
	}
	assert_in_range(fixture->asked, 2, 7);
	/* A tunnel that has no list yet is not kept waiting; one that has is a little behind. */
	assert_true(has(fixture, 11, 2, generation, now_ms, true));
	fixture->gateways[0] = 3;
	assert_false(has(fixture, 10, 3, generation, now_ms, false));
	assert_true(has(fixture, 10, 3, generation, now_ms + 1000, true));
}

#define PEERS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PEERS_TEST(test_follows_routes),
		PEERS_TEST(test_storm_is_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
