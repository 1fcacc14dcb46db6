/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of packets behind the answer to `capture` (src/agent/control.h), cut into its frames.
 */
#ifndef CV_CLI_CAPTURE_STREAM_H
#define CV_CLI_CAPTURE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/control.h"
#include "bpf/abi.h"

enum {
	CV_CAPTURE_STREAM_FRAME_MAX = sizeof(struct cv_fp_capture) + CV_CONTROL_CAPTURE_SNAP_MAX,
	CV_CAPTURE_STREAM_BUFFER = 2 * (CV_CAPTURE_STREAM_FRAME_MAX + 8),
};

struct cv_capture_stream {
	/* Each packet: all only valid during the call. tunnel: its name, or "". False: stop. */
	bool (*take)(void *context, const struct cv_fp_capture *record, const uint8_t *packet,
		     const char *tunnel);
	void *context;
	struct cv_control_lost lost; /* so far */
	struct cv_control_tunnel tunnels[CV_CONTROL_CAPTURE_TUNNELS];
	size_t length; /* of what is in the buffer */
	uint8_t buffer[CV_CAPTURE_STREAM_BUFFER];
};

/* Where the next bytes of the stream belong; *ret_size: how many at most, never 0. */
uint8_t *cv_capture_stream_room(struct cv_capture_stream *stream, size_t *ret_size);

/*
 * So many came. Takes all frames that are complete. 0; -ECANCELED: take() said stop, the frames
 * behind are still there; -EBADMSG: this is no such stream.
 */
int cv_capture_stream_came(struct cv_capture_stream *stream, size_t count);

#endif
