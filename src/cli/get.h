/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert get` */
#ifndef CV_CLI_GET_H
#define CV_CLI_GET_H

#include "cli/report.h"

/* cli->words[0] is the object, "get". Returns an exit code. */
int cv_get_main(const struct cv_cli *cli);

#endif
