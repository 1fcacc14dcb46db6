/* SPDX-License-Identifier: Apache-2.0 */
/* BIRD's filters. For bird_config.c alone. */
#ifndef CV_ROUTING_BIRD_FILTER_H
#define CV_ROUTING_BIRD_FILTER_H

#include <stdio.h>

#include "routing/bgp.h"

/* What filters are printed of, in the order in which they need it. */
struct cv_bird_filters {
	/*
	 * The lists of BGPFilters that sessions have, each once, by a session that has it: those
	 * with the same list share their filters. The first is the empty list. Owned, as are all.
	 */
	const struct cv_bgp_session **first;
	size_t count;
	const struct cv_bgp_block **owned; /* others' blocks, by the address of their node */
	size_t owned_count;
	const struct cv_bgp_node **narrow; /* nodes whose routes have an mtu, by it */
	size_t narrow_count;
};

/* 0 or -ENOMEM. cv_bird_filters_fini frees. */
int cv_bird_filters_make(const struct cv_bgp_intent *bgp, struct cv_bird_filters *ret_filters);
void cv_bird_filters_fini(struct cv_bird_filters *filters);

/* Which filters a session has: BIRD's names of them, into buffer. */
enum {
	CV_BIRD_FILTER_NAME_MAX = 48
};
const char *cv_bird_import_name(const struct cv_bird_filters *filters,
				const struct cv_bgp_session *session,
				char buffer[CV_BIRD_FILTER_NAME_MAX]);
const char *cv_bird_export_name(const struct cv_bird_filters *filters,
				const struct cv_bgp_session *session,
				char buffer[CV_BIRD_FILTER_NAME_MAX]);

/* Print all of them, and culvert_kernel. */
void cv_bird_put_filters(FILE *out, const struct cv_bgp_intent *bgp,
			 const struct cv_bird_filters *filters);

#endif
