/* SPDX-License-Identifier: Apache-2.0 */
/* What two nodes made of the same packets, compared: the engine's is the reference. */
#ifndef CV_TEST_COMPARE_H
#define CV_TEST_COMPARE_H

#include "node.h"

/* Prints what may differ, and why. */
void compare_explain(FILE *file);

/*
 * True if both did the same since node_begin. Else what they did differently is printed to file
 * (NULL: to nowhere).
 */
bool compare_nodes(FILE *file, struct node *reference, struct node *node);

#endif
