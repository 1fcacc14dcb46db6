/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert metrics` */
#ifndef CV_CLI_METRICS_H
#define CV_CLI_METRICS_H

#include "cli/report.h"

/* cli->words[0] is the object, "metrics". Returns an exit code. */
int cv_metrics_main(const struct cv_cli *cli);

#endif
