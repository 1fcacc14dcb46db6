/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the CNI plugin: cni.add, .attach, .del, .check, .gc and .status; and pods. */
#ifndef CV_AGENT_REQUEST_CNI_H
#define CV_AGENT_REQUEST_CNI_H

#include "agent/request.h"

enum {
	CV_REQUEST_CNI_COMMANDS = 7
};
extern const struct cv_request_command cv_request_cni_commands[CV_REQUEST_CNI_COMMANDS];

#endif
