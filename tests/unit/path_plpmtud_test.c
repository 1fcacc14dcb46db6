/* SPDX-License-Identifier: Apache-2.0 */
/* path/plpmtud.h on simulated paths: path_simulator.h judges every call, the tests the outcome. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "path_simulator.h"

static struct sim sim;

static bool is_complete(const struct sim *one)
{
	return one->path.state == CV_PLPMTUD_COMPLETE;
}

static bool is_right(const struct sim *one)
{
	return one->path.mtu <= one->mtu;
}

static bool is_exact(const struct sim *one)
{
	return one->path.mtu == one->mtu && is_complete(one);
}

/* A bulk transfer: full packets all the time. */
static void traffic(struct sim *one)
{
	one->packet = 65535;
	one->packet_every_ms = SIM_POLL_MS;
}

static void assert_kept(const struct sim *one)
{
	if (one->error)
		fail_msg("%s", one->error);
}

static void assert_path(const struct sim *one, uint32_t mtu, enum cv_plpmtud_state state,
			enum cv_plpmtud_how how)
{
	assert_kept(one);
	assert_int_equal(one->path.mtu, mtu);
	assert_string_equal(cv_plpmtud_state_name(one->path.state), cv_plpmtud_state_name(state));
	assert_string_equal(cv_plpmtud_how_name(one->path.how), cv_plpmtud_how_name(how));
}

/* COMPLETE on a path that takes all that the link does. */
static void begin_complete(uint32_t link_mtu, uint32_t seed)
{
	sim_begin(&sim, link_mtu, link_mtu, seed);
	sim_enable(&sim, true);
	sim_pass(&sim, 1000, is_complete);
	assert_path(&sim, link_mtu, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
}

static void disabled_is_the_link_and_sends_nothing(void **state)
{
	(void)state;
	sim_begin(&sim, 1500, 1400, 1);
	traffic(&sim);
	sim_pass(&sim, 3600000, NULL);
	assert_path(&sim, 1500, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_LINK);
	assert_int_equal(sim.probes, 0);
	sim_set_link(&sim, 9000);
	assert_path(&sim, 9000, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_LINK);
	sim_set_link(&sim, 0);
	assert_path(&sim, 0, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_LINK);
	sim_set_link(&sim, 1500);
	assert_path(&sim, 1500, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_LINK);
}

static void disabled_believes_icmp_for_a_while(void **state)
{
	(void)state;
	sim_begin(&sim, 1500, 1400, 1);
	sim_too_big(&sim, 1400);
	assert_path(&sim, 1400, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_ICMP);
	sim_too_big(&sim, 1450);
	assert_path(&sim, 1400, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_ICMP);
	sim_pass(&sim, 599000, NULL);
	sim_too_big(&sim, 1400); /* news */
	sim_pass(&sim, 599000, NULL);
	assert_path(&sim, 1400, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_ICMP);
	sim_pass(&sim, 2000, NULL);
	assert_path(&sim, 1500, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_LINK);
	sim_too_big(&sim, 68);
	assert_path(&sim, 596, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_ICMP);
	sim_set_link(&sim, 500);
	assert_path(&sim, 500, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_LINK);
	sim_too_big(&sim, 68);
	assert_path(&sim, 500, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_LINK);
}

/* One round trip, two probes, and none while nothing happens. */
static void the_links_mtu_is_confirmed_and_costs_nothing(void **state)
{
	(void)state;
	begin_complete(1500, 1);
	assert_int_equal(sim.probes, 2);
	assert_int_equal(sim.bytes, 1500 + CV_PLPMTUD_SMALL);
	sim_pass(&sim, 86400000, NULL);
	assert_path(&sim, 1500, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	assert_int_equal(sim.probes, 2);
}

/* 45 s to the verdict about the link's MTU, as RFC 8899 has it; the MTU is right from then on. */
static void without_traffic_the_timers_are_the_rfcs(void **state)
{
	static const uint32_t mtus[] = {596, 700, 1006, 1200, 1279, 1280, 1400, 1437, 1492, 1499};
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		bool is_error = mtus[i] < 1200;

		sim_begin(&sim, 1500, mtus[i], 1);
		sim_enable(&sim, true);
		assert_int_equal(sim_pass(&sim, 44000, is_right), 44000);
		assert_path(&sim, 1500, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_LINK);
		ms = sim_pass(&sim, 100000, is_right);
		assert_in_range(44000 + ms, 45000, 45100);
		sim_pass(&sim, 600000, is_error ? NULL : is_complete);
		assert_path(&sim, mtus[i], is_error ? CV_PLPMTUD_ERROR : CV_PLPMTUD_COMPLETE,
			    CV_PLPMTUD_BY_PROBE);
	}
}

/* The path was small from the start, ICMP is filtered, and there is traffic. */
static void with_traffic_every_mtu_is_found_to_the_byte(void **state)
{
	uint64_t right = 0, exact = 0;

	(void)state;
	for (uint32_t mtu = 1200; mtu <= 9000; mtu += mtu < 1520 ? 1 : 37) {
		uint32_t link_mtu = mtu < 1500 ? 1500 : 9000;
		uint64_t ms;

		sim_begin(&sim, link_mtu, mtu, mtu);
		traffic(&sim);
		sim_enable(&sim, true);
		ms = sim_pass(&sim, 10000, is_right);
		right = ms > right ? ms : right;
		ms += sim_pass(&sim, 10000, is_exact);
		exact = ms > exact ? ms : exact;
		assert_path(&sim, mtu, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	}
	assert_in_range(right, 1, 620);
	assert_in_range(exact, 1, 4000);
}

static void a_fall_is_found_in_time_and_to_the_byte(void **state)
{
	static const uint32_t links[] = {1500, 9000};
	uint64_t longest = 0;

	(void)state;
	for (uint32_t seed = 1; seed < 1500; seed++) {
		uint32_t link_mtu = links[seed % 2];
		uint64_t ms;

		begin_complete(link_mtu, seed);
		traffic(&sim);
		sim_pass(&sim, 1000 + sim_random(&sim) % 1000, NULL);
		sim.mtu = 1200 + sim_random(&sim) % (link_mtu - 1200);
		ms = sim_pass(&sim, 10000, is_right);
		longest = ms > longest ? ms : longest;
		sim_pass(&sim, 10000, is_exact);
		assert_path(&sim, sim.mtu, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
		sim_pass(&sim, 5000, NULL);
		assert_path(&sim, sim.mtu, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	}
	/* confirm_timer, three times quick_ms, and the granularity of the prober here */
	assert_in_range(longest, 600, 300 + 600 + 3 * SIM_POLL_MS);
}

/* What the lab has: the right value at the first verdict, not one that is corrected later. */
static void common_mtus_are_right_at_once(void **state)
{
	static const uint32_t mtus[] = {1492, 1480, 1450, 1420, 1400, 1380, 1280, 1200};

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		for (uint32_t link_mtu = 1500; link_mtu <= 9000; link_mtu += 7500) {
			begin_complete(link_mtu, 1);
			traffic(&sim);
			sim_pass(&sim, 1000, NULL);
			sim.mtu = mtus[i];
			sim_pass(&sim, 10000, is_right);
			assert_int_equal(sim.path.mtu, mtus[i]);
			assert_int_equal(sim.falls, 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disabled_is_the_link_and_sends_nothing),
		cmocka_unit_test(disabled_believes_icmp_for_a_while),
		cmocka_unit_test(the_links_mtu_is_confirmed_and_costs_nothing),
		cmocka_unit_test(without_traffic_the_timers_are_the_rfcs),
		cmocka_unit_test(with_traffic_every_mtu_is_found_to_the_byte),
		cmocka_unit_test(a_fall_is_found_in_time_and_to_the_byte),
		cmocka_unit_test(common_mtus_are_right_at_once),
	};

	return cmocka_run_group_tests_name("path_plpmtud", tests, NULL, NULL);
}
