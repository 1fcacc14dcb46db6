/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CV_CLI_PATH_H
#define CV_CLI_PATH_H

#include "cli/report.h"

/* `culvert path`. Returns the exit code. */
int cv_path_main(const struct cv_cli *cli);

#endif
