/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of paths, by what the prober knows already: nothing is sent. A thousand remote ends behind
 * one broken link are a thousand findings of one kind: some are named, the rest is counted.
 */
#include "agent/doctor_paths.h"

#include <stdio.h>
#include <string.h>

#include "model/duration.h"

enum {
	LINES_MAX = 5, /* of one kind */
};

/* ---- sorts of trouble --------------------------------------------------------------- */

static bool is_blocked(const struct cv_known_path *path)
{
	return path->path.is_blocked;
}

static bool is_down(const struct cv_known_path *path)
{
	return !path->path.is_blocked && path->path.mtu && path->path.liveness == CV_LIVENESS_DOWN;
}

static bool has_no_route(const struct cv_known_path *path)
{
	return !path->path.is_blocked && !path->path.mtu;
}

static bool is_in_error(const struct cv_known_path *path)
{
	return !path->path.is_blocked && path->path.state == CV_PLPMTUD_ERROR && path->path.mtu &&
	       path->path.liveness != CV_LIVENESS_DOWN;
}

static bool is_black_hole(const struct cv_known_path *path)
{
	return cv_path_filters_icmp(path) && !path->path.is_blocked &&
	       path->path.state != CV_PLPMTUD_ERROR && path->path.liveness != CV_LIVENESS_DOWN;
}

static void add_problem(const struct cv_known_path *path, enum cv_finding_level level,
			const char *remedy, struct cv_findings *findings)
{
	char text[CV_PATH_TEXT_MAX];
	const char *problem = cv_path_problem(path, text);

	if (problem)
		cv_finding_add(findings, level, remedy, "%s", problem);
}

static void tell_blocked(const struct cv_known_path *path, struct cv_findings *findings)
{
	char source[CV_ADDRESS_TEXT_MAX], remote[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];

	cv_address_format(path->path.source, source);
	cv_address_format(path->path.remote, remote);
	add_problem(path, CV_FINDING_ERROR,
		    cv_remedy(remedy,
			      "openstack security group rule create --protocol 4 --remote-ip %s/32 "
			      "GROUP; and on %s: ip link show type ipip, or culvert status",
			      source, remote),
		    findings);
}

static void tell_down(const struct cv_known_path *path, struct cv_findings *findings)
{
	char remote[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];

	cv_address_format(path->path.remote, remote);
	add_problem(path, CV_FINDING_ERROR,
		    cv_remedy(remedy, "culvert doctor %s; traceroute -n %s", remote, remote),
		    findings);
}

static void tell_no_route(const struct cv_known_path *path, struct cv_findings *findings)
{
	char remote[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];

	cv_address_format(path->path.remote, remote);
	add_problem(path, CV_FINDING_ERROR, cv_remedy(remedy, "ip route get %s", remote), findings);
}

static void tell_error(const struct cv_known_path *path, struct cv_findings *findings)
{
	char remote[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];

	cv_address_format(path->path.remote, remote);
	add_problem(path, CV_FINDING_WARNING,
		    cv_remedy(remedy, "tracepath -n %s (which hop takes less than %u bytes?)",
			      remote, path->path.link_mtu),
		    findings);
}

static void tell_black_hole(const struct cv_known_path *path, struct cv_findings *findings)
{
	char remote[CV_ADDRESS_TEXT_MAX], remedy[CV_REMEDY_MAX];

	cv_address_format(path->path.remote, remote);
	cv_finding_add(findings, CV_FINDING_WARNING,
		       cv_remedy(remedy,
				 "let ICMP type 3 code 4 pass on the way (tracepath -n %s shows "
				 "where it ends); until then nothing need be done",
				 remote),
		       "%s: the path to %s takes %u bytes, its link %u, and no ICMP said so: it is "
		       "filtered on the way. Probes found it, and inner senders are told %u",
		       path->tunnel, remote, path->path.mtu, path->path.link_mtu,
		       cv_path_inner_mtu(path));
}

static const struct {
	bool (*is)(const struct cv_known_path *path);
	void (*tell)(const struct cv_known_path *path, struct cv_findings *findings);
	enum cv_finding_level level;
	const char *what; /* of those that are only counted */
} sorts[] = {
	{is_blocked, tell_blocked, CV_FINDING_ERROR, "do not answer by IP protocol 4"},
	{has_no_route, tell_no_route, CV_FINDING_ERROR, "have no route"},
	{is_down, tell_down, CV_FINDING_ERROR, "do not answer any more"},
	{is_in_error, tell_error, CV_FINDING_WARNING, "answer small probes only"},
	{is_black_hole, tell_black_hole, CV_FINDING_WARNING, "are behind a filter of ICMP"},
};

static void check_sorts(const struct cv_paths *paths, struct cv_findings *findings)
{
	for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++) {
		size_t count = 0;

		for (size_t j = 0; j < paths->count; j++) {
			if (sorts[i].is(&paths->items[j]) && count++ < LINES_MAX)
				sorts[i].tell(&paths->items[j], findings);
		}
		if (count > LINES_MAX)
			cv_finding_add(findings, sorts[i].level, "culvert path",
				       "... and %zu remote ends more %s", count - LINES_MAX,
				       sorts[i].what);
	}
}

/* ---- events ------------------------------------------------------------------------ */

/* Of all tunnels, and of none; 0: there is no such event. */
static uint64_t count_events(const struct cv_doctor_input *input, const char *name)
{
	struct cv_counters counters;
	uint64_t sum = 0;
	unsigned int event = 0;

	while (event < CV_EVENT_MAX && strcmp(cv_event_name(event), name))
		event++;
	if (event == CV_EVENT_MAX || !input->engine)
		return 0;
	cv_engine_counters(input->engine, &counters);
	sum = counters.events[event];
	for (size_t i = 0; input->tunnels && i < cv_tunnel_set_count(input->tunnels); i++) {
		struct cv_tunnel_status status;

		cv_tunnel_set_status(input->tunnels, i, &status);
		if (!cv_engine_tunnel_counters(input->engine, status.ifindex, &counters))
			sum += counters.events[event];
	}
	return sum;
}

static void check_events(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	uint64_t limited = count_events(input, "icmp-pmtu-limited");
	uint64_t refuted = count_events(input, "pmtu-refuted");

	if (limited)
		cv_finding_add(findings, CV_FINDING_WARNING, "culvert -s status; culvert capture",
			       "%llu ICMP messages about MTUs came too fast, and were passed over "
			       "(icmp-pmtu-limited): a path that changes all the time, or somebody "
			       "who forges them",
			       (unsigned long long)limited);
	if (refuted)
		cv_finding_add(findings, CV_FINDING_WARNING, "culvert -s status; culvert capture",
			       "%llu ICMP messages about MTUs were refuted by probes "
			       "(pmtu-refuted): a router that errs, or somebody who forges them",
			       (unsigned long long)refuted);
}

/* ---- all ----------------------------------------------------------------------------- */

static void tell_all_is_well(const struct cv_paths *paths, struct cv_findings *findings)
{
	struct cv_paths_summary summary;

	cv_paths_sum_up(paths, &summary);
	cv_finding_add(
		findings, CV_FINDING_OK, NULL,
		"%zu remote end%s: %zu up; MTU known of %zu, searched for %zu; %zu answer no "
		"probe (link and ICMP tell their MTU)",
		summary.count, summary.count == 1 ? "" : "s", summary.liveness[CV_LIVENESS_UP],
		summary.states[CV_PLPMTUD_COMPLETE], summary.states[CV_PLPMTUD_SEARCH],
		summary.states[CV_PLPMTUD_DISABLED]);
}

void cv_doctor_check_paths(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	size_t before = findings->troubles;

	if (!input->paths || !input->paths->count)
		return;
	if (input->not_probing)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "probing: Enabled in PathConfiguration default; culvertd without "
			       "--probing off",
			       "paths are not probed (%s): where ICMP is filtered, large packets "
			       "may be lost",
			       input->not_probing);
	check_sorts(input->paths, findings);
	check_events(input, findings);
	if (findings->troubles == before)
		tell_all_is_well(input->paths, findings);
}

static void tell_liveness(const struct cv_prober_path *path, char *buffer, size_t size)
{
	size_t length;

	snprintf(buffer, size, "%s", cv_liveness_name(path->liveness));
	length = strlen(buffer);
	if (path->rtt_p50_us)
		snprintf(buffer + length, size - length,
			 ", RTT %.1f ms (p99 %.1f), %.1f %% of the last probes lost",
			 path->rtt_p50_us / 1000.0, path->rtt_p99_us / 1000.0,
			 path->loss_permille / 10.0);
}

void cv_doctor_tell_path(const struct cv_doctor_input *input, __be32 remote,
			 struct cv_findings *findings)
{
	for (size_t i = 0; input->paths && i < input->paths->count; i++) {
		const struct cv_known_path *known = &input->paths->items[i];
		char age[CV_DURATION_TEXT_MAX], problem[CV_PATH_TEXT_MAX], liveness[128];
		uint64_t age_s = known->path.age_ms / 1000;

		if (known->path.remote != remote)
			continue;
		if (cv_path_problem(known, problem)) {
			cv_finding_add(findings, CV_FINDING_WARNING, "culvert path",
				       "what probes have shown so far: %s", problem);
			continue;
		}
		tell_liveness(&known->path, liveness, sizeof(liveness));
		cv_duration_format((uint32_t)(age_s > 4000000 ? 4000000 : age_s) * 1000, age);
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "what is known of it in %s: %u bytes (%u inner), by %s, since %s, "
			       "search: %s; %s",
			       known->tunnel, known->path.mtu, cv_path_inner_mtu(known),
			       cv_plpmtud_how_name(known->path.how), age,
			       cv_plpmtud_state_name(known->path.state), liveness);
	}
}
