/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What echoes tell of a remote: RFC 6298's smoothed round trip for timeouts, the last 64 samples,
 * lost ones among them, for people. One lost echo says nothing, some in a row that it is down; one
 * answer that it is up.
 */
#include "path/liveness.h"

#include <stddef.h>

enum {
	LOST = UINT32_MAX,
	GRANULARITY_US = 1000 /* RFC 6298's G: our clock, in milliseconds */
};

static void sample(struct cv_liveness *liveness, uint32_t rtt_us)
{
	liveness->rtt_us[liveness->next_sample] = rtt_us;
	liveness->next_sample = (liveness->next_sample + 1) % CV_LIVENESS_SAMPLES;
	if (liveness->sample_count < CV_LIVENESS_SAMPLES)
		liveness->sample_count++;
	liveness->sent++;
}

static bool enter(struct cv_liveness *liveness, enum cv_liveness_state state, uint64_t now_ms)
{
	if (liveness->state == state)
		return false;
	liveness->state = state;
	liveness->since_ms = now_ms;
	return true;
}

/* RFC 6298, 2.2 and 2.3, alpha = 1/8, beta = 1/4. */
static void smooth(struct cv_liveness *liveness, uint32_t rtt_us)
{
	uint64_t srtt = liveness->srtt_us, rttvar = liveness->rttvar_us;
	uint64_t away = srtt > rtt_us ? srtt - rtt_us : rtt_us - srtt;

	if (!liveness->answered) {
		liveness->srtt_us = rtt_us;
		liveness->rttvar_us = rtt_us / 2;
		return;
	}
	liveness->rttvar_us = (uint32_t)((3 * rttvar + away) / 4);
	liveness->srtt_us = (uint32_t)((7 * srtt + rtt_us) / 8);
}

bool cv_liveness_answered(struct cv_liveness *liveness, uint32_t rtt_us, uint64_t now_ms)
{
	if (rtt_us == LOST)
		rtt_us--;
	sample(liveness, rtt_us);
	smooth(liveness, rtt_us);
	liveness->answered++;
	liveness->losses = 0;
	return enter(liveness, CV_LIVENESS_UP, now_ms);
}

bool cv_liveness_lost(struct cv_liveness *liveness, uint32_t losses_max, uint64_t now_ms)
{
	sample(liveness, LOST);
	if (liveness->losses < UINT32_MAX)
		liveness->losses++;
	if (liveness->losses < losses_max)
		return false;
	return enter(liveness, CV_LIVENESS_DOWN, now_ms);
}

uint32_t cv_liveness_rtt_us(const struct cv_liveness *liveness, unsigned int percent)
{
	uint32_t sorted[CV_LIVENESS_SAMPLES];
	size_t count = 0, rank;

	for (size_t i = 0; i < liveness->sample_count; i++) {
		uint32_t rtt_us = liveness->rtt_us[i];
		size_t at = count;

		if (rtt_us == LOST)
			continue;
		for (; at > 0 && sorted[at - 1] > rtt_us; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = rtt_us;
		count++;
	}
	if (!count)
		return 0;
	/* The nearest rank: the smallest that percent of them do not exceed. */
	rank = (count * (percent < 100 ? percent : 100) + 99) / 100;
	return sorted[rank ? rank - 1 : 0];
}

uint32_t cv_liveness_loss(const struct cv_liveness *liveness)
{
	uint32_t lost = 0;

	for (uint32_t i = 0; i < liveness->sample_count; i++)
		lost += liveness->rtt_us[i] == LOST;
	return liveness->sample_count ? lost * 1000 / liveness->sample_count : 0;
}

uint32_t cv_liveness_timeout_ms(const struct cv_liveness *liveness, uint32_t min_ms,
				uint32_t max_ms)
{
	uint64_t spread_us = 4 * (uint64_t)liveness->rttvar_us;
	uint64_t timeout_ms;

	if (!liveness->answered)
		return max_ms;
	if (spread_us < GRANULARITY_US)
		spread_us = GRANULARITY_US;
	timeout_ms = (liveness->srtt_us + spread_us + 999) / 1000;
	if (timeout_ms > max_ms)
		return max_ms;
	return timeout_ms < min_ms ? min_ms : (uint32_t)timeout_ms;
}

const char *cv_liveness_name(enum cv_liveness_state state)
{
	static const char *const names[CV_LIVENESS_STATES] = {
		[CV_LIVENESS_UNKNOWN] = "unknown",
		[CV_LIVENESS_UP] = "up",
		[CV_LIVENESS_DOWN] = "down",
	};

	return names[state];
}
