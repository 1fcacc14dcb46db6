/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host and a store made by hand, and what is decided for it: for the tests of routing/decide.
 *
 *     a1 192.168.100.1/24, eth0 (index 202) ── 192.168.100.0/24 ── 192.168.100.254 ── everything
 * else
 *
 * The kernel, which is asked whether nodes are on link, has the same in a network namespace.
 */
#ifndef CV_TEST_DECIDE_WORLD_H
#define CV_TEST_DECIDE_WORLD_H

#include "made_facts.h"
#include "routing/decide.h"

enum {
	CV_WORLD_RESOURCES_MAX = 1024,
	CV_WORLD_ETH0 = 202, /* its index */
};

struct cv_decide_world {
	struct cv_resource *resources[CV_WORLD_RESOURCES_MAX];
	size_t count;
	struct cv_made_facts host;
	struct cv_nl *nl;
	const char *name; /* this node's: "a1" */
	bool keep_device;
	const int *dead; /* the test's */
	size_t dead_count;
	enum cv_programs programs;
	bool claims_blocks;
	bool is_handing_over;
	const struct cv_prefix *handed; /* the test's */
	size_t handed_count;
	struct cv_learned learned; /* the test's */
	struct cv_intent intent;   /* of the last cv_world_decide */
};

/* A new namespace, and the host without resources. */
void cv_world_begin(struct cv_decide_world *world);

/* Takes the reference. Returns the resource. */
struct cv_resource *cv_world_add(struct cv_decide_world *world, struct cv_resource *resource);

/* Give back all resources. */
void cv_world_clear(struct cv_decide_world *world);

/* Decide anew. What the snapshot refuses fails the test. */
const struct cv_intent *cv_world_decide(struct cv_decide_world *world);
void cv_world_end(struct cv_decide_world *world);

/* The routes are these lines, as in cv_world_route_text, in this order. NULL ends them. */
void cv_world_assert_routes(const struct cv_decide_world *world, const char *const *lines);

/* "10.244.2.0/24 via 192.168.100.2 dev 202 metric 64", "blackhole 10.244.1.0/24 metric 65000";
 * "dev pool … onlink" for the pool device, "dev 207+208" for several. Returns buffer. */
const char *cv_world_route_text(const struct cv_table_route *route, char buffer[128]);

/* Whether a warning has these words. */
bool cv_world_warns(const struct cv_decide_world *world, const char *words);

#endif
