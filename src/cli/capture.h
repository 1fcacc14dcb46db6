/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert capture …` */
#ifndef CV_CLI_CAPTURE_H
#define CV_CLI_CAPTURE_H

#include "cli/report.h"

/* cli->words[0] is the object, "capture". Returns an exit code. */
int cv_capture_main(const struct cv_cli *cli);

#endif
