/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path, a prober and a sender around path/plpmtud.h, in simulated time: packets larger than the
 * path's MTU vanish, others are lost at random in either direction, and answers come after a round
 * trip that varies, so that they overtake each other. For the unit test and the fuzzer.
 *
 * After every call the machine is held to what plpmtud.h promises, whatever the path does.
 */
#ifndef CV_TEST_PATH_SIMULATOR_H
#define CV_TEST_PATH_SIMULATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "path/plpmtud.h"

enum {
	SIM_FLIGHTS = 1024,
	SIM_POLL_MS = 20 /* how often the prober looks whether there is traffic */
};

struct sim_flight {
	uint64_t arrives_ms;
	uint32_t size;
};

struct sim {
	struct cv_plpmtud path;
	struct cv_prober_config config;
	uint64_t now_ms, run_ms;
	uint32_t random;

	/* The network. */
	uint32_t mtu;	    /* what passes */
	uint32_t rtt_ms;    /* the least */
	uint32_t jitter_ms; /* … and so much more, at random */
	uint32_t loss;	    /* in 1/10000, in either direction */
	uint32_t sendable;  /* the host's own limit; 0: none */
	bool is_down;
	bool doubles; /* every answer comes twice */

	/* The sender: the size of outer packets that it has, and how often it has one; 0: never. */
	uint32_t packet, packet_every_ms;
	uint64_t packet_ms;
	uint32_t largest;

	uint32_t quick_ms;
	unsigned int flight_count;
	struct sim_flight flights[SIM_FLIGHTS];

	/* Counters. */
	uint64_t probes, bytes, falls, changes;
	const char *error; /* the first promise that was broken */
};

static inline uint32_t sim_random(struct sim *sim)
{
	/* xorshift32 */
	sim->random ^= sim->random << 13;
	sim->random ^= sim->random >> 17;
	sim->random ^= sim->random << 5;
	return sim->random;
}

static inline void sim_begin(struct sim *sim, uint32_t link_mtu, uint32_t mtu, uint32_t seed)
{
	memset(sim, 0, sizeof(*sim));
	sim->config = cv_prober_config_default();
	sim->now_ms = 1000000;
	sim->random = seed * 2654435761u | 1;
	sim->mtu = mtu;
	sim->rtt_ms = 20;
	sim->jitter_ms = 10;
	sim->quick_ms = 200;
	sim->run_ms = sim->now_ms;
	cv_plpmtud_init(&sim->path, link_mtu, sim->now_ms);
}

static inline bool sim_lost(struct sim *sim)
{
	return sim->loss &&
	       (sim_random(sim) % 10000 < sim->loss || sim_random(sim) % 10000 < sim->loss);
}

static inline void sim_expect(struct sim *sim, bool is_so, const char *error)
{
	if (!is_so && !sim->error)
		sim->error = error;
}

/* What holds at any time. */
static inline void sim_check(struct sim *sim)
{
	const struct cv_plpmtud *path = &sim->path;
	uint32_t least =
		sim->config.min_mtu < path->link_mtu ? sim->config.min_mtu : path->link_mtu;

	sim_expect(sim, path->mtu <= path->link_mtu, "mtu above the link's");
	sim_expect(sim, path->mtu >= least, "mtu below the least");
	sim_expect(sim, path->state < CV_PLPMTUD_STATES && path->how < CV_PLPMTUD_HOWS, "no state");
	sim_expect(sim, path->since_ms <= sim->now_ms, "since the future");
}

/* One call, and what it says of changes is true. */
#define SIM_CALL(sim, call)                          \
	do {                                         \
		struct cv_plpmtud was = (sim)->path; \
		bool is_changed = (call);            \
                                                     \
		sim_note(sim, &was, is_changed);     \
	} while (0)

static inline void sim_note(struct sim *sim, const struct cv_plpmtud *was, bool is_changed)
{
	bool is_other = was->mtu != sim->path.mtu || was->how != sim->path.how;

	sim_expect(sim, is_changed == (is_other || was->state != sim->path.state),
		   "the result does not say whether something changed");
	sim_expect(sim, sim->path.since_ms == (is_other ? sim->now_ms : was->since_ms),
		   "since_ms is wrong");
	sim->falls += sim->path.mtu < was->mtu;
	sim->changes += is_changed;
	sim_check(sim);
}

static inline void sim_fly(struct sim *sim, uint32_t size)
{
	uint32_t rtt_ms = sim->rtt_ms + (sim->jitter_ms ? sim_random(sim) % sim->jitter_ms : 0);

	for (unsigned int copy = 0; copy < (sim->doubles ? 2 : 1); copy++) {
		if (sim->flight_count < SIM_FLIGHTS)
			sim->flights[sim->flight_count++] =
				(struct sim_flight){sim->now_ms + rtt_ms + copy * rtt_ms, size};
	}
}

static inline void sim_unsendable(struct sim *sim, uint32_t size)
{
	SIM_CALL(sim, cv_plpmtud_unsendable(&sim->path, &sim->config, size, sim->now_ms));
	sim->run_ms = sim->now_ms;
}

static inline void sim_send(struct sim *sim, uint32_t size)
{
	sim->probes++;
	sim->bytes += size;
	sim_expect(sim, size >= CV_PLPMTUD_SMALL && size <= sim->path.link_mtu,
		   "a probe of a size that cannot be");
	if (sim->sendable && size > sim->sendable) {
		sim_unsendable(sim, size);
		return;
	}
	if (!sim->is_down && size <= sim->mtu && !sim_lost(sim))
		sim_fly(sim, size);
}

static inline void sim_run(struct sim *sim)
{
	struct cv_plpmtud_input input = {sim->now_ms, sim->quick_ms, sim->largest};
	struct cv_plpmtud_action action;

	sim->largest = 0;
	SIM_CALL(sim, cv_plpmtud_run(&sim->path, &sim->config, &input, &action));
	sim_expect(sim, action.count <= CV_PLPMTUD_BURST_MAX, "too large a burst");
	sim_expect(sim, action.next_ms > sim->now_ms, "next_ms is not later than now");
	sim_expect(sim, action.next_ms <= sim->now_ms + (sim->config.raise_timer_ms ?: 1),
		   "next_ms is too late");
	sim_expect(sim, sim->path.state != CV_PLPMTUD_DISABLED || !action.count,
		   "a probe while disabled");
	sim->run_ms = action.next_ms;
	for (unsigned int i = 0; i < action.count; i++)
		sim_send(sim, action.sizes[i]);
}

static inline void sim_enable(struct sim *sim, bool is_answered)
{
	SIM_CALL(sim, cv_plpmtud_enable(&sim->path, is_answered, sim->now_ms));
	sim->run_ms = sim->now_ms;
}

static inline void sim_too_big(struct sim *sim, uint32_t mtu)
{
	SIM_CALL(sim, cv_plpmtud_too_big(&sim->path, &sim->config, mtu, sim->now_ms));
	sim->run_ms = sim->now_ms;
}

static inline void sim_set_link(struct sim *sim, uint32_t mtu)
{
	SIM_CALL(sim, cv_plpmtud_set_link(&sim->path, &sim->config, mtu, sim->now_ms));
	sim->run_ms = sim->now_ms;
}

static inline void sim_answer(struct sim *sim, uint32_t size)
{
	SIM_CALL(sim, cv_plpmtud_answered(&sim->path, &sim->config, size, sim->now_ms));
	sim->run_ms = sim->now_ms;
}

/* The sender sends no more than it is told; what it is told is too much, it does not notice. */
static inline void sim_traffic(struct sim *sim)
{
	if (!sim->packet_every_ms || sim->now_ms < sim->packet_ms)
		return;
	sim->packet_ms = sim->now_ms + sim->packet_every_ms;
	if (sim->packet && sim->path.mtu)
		sim->largest = sim->packet < sim->path.mtu ? sim->packet : sim->path.mtu;
}

static inline void sim_deliver(struct sim *sim)
{
	for (unsigned int i = 0; i < sim->flight_count;) {
		struct sim_flight flight = sim->flights[i];

		if (flight.arrives_ms > sim->now_ms) {
			i++;
			continue;
		}
		sim->flights[i] = sim->flights[--sim->flight_count];
		sim_answer(sim, flight.size);
	}
}

static inline uint64_t sim_next_ms(const struct sim *sim, uint64_t until_ms)
{
	uint64_t next = until_ms < sim->run_ms ? until_ms : sim->run_ms;

	for (unsigned int i = 0; i < sim->flight_count; i++) {
		if (sim->flights[i].arrives_ms < next)
			next = sim->flights[i].arrives_ms;
	}
	if (sim->packet_every_ms && sim->now_ms + SIM_POLL_MS < next)
		next = sim->now_ms + SIM_POLL_MS;
	return next > sim->now_ms ? next : sim->now_ms + 1;
}

/* Let ms pass, or less: until stop (NULL: never) is true. Returns how many passed. */
static inline uint64_t sim_pass(struct sim *sim, uint64_t ms, bool (*stop)(const struct sim *))
{
	uint64_t from_ms = sim->now_ms;

	while (sim->now_ms < from_ms + ms && !(stop && stop(sim))) {
		uint64_t next_ms;

		sim_traffic(sim);
		if (sim->largest || sim->run_ms <= sim->now_ms)
			sim_run(sim);
		next_ms = sim_next_ms(sim, from_ms + ms);
		sim->now_ms = next_ms;
		sim_deliver(sim);
		if (sim->run_ms <= sim->now_ms)
			sim_run(sim);
	}
	return sim->now_ms - from_ms;
}

#endif
