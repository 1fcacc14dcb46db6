/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that nodes had until a moment ago. When a Node's address changes, its neighbours hear
 * of it one after the other, and the node itself last or first; for a while packets from the old
 * one are from the node as well (engine/owners.h).
 */
#ifndef CV_ROUTING_FORMERS_H
#define CV_ROUTING_FORMERS_H

#include "model/snapshot.h"

struct cv_former {
	char *name; /* of the node; owned */
	__be32 address;
	int64_t until_us; /* of a monotonic clock */
};

/* Zeroed: none. cv_formers_fini frees. */
struct cv_formers {
	struct cv_former *items;
	size_t count;
};

enum {
	CV_FORMERS_KEPT_S = 60
};

/*
 * Note whose address differs between two snapshots, from now_us on for CV_FORMERS_KEPT_S;
 * cv_formers_expire forgets those whose time is over. Without memory some are missing: then
 * packets of a node that moves may be lost.
 */
void cv_formers_note(struct cv_formers *formers, const struct cv_snapshot *before,
		     const struct cv_snapshot *after, int64_t now_us);
void cv_formers_expire(struct cv_formers *formers, int64_t now_us);
void cv_formers_fini(struct cv_formers *formers);

#endif
