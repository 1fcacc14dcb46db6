/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert migrate`. */
#ifndef CV_CLI_MIGRATE_H
#define CV_CLI_MIGRATE_H

#include "cli/report.h"

/* Returns an exit code. */
int cv_migrate_main(const struct cv_cli *cli);

#endif
