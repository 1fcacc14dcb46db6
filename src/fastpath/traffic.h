/* SPDX-License-Identifier: Apache-2.0 */
/* What the fast path carries for each declared peer of a tunnel: who is counted, by which number.
 */
#ifndef CV_FASTPATH_TRAFFIC_H
#define CV_FASTPATH_TRAFFIC_H

#include "fastpath/state.h"

/* Know the numbers that an earlier daemon has given, so that nobody else gets them. */
void cv_traffic_take_up(struct cv_fastpath *fastpath);

/*
 * These are a tunnel's peers: who stays, or was there under an earlier daemon, counts on; who is
 * new begins at 0. To be followed by a new generation. Where memory or numbers run out, peers are
 * not counted.
 */
void cv_traffic_declare(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel,
			const struct cv_owners *owners);

/* The tunnel goes, and with it what was counted. */
void cv_traffic_forget(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel);

/* Forget the peers that no tunnel has: an earlier daemon's. */
void cv_traffic_sweep(struct cv_fastpath *fastpath);

#endif
