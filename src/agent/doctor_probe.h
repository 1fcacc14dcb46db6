/* SPDX-License-Identifier: Apache-2.0 */
/* What a probe of a peer says: whom to ask, and the answers in words. */
#ifndef CV_AGENT_DOCTOR_PROBE_H
#define CV_AGENT_DOCTOR_PROBE_H

#include "agent/doctor.h"
#include "agent/probe.h"

/*
 * The target of a name or an address. 0, or -errno with the reason in error: no such node, this
 * node itself, nothing to send from.
 */
int cv_doctor_find_target(const struct cv_doctor_input *input, const char *peer,
			  struct cv_probe_target *ret_target, struct cv_error *error);

/* What is known of the way before anything is sent: path and why, route, MTU. */
void cv_doctor_check_way(const struct cv_doctor_input *input, const struct cv_probe_target *target,
			 struct cv_findings *findings);

/* What the probe has shown. */
void cv_doctor_judge_probe(const struct cv_doctor_input *input,
			   const struct cv_probe_target *target,
			   const struct cv_probe_report *report, struct cv_findings *findings);

#endif
