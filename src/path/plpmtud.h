/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagram packetization layer path MTU discovery (RFC 8899) of one remote, without a clock and
 * without sockets: it is told what happened and says what to send. engine/prober.c does that.
 */
#ifndef CV_PATH_PLPMTUD_H
#define CV_PATH_PLPMTUD_H

#include "path/config.h"

enum cv_plpmtud_state {
	CV_PLPMTUD_DISABLED, /* the remote answers no probe: only link and ICMP tell something */
	CV_PLPMTUD_SEARCH,   /* RFC 8899's BASE and SEARCHING */
	CV_PLPMTUD_COMPLETE, /* SEARCH_COMPLETE: mtu passes, and nothing larger does */
	CV_PLPMTUD_ERROR,    /* small probes pass, but not those of the base size */
	CV_PLPMTUD_STATES
};

/* How the MTU in force is known. */
enum cv_plpmtud_how {
	CV_PLPMTUD_BY_LINK, /* the route to the remote, its device */
	CV_PLPMTUD_BY_ICMP, /* "fragmentation needed" */
	CV_PLPMTUD_BY_PROBE,
	CV_PLPMTUD_HOWS
};

enum {
	CV_PLPMTUD_BURST_MAX = 20,
	/* The outer packet of a small probe: headers, and the probe's own words (wire/probe.h). It
	 * tells a path that loses large packets from one that loses all. */
	CV_PLPMTUD_SMALL = 84,
	CV_PLPMTUD_ROUND_MAX = 8,
};

/* The machine's own: what it waits for an answer to. */
enum cv_plpmtud_question {
	CV_PLPMTUD_NOTHING,
	CV_PLPMTUD_ASK,	  /* does this size pass? asked until it is answered, or has failed */
	CV_PLPMTUD_ROUND, /* which of these sizes pass? asked once, and only a hint */
};

struct cv_plpmtud {
	enum cv_plpmtud_state state;
	enum cv_plpmtud_how how;
	uint32_t mtu;	   /* in force, bytes of outer packets; 0: no route */
	uint32_t link_mtu; /* MAX_PLPMTU */
	uint64_t since_ms; /* mtu, and how it is known, since then */
	uint64_t refuted;  /* so many "packet too big" were false: the former size passed */

	/* The machine's own, from here: plpmtud.c says what they mean. */
	uint32_t low, soft, high;
	uint32_t hint, disputed;
	uint64_t distrust_ms, raise_ms, new_until_ms;
	bool is_searched;
	enum cv_plpmtud_question question;
	bool is_due, is_quick, is_heard, is_last;
	uint32_t asked, best, attempt, silence;
	uint64_t sent_ms;
	unsigned int round_count;
	uint32_t round[CV_PLPMTUD_ROUND_MAX];
	uint64_t traffic_ms, confirmed_ms, bucket_ms;
	uint32_t traffic, bucket[2];
};

struct cv_plpmtud_action {
	unsigned int count;
	uint32_t sizes[CV_PLPMTUD_BURST_MAX]; /* send one probe of each now */
	/* Call cv_plpmtud_run again by then, or as soon as packets larger than config->min_mtu are
	 * sent to the remote; always later than now. */
	uint64_t next_ms;
};

/* What a run is told. */
struct cv_plpmtud_input {
	uint64_t now_ms;       /* a monotonic clock */
	uint32_t quick_ms;     /* after so long an answer to a probe may be given up (liveness.h) */
	uint32_t largest_sent; /* the largest outer packet sent to it since the last run; 0: none */
};

/* DISABLED, with the link's MTU (0: no route). */
void cv_plpmtud_init(struct cv_plpmtud *path, uint32_t link_mtu, uint64_t now_ms);

/*
 * Events. Each is true if mtu, state or how changed. After an event that is not answered by false,
 * and after each answer, cv_plpmtud_run has to be called soon: there may be more to send.
 */

/* The link's MTU is another one now (0: no route). Below mtu it counts at once; above, only after a
 * probe has shown it, unless DISABLED and never restricted. */
bool cv_plpmtud_set_link(struct cv_plpmtud *path, const struct cv_prober_config *config,
			 uint32_t link_mtu, uint64_t now_ms);

/* Probes are answered (search begins, with the link's MTU as the first guess), or no longer. */
bool cv_plpmtud_enable(struct cv_plpmtud *path, bool is_answered, uint64_t now_ms);

/* A probe of this size was answered; also a late or a double answer, or one to an echo of
 * cv_liveness. */
bool cv_plpmtud_answered(struct cv_plpmtud *path, const struct cv_prober_config *config,
			 uint32_t size, uint64_t now_ms);

/*
 * A validated "packet too big" (RFC 8899, 4.6) with this MTU; it never raises, nor lowers below
 * config->min_mtu. It lowers at once, and the former size is probed: if that is answered, the
 * message was false (refuted). For raise_timer_ms after a false one, the next are tested before
 * they count. While DISABLED they only lower, for raise_timer_ms.
 */
bool cv_plpmtud_too_big(struct cv_plpmtud *path, const struct cv_prober_config *config,
			uint32_t mtu, uint64_t now_ms);

/* A probe of this size was larger than the host itself can send. */
bool cv_plpmtud_unsendable(struct cv_plpmtud *path, const struct cv_prober_config *config,
			   uint32_t size, uint64_t now_ms);

/* Time has passed: decide what is lost, and what to send, in this order: the most important probes
 * come first. */
bool cv_plpmtud_run(struct cv_plpmtud *path, const struct cv_prober_config *config,
		    const struct cv_plpmtud_input *input, struct cv_plpmtud_action *ret_action);

/* "disabled", "search", "complete", "error"; "link", "icmp", "probe". */
const char *cv_plpmtud_state_name(enum cv_plpmtud_state state);
const char *cv_plpmtud_how_name(enum cv_plpmtud_how how);

#endif
