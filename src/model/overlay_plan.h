/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A first manifest for a new overlay: from a pool and a few nodes to an IPPool, the Nodes with
 * their tunnel addresses, and a block for each. What `culvert plan` prints.
 */
#ifndef CV_MODEL_OVERLAY_PLAN_H
#define CV_MODEL_OVERLAY_PLAN_H

#include "model/resource.h"
#include "net/prefix.h"
#include "tunnel/error.h"

enum {
	/* So that "NODE-255-255-255-255-32" is still a name. */
	CV_OVERLAY_PLAN_NAME_MAX = 253 - 19,
};

struct cv_overlay_plan_node {
	char name[CV_OVERLAY_PLAN_NAME_MAX + 1];
	__be32 address;
	uint8_t prefix_length; /* of the node's own network; 32: there is none, always tunnel */
};

struct cv_overlay_plan_input {
	struct cv_prefix pool;
	enum cv_ipip_mode ipip_mode;
	bool nat_outgoing;
	uint8_t block_length; /* 20 … 31; 0: chosen, see cv_overlay_plan */
	const struct cv_overlay_plan_node *nodes;
	size_t node_count;
};

/* CrossSubnet, natOutgoing, a chosen block length; no pool and no nodes yet. */
void cv_overlay_plan_init(struct cv_overlay_plan_input *input);

/* "10.244.0.0/16" into input->pool. 0 or -EINVAL. */
int cv_overlay_plan_parse_pool(const char *text, struct cv_overlay_plan_input *input,
			       struct cv_error *error);

/* "a1=192.168.100.1/24". 0 or -EINVAL. */
int cv_overlay_plan_parse_node(const char *text, struct cv_overlay_plan_node *ret_node,
			       struct cv_error *error);

/*
 * The manifest, with comments for those who will change it; the caller frees *ret_yaml. The same
 * input gives the same text. 0, -EINVAL, -ENOSPC (too many nodes for the pool) or -ENOMEM.
 *
 * Blocks are given in the order of the nodes, so that nodes added at the end leave the others'
 * where they are; those that have a node's address or subnet in them are left out. The length that
 * is chosen is the first of /24, /25, /26 (Calico's) of which the pool has four times as many as
 * there are nodes; else /26, or the largest of which there are enough. Where there is such room,
 * the first block of the pool stays free: 10.244.0.0/16 begins with 10.244.1.0/24, as people
 * expect.
 */
int cv_overlay_plan(const struct cv_overlay_plan_input *input, char **ret_yaml,
		    struct cv_error *error);

#endif
