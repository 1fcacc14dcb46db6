/* SPDX-License-Identifier: Apache-2.0 */
/* Round-trip times, loss, and whether a remote is up, from echoes and their answers. */
#ifndef CV_PATH_LIVENESS_H
#define CV_PATH_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

enum cv_liveness_state {
	CV_LIVENESS_UNKNOWN, /* never answered, and not asked often enough to say that it is down */
	CV_LIVENESS_UP,
	CV_LIVENESS_DOWN,
	CV_LIVENESS_STATES
};

enum {
	CV_LIVENESS_SAMPLES = 64 /* the last so many count */
};

struct cv_liveness {
	enum cv_liveness_state state;
	uint64_t since_ms; /* of state; 0: since the beginning */
	uint64_t sent;
	uint64_t answered;
	uint32_t losses; /* in a row */
	uint32_t sample_count, next_sample;
	uint32_t rtt_us[CV_LIVENESS_SAMPLES]; /* UINT32_MAX: was lost */
	uint32_t srtt_us, rttvar_us;	      /* RFC 6298 */
};

/* One echo was answered after rtt_us. True if that changed the state. */
bool cv_liveness_answered(struct cv_liveness *liveness, uint32_t rtt_us, uint64_t now_ms);

/* One was not, in time. So many in a row: it is down. True if that changed the state. */
bool cv_liveness_lost(struct cv_liveness *liveness, uint32_t losses_max, uint64_t now_ms);

/* Of the answered ones of the last samples, in microseconds; 0: none was. percent: 1 to 100. */
uint32_t cv_liveness_rtt_us(const struct cv_liveness *liveness, unsigned int percent);

/* Lost ones among the last samples, in thousandths. */
uint32_t cv_liveness_loss(const struct cv_liveness *liveness);

/* After how long an answer may be given up, in milliseconds: RFC 6298's RTO, between min and max;
 * max before the first answer. */
uint32_t cv_liveness_timeout_ms(const struct cv_liveness *liveness, uint32_t min_ms,
				uint32_t max_ms);

/* "unknown", "up", "down". */
const char *cv_liveness_name(enum cv_liveness_state state);

#endif
