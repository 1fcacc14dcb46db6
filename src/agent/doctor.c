/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of checks. Each looks at one thing, adds what it found, and says "ok" where it found
 * nothing; order is from this node outwards.
 */
#include "agent/doctor.h"

#include <stdlib.h>

#include "agent/doctor_bgp.h"
#include "agent/doctor_devices.h"
#include "agent/doctor_firewall.h"
#include "agent/doctor_kernel.h"
#include "agent/doctor_node.h"
#include "agent/doctor_paths.h"
#include "agent/doctor_pods.h"
#include "agent/doctor_policy.h"
#include "agent/doctor_routes.h"
#include "net/nft.h"
#include "net/route.h"

static const struct {
	const char *name;
	void (*check)(const struct cv_doctor_input *input, struct cv_findings *findings);
} checks[] = {
	{"store", cv_doctor_check_store},
	{"datastore", cv_doctor_check_datastore},
	{"node", cv_doctor_check_self},
	{"peers", cv_doctor_check_peers},
	{"fast-path", cv_doctor_check_fastpath},
	{"conntrack", cv_doctor_check_conntrack},
	{"forwarding", cv_doctor_check_forwarding},
	{"rp-filter", cv_doctor_check_rp_filter},
	{"neighbours", cv_doctor_check_neighbours},
	{"descriptors", cv_doctor_check_descriptors},
	{"devices", cv_doctor_check_devices},
	{"mtu", cv_doctor_check_mtu},
	{"paths", cv_doctor_check_paths},
	{"routes", cv_doctor_check_routes},
	{"bgp", cv_doctor_check_bgp},
	{"bgp-routes", cv_doctor_check_bgp_routes},
	{"firewall", cv_doctor_check_firewall},
	{"nat", cv_doctor_check_nat},
	{"policies", cv_doctor_check_policies},
	{"addresses", cv_doctor_check_addresses},
	{"pods", cv_doctor_check_pods},
	{"cni", cv_doctor_check_cni},
};

void cv_doctor_input_of(struct cv_doctor_input *input, struct cv_node_agent *node, struct cv_nl *nl)
{
	input->nl = nl;
	input->intent = cv_node_intent(node);
	input->facts = cv_node_facts(node);
	input->report = cv_node_report(node);
	input->store_problem = cv_store_problem(cv_node_store(node));
	input->store_warnings = cv_store_warnings(cv_node_store(node));
	input->pool_device = cv_node_pool_device(node);
	input->pool_ifindex = cv_node_pool_ifindex(node);
	input->not_probing = cv_node_not_probing(node);
	input->config_dir = cv_store_directory(cv_node_store(node));
}

/* The intent has it of those nodes alone for which on link or not makes a difference. */
int cv_doctor_peer_oif(const struct cv_doctor_input *input, size_t i)
{
	return input->ways ? input->ways[i].oif : input->intent->peers[i].oif;
}

/* Ask for each peer once: some microseconds each, thousands of them. The caller frees. */
static struct cv_doctor_way *ask_for_ways(const struct cv_doctor_input *input)
{
	const struct cv_intent *intent = input->intent;
	struct cv_doctor_way *ways =
		input->nl ? calloc(intent->peer_count + 1, sizeof(*ways)) : NULL;

	for (size_t i = 0; ways && i < intent->peer_count; i++) {
		const struct cv_route_flow flow = {.destination = intent->peers[i].address};
		struct cv_route route;

		if (!cv_route_get(input->nl, &flow, &route))
			ways[i] = (struct cv_doctor_way){.oif = route.oif, .mtu = route.mtu};
	}
	return ways;
}

json_t *cv_doctor_examine(const struct cv_doctor_input *input)
{
	struct cv_doctor_input all = *input;
	struct cv_findings findings;
	struct cv_doctor_way *ways;

	if (cv_findings_init(&findings))
		return NULL;
	ways = ask_for_ways(input);
	all.ways = ways;
	/* Others' rules may be many, and nothing else is done meanwhile. */
	if (input->intent->snapshot->count)
		all.ruleset_error = cv_nft_list("list ruleset", &all.ruleset);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		findings.check = checks[i].name;
		checks[i].check(&all, &findings);
	}
	free(ways);
	json_decref(all.ruleset);
	return findings.list;
}
