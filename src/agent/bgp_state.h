/* SPDX-License-Identifier: Apache-2.0 */
/* What bgp.c and bgp_ask.c share; for nobody else. */
#ifndef CV_AGENT_BGP_STATE_H
#define CV_AGENT_BGP_STATE_H

#include "agent/bgp.h"
#include "net/vector.h"

/* What BIRD was given last; core: the include without paths' MTUs. */
struct cv_bgp_given {
	char *main, *include, *core;
};

struct cv_bgp_agent {
	struct cv_nl *nl;
	enum cv_bgp_mode mode;
	char *directory, *config_dir;
	struct cv_bird *bird;	  /* NULL: mode off */
	struct cv_bgp_intent bgp; /* as decided last */
	/* Who programs. */
	enum cv_programs wanted;
	bool is_taken_over;	 /* BIRD has done what the agent did */
	struct cv_vector handed; /* prefixes that are BIRD's already; sorted */
	char hand_over[160];	 /* why it waits */
	int64_t unsettled_us;	 /* since when BIRD owes the kernel routes; 0: it does not */
	struct cv_bgp_given given;
	int64_t configured_us; /* when; 0: never */
	bool is_stopped, has_ended_former;
	int pool_ifindex;
	char problem[CV_ERROR_TEXT_MAX];
	struct event *again; /* decide again: what waited, or was handed over */
	int64_t again_us;    /* when */
	/* What BIRD says. */
	struct event *poll;	 /* every now and then */
	struct event *soon;	 /* something may have changed */
	bool is_asking;		 /* an answer is awaited */
	bool is_behind;		 /* and something has changed since the question */
	int64_t question_us;	 /* when routes were asked for */
	int64_t took_us;	 /* until they were told and read, the last time */
	enum cv_bird_state seen; /* BIRD's state, as it was last */
	bool has_status;
	bool is_ready; /* up, and it has recovered */
	bool is_news;  /* that it is */
	struct cv_bird_status status;
	struct cv_bird_session *sessions;
	size_t session_count;
	int64_t asked_us;
	struct cv_learned learned;
	size_t learned_unread; /* bytes of BIRD's last answer of it, which were too many; 0: read */
	uint64_t counted_routes,
		counted_filtered; /* of sessions, when routes were last asked for */
	bool has_refused;
	uint64_t refused[CV_BGP_VERDICTS];
	struct cv_bgp_md5_watch md5;
	void (*changed)(void *data);
	void *data;
};

int64_t cv_bgp_now_us(void);

/* ---- bgp_ask.c */

int cv_bgp_ask_init(struct cv_bgp_agent *agent, struct event_base *base);
void cv_bgp_ask_fini(struct cv_bgp_agent *agent);

/* Learn what an earlier daemon's BIRD knows, before anything is decided. */
void cv_bgp_ask_at_once(struct cv_bgp_agent *agent);

/* Something may have changed: ask in a moment. */
void cv_bgp_ask_soon(struct cv_bgp_agent *agent);

/* BIRD is no longer: nothing is known. */
void cv_bgp_forget(struct cv_bgp_agent *agent);

/* cv_bird_options.changed */
void cv_bgp_bird_changed(void *data);

#endif
