/* SPDX-License-Identifier: Apache-2.0 */
/* culvert's options, which may stand anywhere on the command line, as -s does in iproute2. */
#ifndef CV_CLI_OPTIONS_H
#define CV_CLI_OPTIONS_H

#include "cli/report.h"
#include "tunnel/error.h"

/*
 * Read the options of argv[1 … argc - 1] into cli, and point cli->words (room for argc pointers,
 * the caller's) to the other words and cli->files (as much room, the caller's, too) to what -f
 * names. CULVERT_RUN_DIR is the default of --run-dir. 0 or -EINVAL;
 * --json counts even if another option is wrong.
 */
int cv_options_parse(struct cv_cli *cli, int argc, char **argv, struct cv_error *error);

#endif
