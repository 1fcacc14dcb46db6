/* SPDX-License-Identifier: Apache-2.0 */
/* What people should know of the decisions. For wanted.c alone. */
#ifndef CV_ROUTING_WARNINGS_H
#define CV_ROUTING_WARNINGS_H

#include "routing/facts.h"
#include "routing/intent.h"

/* Add to the intent's warnings; what finds no memory is lost. */
void cv_warnings_add(const struct cv_facts *facts, bool claims_blocks, struct cv_intent *intent);

#endif
