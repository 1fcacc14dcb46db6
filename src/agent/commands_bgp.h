/* SPDX-License-Identifier: Apache-2.0 */
/* bgp.status, bgp.peers, bgp.routes, bgp.restart, and BGP's part of status. */
#ifndef CV_AGENT_COMMANDS_BGP_H
#define CV_AGENT_COMMANDS_BGP_H

#include <jansson.h>

#include "agent/commands.h"
#include "agent/request.h"

/* What they return is the caller's; NULL without memory. */
json_t *cv_commands_bgp_status(const struct cv_commands *commands);
json_t *cv_commands_bgp_peers(const struct cv_commands *commands);

/* Its part of status: "bgp", and more "warnings". */
void cv_commands_bgp_add_status(const struct cv_commands *commands, json_t *status);

/* 0 and the first line of the answer, or -errno with error. */
int cv_commands_bgp_routes(const struct cv_commands *commands, const struct cv_request *request,
			   json_t **ret_result, struct cv_server_then *ret_then,
			   struct cv_error *error);
int cv_commands_bgp_restart(const struct cv_commands *commands, const struct cv_peer *peer,
			    json_t **ret_result, struct cv_error *error);

#endif
