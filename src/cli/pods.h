/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert pods`. */
#ifndef CV_CLI_PODS_H
#define CV_CLI_PODS_H

#include "cli/report.h"

/* Returns an exit code. */
int cv_pods_main(const struct cv_cli *cli);

#endif
