/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert delete` */
#ifndef CV_CLI_DELETE_H
#define CV_CLI_DELETE_H

#include "cli/report.h"

/* cli->words[0] is the object, "delete". Returns an exit code. */
int cv_delete_main(const struct cv_cli *cli);

#endif
