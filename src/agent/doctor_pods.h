/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of addresses and pods: the datastore, this node's blocks, what is left over, CNI. */
#ifndef CV_AGENT_DOCTOR_PODS_H
#define CV_AGENT_DOCTOR_PODS_H

#include "agent/doctor.h"
#include "agent/pods_look.h"

void cv_doctor_check_datastore(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_addresses(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_pods(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_cni(const struct cv_doctor_input *input, struct cv_findings *findings);

#endif
