/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine tells the fast path: its word on who may send, where one look-up in the
 * kernel's routing cannot tell (several next hops, rp_filter over two network cards), so that
 * only the first packet is handed over; and its soft state of remote ends.
 */
#ifndef CV_ENGINE_TEACH_H
#define CV_ENGINE_TEACH_H

#include <stdbool.h>

#include "bpf/abi.h"

/* Who is told. All functions may be called by any worker at any time. */
struct cv_teacher {
	void *context;
	/* The stamp of answers that are asked for from now on: 0 or -errno. */
	int (*stamp)(void *context, struct cv_fp_stamp *ret_stamp);
	void (*word)(void *context, const struct cv_fp_word_key *key,
		     const struct cv_fp_word *word);
	void (*arrival)(void *context, const struct cv_fp_arrival_key *key,
			const struct cv_fp_word *word);
	/* What is known of a remote has changed. */
	void (*remote)(void *context, __be32 address, const struct cv_fp_remote *remote);
};

struct cv_lane;
struct cv_live_tunnel;
struct cv_ipv4;

/*
 * The router had the answer, so it was told when the kernel was asked for it. The fast path asks
 * nevertheless: it has forgotten it, as with every new generation. True if it may be told again
 * now.
 */
bool cv_teach_again(struct cv_lane *lane);

/*
 * The routing was asked about this packet a moment ago: ask again what the fast path would have to
 * know, now with a stamp taken before the question, and tell it. ifindex: the device that the
 * outer packet arrived on, 0 for one that was handed over.
 */
void cv_teach_source(struct cv_lane *lane, const struct cv_live_tunnel *tunnel,
		     const struct cv_ipv4 *outer, const struct cv_ipv4 *inner, const void *packet,
		     int ifindex);

#endif
