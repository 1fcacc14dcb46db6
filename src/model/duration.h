/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as Go, and so Calico and Kubernetes, write them: "15s", "1m30s", "0.5s", "300ms". */
#ifndef CV_MODEL_DURATION_H
#define CV_MODEL_DURATION_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CV_DURATION_TEXT_MAX = 48 /* with its NUL */
};

/*
 * Whole milliseconds; numbers with units (h, m, s, ms), or "0". False, and *ret_ms untouched: it is
 * none, is no whole number of milliseconds, or is more than UINT32_MAX of them (49 days).
 */
bool cv_duration_parse(const char *text, uint32_t *ret_ms);

/* The shortest way to write it, which parses again: "1m30s"; 0 is "0s". Returns buffer. */
const char *cv_duration_format(uint32_t ms, char buffer[CV_DURATION_TEXT_MAX]);

#endif
