/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert diff` */
#ifndef CV_CLI_DIFF_H
#define CV_CLI_DIFF_H

#include "cli/report.h"

/* cli->words[0] is the object, "diff". Returns an exit code. */
int cv_diff_main(const struct cv_cli *cli);

#endif
