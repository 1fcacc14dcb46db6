/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert doctor` */
#ifndef CV_CLI_DOCTOR_H
#define CV_CLI_DOCTOR_H

#include "cli/report.h"

/* cli->words[0] is the object, "doctor". Returns an exit code. */
int cv_doctor_main(const struct cv_cli *cli);

#endif
