/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of routes: ours that are not there, others' that come before them. */
#ifndef CV_AGENT_DOCTOR_ROUTES_H
#define CV_AGENT_DOCTOR_ROUTES_H

#include "agent/doctor.h"

void cv_doctor_check_routes(const struct cv_doctor_input *input, struct cv_findings *findings);

/* The same for one route of the kernel's main table; returns true if it is in ours' way. */
bool cv_doctor_check_route(const struct cv_doctor_input *input, const struct cv_table_route *route,
			   struct cv_findings *findings);

#endif
