/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A probe of one peer: does it answer on the underlay, and does IP protocol 4 come back? A few
 * packets in some seconds, on the main loop, waiting for nothing.
 */
#ifndef CV_AGENT_PROBE_H
#define CV_AGENT_PROBE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "agent/finding.h"
#include "tunnel/error.h"

enum {
	CV_PROBE_TRIES = 3,
	CV_PROBE_INTERVAL_MS = 1000, /* between two tries */
	/* After the last one: the kernel gives up a neighbour after 3 s, and we are to hear of it.
	 */
	CV_PROBE_PATIENCE_MS = 1500,
};

/* Whom to ask, and how. */
struct cv_probe_target {
	__be32 self, peer;   /* outer addresses */
	__be32 inner_source; /* an address of the overlay that is this host's; 0: none */
	__be32 inner_peer;   /* the peer's tunnel address; 0: not known */
	/* Leave inner packets to the kernel's routing, which leads into the pool device; else they
	 * are encapsulated by hand. */
	bool is_tunnel;
};

enum cv_probe_answer {
	CV_PROBE_SILENCE,
	CV_PROBE_ECHO,	/* what was asked for */
	CV_PROBE_ICMP,	/* an ICMP error: type, code, offender */
	CV_PROBE_ERROR, /* it could not be sent: error */
};

/* What became of one of the two questions. */
struct cv_probe_result {
	bool was_asked;
	enum cv_probe_answer answer;
	int64_t rtt_us;
	uint8_t type, code;
	__be32 offender;
	int error; /* -errno */
};

struct cv_probe_report {
	struct cv_probe_result underlay; /* a plain echo to the outer address */
	struct cv_probe_result inner;	 /* an echo through IP protocol 4 */
	bool came_by_protocol_4;	 /* its answer did, outside; delivered or not */
	bool was_delivered;		 /* the answer came out of the tunnel, or plainly */
};

struct cv_probe;

/*
 * Begin. done is called once, later, from the main loop, when both answers are there or
 * nothing came after the last try; then cv_probe_destroy is the caller's, in done or later. 0
 * or -errno. The caller owns *ret_probe, and may destroy it at any time: done is then not called.
 */
int cv_probe_create(struct event_base *base, const struct cv_probe_target *target,
		    void (*done)(void *context, const struct cv_probe_report *report),
		    void *context, struct cv_probe **ret_probe, struct cv_error *error);
void cv_probe_destroy(struct cv_probe *probe);

/* "no route to the host", … of an ICMP error. */
const char *cv_probe_icmp_text(uint8_t type, uint8_t code);

#endif
