/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of paths to remote ends. */
#ifndef CV_AGENT_METRICS_PATHS_H
#define CV_AGENT_METRICS_PATHS_H

#include "agent/metrics_writer.h"
#include "agent/paths.h"

/* All their families; paths: NULL: their names alone. */
void cv_metrics_paths(const struct cv_paths *paths, struct cv_metrics_writer *writer);

#endif
