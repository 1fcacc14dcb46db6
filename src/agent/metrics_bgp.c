/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of BIRD and of its sessions: four samples for each session. What is not known, as the
 * session is down, has none.
 */
#include "agent/metrics_bgp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LABELS "session node address"

/* ---- of the node ------------------------------------------------------------------------- */

static void print_programs(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, look->view.programs_now == CV_PROGRAMS_AGENT, "program", "agent");
	cv_metrics_sample(writer, look->view.programs_now == CV_PROGRAMS_BIRD, "program", "bird");
}

static void print_handing_over(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, look->view.programs_now != look->view.programs_wanted, "");
}

static void print_bird_up(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, look->state == CV_BIRD_UP, "");
}

static void print_bird_info(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	char router_id[CV_ADDRESS_TEXT_MAX];

	if (look->state == CV_BIRD_UP && look->view.has_status)
		cv_metrics_sample(writer, 1, "version router_id", look->view.status.version,
				  cv_address_format(look->view.status.router_id, router_id));
}

static void print_restarts(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, (double)look->restarts, "");
}

static void print_learned(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, look->view.learned ? (double)look->view.learned->count : 0, "");
}

static void print_announced(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	cv_metrics_sample(writer, (double)look->view.intent->export_count, "");
}

static void print_refused(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	for (unsigned int i = CV_BGP_TAKEN + 1; look->view.has_refused && i < CV_BGP_VERDICTS; i++)
		cv_metrics_sample(writer, (double)look->view.refused[i], "reason",
				  cv_bgp_verdict_name(i));
}

/* ---- of each session --------------------------------------------------------------------- */

static double is_up(const struct cv_bird_session *is)
{
	return is && is->is_established;
}

static double imported(const struct cv_bird_session *is)
{
	return is && is->is_established ? (double)is->imported : (double)NAN;
}

static double refused(const struct cv_bird_session *is)
{
	return is && is->is_established ? (double)is->filtered : (double)NAN;
}

static double exported(const struct cv_bird_session *is)
{
	return is && is->is_established ? (double)is->exported : (double)NAN;
}

static const struct {
	const char *name, *type, *help;
	/* One of the two; the second is of each session. NAN: no sample. */
	void (*print)(const struct cv_bgp_look *look, struct cv_metrics_writer *writer);
	double (*value)(const struct cv_bird_session *is);
} metrics[] = {
	{"culvert_bgp_programs", "gauge", "1: who programs the routes to other nodes",
	 .print = print_programs},
	{"culvert_bgp_handing_over", "gauge", "1: it is being handed over to the other",
	 .print = print_handing_over},
	{"culvert_bgp_bird_up", "gauge", "1: BIRD runs, and answers", .print = print_bird_up},
	{"culvert_bgp_bird_info", "gauge", "1; BIRD's version and router id",
	 .print = print_bird_info},
	{"culvert_bgp_bird_restarts_total", "counter", "Deaths of BIRD that were seen",
	 .print = print_restarts},
	{"culvert_bgp_routes_learned", "gauge", "Routes to other nodes' prefixes, taken",
	 .print = print_learned},
	{"culvert_bgp_prefixes_announced", "gauge", "Prefixes of this node that are announced",
	 .print = print_announced},
	{"culvert_bgp_routes_refused", "gauge", "Routes that were not taken, by reason",
	 .print = print_refused},
	{"culvert_bgp_session_up", "gauge", "1: the session is established", .value = is_up},
	{"culvert_bgp_session_imported", "gauge", "Routes taken from the peer", .value = imported},
	{"culvert_bgp_session_refused", "gauge", "Routes of the peer that were not taken",
	 .value = refused},
	{"culvert_bgp_session_exported", "gauge", "Routes announced to the peer",
	 .value = exported},
};

static void print_pair(const struct cv_bgp_pair *pair, double value,
		       struct cv_metrics_writer *writer)
{
	const struct cv_bgp_session *wanted = pair->wanted;
	char address[CV_ADDRESS_TEXT_MAX];

	if (isnan(value))
		return;
	cv_address_format(wanted ? wanted->address : pair->is->address, address);
	cv_metrics_sample(writer, value, LABELS, wanted ? wanted->name : pair->is->name,
			  wanted && wanted->node ? wanted->node->name : "", address);
}

void cv_metrics_bgp(const struct cv_bgp_look *look, struct cv_metrics_writer *writer)
{
	struct cv_bgp_pair *pairs = NULL;
	size_t count = 0;

	if (look && !cv_bgp_is_asked_for(&look->view))
		look = NULL;
	if (look && cv_bgp_pairs(&look->view, &pairs, &count))
		count = 0;
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		cv_metrics_family(writer, metrics[i].name, metrics[i].type, metrics[i].help);
		if (look && metrics[i].print)
			metrics[i].print(look, writer);
		for (size_t j = 0; metrics[i].value && j < count; j++)
			print_pair(&pairs[j], metrics[i].value(pairs[j].is), writer);
	}
	free(pairs);
}
