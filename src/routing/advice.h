/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings that come of the decisions. For wanted.c alone. */
#ifndef CV_ROUTING_ADVICE_H
#define CV_ROUTING_ADVICE_H

#include "routing/intent.h"

/* Add them to the intent, of which all else is filled in. */
void cv_advice_add(const struct cv_facts *facts, struct cv_intent *intent);

#endif
