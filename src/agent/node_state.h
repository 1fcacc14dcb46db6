/* SPDX-License-Identifier: Apache-2.0 */
/* What the node agent has put into the kernel, remembered for the next daemon and for --purge. */
#ifndef CV_AGENT_NODE_STATE_H
#define CV_AGENT_NODE_STATE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "net/prefix.h"
#include "tunnel/error.h"

#define CV_NODE_STATE_FILE "pools.json"

enum {
	/* Addresses of Tunnels beyond these stay when the Tunnel no longer has them. */
	CV_NODE_STATE_GIVEN_MAX = 256,
};

/* An address that we gave the device of a Tunnel. */
struct cv_node_given {
	char device[IFNAMSIZ];
	struct cv_prefix address;
};

struct cv_node_state {
	uint8_t protocol; /* of our routes; 0: none were ever made */
	bool nat;	  /* our table is there */
	bool bird;	  /* BIRD programs the routes to other nodes, and had taken over */
	__be32 address;	  /* that we gave the pool device; 0: none */
	uint32_t given_count;
	struct cv_node_given given[CV_NODE_STATE_GIVEN_MAX];
};

/* 0 or -errno. No file: all zero. */
int cv_node_state_load(const char *run_dir, struct cv_node_state *ret_state,
		       struct cv_error *error);

bool cv_node_state_equal(const struct cv_node_state *a, const struct cv_node_state *b);

/* Note an address of a Tunnel's device, or that it is no longer there (of the index). */
void cv_node_state_give(struct cv_node_state *state, const char *device,
			const struct cv_prefix *address);
void cv_node_state_take(struct cv_node_state *state, uint32_t index);

int cv_node_state_save(const char *run_dir, const struct cv_node_state *state,
		       struct cv_error *error);

#endif
