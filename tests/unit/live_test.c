/* SPDX-License-Identifier: Apache-2.0 */
/* The table of live tunnels, held against a naive search. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/live.h"
#include "wire/bytes.h"

enum {
	STEPS = 20000,
	RUN_MAX = 64, /* taken places in a row; 1,024 of 4,096 taken at random have some 15 */
};

static struct cv_live_tunnel *make(int ifindex, __be32 remote, __be32 local)
{
	struct cv_live_tunnel *tunnel = aligned_alloc(64, sizeof(*tunnel));

	assert_non_null(tunnel);
	memset(tunnel, 0, sizeof(*tunnel));
	tunnel->config.ifindex = ifindex;
	tunnel->config.remote = remote;
	tunnel->config.local = local;
	return tunnel;
}

static void free_all(struct cv_live *live)
{
	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX; i++)
		free(live->slots[i]);
	test_free(live);
}

static struct cv_live_tunnel *naive(const struct cv_live *live, int ifindex, __be32 remote,
				    __be32 local)
{
	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX; i++) {
		struct cv_live_tunnel *tunnel = live->slots[i];

		if (!tunnel)
			continue;
		if (ifindex ? tunnel->config.ifindex == ifindex
			    : tunnel->config.remote == remote && tunnel->config.local == local)
			return tunnel;
	}
	return NULL;
}

static void step(struct cv_live *live)
{
	int ifindex = 1 + rand() % 300;
	__be32 remote = cv_htonl((uint32_t)(rand() % 20)),
	       local = cv_htonl((uint32_t)(rand() % 20));
	struct cv_live_tunnel *same_device = naive(live, ifindex, 0, 0);
	struct cv_live_tunnel *same_pair = naive(live, 0, remote, local);

	assert_ptr_equal(cv_live_find(live, ifindex), same_device);
	assert_int_equal(cv_live_is_device(live, ifindex), same_device != NULL);
	assert_ptr_equal(cv_live_exact(live, remote, local), same_pair);
	if (same_device && rand() % 2) {
		struct cv_engine_tunnel config = same_device->config;
		bool taken = same_pair && same_pair != same_device;

		config.remote = remote;
		config.local = local;
		assert_int_equal(cv_live_change(live, same_device, &config), taken ? -EEXIST : 0);
	} else if (same_device) {
		cv_live_remove(live, same_device);
		free(same_device);
	} else {
		struct cv_live_tunnel *tunnel = make(ifindex, remote, local);
		int err = cv_live_add(live, tunnel);

		assert_int_equal(err, same_pair ? -EEXIST : 0);
		if (err)
			free(tunnel);
	}
}

static void test_against_a_naive_search(void **state)
{
	struct cv_live *live = test_calloc(1, sizeof(*live));

	(void)state;
	srand(2003);
	for (unsigned int i = 0; i < STEPS; i++)
		step(live);
	assert_true(live->count > 100);
	free_all(live);
}

/* Of an outer packet to an address; 0: no tunnel. */
static int receiver(const struct cv_live *live, __be32 destination)
{
	const struct cv_live_tunnel *tunnel =
		cv_live_lookup(live, 0, cv_htonl(0x0a000001), destination, 0);

	return tunnel ? tunnel->config.ifindex : 0;
}

static void test_other_addresses_come_last(void **state)
{
	struct cv_live *live = test_calloc(1, sizeof(*live));
	struct cv_live_tunnel *pools = make(1, 0, cv_htonl(1));
	struct cv_live_tunnel *own = make(2, 0, cv_htonl(2)), *any = make(3, 0, 0);
	struct cv_engine_tunnel config;

	(void)state;
	pools->config.other_count = 2;
	pools->config.others[0] = cv_htonl(2);
	pools->config.others[1] = cv_htonl(3);
	assert_int_equal(cv_live_add(live, pools), 0);
	assert_int_equal(receiver(live, cv_htonl(1)), 1);
	assert_int_equal(receiver(live, cv_htonl(2)), 1);
	assert_int_equal(receiver(live, cv_htonl(3)), 1);
	assert_int_equal(receiver(live, cv_htonl(4)), 0);
	/* They are no reason to refuse a tunnel, and it takes what is its own. */
	assert_int_equal(cv_live_add(live, own), 0);
	assert_int_equal(receiver(live, cv_htonl(2)), 2);
	assert_int_equal(receiver(live, cv_htonl(3)), 1);
	assert_int_equal(cv_live_add(live, any), 0);
	assert_int_equal(receiver(live, cv_htonl(3)), 3);
	assert_int_equal(receiver(live, cv_htonl(1)), 1);
	cv_live_remove(live, any);
	cv_live_remove(live, own);
	assert_int_equal(receiver(live, cv_htonl(2)), 1);
	config = pools->config;
	config.other_count = 0;
	assert_int_equal(cv_live_change(live, pools, &config), 0);
	assert_int_equal(receiver(live, cv_htonl(3)), 0);
	free(any);
	free(own);
	free_all(live);
}

static unsigned int longest_run(const uint16_t *hash)
{
	unsigned int run = 0, longest = 0;

	for (unsigned int i = 0; i < CV_LIVE_HASH_SIZE; i++) {
		run = hash[i] ? run + 1 : 0;
		if (run > longest)
			longest = run;
	}
	return longest;
}

/* A full table of tunnels to the hosts of a few subnets, from the same address. */
static void test_no_packet_searches_long(void **state)
{
	static const uint32_t steps[] = {1, 2, 16, 256, 65536};

	(void)state;
	for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
		struct cv_live *live = test_calloc(1, sizeof(*live));
		struct cv_live_tunnel *more = make(1, 1, 1);

		for (uint32_t i = 0; i < CV_ENGINE_TUNNELS_MAX; i++) {
			__be32 remote = cv_htonl(0x0a000001 + i * steps[k]);

			assert_int_equal(
				cv_live_add(live, make(10 + (int)i, remote, cv_htonl(0xc0a86401))),
				0);
		}
		assert_int_equal(cv_live_add(live, more), -ENOSPC);
		assert_true(longest_run(live->by_addresses) <= RUN_MAX);
		assert_true(longest_run(live->by_device) <= RUN_MAX);
		free(more);
		free_all(live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_naive_search),
		cmocka_unit_test(test_no_packet_searches_long),
		cmocka_unit_test(test_other_addresses_come_last),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
