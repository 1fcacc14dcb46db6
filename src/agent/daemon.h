/* SPDX-License-Identifier: Apache-2.0 */
/* culvertd from the first look at the machine to the clean stop. */
#ifndef CV_AGENT_DAEMON_H
#define CV_AGENT_DAEMON_H

#include <stdbool.h>

#include "agent/bgp.h"

struct cv_daemon_options {
	const char *run_dir;
	const char *config_dir;	 /* NULL: not given */
	const char *state_dir;	 /* NULL: not given */
	const char *datastore;	 /* file; NULL: the one of config_dir, if there is any */
	unsigned int workers;	 /* 0: one per CPU */
	bool no_fastpath;	 /* the engine is to carry everything */
	bool no_probing;	 /* no path is probed, whatever resources say */
	const char *node_name;	 /* NULL: the host's */
	const char *detect;	 /* routing/self.h; NULL: first-found */
	const char *pool_device; /* NULL: CV_NODE_POOL_DEVICE */
	enum cv_bgp_mode bgp;	 /* who runs BIRD */
	const char *bird;	 /* the program; NULL: found */
	const char *bird_socket; /* of an external BIRD; NULL: Debian's */
	const char *metrics;	 /* ADDRESS:PORT to serve metrics at; NULL: nowhere */
};

/* Run until SIGTERM or SIGINT. Returns the exit code: 0, or 1 when it could not start (the log says
 * why). */
int cv_daemon_run(const struct cv_daemon_options *options);

#endif
