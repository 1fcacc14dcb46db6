/* SPDX-License-Identifier: Apache-2.0 */
/* An affinity's document: a node has, or is about to have, a block (libcalico-go,
 * lib/backend/model/block_affinity.go). What routes follow. */
#ifndef CV_IPAM_AFFINITY_H
#define CV_IPAM_AFFINITY_H

#include <stdbool.h>

#include "tunnel/error.h"

enum cv_ipam_state {
	CV_IPAM_CONFIRMED,
	CV_IPAM_PENDING, /* Calico's, between its two steps; we claim in one */
	CV_IPAM_PENDING_DELETION,
};

struct cv_affinity {
	enum cv_ipam_state state;
	bool is_deleted;
	char *others; /* members that we do not know, as text */
};

void cv_affinity_fini(struct cv_affinity *affinity); /* zeroed: a confirmed one */

/* 0, -ENOMEM or -EUCLEAN: it is not to be overwritten then. */
int cv_affinity_parse(const char *text, struct cv_affinity *ret_affinity, struct cv_error *error);

/* The document, compact; the caller frees it. NULL: no memory. */
char *cv_affinity_print(const struct cv_affinity *affinity);

#endif
