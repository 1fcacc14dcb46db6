/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the path MTU's machine in the simulator of its unit test, which judges every call. Input:
 * records of a byte, which event, and two more (little endian), its value; PASS lets time pass.
 *
 * Whatever happened, even answers to what was never sent: at the end the path stays as it is, with
 * a bulk transfer on it, and the machine must find its MTU to the byte, keep it, and be quiet.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/path_simulator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	EVENT_PASS,
	EVENT_MTU,
	EVENT_LINK,
	EVENT_TOO_BIG,
	EVENT_TRUE_TOO_BIG,
	EVENT_ANSWER,
	EVENT_UNSENDABLE,
	EVENT_SENDABLE,
	EVENT_ENABLE,
	EVENT_LOSS,
	EVENT_DOWN,
	EVENT_PACKET,
	EVENT_RTT,
	EVENT_QUICK,
	EVENT_MAX_PROBES,
	EVENT_CONFIRM_TIMER,
	EVENT_PROBE_TIMER,
	EVENT_RAISE_TIMER,
	EVENT_MIN_MTU,
	EVENT_BASE_MTU,
	EVENTS
};
enum {
	RECORD = 3,
	LINK_LEAST = 100, /* IPv4 needs 68, our probes 85 */
	RAISE_MAX_MS = 30000,
	SETTLED_MS = 20000,
	RTT_MAX_MS = 1999 + 65535 / 2000, /* EVENT_RTT, its jitter included */
	PROBE_TIMER_MS = 5000,
	/* One search from end to end, or what ERROR asks at each probe timer. */
	SEARCH_PROBES = 100
};

static void demand(const struct sim *sim, bool holds, const char *error)
{
	if (holds)
		return;
	fprintf(stderr, "%s (mtu %u, path %u, link %u, %s)\n", error, sim->path.mtu, sim->mtu,
		sim->path.link_mtu, cv_plpmtud_state_name(sim->path.state));
	abort();
}

static void configure(struct sim *sim, uint8_t event, uint16_t value)
{
	struct cv_prober_config *config = &sim->config;

	switch (event) {
	case EVENT_MAX_PROBES:
		config->max_probes = value % 12;
		break;
	case EVENT_CONFIRM_TIMER:
		config->confirm_timer_ms = value % 3000;
		break;
	case EVENT_PROBE_TIMER:
		config->probe_timer_ms = value % 16000;
		break;
	case EVENT_RAISE_TIMER:
		config->raise_timer_ms = value % RAISE_MAX_MS;
		break;
	case EVENT_MIN_MTU:
		config->min_mtu = value;
		break;
	case EVENT_BASE_MTU:
		config->base_mtu = value;
		break;
	default:
		break;
	}
	sim_run(sim); /* min_mtu is in force from the next run on */
}

static void change_network(struct sim *sim, uint8_t event, uint16_t value)
{
	switch (event) {
	case EVENT_MTU:
		sim->mtu = value;
		break;
	case EVENT_SENDABLE:
		sim->sendable = value;
		break;
	case EVENT_LOSS:
		sim->loss = value % 10001;
		break;
	case EVENT_DOWN:
		sim->is_down = value % 2;
		sim->doubles = value & 2;
		break;
	case EVENT_PACKET:
		sim->packet = value;
		sim->packet_every_ms = value % 7 * SIM_POLL_MS;
		break;
	case EVENT_RTT:
		sim->rtt_ms = value % 2000;
		sim->jitter_ms = value / 2000;
		break;
	case EVENT_QUICK:
		sim->quick_ms = value;
		break;
	default:
		configure(sim, event, value);
	}
}

static void happen(struct sim *sim, uint8_t event, uint16_t value)
{
	switch (event) {
	case EVENT_PASS:
		sim_pass(sim, value, NULL);
		break;
	case EVENT_LINK:
		sim_set_link(sim, value < LINK_LEAST ? 0 : value);
		break;
	case EVENT_TOO_BIG:
		sim_too_big(sim, value);
		break;
	case EVENT_TRUE_TOO_BIG:
		sim_too_big(sim, sim->mtu);
		break;
	case EVENT_ANSWER:
		sim_answer(sim, value);
		break;
	case EVENT_UNSENDABLE:
		sim_unsendable(sim, value);
		break;
	case EVENT_ENABLE:
		sim_enable(sim, value % 4);
		break;
	default:
		change_network(sim, event, value);
	}
}

/* What the machine must come to: min_mtu if not even that passes. */
static uint32_t truth(const struct sim *sim)
{
	uint32_t link_mtu = sim->path.link_mtu;
	uint32_t mtu = sim->mtu < link_mtu ? sim->mtu : link_mtu;
	uint32_t least = sim->config.min_mtu < link_mtu ? sim->config.min_mtu : link_mtu;

	return mtu > least ? mtu : least;
}

static bool is_settled(const struct sim *sim)
{
	uint32_t base = sim->config.base_mtu < sim->path.link_mtu ? sim->config.base_mtu
								  : sim->path.link_mtu;

	if (sim->path.mtu != truth(sim))
		return false;
	/* Less than min_mtu is not used, so its path is not asked again. */
	if (sim->mtu < truth(sim))
		return true;
	return sim->path.state == (sim->mtu < base ? CV_PLPMTUD_ERROR : CV_PLPMTUD_COMPLETE);
}

static void settle(struct sim *sim)
{
	uint32_t raise_ms = sim->config.raise_timer_ms;
	uint64_t probes;

	sim->config = cv_prober_config_default();
	sim->config.raise_timer_ms = raise_ms < SETTLED_MS ? SETTLED_MS : raise_ms;
	sim->config.probe_timer_ms = PROBE_TIMER_MS;
	sim_run(sim);
	sim->loss = sim->sendable = 0;
	sim->is_down = sim->doubles = false;
	sim->rtt_ms = 20;
	sim->jitter_ms = 10;
	sim->quick_ms = 200;
	sim->packet = 65535;
	sim->packet_every_ms = SIM_POLL_MS;
	if (sim->mtu < LINK_LEAST)
		sim->mtu = LINK_LEAST;
	if (!sim->path.link_mtu)
		sim_set_link(sim, 1500);
	sim_enable(sim, true);
	/* What was answered before was of another path (the second of a doubled answer comes after
	 * two round trips), and old lies are believed for so long. */
	sim_pass(sim, 2 * RTT_MAX_MS + 1, NULL);
	sim_pass(sim, 2 * RAISE_MAX_MS + 30000, is_settled);
	demand(sim, is_settled(sim), "the MTU is not found");
	probes = sim->probes;
	for (int i = 0; i < SETTLED_MS / 100; i++) {
		sim_pass(sim, 100, NULL);
		demand(sim, sim->path.mtu == truth(sim), "the MTU is not kept");
	}
	demand(sim,
	       sim->probes - probes < SETTLED_MS / sim->config.confirm_timer_ms +
					      (SETTLED_MS / PROBE_TIMER_MS + 1) * SEARCH_PROBES,
	       "too many probes");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sim sim;

	if (size > 600)
		return 0;
	sim_begin(&sim, 1500, 1500, 1);
	sim.config.raise_timer_ms = SETTLED_MS;
	for (; size >= RECORD; data += RECORD, size -= RECORD)
		happen(&sim, data[0] % EVENTS, (uint16_t)(data[1] | data[2] << 8));
	settle(&sim);
	demand(&sim, !sim.error, sim.error);
	return 0;
}
