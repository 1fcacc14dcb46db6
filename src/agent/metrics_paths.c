/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of paths. At most 11 samples for each remote end; what is not known has none, so that
 * nobody takes a 0 for a measurement.
 */
#include "agent/metrics_paths.h"

#include <math.h>

/* With more labels behind them, their values at the end. */
#define LABELS "tunnel remote node"

static double mtu(const struct cv_prober_path *path)
{
	return path->mtu ? (double)path->mtu : (double)NAN;
}

static double link_mtu(const struct cv_prober_path *path)
{
	return path->link_mtu ? (double)path->link_mtu : (double)NAN;
}

static double is_up(const struct cv_prober_path *path)
{
	return path->liveness == CV_LIVENESS_UNKNOWN ? (double)NAN
						     : path->liveness == CV_LIVENESS_UP;
}

static double is_blocked(const struct cv_prober_path *path)
{
	return path->is_blocked;
}

static double loss(const struct cv_prober_path *path)
{
	return path->probes_sent ? path->loss_permille / 1000.0 : NAN;
}

static double probes_sent(const struct cv_prober_path *path)
{
	return (double)path->probes_sent;
}

static double probes_answered(const struct cv_prober_path *path)
{
	return (double)path->probes_answered;
}

static double probe_bytes(const struct cv_prober_path *path)
{
	return (double)path->probe_bytes;
}

/* The labels that all samples of a path have. */
struct labels {
	const char *tunnel, *node;
	char remote[CV_ADDRESS_TEXT_MAX];
};

static void print_state(const struct cv_prober_path *path, const struct labels *labels,
			struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, 1, LABELS " state how", labels->tunnel, labels->remote,
			  labels->node, cv_plpmtud_state_name(path->state),
			  cv_plpmtud_how_name(path->how));
}

static void print_rtt(const struct cv_prober_path *path, const struct labels *labels,
		      struct cv_metrics_writer *writer)
{
	if (path->rtt_p50_us)
		cv_metrics_sample(writer, path->rtt_p50_us / 1e6, LABELS " quantile",
				  labels->tunnel, labels->remote, labels->node, "0.5");
	if (path->rtt_p99_us)
		cv_metrics_sample(writer, path->rtt_p99_us / 1e6, LABELS " quantile",
				  labels->tunnel, labels->remote, labels->node, "0.99");
}

static const struct {
	const char *name, *type, *help;
	/* One of the two. NAN: no sample. */
	double (*value)(const struct cv_prober_path *path);
	void (*print)(const struct cv_prober_path *path, const struct labels *labels,
		      struct cv_metrics_writer *writer);
} metrics[] = {
	{"culvert_path_mtu_bytes", "gauge", "What the path takes, outer header included",
	 .value = mtu},
	{"culvert_path_link_mtu_bytes", "gauge", "What this host's route to the remote takes",
	 .value = link_mtu},
	{"culvert_path_state", "gauge", "1; the state of the search, and how the MTU is known",
	 .print = print_state},
	{"culvert_path_up", "gauge", "1: the remote answers; 0: it did, and does not any more",
	 .value = is_up},
	{"culvert_path_blocked", "gauge",
	 "1: it answers on the underlay, and not through the tunnel", .value = is_blocked},
	{"culvert_path_rtt_seconds", "gauge", "Round trips of the last probes", .print = print_rtt},
	{"culvert_path_loss_ratio", "gauge", "Of the last probes, lost ones", .value = loss},
	{"culvert_path_probes_total", "counter", "Probes sent", .value = probes_sent},
	{"culvert_path_probes_answered_total", "counter", "Of these, answered",
	 .value = probes_answered},
	{"culvert_path_probe_bytes_total", "counter", "Bytes of them, outer headers included",
	 .value = probe_bytes},
};

void cv_metrics_paths(const struct cv_paths *paths, struct cv_metrics_writer *writer)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		cv_metrics_family(writer, metrics[i].name, metrics[i].type, metrics[i].help);
		for (size_t j = 0; paths && j < paths->count; j++) {
			const struct cv_known_path *known = &paths->items[j];
			struct labels labels = {
				.tunnel = known->tunnel,
				.node = known->node ? known->node : "",
			};
			double value = metrics[i].value ? metrics[i].value(&known->path) : NAN;

			cv_address_format(known->path.remote, labels.remote);
			if (metrics[i].print)
				metrics[i].print(&known->path, &labels, writer);
			else if (!isnan(value))
				cv_metrics_sample(writer, value, LABELS, labels.tunnel,
						  labels.remote, labels.node);
		}
	}
}
