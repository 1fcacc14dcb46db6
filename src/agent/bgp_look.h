/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How BGP is, in words: of BIRD and of each session, what is wrong and what to do. For status,
 * `bgp peers` and doctor alike.
 */
#ifndef CV_AGENT_BGP_LOOK_H
#define CV_AGENT_BGP_LOOK_H

#include "agent/bgp.h"
#include "agent/node.h"

/* Plain data, so that tests need no BIRD. Pointers are valid until the loop goes on. */
struct cv_bgp_look {
	struct cv_bgp_view view;
	enum cv_bird_state state;
	const char *problem; /* of BIRD; "" */
	unsigned long restarts;
	int pid; /* 0: not known */
	bool is_outdated, is_root;
};

void cv_bgp_look(const struct cv_node_agent *node, struct cv_bgp_look *ret_look);

/* Stable names, for programs: cv_bgp_cause_name. */
enum cv_bgp_cause {
	CV_BGP_CAUSE_NONE,	/* the session is up */
	CV_BGP_CAUSE_BIRD,	/* BIRD itself does not answer */
	CV_BGP_CAUSE_NEW,	/* it was just made: no attempt has ended yet */
	CV_BGP_CAUSE_NOT_MADE,	/* BIRD does not have it */
	CV_BGP_CAUSE_NO_SECRET, /* its password cannot be read, so it is not made */
	CV_BGP_CAUSE_DISABLED,
	CV_BGP_CAUSE_PORT_CLOSED,
	CV_BGP_CAUSE_NO_ANSWER,
	CV_BGP_CAUSE_NO_ROUTE,
	CV_BGP_CAUSE_PASSWORD,
	CV_BGP_CAUSE_PEER_AS, /* the other end has another AS than we expect */
	CV_BGP_CAUSE_OUR_AS,  /* … expects another AS of us */
	CV_BGP_CAUSE_HOLD_TIMER,
	CV_BGP_CAUSE_SILENT, /* it takes connections, and says nothing */
	CV_BGP_CAUSE_LIMIT,
	CV_BGP_CAUSE_LISTEN, /* BIRD cannot listen on its port */
	CV_BGP_CAUSE_PEER_CLOSED,
	CV_BGP_CAUSE_RESET, /* the connection was cut before anything was agreed */
	CV_BGP_CAUSE_OTHER,
	CV_BGP_CAUSES,
};

const char *cv_bgp_cause_name(enum cv_bgp_cause cause); /* "port-closed" */

enum {
	CV_BGP_WORDS_MAX = 256,
	CV_BGP_TEXT_MAX = 400
};

/* A session as resources want it and as BIRD says it is; either may be NULL, not both. */
struct cv_bgp_pair {
	const struct cv_bgp_session *wanted;
	const struct cv_bird_session *is;
};

/* "node b1 (192.168.200.2)", "192.168.100.254 (BGPPeer tor)". Returns text. */
const char *cv_bgp_peer_words(const struct cv_bgp_pair *pair, char text[CV_BGP_WORDS_MAX]);

/* Why it is not up, a sentence in text, and what to do in remedy; both "" with CAUSE_NONE. */
enum cv_bgp_cause cv_bgp_diagnose(const struct cv_bgp_look *look, const struct cv_bgp_pair *pair,
				  char text[CV_BGP_TEXT_MAX], char remedy[CV_BGP_TEXT_MAX]);

/* All sessions, wanted or had, sorted by name. The caller frees *ret_pairs. 0 or -ENOMEM. */
int cv_bgp_pairs(const struct cv_bgp_view *view, struct cv_bgp_pair **ret_pairs, size_t *ret_count);

/* Is there BGP on this node, or should there be? If not, nobody need be told of it. */
bool cv_bgp_is_asked_for(const struct cv_bgp_view *view);

/*
 * What is wrong beside the sessions; remedy may be "". Called once for each, most serious first.
 * is_error: routes are lost, or may be.
 */
void cv_bgp_problems(const struct cv_bgp_look *look,
		     void (*tell)(bool is_error, const char *text, const char *remedy, void *data),
		     void *data);

#endif
