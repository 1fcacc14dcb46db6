/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of netfilter: rules that drop the overlay's packets, outer and inner, or translate them.
 */
#ifndef CV_AGENT_DOCTOR_FIREWALL_H
#define CV_AGENT_DOCTOR_FIREWALL_H

#include "agent/doctor.h"

void cv_doctor_check_firewall(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_nat(const struct cv_doctor_input *input, struct cv_findings *findings);

/* The same for a ruleset that was listed before (`nft -j list ruleset`). */
void cv_doctor_judge_firewall(const struct cv_doctor_input *input, json_t *listed,
			      struct cv_findings *findings);
void cv_doctor_judge_nat(const struct cv_doctor_input *input, json_t *listed,
			 struct cv_findings *findings);

#endif
