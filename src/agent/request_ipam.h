/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about addresses: ipam.*, migrate. */
#ifndef CV_AGENT_REQUEST_IPAM_H
#define CV_AGENT_REQUEST_IPAM_H

#include "agent/request.h"

enum {
	CV_REQUEST_IPAM_COMMANDS = 6,
	CV_REQUEST_COMMENT_MAX = 256, /* bytes of a reservation's comment */
};
extern const struct cv_request_command cv_request_ipam_commands[CV_REQUEST_IPAM_COMMANDS];

#endif
