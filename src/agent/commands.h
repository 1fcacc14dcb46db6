/* SPDX-License-Identifier: Apache-2.0 */
/* What culvertd does when it is asked. */
#ifndef CV_AGENT_COMMANDS_H
#define CV_AGENT_COMMANDS_H

#include "agent/addresses.h"
#include "agent/capture.h"
#include "agent/ipam_sums.h"
#include "agent/leaks.h"
#include "agent/migrate.h"
#include "agent/node.h"
#include "agent/pods.h"
#include "agent/register.h"
#include "agent/server.h"
#include "engine/engine.h"
#include "fastpath/fastpath.h"
#include "tunnel/endpoint_set.h"
#include "tunnel/set.h"

/* What requests work on; all the caller's. */
struct cv_commands {
	struct cv_engine *engine;
	struct cv_fastpath *fastpath; /* NULL: there is none */
	const char *no_fastpath;      /* why */
	struct cv_tunnel_set *set;
	struct cv_capturers *capturers;
	struct cv_endpoint_set *endpoints;
	struct cv_node_agent *node;
	struct cv_addresses *addresses;
	struct cv_pods *pods;
	struct cv_leaks *leaks; /* that were seen so far */
	struct cv_migrator *migrator;
	struct cv_registrar *registrar;
	struct cv_ipam_sums *sums;		     /* of the last look at all addresses */
	const struct cv_datastore_config *datastore; /* never NULL */
	struct cv_nl *nl;
	struct event_base *base;
	const char *run_dir;
	/* Called before every request: nobody is to be answered from before his own `ip link`. */
	void (*catch_up)(void *context);
	void *context; /* of catch_up */
};

/* A cv_server_handler; context: struct cv_commands. */
char *cv_commands_handle(void *context, const struct cv_peer *peer, const char *line, size_t length,
			 struct cv_server_then *ret_then);

#endif
