/* SPDX-License-Identifier: Apache-2.0 */
/* ipam.show, ipam.check, ipam.release, ipam.reserve, migrate. */
#ifndef CV_AGENT_COMMANDS_IPAM_H
#define CV_AGENT_COMMANDS_IPAM_H

#include "agent/commands.h"
#include "agent/request.h"

/* Each: 0 and the first line's result, {"more": true}; the second comes from the thread of
 * addresses. Or -errno. */
int cv_commands_ipam(const struct cv_commands *commands, const struct cv_request *request,
		     const struct cv_peer *peer, json_t **ret_result,
		     struct cv_server_then *ret_then, struct cv_error *error);

/* migrate and migrate.status: 0 and how it goes, or -errno. */
int cv_commands_migrate(const struct cv_commands *commands, const struct cv_request *request,
			const struct cv_peer *peer, json_t **ret_result, struct cv_error *error);

#endif
