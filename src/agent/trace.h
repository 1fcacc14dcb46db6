/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a packet to an address, step by step with the reason of each: `culvert trace`.
 *
 * The route is the kernel's own answer, asked now; what resources say of the address is told beside
 * it, and where the two differ, that is said.
 */
#ifndef CV_AGENT_TRACE_H
#define CV_AGENT_TRACE_H

#include <jansson.h>

#include "agent/commands.h"
#include "agent/request.h"

/* 0 and the result (protocol.md), which the caller owns, or -errno with the reason in error. */
int cv_trace(const struct cv_commands *commands, const struct cv_request_trace *question,
	     json_t **ret_result, struct cv_error *error);

#endif
