/* SPDX-License-Identifier: Apache-2.0 */
/* What the node agent has put into the kernel, remembered for the next daemon and for --purge. */
#ifndef CV_AGENT_NODE_STATE_H
#define CV_AGENT_NODE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "tunnel/error.h"

#define CV_NODE_STATE_FILE "pools.json"

struct cv_node_state {
	uint8_t protocol; /* of our routes; 0: none were ever made */
	bool nat;	  /* our table is there */
	__be32 address;	  /* that we gave the pool device; 0: none */
};

/* 0 or -errno. No file: all zero. */
int cv_node_state_load(const char *run_dir, struct cv_node_state *ret_state,
		       struct cv_error *error);
int cv_node_state_save(const char *run_dir, const struct cv_node_state *state,
		       struct cv_error *error);

#endif
