/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert apply` */
#ifndef CV_CLI_APPLY_H
#define CV_CLI_APPLY_H

#include "cli/report.h"

/* cli->words[0] is the object, "apply". Returns an exit code. */
int cv_apply_main(const struct cv_cli *cli);

#endif
