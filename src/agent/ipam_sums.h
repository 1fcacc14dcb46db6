/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the last look at all documents of addresses came to, for those who must answer at once:
 * doctor and metrics. A look is made every now and then, and by `culvert ipam`.
 */
#ifndef CV_AGENT_IPAM_SUMS_H
#define CV_AGENT_IPAM_SUMS_H

#include "ipam/ipam.h"
#include "model/snapshot.h"

struct cv_ipam_sums {
	bool is_known;
	int64_t at_us; /* CLOCK_MONOTONIC */
	/* Of this node's blocks. */
	size_t blocks, assigned, free, holes;
	size_t lent;	     /* of assigned: to other nodes */
	size_t borrowed;     /* of others' blocks, by this node */
	size_t all_blocks;   /* of all nodes that are known here */
	size_t faults;	     /* of documents */
	char exhausted[254]; /* an IPPool without a free address or block for anybody; "" */
};

/* is_etcd: the view is of the whole cluster. */
void cv_ipam_sums_of(const struct cv_ipam_view *view, const struct cv_snapshot *snapshot,
		     const char *node, bool is_etcd, int64_t now_us, struct cv_ipam_sums *ret_sums);

#endif
