/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prober: a thread of the engine that knows every remote end that tunnels send to now, what the
 * underlay's route to it takes, and what probes have shown of the path: its MTU (path/plpmtud.h),
 * its round trip, its loss, whether it is up (path/liveness.h).
 */
#ifndef CV_ENGINE_PROBER_H
#define CV_ENGINE_PROBER_H

#include <stddef.h>
#include <linux/types.h>

#include "path/config.h"
#include "path/liveness.h"
#include "path/plpmtud.h"

/* By what a remote is probed. */
enum cv_prober_method {
	CV_PROBER_NONE,	    /* nothing was answered so far */
	CV_PROBER_INNER,    /* an echo within the tunnel */
	CV_PROBER_UNDERLAY, /* an echo outside: it does not tell whether protocol 4 passes */
	CV_PROBER_METHODS
};

/* What is known of one remote end of one tunnel. */
struct cv_prober_path {
	__be32 remote;
	__be32 source;	     /* outer; 0: no route */
	__be32 inner_source; /* of probes within the tunnel; 0: none was answered yet */
	int tunnel;	     /* index of its device */
	uint32_t link_mtu;   /* what the route to it takes, bytes of outer packets; 0: no route */
	uint32_t mtu;	     /* what the path takes, as far as it is known; 0: no route */
	enum cv_plpmtud_state state;
	enum cv_plpmtud_how how;
	enum cv_prober_method method;
	uint64_t age_ms; /* mtu is known since so long */
	/* It answers outside the tunnel, but not within, where it once did or should: protocol 4 is
	 * blocked, or the remote has no tunnel to us. */
	bool is_blocked;
	enum cv_liveness_state liveness;
	uint64_t liveness_age_ms;	 /* is so since so long */
	uint32_t rtt_p50_us, rtt_p99_us; /* 0: no answer */
	uint32_t loss_permille;
	uint64_t probes_sent, probes_answered, probe_bytes;
};

/* "none", "tunnel", "underlay". */
const char *cv_prober_method_name(enum cv_prober_method method);

#endif
