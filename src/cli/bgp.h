/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert bgp`. */
#ifndef CV_CLI_BGP_H
#define CV_CLI_BGP_H

#include "cli/report.h"

/* Returns an exit code. */
int cv_bgp_main(const struct cv_cli *cli);

#endif
