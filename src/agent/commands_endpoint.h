/* SPDX-License-Identifier: Apache-2.0 */
/* What culvertd does when it is asked about endpoints. */
#ifndef CV_AGENT_COMMANDS_ENDPOINT_H
#define CV_AGENT_COMMANDS_ENDPOINT_H

#include <jansson.h>

#include "agent/commands.h"
#include "agent/request.h"

/* Results, which the caller owns; NULL without memory. */
json_t *cv_commands_endpoint_show(const struct cv_commands *commands,
				  const struct cv_request *request);

/* 0 and *ret_result, or -errno and why. */
int cv_commands_endpoint_change(const struct cv_commands *commands,
				const struct cv_request *request, const struct cv_peer *peer,
				json_t **ret_result, struct cv_error *error);
int cv_commands_endpoint_default(const struct cv_commands *commands,
				 const struct cv_request *request, const struct cv_peer *peer,
				 json_t **ret_result, struct cv_error *error);

#endif
