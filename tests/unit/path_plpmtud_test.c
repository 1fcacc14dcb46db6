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

/* The first SYN of an inner TCP that ignores ICMP finds an MTU that is right. */
static void a_new_path_is_searched_at_once(void **state)
{
	static const uint32_t mtus[] = {596, 700, 1006, 1200, 1279, 1280, 1400, 1437, 1492, 1499};

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		bool is_error = mtus[i] < 1200;

		sim_begin(&sim, 1500, mtus[i], 1);
		sim_enable(&sim, true);
		assert_in_range(sim_pass(&sim, 10000, is_right), 1, 1000);
		sim_pass(&sim, 600000, is_error ? NULL : is_complete);
		assert_path(&sim, mtus[i], is_error ? CV_PLPMTUD_ERROR : CV_PLPMTUD_COMPLETE,
			    CV_PLPMTUD_BY_PROBE);
	}
	/* … also the path of a link that takes more now. */
	begin_complete(1500, 1);
	sim_set_link(&sim, 9000);
	sim.mtu = 4000;
	assert_in_range(sim_pass(&sim, 10000, is_exact), 1, 3000);
	assert_path(&sim, 4000, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
}

/* 45 s to the verdict about the link's MTU, as RFC 8899 has it; the MTU is right from then on. */
static void without_haste_the_timers_are_the_rfcs(void **state)
{
	static const uint32_t mtus[] = {596, 700, 1006, 1200, 1279, 1280, 1400, 1437, 1492, 1499};
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		bool is_error = mtus[i] < 1200;

		sim_begin(&sim, 1500, mtus[i], 1);
		sim.config.confirm_timer_ms = 0;
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

/*
 * 10,000 s of traffic each. plpmtud.c's opening comment has the rate: of 33,000 confirmations at 5
 * % either way, 0.003 fail falsely. At 20 % they do, and the search that follows finds the size
 * again.
 */
static void random_loss_is_no_fall(void **state)
{
	static const struct {
		uint32_t loss, falls_max;
	} cases[] = {{100, 0}, {200, 0}, {500, 0}, {1000, 10}, {2000, 200}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t wrong_ms = 0;

		begin_complete(1500, (uint32_t)i + 1);
		traffic(&sim);
		sim.loss = cases[i].loss;
		for (int slice = 0; slice < 100000; slice++) {
			sim_pass(&sim, 100, NULL);
			wrong_ms += sim.path.mtu != 1500 ? 100 : 0;
		}
		assert_kept(&sim);
		assert_in_range(sim.falls, 0, cases[i].falls_max);
		assert_in_range(wrong_ms, 0, 10000000 / 100);
	}
}

/* A loss that small packets escape is the hard case: full queues that count bytes. */
static void a_fall_is_found_in_time_in_spite_of_loss(void **state)
{
	uint32_t late = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 1000; seed++) {
		uint64_t ms;

		begin_complete(1500, seed);
		traffic(&sim);
		sim.loss = 500;
		sim_pass(&sim, 1000 + sim_random(&sim) % 1000, NULL);
		sim.mtu = 1200 + sim_random(&sim) % 250;
		ms = sim_pass(&sim, 20000, is_right);
		assert_true(is_right(&sim));
		late += ms > 1400;
		sim_pass(&sim, 60000, is_exact);
		assert_kept(&sim);
		assert_int_equal(sim.path.mtu, sim.mtu);
	}
	/* 99 in 100 */
	assert_in_range(late, 0, 10);
}

/* Nothing is answered: that says nothing of sizes, and little is sent. */
static void a_path_that_is_down_keeps_its_mtu(void **state)
{
	uint64_t probes;

	(void)state;
	for (uint32_t seed = 1; seed <= 200; seed++) {
		begin_complete(1500, seed);
		traffic(&sim);
		for (int outage = 0; outage < 20; outage++) {
			sim_pass(&sim, sim_random(&sim) % 1000, NULL);
			sim.is_down = true;
			sim_pass(&sim, sim_random(&sim) % 3000, NULL);
			sim.is_down = false;
		}
		assert_path(&sim, 1500, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
		assert_int_equal(sim.falls, 0);
	}
	sim.is_down = true;
	sim_pass(&sim, 10000, NULL);
	probes = sim.probes;
	sim_pass(&sim, 60000, NULL);
	assert_in_range(sim.probes - probes, 100, 130);
	/* … and it comes back smaller */
	sim.is_down = false;
	sim.mtu = 1400;
	assert_in_range(sim_pass(&sim, 10000, is_right), 1, 1000 + 900);
	assert_int_equal(sim.path.mtu, 1400);
}

static void down_from_the_start_is_asked_ever_less(void **state)
{
	(void)state;
	sim_begin(&sim, 1500, 1500, 1);
	sim.is_down = true;
	sim_enable(&sim, true);
	sim_pass(&sim, 3600000, NULL);
	assert_path(&sim, 1500, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_LINK);
	assert_in_range(sim.probes, 50, 120);
}

/* Only what is used is confirmed, and nothing that cannot fail. */
static void confirmation_costs_what_it_must(void **state)
{
	(void)state;
	begin_complete(9000, 1);
	sim.probes = sim.bytes = 0;
	traffic(&sim);
	sim.packet = 596;
	sim_pass(&sim, 60000, NULL);
	assert_int_equal(sim.probes, 0);
	sim.packet = 1400;
	sim_pass(&sim, 60000, NULL);
	assert_in_range(sim.probes, 180, 202);
	assert_int_equal(sim.bytes, sim.probes * 1400);
	sim.packet = 65535;
	sim_pass(&sim, 60000, NULL);
	assert_in_range(sim.probes, 360, 404);
	/* Silence after it. */
	sim.packet_every_ms = 0;
	sim_pass(&sim, 10000, NULL);
	sim.probes = 0;
	sim_pass(&sim, 3600000, NULL);
	assert_int_equal(sim.probes, 0);
	assert_path(&sim, 9000, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
}

/* Packets that are smaller than the MTU do not notice that it has fallen, until they do. */
static void a_fall_counts_when_it_is_hit(void **state)
{
	(void)state;
	begin_complete(1500, 1);
	traffic(&sim);
	sim.packet = 1000;
	sim.mtu = 1400;
	sim_pass(&sim, 60000, NULL);
	assert_path(&sim, 1500, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	sim.packet = 1410;
	assert_in_range(sim_pass(&sim, 10000, is_right), 1, 1000);
	assert_int_equal(sim.path.mtu, 1400);
}

static void without_confirmation_the_timers_are_the_rfcs(void **state)
{
	(void)state;
	sim_begin(&sim, 1500, 1400, 1);
	sim.config.confirm_timer_ms = 0;
	traffic(&sim);
	sim_enable(&sim, true);
	assert_in_range(sim_pass(&sim, 100000, is_right), 45000, 45100);
	sim_pass(&sim, 600000, is_complete);
	sim.mtu = 1300;
	sim_pass(&sim, 500000, NULL);
	assert_path(&sim, 1400, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
}

static bool is_raised(const struct sim *one)
{
	return one->path.mtu == one->mtu;
}

static void a_path_that_heals_is_raised(void **state)
{
	uint64_t ms;

	(void)state;
	for (int with_traffic = 0; with_traffic < 2; with_traffic++) {
		sim_begin(&sim, 1500, 1400, 1);
		traffic(&sim);
		sim_enable(&sim, true);
		sim_pass(&sim, 10000, is_exact);
		sim.packet_every_ms = with_traffic ? SIM_POLL_MS : 0;
		sim.mtu = 1500;
		ms = sim_pass(&sim, 700000, is_raised);
		assert_in_range(ms, 599000, 600100);
		assert_path(&sim, 1500, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
		/* In part. */
		sim_begin(&sim, 9000, 1400, 1);
		traffic(&sim);
		sim_enable(&sim, true);
		sim_pass(&sim, 10000, is_exact);
		sim.packet_every_ms = with_traffic ? SIM_POLL_MS : 0;
		sim.mtu = 4711;
		ms = sim_pass(&sim, 1200000, is_raised);
		assert_in_range(ms, 599000, with_traffic ? 603000 : 700000);
		sim_pass(&sim, 100000, is_complete);
		assert_path(&sim, 4711, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
		/* It did not: nothing changes but the state, for a while. */
		sim_pass(&sim, 10000000, NULL);
		sim_pass(&sim, 600000, is_complete);
		assert_path(&sim, 4711, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
		assert_int_equal(sim.falls, 1);
	}
}

/* RFC 8899's ERROR: it is left as soon as the base size passes, and all is searched again. */
static void error_is_left_when_the_base_passes(void **state)
{
	(void)state;
	for (int with_traffic = 0; with_traffic < 2; with_traffic++) {
		for (uint32_t mtu = 500; mtu < 1200; mtu += 33) {
			sim_begin(&sim, 1500, mtu, 1);
			traffic(&sim);
			sim.packet_every_ms = with_traffic ? SIM_POLL_MS : 0;
			sim_enable(&sim, true);
			sim_pass(&sim, 600000, NULL);
			assert_path(&sim, mtu < 596 ? 596 : mtu, CV_PLPMTUD_ERROR,
				    CV_PLPMTUD_BY_PROBE);
			sim.mtu = 1300;
			sim_pass(&sim, 600000, is_exact);
			assert_path(&sim, 1300, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
		}
	}
}

/* … and a path that heals in part is used as far as it does. */
static void in_error_the_mtu_follows_the_path(void **state)
{
	static const uint32_t mtus[] = {500, 700, 767, 600, 596, 1199, 598, 90, 1198};

	(void)state;
	for (int with_traffic = 0; with_traffic < 2; with_traffic++) {
		sim_begin(&sim, 1500, 500, 1);
		sim_enable(&sim, true);
		for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
			traffic(&sim);
			sim.mtu = mtus[i];
			/* Without traffic, only a larger one is noticed. */
			if (!with_traffic && i && mtus[i] > mtus[i - 1])
				sim.packet_every_ms = 0;
			sim_pass(&sim, 600000, NULL);
			assert_path(&sim, mtus[i] < 596 ? 596 : mtus[i], CV_PLPMTUD_ERROR,
				    CV_PLPMTUD_BY_PROBE);
		}
	}
	/* A message is believed no longer than the answers agree. */
	sim_begin(&sim, 1500, 400, 1);
	sim_enable(&sim, true);
	sim_too_big(&sim, 700);
	sim_pass(&sim, 600000, NULL);
	assert_path(&sim, 596, CV_PLPMTUD_ERROR, CV_PLPMTUD_BY_PROBE);
}

static void a_true_message_counts_at_once(void **state)
{
	(void)state;
	for (int with_traffic = 0; with_traffic < 2; with_traffic++) {
		for (uint32_t mtu = 1200; mtu < 1500; mtu += 7) {
			begin_complete(1500, mtu);
			traffic(&sim);
			sim.packet_every_ms = with_traffic ? SIM_POLL_MS : 0;
			sim_pass(&sim, 1000, NULL);
			sim.mtu = mtu;
			sim_too_big(&sim, mtu);
			assert_path(&sim, mtu, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_ICMP);
			sim_too_big(&sim, mtu);
			assert_in_range(sim_pass(&sim, 10000, is_complete), 500, 700);
			assert_path(&sim, mtu, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
			assert_int_equal(sim.path.refuted, 0);
		}
	}
}

static void a_false_message_is_refuted_in_a_round_trip(void **state)
{
	(void)state;
	begin_complete(1500, 1);
	sim_too_big(&sim, 600);
	assert_path(&sim, 600, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_ICMP);
	assert_in_range(sim_pass(&sim, 10000, is_complete), sim.rtt_ms, sim.rtt_ms + sim.jitter_ms);
	assert_path(&sim, 1500, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	assert_int_equal(sim.path.refuted, 1);
	/* A flood of them changes nothing any more … */
	sim.probes = 0;
	for (int i = 0; i < 1000; i++) {
		sim_too_big(&sim, 600 + sim_random(&sim) % 800);
		assert_path(&sim, 1500, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
		sim_pass(&sim, 1, NULL);
	}
	assert_in_range(sim.probes, 30, 60);
	assert_in_range(sim.path.refuted, 30, 60);
	/* … nor hides a true one for long. */
	sim.mtu = 1400;
	for (uint64_t end_ms = sim.now_ms + 640; sim.now_ms < end_ms;) {
		sim_too_big(&sim, sim_random(&sim) % 2 ? 1400 : 700);
		sim_pass(&sim, 1, NULL);
	}
	assert_int_equal(sim.path.mtu, 1400);
	sim_pass(&sim, 10000, is_complete);
	assert_path(&sim, 1400, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	/* After a while, the next is believed again. */
	sim_pass(&sim, 700000, NULL);
	sim_pass(&sim, 200000, is_complete);
	sim.mtu = 1300;
	sim_too_big(&sim, 1300);
	assert_int_equal(sim.path.mtu, 1300);
}

static void a_message_that_says_too_little_or_too_much(void **state)
{
	(void)state;
	begin_complete(1500, 1);
	/* The floor, and no more than it. */
	sim_too_big(&sim, 0);
	assert_path(&sim, 596, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_ICMP);
	sim_pass(&sim, 10000, is_complete);
	sim_too_big(&sim, 1500);
	sim_too_big(&sim, 65535);
	assert_path(&sim, 1500, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	/* It fell, but not as far as is said. */
	begin_complete(1500, 1);
	sim.mtu = 1430;
	sim_too_big(&sim, 1200);
	traffic(&sim);
	sim_pass(&sim, 10000, is_complete);
	assert_path(&sim, 1430, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	/* It fell further. */
	begin_complete(1500, 1);
	sim.mtu = 1300;
	sim_too_big(&sim, 1400);
	traffic(&sim);
	sim_pass(&sim, 10000, is_complete);
	assert_path(&sim, 1300, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
}

static void the_link_changes(void **state)
{
	(void)state;
	begin_complete(1500, 1);
	sim_set_link(&sim, 1400);
	assert_path(&sim, 1400, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_LINK);
	sim_pass(&sim, 100, NULL);
	assert_path(&sim, 1400, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	/* More, which the path takes … */
	sim.mtu = 9000;
	sim_set_link(&sim, 9000);
	assert_path(&sim, 1400, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_PROBE);
	sim_pass(&sim, 100, NULL);
	assert_path(&sim, 9000, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	/* … or does not. */
	sim_set_link(&sim, 65535);
	sim_pass(&sim, 200000, NULL);
	assert_path(&sim, 9000, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	assert_int_equal(sim.falls, 1);
	/* No route, and a route again: of that path nothing is known. */
	sim_set_link(&sim, 0);
	assert_int_equal(sim.path.mtu, 0);
	sim.probes = 0;
	sim_pass(&sim, 3600000, NULL);
	assert_int_equal(sim.probes, 0);
	sim.mtu = 1450;
	sim_set_link(&sim, 1500);
	assert_path(&sim, 1500, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_LINK);
	traffic(&sim);
	sim_pass(&sim, 3000, is_complete);
	assert_path(&sim, 1450, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	/* The gap above shrinks to nothing. */
	sim_set_link(&sim, 1450);
	assert_path(&sim, 1450, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	sim.packet_every_ms = 0;
	sim_pass(&sim, 5000, NULL);
	sim.probes = 0;
	sim_pass(&sim, 3600000, NULL);
	assert_int_equal(sim.probes, 0);
}

static void what_the_host_cannot_send_has_failed(void **state)
{
	(void)state;
	for (uint32_t sendable = 596; sendable < 1500; sendable += 13) {
		sim_begin(&sim, 1500, 1500, sendable);
		sim.sendable = sendable;
		sim_enable(&sim, true);
		sim_pass(&sim, 1, NULL);
		assert_in_range(sim.path.mtu, 596, 1200);
		sim_pass(&sim, 1000000, NULL);
		assert_path(&sim, sendable,
			    sendable < 1200 ? CV_PLPMTUD_ERROR : CV_PLPMTUD_COMPLETE,
			    CV_PLPMTUD_BY_PROBE);
	}
}

/* Round trips that are longer than quick_ms, answers that come twice. */
static void late_and_double_answers(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 300; seed++) {
		sim_begin(&sim, 1500, 1500, seed);
		sim.rtt_ms = sim_random(&sim) % 800;
		sim.jitter_ms = 50;
		sim.doubles = true;
		traffic(&sim);
		sim_enable(&sim, true);
		sim_pass(&sim, 60000, NULL);
		assert_path(&sim, 1500, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
		assert_int_equal(sim.falls, 0);
	}
	/* One that comes after the verdict. */
	sim_begin(&sim, 1500, 1400, 1);
	traffic(&sim);
	sim_enable(&sim, true);
	sim_pass(&sim, 10000, is_exact);
	sim.mtu = 1480;
	sim_answer(&sim, 1480);
	assert_path(&sim, 1480, CV_PLPMTUD_SEARCH, CV_PLPMTUD_BY_PROBE);
	sim_pass(&sim, 10000, is_complete);
	assert_path(&sim, 1480, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	sim_answer(&sim, 1481 + 100); /* larger than the link */
	sim_answer(&sim, 0);
	assert_path(&sim, 1480, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
}

/* What was known is in force while nothing is answered, for a while; and is tried first after. */
static void disabled_and_enabled_again(void **state)
{
	(void)state;
	sim_begin(&sim, 1500, 1433, 1);
	traffic(&sim);
	sim_enable(&sim, true);
	sim_pass(&sim, 10000, is_exact);
	sim_enable(&sim, false);
	sim_answer(&sim, 1500);
	assert_path(&sim, 1433, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_PROBE);
	sim_pass(&sim, 590000, NULL);
	assert_path(&sim, 1433, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_PROBE);
	sim_enable(&sim, true);
	assert_in_range(sim_pass(&sim, 10000, is_complete), 600, 660);
	assert_path(&sim, 1433, CV_PLPMTUD_COMPLETE, CV_PLPMTUD_BY_PROBE);
	sim_enable(&sim, false);
	sim_pass(&sim, 601000, NULL);
	assert_path(&sim, 1500, CV_PLPMTUD_DISABLED, CV_PLPMTUD_BY_LINK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disabled_is_the_link_and_sends_nothing),
		cmocka_unit_test(disabled_believes_icmp_for_a_while),
		cmocka_unit_test(the_links_mtu_is_confirmed_and_costs_nothing),
		cmocka_unit_test(a_new_path_is_searched_at_once),
		cmocka_unit_test(without_haste_the_timers_are_the_rfcs),
		cmocka_unit_test(with_traffic_every_mtu_is_found_to_the_byte),
		cmocka_unit_test(a_fall_is_found_in_time_and_to_the_byte),
		cmocka_unit_test(common_mtus_are_right_at_once),
		cmocka_unit_test(random_loss_is_no_fall),
		cmocka_unit_test(a_fall_is_found_in_time_in_spite_of_loss),
		cmocka_unit_test(a_path_that_is_down_keeps_its_mtu),
		cmocka_unit_test(down_from_the_start_is_asked_ever_less),
		cmocka_unit_test(confirmation_costs_what_it_must),
		cmocka_unit_test(a_fall_counts_when_it_is_hit),
		cmocka_unit_test(without_confirmation_the_timers_are_the_rfcs),
		cmocka_unit_test(a_path_that_heals_is_raised),
		cmocka_unit_test(error_is_left_when_the_base_passes),
		cmocka_unit_test(in_error_the_mtu_follows_the_path),
		cmocka_unit_test(a_true_message_counts_at_once),
		cmocka_unit_test(a_false_message_is_refuted_in_a_round_trip),
		cmocka_unit_test(a_message_that_says_too_little_or_too_much),
		cmocka_unit_test(the_link_changes),
		cmocka_unit_test(what_the_host_cannot_send_has_failed),
		cmocka_unit_test(late_and_double_answers),
		cmocka_unit_test(disabled_and_enabled_again),
	};

	return cmocka_run_group_tests_name("path_plpmtud", tests, NULL, NULL);
}
