/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that are about endpoints. */
#ifndef CV_AGENT_REQUEST_ENDPOINT_H
#define CV_AGENT_REQUEST_ENDPOINT_H

#include "agent/request.h"

enum {
	CV_REQUEST_ENDPOINT_COMMANDS = 6
};

extern const struct cv_request_command cv_request_endpoint_commands[CV_REQUEST_ENDPOINT_COMMANDS];

#endif
