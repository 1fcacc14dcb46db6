/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node agent's BGP: from what is decided to BIRD's configuration, and from what BIRD says to
 * what is decided. Who programs the routes to other nodes is handed over prefix by prefix: the
 * agent's route goes when BIRD's is in the kernel.
 * For the main thread.
 */
#ifndef CV_AGENT_BGP_H
#define CV_AGENT_BGP_H

#include <event2/event.h>

#include "agent/bgp_md5.h"
#include "agent/bird.h"
#include "net/netlink.h"
#include "routing/bgp.h"
#include "routing/bgp_policy.h"
#include "routing/bird_reply.h"
#include "routing/learned.h"

enum cv_bgp_mode {
	CV_BGP_SUPERVISED, /* culvertd runs a BIRD of its own */
	CV_BGP_EXTERNAL,   /* somebody else runs one, which includes <run-dir>/bird/culvert.conf */
	CV_BGP_OFF,	   /* none, whatever resources say */
};

/* "supervised", "external", "off". */
const char *cv_bgp_mode_name(enum cv_bgp_mode mode);

#define CV_BGP_EXTERNAL_SOCKET "/run/bird/bird.ctl" /* Debian's */

struct cv_bgp_agent;

struct cv_bgp_agent_options {
	struct event_base *base;
	struct cv_nl *nl;
	const char *run_dir, *config_dir; /* copied */
	enum cv_bgp_mode mode;
	const char *program; /* of BIRD; NULL: found */
	const char *socket;  /* of an external BIRD; NULL: CV_BGP_EXTERNAL_SOCKET */
	bool was_bird;	     /* the last daemon of this run directory had handed over to BIRD */
	/* What BIRD has learned, or who programs, has changed: decide again. Called from the loop.
	 */
	void (*changed)(void *data);
	void *data;
};

/* 0 or -errno. The caller owns *ret_agent. With was_bird, what BIRD knows is read, which may take 2
 * s. */
int cv_bgp_agent_create(const struct cv_bgp_agent_options *options, struct cv_bgp_agent **ret_agent,
			struct cv_error *error);
void cv_bgp_agent_destroy(struct cv_bgp_agent *agent); /* BIRD goes on. NULL is fine. */

/* Before decisions: who programs by these resources, and what was learned (the agent's own). */
enum cv_programs cv_bgp_agent_programs(struct cv_bgp_agent *agent,
				       const struct cv_snapshot *snapshot, const char *node_name,
				       bool *ret_is_handing_over);
/* While it is handed over: what is BIRD's already; sorted. */
const struct cv_prefix *cv_bgp_agent_handed(const struct cv_bgp_agent *agent, size_t *ret_count);
const struct cv_learned *cv_bgp_agent_learned(const struct cv_bgp_agent *agent);

/*
 * Of decisions that are to take the place of `before`: where BIRD programs, a guard that was not
 * there waits for its routes: a pool that was Never, and is not any longer, would else be cut off
 * until BIRD has made them.
 */
void cv_bgp_agent_hold_guard(struct cv_bgp_agent *agent, const struct cv_intent *before,
			     struct cv_intent *intent);

/*
 * After devices, owners and the agent's routes are as decided: have BIRD do its part. pool_ifindex:
 * of the pool device, while it is up; else 0.
 */
void cv_bgp_agent_apply(struct cv_bgp_agent *agent, const struct cv_intent *intent,
			const struct cv_facts *facts, const char *pool_device, int pool_ifindex);

/* The kernel's routes have changed: BIRD may have learned something. */
void cv_bgp_agent_routes_changed(struct cv_bgp_agent *agent);

/* Whether BIRD has taken over for good: to be remembered for the next daemon. */
bool cv_bgp_agent_is_bird(const struct cv_bgp_agent *agent);

/* Ask BIRD to start anew, for a new binary (cv_bird_restart). */
int cv_bgp_agent_restart(struct cv_bgp_agent *agent, struct cv_error *error);

/* What `culvert bgp`, doctor and metrics see; pointers are good until the loop runs again. */
struct cv_bgp_view {
	enum cv_bgp_mode mode;
	const struct cv_bgp_intent *intent;		/* never NULL */
	struct cv_bird *bird;				/* NULL: mode off */
	enum cv_programs programs_wanted, programs_now; /* they differ while it is handed over */
	const char *hand_over;				/* why it waits; "" */
	const char *problem;				/* of files or of BIRD; "" */
	bool has_status;
	struct cv_bird_status status;
	const struct cv_bird_session *sessions; /* as BIRD last said, at most some seconds old */
	size_t session_count;
	int64_t asked_us; /* a monotonic clock; 0: never */
	const struct cv_learned *learned;
	size_t learned_unread; /* bytes: BIRD's list of it was too long to be read, so that it is
				  older than that; 0: it is not */
	uint64_t refused[CV_BGP_VERDICTS]; /* filtered routes by reason, when last looked at */
	bool has_refused;		   /* false: too many to look at, or not yet */
	struct cv_bgp_md5 md5;		   /* segments thrown away lately */
};

void cv_bgp_agent_view(const struct cv_bgp_agent *agent, struct cv_bgp_view *ret_view);

#endif
