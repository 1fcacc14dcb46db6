/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of what outlives a restart of the machine. */
#ifndef CV_AGENT_STATE_DIR_H
#define CV_AGENT_STATE_DIR_H

#include <limits.h>

#include "tunnel/error.h"

/* Make it (mode 0700) if it is not there; refuse one in which others may write. 0 or -errno. */
int cv_state_dir_make(const char *path, struct cv_error *error);

/* The path of a file in it. 0 or -ENAMETOOLONG. */
int cv_state_dir_file(const char *directory, const char *name, char ret_path[PATH_MAX],
		      struct cv_error *error);

#endif
