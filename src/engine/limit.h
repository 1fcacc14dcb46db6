/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limit for the ICMP messages we send (RFC 1812, 4.3.2.8): a token bucket for all and one per
 * inner sender, so that a busy sender cannot use up what the others need.
 * Shared by the workers; one lock, taken once per ICMP message.
 */
#ifndef CV_ENGINE_LIMIT_H
#define CV_ENGINE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

enum {
	CV_LIMIT_ALL_PER_SECOND = 1000,
	CV_LIMIT_ALL_BURST = 200,
	CV_LIMIT_ONE_PER_SECOND = 50,
	CV_LIMIT_ONE_BURST = 20,
};

struct cv_limit;

/* Create; NULL and errno. */
struct cv_limit *cv_limit_create(void);
void cv_limit_destroy(struct cv_limit *limit);

/* May a message go to address now? Takes a token if so. now_ms: a monotonic clock. */
bool cv_limit_allows(struct cv_limit *limit, __be32 address, uint64_t now_ms);

#endif
