/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that are about resources, and what became of them: apply to path. */
#ifndef CV_AGENT_REQUEST_RESOURCE_H
#define CV_AGENT_REQUEST_RESOURCE_H

#include "agent/request.h"

enum {
	CV_REQUEST_RESOURCE_COMMANDS = 8
};

extern const struct cv_request_command cv_request_resource_commands[CV_REQUEST_RESOURCE_COMMANDS];

#endif
