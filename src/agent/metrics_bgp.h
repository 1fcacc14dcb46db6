/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of BGP. */
#ifndef CV_AGENT_METRICS_BGP_H
#define CV_AGENT_METRICS_BGP_H

#include "agent/bgp_look.h"
#include "agent/metrics_writer.h"

/* All their families; look: NULL, or no BGP is wanted: their names alone. */
void cv_metrics_bgp(const struct cv_bgp_look *look, struct cv_metrics_writer *writer);

#endif
