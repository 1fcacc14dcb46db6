/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert status` */
#ifndef CV_CLI_STATUS_H
#define CV_CLI_STATUS_H

#include "cli/report.h"

/* cli->words[0] is the object, "status". Returns an exit code. */
int cv_status_main(const struct cv_cli *cli);

#endif
