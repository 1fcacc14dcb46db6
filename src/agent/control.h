/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol, as far as both ends must agree: protocol.md beside this file has all of
 * it.
 */
#ifndef CV_AGENT_CONTROL_H
#define CV_AGENT_CONTROL_H

#include <stdint.h>

#define CV_CONTROL_RUN_DIR "/run/culvert" /* the default of --run-dir */
#define CV_CONTROL_SOCKET  "culvertd.sock"

enum {
	CV_CONTROL_VERSION = 1,
	CV_CONTROL_REQUEST_MAX = 64 << 20, /* bytes of a line, its newline included */
	CV_CONTROL_LINE_MAX = 1 << 20,	   /* of these, as many connections as there are may have;
					      a longer one, one at a time */
};

/* ---- the stream behind the answer to `capture`, in the host's byte order ------------ */

enum {
	CV_CONTROL_CAPTURE_FORMAT = 1,	      /* of this stream */
	CV_CONTROL_CAPTURE_SNAP_MAX = 262144, /* bytes of a packet */
	CV_CONTROL_CAPTURE_TUNNEL_NAME = 16,
	CV_CONTROL_CAPTURE_TUNNELS = 256, /* places for tunnels that were told, by ifindex modulo */
};

enum cv_control_frame_kind {
	CV_CONTROL_FRAME_PACKET = 1, /* struct cv_fp_capture (bpf/abi.h), then its bytes */
	CV_CONTROL_FRAME_TUNNEL,     /* struct cv_control_tunnel */
	CV_CONTROL_FRAME_LOST,	     /* struct cv_control_lost */
};

struct cv_control_frame {
	uint32_t length; /* of what follows, bytes */
	uint32_t kind;	 /* enum cv_control_frame_kind; others are to be passed over */
};
_Static_assert(sizeof(struct cv_control_frame) == 8, "no padding");

/* Which tunnel a device is from now on. Comes before the first packet that names the device. */
struct cv_control_tunnel {
	uint32_t ifindex;
	char name[CV_CONTROL_CAPTURE_TUNNEL_NAME]; /* filled up with NUL */
};
_Static_assert(sizeof(struct cv_control_tunnel) == 20, "no padding");

/* How many packets are missing in the stream so far. */
struct cv_control_lost {
	uint64_t reader; /* because the client did not read them in time */
	uint64_t source; /* because culvertd did not take them in time; some perhaps of other
			    tunnels */
};
_Static_assert(sizeof(struct cv_control_lost) == 16, "no padding");

#endif
