/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert plan` */
#ifndef CV_CLI_PLAN_H
#define CV_CLI_PLAN_H

#include "cli/report.h"

/* cli->words[0] is the object, "plan". Asks no daemon. Returns an exit code. */
int cv_plan_main(const struct cv_cli *cli);

#endif
