/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of pods, of their addresses, and of etcd. */
#ifndef CV_AGENT_METRICS_PODS_H
#define CV_AGENT_METRICS_PODS_H

#include "agent/metrics_writer.h"
#include "agent/pods_look.h"

/* All their families; look: NULL: their names alone. */
void cv_metrics_pods(const struct cv_pods_look *look, struct cv_metrics_writer *writer);

#endif
