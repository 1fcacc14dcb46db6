/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as JSON; protocol.md has the form. */
#ifndef CV_AGENT_PATH_JSON_H
#define CV_AGENT_PATH_JSON_H

#include <jansson.h>

#include "agent/paths.h"

/* PATH; the caller's. NULL without memory, as below. */
json_t *cv_path_to_json(const struct cv_known_path *path);

/* What `status` has: how many of which sort, and the first problems in words. */
json_t *cv_paths_summary_to_json(const struct cv_paths *paths);

#endif
