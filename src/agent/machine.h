/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this machine lets a daemon do its work. */
#ifndef CV_AGENT_MACHINE_H
#define CV_AGENT_MACHINE_H

#include "tunnel/error.h"

/* Capabilities and /dev/net/tun. 0 or -errno, with what to do. */
int cv_machine_check(struct cv_error *error);

/* A directory that is not there yet has no resources; the first `culvert apply` makes it. 0 or
 * -errno. */
int cv_machine_check_config_dir(const char *path, struct cv_error *error);

#endif
