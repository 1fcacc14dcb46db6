/* SPDX-License-Identifier: Apache-2.0 */
/* The requests `doctor` and `metrics`. */
#ifndef CV_AGENT_COMMANDS_DOCTOR_H
#define CV_AGENT_COMMANDS_DOCTOR_H

#include <jansson.h>

#include "agent/commands.h"
#include "agent/request.h"

/* 0 and the result, which the caller owns, or -errno with the reason in error. With a peer there
 * will be a second line: *ret_then says so. */
int cv_commands_doctor(const struct cv_commands *commands, const struct cv_request *request,
		       json_t **ret_result, struct cv_server_then *ret_then,
		       struct cv_error *error);

/* The metrics' text, which the caller frees, or NULL; context: struct cv_commands. */
char *cv_commands_metrics_text(void *context);

int cv_commands_metrics(const struct cv_commands *commands, json_t **ret_result,
			struct cv_error *error);

#endif
