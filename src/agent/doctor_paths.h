/* SPDX-License-Identifier: Apache-2.0 */
/* What the prober knows of the paths to remote ends, judged. */
#ifndef CV_AGENT_DOCTOR_PATHS_H
#define CV_AGENT_DOCTOR_PATHS_H

#include "agent/doctor.h"

/* Of all paths, and of the events about MTUs. Says nothing where there is no path. */
void cv_doctor_check_paths(const struct cv_doctor_input *input, struct cv_findings *findings);

/* What is known of those to one remote end, for `doctor PEER`. */
void cv_doctor_tell_path(const struct cv_doctor_input *input, __be32 remote,
			 struct cv_findings *findings);

#endif
