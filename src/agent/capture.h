/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who captures: connections that have become streams of packets with their verdicts (protocol.md,
 * "Capturing"). While there is none, neither engine nor fast path records anything.
 */
#ifndef CV_AGENT_CAPTURE_H
#define CV_AGENT_CAPTURE_H

#include <jansson.h>

#include "agent/server.h"
#include "engine/engine.h"
#include "fastpath/fastpath.h"
#include "tunnel/error.h"

enum {
	CV_CAPTURERS_MAX = 4,
	CV_CAPTURERS_OUTPUT_MAX = 8 << 20, /* bytes that wait for one of them */
};

struct cv_capturers;

/*
 * 0 or -errno. base, engine and fastpath (NULL: engine only) are the caller's. The caller owns
 * *ret_capturers: cv_capturers_destroy, before any of them.
 */
int cv_capturers_create(struct event_base *base, struct cv_engine *engine,
			struct cv_fastpath *fastpath, struct cv_capturers **ret_capturers);

/* End all captures. NULL is fine. */
void cv_capturers_destroy(struct cv_capturers *capturers);

/*
 * One more: packets of the tunnel of this name ("": all), snap bytes of each. 0, the answer's
 * result, which the caller owns, and what the server is to do; or -errno: -EUSERS: there are
 * enough.
 */
int cv_capturers_add(struct cv_capturers *capturers, const char *tunnel, uint32_t snap,
		     json_t **ret_result, struct cv_server_then *ret_then, struct cv_error *error);

/* For `status`: how many there are, and how much is recorded of a packet now. */
json_t *cv_capturers_status(const struct cv_capturers *capturers);

#endif
