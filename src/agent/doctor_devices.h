/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of devices: others that take the same packets, and MTUs. */
#ifndef CV_AGENT_DOCTOR_DEVICES_H
#define CV_AGENT_DOCTOR_DEVICES_H

#include "agent/doctor.h"

void cv_doctor_check_devices(const struct cv_doctor_input *input, struct cv_findings *findings);
void cv_doctor_check_mtu(const struct cv_doctor_input *input, struct cv_findings *findings);

#endif
