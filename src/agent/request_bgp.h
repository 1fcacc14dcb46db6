/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about BGP: bgp.status, bgp.peers, bgp.routes, bgp.restart. */
#ifndef CV_AGENT_REQUEST_BGP_H
#define CV_AGENT_REQUEST_BGP_H

#include "agent/request.h"

enum {
	CV_REQUEST_BGP_COMMANDS = 4
};
extern const struct cv_request_command cv_request_bgp_commands[CV_REQUEST_BGP_COMMANDS];

#endif
