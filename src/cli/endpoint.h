/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert endpoint …` */
#ifndef CV_CLI_ENDPOINT_H
#define CV_CLI_ENDPOINT_H

#include "cli/report.h"

/* cli->words[0] is the object, "endpoint". Returns an exit code. */
int cv_endpoint_main(const struct cv_cli *cli);

#endif
