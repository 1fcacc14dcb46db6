/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagram packetization layer path MTU discovery (RFC 8899) of one remote, without a clock and
 * without sockets: it is told what happened and says what to send. engine/prober.c does that.
 */
#ifndef CV_PATH_PLPMTUD_H
#define CV_PATH_PLPMTUD_H

#include "path/config.h"

enum cv_plpmtud_state {
	CV_PLPMTUD_DISABLED, /* the remote answers no probe: nothing is known beyond link and ICMP
			      */
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
	CV_PLPMTUD_FLIGHT = 24,
};

struct cv_plpmtud_flight {
	uint32_t size;
	uint64_t sent_ms;
	bool answered;
};

struct cv_plpmtud {
	enum cv_plpmtud_state state;
	enum cv_plpmtud_how how;
	uint32_t mtu;	   /* in force, bytes of outer packets */
	uint32_t link_mtu; /* MAX_PLPMTU */
	uint64_t since_ms; /* mtu, and how it is known, since then */
	/* The machine's own, and more of it: plpmtud.c. */
	struct cv_plpmtud_flight flights[CV_PLPMTUD_FLIGHT];
};

struct cv_plpmtud_action {
	unsigned int count;
	uint32_t sizes[CV_PLPMTUD_BURST_MAX]; /* send one probe of each now */
	uint64_t next_ms;		      /* call cv_plpmtud_run again by then */
};

/* What a run is told. */
struct cv_plpmtud_input {
	uint64_t now_ms;       /* a monotonic clock */
	uint32_t quick_ms;     /* after so long an answer to a probe may be given up (liveness.h) */
	uint32_t largest_sent; /* the largest outer packet sent to it since the last run; 0: none */
};

/* DISABLED, with the link's MTU (0: no route). */
void cv_plpmtud_init(struct cv_plpmtud *path, uint32_t link_mtu, uint64_t now_ms);

/* The link's MTU is another one now. True if mtu, state or how changed, as of all below. */
bool cv_plpmtud_set_link(struct cv_plpmtud *path, const struct cv_prober_config *config,
			 uint32_t link_mtu, uint64_t now_ms);

/* Probes are answered (search begins, with the link's MTU as the first guess), or no longer. */
bool cv_plpmtud_enable(struct cv_plpmtud *path, bool is_answered, uint64_t now_ms);

/* A probe of this size was answered. */
bool cv_plpmtud_answered(struct cv_plpmtud *path, const struct cv_prober_config *config,
			 uint32_t size, uint64_t now_ms);

/* A validated "packet too big" (RFC 8899, 4.6) with this MTU; it never raises, nor lowers below
 * config->min_mtu. What it says is tested by a probe of the former size: if that is answered, the
 * message was false. */
bool cv_plpmtud_too_big(struct cv_plpmtud *path, const struct cv_prober_config *config,
			uint32_t mtu, uint64_t now_ms);

/* A probe of this size was larger than the host itself can send. */
bool cv_plpmtud_unsendable(struct cv_plpmtud *path, const struct cv_prober_config *config,
			   uint32_t size, uint64_t now_ms);

/* Time has passed: decide what is lost, and what to send. */
bool cv_plpmtud_run(struct cv_plpmtud *path, const struct cv_prober_config *config,
		    const struct cv_plpmtud_input *input, struct cv_plpmtud_action *ret_action);

/* "disabled", "search", "complete", "error"; "link", "icmp", "probe". */
const char *cv_plpmtud_state_name(enum cv_plpmtud_state state);
const char *cv_plpmtud_how_name(enum cv_plpmtud_how how);

#endif
