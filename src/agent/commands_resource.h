/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about resources, carried out: apply, delete, get, diff. */
#ifndef CV_AGENT_COMMANDS_RESOURCE_H
#define CV_AGENT_COMMANDS_RESOURCE_H

#include "agent/commands.h"
#include "agent/request.h"

/* Each: 0 and the result (protocol.md), which the caller owns, or -errno with the reason. */
int cv_commands_apply(const struct cv_commands *commands, const struct cv_request *request,
		      const struct cv_peer *peer, json_t **ret_result, struct cv_error *error);
int cv_commands_delete(const struct cv_commands *commands, const struct cv_request *request,
		       const struct cv_peer *peer, json_t **ret_result, struct cv_error *error);
int cv_commands_get(const struct cv_commands *commands, const struct cv_request *request,
		    json_t **ret_result, struct cv_error *error);
int cv_commands_diff(const struct cv_commands *commands, const struct cv_request *request,
		     json_t **ret_result, struct cv_error *error);

#endif
