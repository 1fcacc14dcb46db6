/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert import` */
#ifndef CV_CLI_IMPORT_H
#define CV_CLI_IMPORT_H

#include "cli/report.h"

/* cli->words[0] is the object, "import". Asks no daemon. Returns an exit code. */
int cv_import_main(const struct cv_cli *cli);

#endif
