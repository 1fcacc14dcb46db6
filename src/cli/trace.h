/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert trace` */
#ifndef CV_CLI_TRACE_H
#define CV_CLI_TRACE_H

#include "cli/report.h"

/* cli->words[0] is the object, "trace". Returns an exit code. */
int cv_trace_main(const struct cv_cli *cli);

#endif
