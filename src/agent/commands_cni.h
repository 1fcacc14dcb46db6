/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the CNI plugin, and about pods and their addresses, carried out. */
#ifndef CV_AGENT_COMMANDS_CNI_H
#define CV_AGENT_COMMANDS_CNI_H

#include <jansson.h>

#include "agent/commands.h"
#include "agent/request.h"

/* True for kinds that need not know of the kernel's last change: they ask for what they need. */
bool cv_commands_is_cni(enum cv_request_kind kind);

/* 0 and the only line of the answer, or the first of two; or -errno with error. */
int cv_commands_cni(const struct cv_commands *commands, const struct cv_request *request,
		    const struct cv_peer *peer, json_t **ret_result,
		    struct cv_server_then *ret_then, struct cv_error *error);

/* The result of `pods`. NULL without memory. */
json_t *cv_commands_pods(const struct cv_commands *commands);

/* Its part of status: "pods" and "addresses". */
void cv_commands_cni_add_status(const struct cv_commands *commands, json_t *status);

#endif
