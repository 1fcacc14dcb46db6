/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of BGP: BIRD, its sessions and secrets; what was learned, refused, and is in the kernel.
 */
#ifndef CV_AGENT_DOCTOR_BGP_H
#define CV_AGENT_DOCTOR_BGP_H

#include "agent/doctor.h"
#include "net/route_table.h"

void cv_doctor_check_bgp(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_bgp_routes(const struct cv_doctor_input *input, struct cv_findings *findings);

/* The same for secrets alone: directory/NAME/KEY of each session that has a password. */
void cv_doctor_check_secrets(const struct cv_bgp_intent *bgp, const char *directory,
			     struct cv_findings *findings);

/* … for routes that BIRD has refused (`show route filtered all`, parsed), … */
void cv_doctor_judge_refused(const struct cv_bgp_intent *bgp, const struct cv_bird_route *routes,
			     size_t count, struct cv_findings *findings);

/* … and for the kernel's main table as listed. */
void cv_doctor_judge_bgp_table(const struct cv_doctor_input *input,
			       const struct cv_table_route *routes, size_t count,
			       struct cv_findings *findings);

#endif
