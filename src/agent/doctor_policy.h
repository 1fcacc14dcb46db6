/* SPDX-License-Identifier: Apache-2.0 */
/* Network policies that somebody else enforces on this host. */
#ifndef CV_AGENT_DOCTOR_POLICY_H
#define CV_AGENT_DOCTOR_POLICY_H

#include "agent/doctor.h"

/* The two below, for what this network namespace has. */
void cv_doctor_check_policies(const struct cv_doctor_input *input, struct cv_findings *findings);

/* listed: as `nft -j list ruleset` has it. */
void cv_doctor_judge_policies(json_t *listed, struct cv_findings *findings);

/* names: /proc/net/ip_tables_names, one a line; "": there is no table of the old iptables. */
void cv_doctor_judge_legacy(const char *names, struct cv_findings *findings);

#endif
