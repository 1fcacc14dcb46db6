/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of resources: the store, this node, the others. */
#ifndef CV_AGENT_DOCTOR_NODE_H
#define CV_AGENT_DOCTOR_NODE_H

#include "agent/doctor.h"

void cv_doctor_check_store(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_self(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_peers(const struct cv_doctor_input *input, struct cv_findings *findings);

#endif
