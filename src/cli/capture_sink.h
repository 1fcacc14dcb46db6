/* SPDX-License-Identifier: Apache-2.0 */
/* Where captured packets go: lines for people, lines of JSON, or a pcapng file. */
#ifndef CV_CLI_CAPTURE_SINK_H
#define CV_CLI_CAPTURE_SINK_H

#include <stdio.h>

#include "cli/sighting.h"

enum cv_capture_form {
	CV_CAPTURE_LINES,
	CV_CAPTURE_JSON,
	CV_CAPTURE_PCAPNG,
};

struct cv_capture_sink;

/*
 * file stays the caller's; errors show in ferror(file). snap: bytes of a packet at most. NULL
 * without memory. The caller owns it.
 */
struct cv_capture_sink *cv_capture_sink_create(enum cv_capture_form form, FILE *file,
					       uint32_t snap);
void cv_capture_sink_destroy(struct cv_capture_sink *sink);

/* Write one; lost: packets lost since the capture began. */
void cv_capture_sink_put(struct cv_capture_sink *sink, const struct cv_sighting *sighting,
			 uint64_t lost);

/* Write what belongs to the end. */
void cv_capture_sink_end(struct cv_capture_sink *sink, uint64_t time_ns, uint64_t lost);

#endif
