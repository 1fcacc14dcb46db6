/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert tunnel -f FILE`: commands from a file, all or nothing. */
#ifndef CV_CLI_BATCH_H
#define CV_CLI_BATCH_H

#include "cli/report.h"

/*
 * Read the file of -f ("-": standard input), one command a line as behind `culvert tunnel`, and
 * send all of them as one change. Returns an exit code; errors name the line.
 */
int cv_batch_run(const struct cv_cli *cli);

#endif
