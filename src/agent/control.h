/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol, as far as both ends must agree: protocol.md beside this file has all of
 * it.
 */
#ifndef CV_AGENT_CONTROL_H
#define CV_AGENT_CONTROL_H

#define CV_CONTROL_RUN_DIR "/run/culvert" /* the default of --run-dir */
#define CV_CONTROL_SOCKET  "culvertd.sock"

enum {
	CV_CONTROL_VERSION = 1,
	CV_CONTROL_REQUEST_MAX = 1 << 20, /* bytes of a line, its newline included */
};

#endif
