/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the kernel's features, settings and limits. */
#ifndef CV_AGENT_DOCTOR_KERNEL_H
#define CV_AGENT_DOCTOR_KERNEL_H

#include "agent/doctor.h"

void cv_doctor_check_fastpath(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_conntrack(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_forwarding(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_rp_filter(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_neighbours(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_descriptors(const struct cv_doctor_input *input, struct cv_findings *findings);

#endif
