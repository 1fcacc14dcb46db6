/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert ipam`. */
#ifndef CV_CLI_IPAM_H
#define CV_CLI_IPAM_H

#include "cli/report.h"

/* Returns an exit code. */
int cv_ipam_main(const struct cv_cli *cli);

#endif
