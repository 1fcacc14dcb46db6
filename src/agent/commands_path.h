/* SPDX-License-Identifier: Apache-2.0 */
/* What culvertd says of the paths to remote ends. */
#ifndef CV_AGENT_COMMANDS_PATH_H
#define CV_AGENT_COMMANDS_PATH_H

#include <jansson.h>

#include "agent/commands.h"
#include "agent/request.h"

/* 0 and the result, which the caller owns, or -errno and why: -ENOENT for a peer that is none. */
int cv_commands_path(const struct cv_commands *commands, const struct cv_request *request,
		     json_t **ret_result, struct cv_error *error);

/* Add "paths" to the result of `status`. */
void cv_commands_path_status(const struct cv_commands *commands, json_t *status);

#endif
