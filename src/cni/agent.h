/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to culvertd (src/agent/protocol.md), over one connection. */
#ifndef CV_CNI_AGENT_H
#define CV_CNI_AGENT_H

#include <stdint.h>
#include <jansson.h>

#include "cni/failure.h"

enum {
	/* How long an ADD waits for a culvertd that is away: a restart takes half a second. */
	CV_CNI_AGENT_WAIT_MS = 5000,
	CV_CNI_AGENT_ANSWER_S = 45, /* culvertd gives up waiting for etcd before that */
};

struct cv_cni_agent {
	const char *run_dir; /* the caller's */
	unsigned int wait_ms;
	int fd;		  /* -1: none */
	int64_t deadline; /* of connecting, milliseconds of CLOCK_MONOTONIC */
};

/* wait_ms: for how long to try again, all requests together, when nobody listens or the connection
 * is cut. Connects at the first request. */
void cv_cni_agent_init(struct cv_cni_agent *agent, const char *run_dir, unsigned int wait_ms);
void cv_cni_agent_fini(struct cv_cni_agent *agent);

/*
 * Send command with the members of arguments (an object, taken over; NULL: no memory); requests are
 * idempotent: one whose connection was cut is sent again. 0 and the result, the caller's; or a
 * code: CV_CNI_TRY_AGAIN (culvertd does not run, is not able to now, or does not answer),
 * CV_CNI_NO_ADDRESS, CV_CNI_UNKNOWN_CONTAINER, CV_CNI_REFUSED … with culvertd's sentence.
 */
int cv_cni_agent_ask(struct cv_cni_agent *agent, const char *command, json_t *arguments,
		     json_t **ret_result, struct cv_cni_failure *failure);

#endif
