/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong between addresses and containers, seen more than once: `culvert ipam check`.
 *
 * What is seen once may be a container that is being made or deleted just now, or a node that is
 * about to write. So each wrong thing is remembered from one look to the next, and is ripe, to be
 * mended, when it was there at two looks that are CV_LEAKS_APART_S apart; one look without it, and
 * it is forgotten.
 *
 * This node's addresses are held against this node's containers. Of other nodes' addresses only the
 * documents are judged, against each other (ipam/ipam.h): whose containers there are, they know.
 */
#ifndef CV_AGENT_LEAKS_H
#define CV_AGENT_LEAKS_H

#include "agent/pods.h"
#include "ipam/ipam.h"

enum {
	CV_LEAKS_APART_S = 10
};

enum cv_leak_kind {
	CV_LEAK_ADDRESS,   /* of this node, without its container */
	CV_LEAK_CONTAINER, /* without its address, which is free */
	CV_LEAK_TAKEN,	   /* a container's address is another handle's: never mended */
	CV_LEAK_DOCUMENT,  /* what ipam.h calls a fault */
};

struct cv_leak {
	enum cv_leak_kind kind;
	const char *code; /* "address-without-container", …, "handle-count": stable, for programs */
	char *key;	  /* what it is known by from one look to the next; owned */
	__be32 address;	  /* 0: none */
	char *handle;	  /* of the address, or of the container; owned; NULL: none */
	size_t index;	  /* of the pod, or of the fault in the view */
	char text[CV_ERROR_TEXT_MAX];
	char remedy[256]; /* "": none */
	bool is_fixable;
	unsigned int observations; /* with this one */
	int64_t first_us;	   /* of them, CLOCK_MONOTONIC */
};

/* Zeroed: nothing was seen. */
struct cv_leaks {
	struct cv_leak *items; /* sorted by key */
	size_t count;
};
void cv_leaks_fini(struct cv_leaks *leaks);

struct cv_leaks_input {
	const struct cv_ipam_view *view;
	const struct cv_pod *const *pods; /* of this node */
	size_t pod_count;
	const char *node; /* its name */
	int64_t now_us;	  /* CLOCK_MONOTONIC */
};

/* Look: leaks becomes what is wrong now. 0 or -ENOMEM, and it is as it was. */
int cv_leaks_observe(struct cv_leaks *leaks, const struct cv_leaks_input *input);

bool cv_leak_is_ripe(const struct cv_leak *leak, int64_t now_us);

/* Seconds until another look would make it ripe; 0: it is. */
unsigned int cv_leak_wait_s(const struct cv_leak *leak, int64_t now_us);

/* An attribute of an assignment, or NULL. */
const char *cv_leaks_attribute(const struct cv_ipam_assignment *assignment, const char *name);

/* The assignment of an address, and its block; NULL: there is none. */
const struct cv_ipam_block *cv_leaks_block_of(const struct cv_ipam_view *view, __be32 address);
const struct cv_ipam_assignment *cv_leaks_assignment_of(const struct cv_ipam_block *block,
							__be32 address);

/* Which node has it: its attribute "node", else its block's; NULL: nobody knows. */
const char *cv_leaks_node_of(const struct cv_ipam_block *block,
			     const struct cv_ipam_assignment *assignment);

#endif
