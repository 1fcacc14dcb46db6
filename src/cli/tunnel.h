/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert tunnel …` */
#ifndef CV_CLI_TUNNEL_H
#define CV_CLI_TUNNEL_H

#include "cli/report.h"

/* cli->words[0] is the object, "tunnel". Returns an exit code. */
int cv_tunnel_main(const struct cv_cli *cli);

#endif
