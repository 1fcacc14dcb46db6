/* SPDX-License-Identifier: Apache-2.0 */
/* The part with real packets on real devices: nodes side by side get the same packets. */
#ifndef CV_TEST_HOOKS_H
#define CV_TEST_HOOKS_H

#include "node.h"

struct run {
	uint64_t seed;
	unsigned int count;   /* packets; 0: until seconds are over */
	unsigned int seconds; /* 0: until count is reached */
	unsigned int first;   /* number of the next assertion */
	unsigned int failed;  /* assertions */
};

/* One assertion in TAP. */
bool assert_that(struct run *run, bool good, const char *name);

/* Send generated packets; one assertion for each node but the first, which is the reference. */
void hooks_random(struct run *run, struct node *const *nodes, unsigned int count);

/* Send the packets of a file of specs, one per line; the assertions are the lines. */
void hooks_cases(struct run *run, struct node *const *nodes, unsigned int count, const char *path);

/*
 * Identifications of packets without DF are unique over both paths: count packets to one
 * destination, of which the engine sends every other one, through a node.
 */
void hooks_ids(struct run *run, struct node *node, unsigned int count);

/* Send one packet and print what came of it, whatever it is. */
void hooks_show(struct node *const *nodes, unsigned int count, const char *text);

#endif
