/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prober without its thread: whose letters find room, and what becomes of remotes that several
 * tunnels share. Devices t1 and t2 stand for tunnels' devices; nobody is at the other end.
 *
 *     v0 192.0.2.1/24      w0 203.0.113.1/24
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/live.h"
#include "engine/prober_state.h"
#include "netns.h"

enum {
	MANY = 1000
};

struct fixture {
	struct cv_live live;
	struct cv_lane_shared shared;
	struct cv_prober *prober;
};

static void add_tunnel(struct fixture *fixture, const char *name, __be32 remote, const char *dev)
{
	struct cv_live_tunnel *tunnel = aligned_alloc(64, sizeof(*tunnel));

	assert_non_null(tunnel);
	memset(tunnel, 0, sizeof(*tunnel));
	tunnel->config.ifindex = (int)if_nametoindex(name);
	tunnel->config.remote = remote;
	snprintf(tunnel->config.dev, sizeof(tunnel->config.dev), "%s", dev);
	if (dev[0])
		tunnel->config.local = cv_addr(dev[0] == 'v' ? "192.0.2.1" : "203.0.113.1");
	assert_int_equal(cv_live_add(&fixture->live, tunnel), 0);
}

static void remove_tunnel(struct fixture *fixture, const char *name)
{
	struct cv_live_tunnel *tunnel = cv_live_find(&fixture->live, (int)if_nametoindex(name));

	cv_live_remove(&fixture->live, tunnel);
	free(tunnel);
}

static int set_up(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));
	int v0, w0;

	cv_netns_enter_underlays(&v0, &w0);
	cv_sh("ip tuntap add t1 mode tun && ip tuntap add t2 mode tun && ip link set t1 up && "
	      "ip link set t2 up");
	fixture->shared.live = &fixture->live;
	fixture->shared.remotes = cv_remotes_create();
	assert_non_null(fixture->shared.remotes);
	assert_int_equal(cv_prober_create(&fixture->shared, &fixture->prober), 0);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	cv_prober_destroy(fixture->prober);
	cv_remotes_destroy(fixture->shared.remotes);
	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX; i++) {
		struct cv_live_tunnel *tunnel = fixture->live.slots[i];

		if (!tunnel)
			continue;
		cv_live_remove(&fixture->live, tunnel);
		free(tunnel);
	}
	test_free(fixture);
	return 0;
}

/* ---- letters ---- */

static void answer(struct cv_prober *prober, __be32 remote, int tunnel, const uint8_t secret[8])
{
	struct cv_probe_words words = {.sequence = 1, .size = 84};

	memcpy(words.secret, secret, sizeof(words.secret));
	cv_prober_note_answer(prober, remote, tunnel, &words);
	cv_prober_note_error(prober, remote, tunnel, &words, 1000);
}

static uint64_t refused(struct cv_prober *prober)
{
	struct cv_counters counters = {0};

	cv_prober_counters(prober, &counters);
	return counters.events[CV_EVENT_PROBE_REFUSED];
}

static void strangers_letters_take_no_room(void **state)
{
	struct fixture *fixture = *state;
	struct cv_prober *prober = fixture->prober;
	uint8_t secret[8], other[8];

	cv_prober_secret(prober, 7, cv_addr("198.51.100.2"), secret);
	answer(prober, cv_addr("198.51.100.2"), 7, secret);
	assert_int_equal(prober->inbox_count, 2);
	/* Another tunnel's, another remote's, a guess. */
	answer(prober, cv_addr("198.51.100.2"), 8, secret);
	answer(prober, cv_addr("198.51.100.3"), 7, secret);
	memcpy(other, secret, sizeof(other));
	other[7] ^= 1;
	answer(prober, cv_addr("198.51.100.2"), 7, other);
	assert_int_equal(prober->inbox_count, 2);
	assert_int_equal(refused(prober), 6);
}

static void no_remote_fills_the_inbox(void **state)
{
	struct fixture *fixture = *state;
	struct cv_prober *prober = fixture->prober;
	unsigned int before, found = 0;
	uint8_t secret[8];

	cv_prober_secret(prober, 7, cv_addr("198.51.100.2"), secret);
	for (unsigned int i = 0; i < 10 * CV_PROBER_INBOX; i++)
		answer(prober, cv_addr("198.51.100.2"), 7, secret);
	before = prober->inbox_count;
	assert_true(before < CV_PROBER_INBOX / 8);
	/* Nearly all others have shares of their own. */
	for (uint32_t i = 0; i < 64; i++) {
		__be32 remote = cv_htonl(0x0a000001 + i);

		cv_prober_secret(prober, 7, remote, secret);
		answer(prober, remote, 7, secret);
		found += prober->inbox_count - before;
		before = prober->inbox_count;
	}
	assert_true(found >= 2 * 58);
}

/* ---- who the remotes are ---- */

static __be32 remote_of(uint32_t number)
{
	/* In no order of its own. */
	return cv_htonl(0xc6330000 + number * 7919 % 65521);
}

/* As `ip route` reads it. */
static void add_gateways(const char *device, uint32_t first, uint32_t count)
{
	FILE *batch = popen("ip -batch -", "w");

	assert_non_null(batch);
	for (uint32_t i = first; i < first + count; i++) {
		uint32_t gateway = cv_ntohl(remote_of(i));

		fprintf(batch, "route add 10.%u.%u.%u via %u.%u.%u.%u dev %s onlink\n",
			device[1] - '0', i >> 8, i & 255, gateway >> 24, gateway >> 16 & 255,
			gateway >> 8 & 255, gateway & 255, device);
	}
	assert_int_equal(pclose(batch), 0);
}

static void all_tunnels_of_a_remote_are_found(void **state)
{
	struct fixture *fixture = *state;
	struct cv_prober *prober = fixture->prober;
	int t1 = (int)if_nametoindex("t1"), t2 = (int)if_nametoindex("t2");

	cv_sh("ip route add default via 192.0.2.2");
	add_tunnel(fixture, "t1", 0, "");
	add_tunnel(fixture, "t2", 0, "v0");
	/* The first half by t1, the last three quarters by t2: the second quarter by both. */
	add_gateways("t1", 0, MANY / 2);
	add_gateways("t2", MANY / 4, MANY * 3 / 4);
	cv_prober_refresh(prober, 1000);
	assert_int_equal(prober->count, MANY / 2 + MANY * 3 / 4);
	for (uint32_t i = 0; i <= MANY; i++) {
		bool by_t1 = i < MANY / 2, by_t2 = i >= MANY / 4 && i < MANY;
		size_t first = cv_prober_first(prober, remote_of(i)), count = 0;

		while (cv_prober_at(prober, first + count, remote_of(i)))
			count++;
		assert_int_equal(count, (size_t)by_t1 + by_t2);
		assert_int_equal(!!cv_prober_find(prober, t1, remote_of(i)), by_t1);
		assert_int_equal(!!cv_prober_find(prober, t2, remote_of(i)), by_t2);
	}
}

static uint32_t soft_mtu(const struct fixture *fixture, __be32 remote)
{
	uint32_t mtu;
	bool error_waits;

	cv_remotes_read(fixture->shared.remotes, remote, 2000, &mtu, &error_waits);
	return mtu;
}

static void know(struct cv_prober *prober, const char *tunnel, __be32 remote, uint32_t mtu)
{
	struct cv_prober_entry *entry = cv_prober_find(prober, (int)if_nametoindex(tunnel), remote);

	assert_non_null(entry);
	cv_plpmtud_enable(&entry->plpmtud, true, 1000);
	entry->plpmtud.how = CV_PLPMTUD_BY_PROBE;
	entry->plpmtud.mtu = mtu;
	cv_prober_apply(prober, entry, 1000);
}

/* What holds of a remote is the least that its tunnels know; of those that are. */
static void tunnels_share_a_remote(void **state)
{
	struct fixture *fixture = *state;
	__be32 remote = cv_addr("198.51.100.2");
	struct cv_prober *prober = fixture->prober;

	cv_sh("ip route add 198.51.100.2 via 192.0.2.2 && "
	      "ip route add 198.51.100.2 via 203.0.113.2 metric 1");
	add_tunnel(fixture, "t1", remote, "v0");
	add_tunnel(fixture, "t2", remote, "w0");
	cv_prober_refresh(prober, 1000);
	know(prober, "t1", remote, 1300);
	know(prober, "t2", remote, 1350);
	assert_int_equal(soft_mtu(fixture, remote), 1300);
	remove_tunnel(fixture, "t1");
	cv_prober_refresh(prober, 1000);
	assert_int_equal(soft_mtu(fixture, remote), 1350);
	remove_tunnel(fixture, "t2");
	cv_prober_refresh(prober, 1000);
	assert_int_equal(soft_mtu(fixture, remote), 0);
}

/* A second lie, when remote.h has forgotten the first and the machine has not: the worker has
 * lowered the MTU at once, but it is tested before it counts, and what was known is in force again.
 */
static void who_has_lied_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	__be32 remote = cv_addr("198.51.100.2");
	struct cv_prober *prober = fixture->prober;
	struct cv_prober_letter letter = {
		.kind = CV_PROBER_TOO_BIG,
		.remote = remote,
		.mtu = 1000,
		.time_us = 1500 * 1000,
	};
	struct cv_prober_entry *entry;

	cv_sh("ip route add 198.51.100.2 via 192.0.2.2");
	add_tunnel(fixture, "t1", remote, "v0");
	cv_prober_refresh(prober, 1000);
	know(prober, "t1", remote, 1400);
	entry = cv_prober_find(prober, (int)if_nametoindex("t1"), remote);
	/* An honest one counts. */
	assert_int_equal(
		cv_remotes_lower_mtu(fixture->shared.remotes, remote, 1000, 1400, 1500, 600000),
		CV_REMOTE_LOWERED);
	cv_prober_take_too_big(prober, &letter);
	assert_int_equal(soft_mtu(fixture, remote), 1000);
	entry->plpmtud.mtu = 1400;
	entry->plpmtud.distrust_ms = 400000;
	cv_prober_apply(prober, entry, 1500);
	assert_int_equal(
		cv_remotes_lower_mtu(fixture->shared.remotes, remote, 1000, 1400, 1500, 600000),
		CV_REMOTE_LOWERED);
	cv_prober_take_too_big(prober, &letter);
	assert_int_equal(soft_mtu(fixture, remote), 1400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(strangers_letters_take_no_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_remote_fills_the_inbox, set_up, tear_down),
		cmocka_unit_test_setup_teardown(all_tunnels_of_a_remote_are_found, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(tunnels_share_a_remote, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_has_lied_changes_nothing, set_up, tear_down),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests_name("prober", tests, NULL, NULL);
}
