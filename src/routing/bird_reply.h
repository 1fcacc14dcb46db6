/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BIRD says on its control socket (its doc/reply_codes): lines "NNNN-text", " text" as a
 * continuation of the same code, and "NNNN text", the last one. The bytes are a daemon's that
 * anybody may have replaced: bounded, and whatever is not understood is left out.
 */
#ifndef CV_ROUTING_BIRD_REPLY_H
#define CV_ROUTING_BIRD_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "net/prefix.h"

enum {
	CV_BIRD_WORD_MAX = 64,
	CV_BIRD_ERROR_MAX = 128,
};

/*
 * Where a reply ends. Returns the code of its last line (8001 …: refused; 9001: syntax error) and
 * in *ret_size its length with that line; -EAGAIN: it is not whole, and *ret_size is the length of
 * its whole lines: to go on from there when more has come; or -EINVAL: BIRD does not speak like
 * this.
 */
int cv_bird_reply_end(const char *text, size_t size, size_t *ret_size);

/*
 * The readers return 0, -EINVAL (not a whole reply of BIRD), -EREMOTEIO (BIRD refused the request,
 * with a code of 8000 or more; the words are behind it) or -ENOMEM. Arrays are the caller's to free
 * (NULL when there is nothing).
 */

/* `show status`. */
struct cv_bird_status {
	char version[CV_BIRD_WORD_MAX];
	__be32 router_id;
	char last_reboot[CV_BIRD_WORD_MAX], last_reconfiguration[CV_BIRD_WORD_MAX];
	/* Graceful restart recovery: BIRD's tables are not complete yet, the kernel's are as the
	 * BIRD before left them. */
	bool is_recovering;
};
int cv_bird_read_status(const char *text, size_t size, struct cv_bird_status *ret_status);

/* `show protocols all`: one of BGP. */
struct cv_bird_session {
	char name[CV_BIRD_WORD_MAX];
	char state[CV_BIRD_WORD_MAX]; /* BGP's: Established, Active, Connect, OpenSent, Idle, …;
					 "Down" where the protocol is disabled */
	char since[CV_BIRD_WORD_MAX]; /* as BIRD says it */
	char last_error[CV_BIRD_ERROR_MAX]; /* "Socket: Connection refused", "Received: Bad peer AS"
					       …; "": none */
	__be32 address;
	uint32_t as_number;
	bool is_established, is_limited; /* a limit was hit */
	bool is_restarting;		 /* the neighbour's graceful restart is going on */
	uint32_t hold_s, keepalive_s;	 /* in force; 0: not established */
	uint64_t imported, filtered, exported, preferred; /* routes */
};
int cv_bird_read_sessions(const char *text, size_t size, struct cv_bird_session **ret_sessions,
			  size_t *ret_count);

/* `show route all`, `show route filtered all`: one entry per route and protocol. */
struct cv_bird_route {
	struct cv_prefix prefix;
	char protocol[CV_BIRD_WORD_MAX]; /* whose it is: a session's name */
	__be32 next_hop;		 /* BGP.next_hop; 0: not of BGP */
	bool is_best;			 /* chosen (*) */
	bool is_unreachable;		 /* BIRD cannot resolve the next hop */
	bool is_refused;		 /* is_best, too, but the kernel did not take it (!) */
	bool is_stale;			 /* not announced again since its session is back */
	char as_path[CV_BIRD_ERROR_MAX]; /* "65000 65001", cut; "": empty */
};
int cv_bird_read_routes(const char *text, size_t size, struct cv_bird_route **ret_routes,
			size_t *ret_count);

#endif
