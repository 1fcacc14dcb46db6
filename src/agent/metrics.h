/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics in Prometheus' text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). doc/metrics.md lists them; a
 * test compares.
 */
#ifndef CV_AGENT_METRICS_H
#define CV_AGENT_METRICS_H

#include "agent/bgp_look.h"
#include "agent/capture.h"
#include "agent/node.h"
#include "agent/paths.h"
#include "engine/engine.h"
#include "fastpath/fastpath.h"
#include "tunnel/endpoint_set.h"
#include "tunnel/set.h"

struct cv_pods_look; /* agent/pods_look.h */

/* What is measured; all the caller's. Of what is NULL only the names of its metrics are printed. */
struct cv_metrics_input {
	struct cv_engine *engine;
	struct cv_fastpath *fastpath; /* NULL beside an engine: there is none */
	struct cv_tunnel_set *tunnels;
	struct cv_endpoint_set *endpoints;
	const struct cv_capturers *capturers;
	const struct cv_node_agent *node;
	const struct cv_paths *paths;
	const struct cv_bgp_look *bgp;
	const struct cv_pods_look *pods;
};

/* The caller frees the text; NULL without memory. */
char *cv_metrics_text(const struct cv_metrics_input *input);

#endif
