/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's part that has pods: their addresses, their list, and what holds these together. */
#ifndef CV_AGENT_DAEMON_PODS_H
#define CV_AGENT_DAEMON_PODS_H

#include "agent/ipam_sums.h"
#include "agent/leaks.h"
#include "agent/migrate.h"
#include "agent/node.h"
#include "agent/pods.h"
#include "agent/register.h"
#include "engine/engine.h"

struct cv_daemon_pods {
	struct cv_addresses *addresses;
	struct cv_pods *pods;
	struct cv_node_agent *node; /* from cv_daemon_pods_start on */
	struct cv_engine *engine;
	struct cv_tunnel_set *tunnels;
	unsigned int periods;	  /* since addresses were looked at */
	struct cv_leaks leaks;	  /* that were seen by `ipam check` */
	struct cv_ipam_sums sums; /* of the last look */
	bool is_etcd;
	struct cv_migrator *migrator;
	struct cv_registrar *registrar;
};

struct cv_daemon_pods_options {
	struct event_base *base;
	const char *run_dir;   /* absolute */
	const char *state_dir; /* NULL: cv_daemon_pods_default_dir's */
	const struct cv_datastore_config *datastore;
	struct cv_nl *nl;
	struct cv_engine *engine;
	struct cv_tunnel_set *tunnels;
	struct cv_endpoint_set *endpoints;
};

#define CV_DAEMON_STATE_DIR "/var/lib/culvert" /* of the default run directory */
#define CV_DAEMON_STATE	    "state"	       /* in any other run directory */

/* Before the node agent, which wants their routes. 0; -errno: what is stored cannot be read. */
int cv_daemon_pods_create(struct cv_daemon_pods *pods, const struct cv_daemon_pods_options *options,
			  struct cv_error *error);

/* Once there is the node agent. 0 or -ENOMEM. */
int cv_daemon_pods_start(struct cv_daemon_pods *pods, struct cv_node_agent *node);

/* Resources or the host's network have changed: this node may have to be registered. */
void cv_daemon_pods_consider(struct cv_daemon_pods *pods);

/* An observation of leftovers; is_asked: of addresses, too, which else are looked at now and then.
 */
void cv_daemon_pods_observe(struct cv_daemon_pods *pods, bool is_asked);

/* Before the node agent is destroyed; then the rest, after it. */
void cv_daemon_pods_stop(struct cv_daemon_pods *pods);
void cv_daemon_pods_destroy(struct cv_daemon_pods *pods);

#endif
