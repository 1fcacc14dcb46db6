/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of netfilter. Which hooks see which packets (doc/architecture.md):
 *
 *   outer, out   the engine's pass OUTPUT and POSTROUTING, the fast path's only netdev egress
 *   outer, in    the fast path takes them before any hook; the engine reads them behind netdev
 *                ingress and before PREROUTING and INPUT, which neither drop nor count them
 *   ICMP errors  about outer packets pass PREROUTING and INPUT on their way to the engine; as
 *                conntrack knows nothing of those packets, it calls them invalid
 *   inner        pass FORWARD, INPUT, OUTPUT and POSTROUTING as any packet with the tunnel
 *                device, but for flows between endpoints and tunnels that bypass the host's stack
 *
 * A packet of each kind is sent through the listed rules (agent/ruleset.h).
 */
#include "agent/doctor_firewall.h"

#include <errno.h>
#include <string.h>

#include "agent/ruleset.h"
#include "routing/nat.h"
#include "wire/types.h"

enum {
	PEERS_MAX = 32,	    /* judged one by one */
	PRIORITY_OURS = 90, /* of our chain of source NAT: srcnat - 10 */
	PROTOCOL_ICMP = 1,
	PROTOCOL_IPIP = 4,
	PROTOCOL_94 = 94, /* what /etc/protocols calls "ipip" */
};

/* Everything that the judgements share. */
struct bench {
	const struct cv_doctor_input *input;
	struct cv_findings *findings;
	struct cv_ruleset ruleset;
};

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static bool is_ours(const json_t *chain)
{
	return !strcmp(text_of(chain, "family"), "ip") &&
	       !strcmp(text_of(chain, "table"), CV_NAT_TABLE);
}

static bool is_nat(const json_t *chain)
{
	return !strcmp(text_of(chain, "type"), "nat");
}

/* "rule 7 of ip filter OUTPUT", or "the policy of …". Returns buffer. */
static const char *name_culprit(const struct cv_ruleset_culprit *culprit,
				char buffer[CV_RULESET_NAME_MAX + 64])
{
	char name[CV_RULESET_NAME_MAX];

	if (culprit->rule)
		snprintf(buffer, CV_RULESET_NAME_MAX + 64, "rule %d of %s %s %s",
			 (int)json_integer_value(json_object_get(culprit->rule, "handle")),
			 text_of(culprit->rule, "family"), text_of(culprit->rule, "table"),
			 text_of(culprit->rule, "chain"));
	else
		snprintf(buffer, CV_RULESET_NAME_MAX + 64, "the policy of %s",
			 cv_ruleset_chain_name(culprit->chain, name));
	return buffer;
}

/*
 * Let what matches pass, by a rule at the beginning of the base chain; in the words of iptables
 * where the chain is one of its own.
 */
static const char *allow(const json_t *chain, const char *nft_match, const char *iptables_match,
			 char buffer[CV_REMEDY_MAX])
{
	char name[CV_RULESET_NAME_MAX];
	const char *short_name = text_of(chain, "name");

	if (iptables_match && !strcmp(text_of(chain, "family"), "ip") &&
	    !strcmp(text_of(chain, "table"), "filter") &&
	    (!strcmp(short_name, "INPUT") || !strcmp(short_name, "OUTPUT") ||
	     !strcmp(short_name, "FORWARD")))
		return cv_remedy(buffer, "iptables -I %s %s -j ACCEPT", short_name, iptables_match);
	return cv_remedy(buffer, "nft insert rule %s %s accept", cv_ruleset_chain_name(chain, name),
			 nft_match);
}

/* The next base chain from *i on that filters at a hook; NULL: no more. */
static const json_t *next_filter(const struct bench *bench, const char *hook, size_t *i)
{
	while (*i < json_array_size(bench->ruleset.chains)) {
		const json_t *chain = json_array_get(bench->ruleset.chains, (*i)++);

		if (cv_ruleset_is_hook(chain, hook) && !is_nat(chain) && !is_ours(chain))
			return chain;
	}
	return NULL;
}

static const char *device_name(const struct bench *bench, int ifindex)
{
	const struct cv_fact_interface *interface =
		cv_facts_interface(bench->input->facts, ifindex);

	return interface ? interface->name : NULL;
}

/* ---- outer packets ----------------------------------------------------------------------- */

/* How many peers' packets a chain drops; of the first, by what. */
static size_t judge_peers(const struct bench *bench, const json_t *chain, bool is_out,
			  struct cv_ruleset_culprit *ret_culprit,
			  const struct cv_peer_intent **ret_first)
{
	const struct cv_intent *intent = bench->input->intent;
	size_t dropped = 0;

	for (size_t i = 0; i < intent->peer_count && i < PEERS_MAX; i++) {
		const struct cv_peer_intent *peer = &intent->peers[i];
		const char *device = device_name(bench, cv_doctor_peer_oif(bench->input, i));
		const struct cv_ruleset_packet packet = {
			.protocol = PROTOCOL_IPIP,
			.source = is_out ? intent->self.address : peer->address,
			.destination = is_out ? peer->address : intent->self.address,
			.iif = is_out ? "" : device,
			.oif = is_out ? device : "",
			.ct_state = bench->input->report->nat_in_force ? "untracked" : "new",
		};
		struct cv_ruleset_culprit culprit;

		if (!strcmp(text_of(chain, "family"), "netdev") &&
		    (!device || !cv_ruleset_is_on_device(chain, device)))
			continue;
		if (cv_ruleset_judge(&bench->ruleset, chain, &packet, false, &culprit) !=
		    CV_FATE_HIT)
			continue;
		if (!dropped++) {
			*ret_culprit = culprit;
			*ret_first = peer;
		}
	}
	return dropped;
}

/* What a hook does to outer packets. */
struct outer_hook {
	const char *hook;
	bool is_out;
	bool is_fastpath; /* the fast path's packets meet it as well */
	bool is_harmless; /* none of ours meets it */
	const char *what;
};

static void judge_outer_chain(struct bench *bench, const struct outer_hook *hook,
			      const json_t *chain)
{
	bool is_fastpath_on = !bench->input->no_fastpath;
	enum cv_finding_level level = CV_FINDING_ERROR;
	char remedy[CV_REMEDY_MAX], culprit_name[CV_RULESET_NAME_MAX + 64];
	char address[CV_ADDRESS_TEXT_MAX];
	struct cv_ruleset_culprit culprit;
	const struct cv_peer_intent *first = NULL;
	const char *protocol =
		strcmp(text_of(chain, "family"), "inet") ? "ip protocol 4" : "meta l4proto 4";
	size_t dropped = judge_peers(bench, chain, hook->is_out, &culprit, &first);

	if (!dropped)
		return;
	cv_address_format(first->address, address);
	if (hook->is_harmless)
		level = CV_FINDING_OK;
	else if (is_fastpath_on && !hook->is_fastpath)
		level = CV_FINDING_WARNING;
	cv_finding_add(bench->findings, level,
		       level == CV_FINDING_OK ? NULL : allow(chain, protocol, "-p 4", remedy),
		       "%s drops IP protocol 4 %s %s%s: %s%s", name_culprit(&culprit, culprit_name),
		       hook->is_out ? "to" : "from", address, dropped > 1 ? " and others" : "",
		       hook->what,
		       level == CV_FINDING_WARNING ? "; the fast path's pass by it" : "");
}

static void judge_outer(struct bench *bench)
{
	static const struct outer_hook hooks[] = {
		{"output", true, false, false, "what the engine sends is lost"},
		{"postrouting", true, false, false, "what the engine sends is lost"},
		{"egress", true, true, false, "what the tunnels send is lost"},
		{"ingress", false, false, false, "the engine does not get it"},
		{"input", false, false, true,
		 "that is without effect on culvertd, which reads packets before that hook (a "
		 "kernel's ipip would need them)"},
	};

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		const json_t *chain;
		size_t at = 0;

		while ((chain = next_filter(bench, hooks[i].hook, &at)))
			judge_outer_chain(bench, &hooks[i], chain);
	}
}

/* ---- ICMP errors about outer packets ------------------------------------------------------- */

static void judge_icmp(struct bench *bench)
{
	static const char *const hooks[] = {"prerouting", "input"};
	const struct cv_intent *intent = bench->input->intent;
	const bool is_tracked = bench->input->no_fastpath && !bench->input->report->nat_in_force;
	const struct cv_ruleset_packet packet = {
		.protocol = PROTOCOL_ICMP,
		.destination = intent->self.address,
		.iif = intent->peer_count ? device_name(bench, cv_doctor_peer_oif(bench->input, 0))
					  : NULL,
		.oif = "",
		.ct_state = is_tracked ? "related" : "invalid",
		.icmp_type = "destination-unreachable",
	};

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		char remedy[CV_REMEDY_MAX], name[CV_RULESET_NAME_MAX + 64];
		struct cv_ruleset_culprit culprit;
		const json_t *chain;
		size_t at = 0;

		while ((chain = next_filter(bench, hooks[i], &at))) {
			if (cv_ruleset_judge(&bench->ruleset, chain, &packet, false, &culprit) !=
			    CV_FATE_HIT)
				continue;
			cv_finding_add(bench->findings, CV_FINDING_WARNING,
				       allow(chain, "icmp type destination-unreachable",
					     "-p icmp --icmp-type destination-unreachable", remedy),
				       "%s drops ICMP \"fragmentation needed\" about tunnels' "
				       "packets%s: a "
				       "smaller path MTU is not learned",
				       name_culprit(&culprit, name),
				       is_tracked ? "" : " (which conntrack calls invalid)");
		}
	}
}

/* ---- inner packets ------------------------------------------------------------------------- */

/* A prefix of this node and one of another, and the devices between them. */
struct pair {
	__be32 near, far;
	const char *near_device; /* NULL: not known */
	const char *far_device;
};

static const char *find_near_device(const struct bench *bench, const struct cv_claim *claim)
{
	const struct cv_facts *facts = bench->input->facts;

	if (claim->resource->kind == CV_KIND_WORKLOAD && *claim->resource->workload.device)
		return claim->resource->workload.device;
	for (size_t i = 0; i < facts->address_count; i++) {
		const struct cv_fact_address *address = &facts->addresses[i];

		if (address->interface && !address->interface->is_ours &&
		    cv_prefix_has(&claim->prefix, address->address.address))
			return address->interface->name;
	}
	return NULL;
}

static const char *find_far_device(const struct bench *bench, const struct cv_decision *decision)
{
	const struct cv_peer_intent *peer;

	if (decision->path == CV_PATH_TUNNEL)
		return bench->input->pool_device;
	peer = decision->claim.node
		       ? cv_intent_peer_named(bench->input->intent, decision->claim.node->name)
		       : NULL;
	return peer ? device_name(bench,
				  cv_doctor_peer_oif(bench->input,
						     (size_t)(peer - bench->input->intent->peers)))
		    : NULL;
}

/* One as a pod or machine has it: neither the first nor the last, where there are others. */
static __be32 sample_address(const struct cv_prefix *prefix)
{
	uint32_t first = cv_prefix_first(prefix), last = cv_prefix_last(prefix);

	return cv_htonl(last - first > 2 ? first + 2 : first);
}

/* Of the first prefix of ours, and the first with this path. */
static bool find_pair(const struct bench *bench, enum cv_path path, struct pair *ret_pair)
{
	const struct cv_intent *intent = bench->input->intent;
	const struct cv_decision *near = NULL, *far = NULL;

	for (size_t i = 0; i < intent->decision_count && (!near || !far); i++) {
		const struct cv_decision *decision = &intent->decisions[i];

		if (!near && decision->path == CV_PATH_LOCAL)
			near = decision;
		if (!far && decision->path == path)
			far = decision;
	}
	if (!near || !far)
		return false;
	*ret_pair = (struct pair){
		.near = sample_address(&near->claim.prefix),
		.far = sample_address(&far->claim.prefix),
		.near_device = find_near_device(bench, &near->claim),
		.far_device = find_far_device(bench, far),
	};
	return true;
}

static const char *forward_remedy(const struct bench *bench, const json_t *chain,
				  const char *device, char buffer[CV_REMEDY_MAX])
{
	char name[CV_RULESET_NAME_MAX];

	if (!strcmp(cv_ruleset_chain_name(chain, name), "ip filter FORWARD")) {
		const char *where = json_object_get(bench->ruleset.rules, "ip filter DOCKER-USER")
					    ? "DOCKER-USER"
					    : "FORWARD";

		return cv_remedy(buffer,
				 "iptables -I %s -i %s -j ACCEPT; iptables -I %s -o %s -j ACCEPT",
				 where, device, where, device);
	}
	return cv_remedy(
		buffer,
		"nft insert rule %s iifname %s accept; nft insert rule %s oifname %s accept", name,
		device, name, device);
}

/* True if a chain was complained about: the way back need not be. */
static bool judge_forward_chain(struct bench *bench, const json_t *chain, const struct pair *pair,
				bool is_out)
{
	const struct cv_ruleset_packet packet = {
		.protocol = -1,
		.source = is_out ? pair->near : pair->far,
		.destination = is_out ? pair->far : pair->near,
		.iif = is_out ? pair->near_device : pair->far_device,
		.oif = is_out ? pair->far_device : pair->near_device,
		.ct_state = "new",
	};
	const char *device = pair->far_device ? pair->far_device : "DEVICE";
	char remedy[CV_REMEDY_MAX], name[CV_RULESET_NAME_MAX + 64];
	struct cv_ruleset_culprit culprit;
	enum cv_ruleset_fate fate =
		cv_ruleset_judge(&bench->ruleset, chain, &packet, false, &culprit);

	/* A rule that perhaps drops one thing or another is everywhere; "all but" is not. */
	if (fate == CV_FATE_PASSES || (fate == CV_FATE_MAYBE && culprit.rule))
		return false;
	cv_finding_add(bench->findings, fate == CV_FATE_HIT ? CV_FINDING_ERROR : CV_FINDING_WARNING,
		       forward_remedy(bench, chain, device, remedy),
		       "%s drops %s packets that are forwarded %s %s%s",
		       name_culprit(&culprit, name), fate == CV_FATE_HIT ? "all new" : "perhaps",
		       is_out ? "to" : "from", device,
		       bench->input->fastpath ? " (but those that bypass the host's stack)" : "");
	return true;
}

static void judge_forward(struct bench *bench)
{
	static const enum cv_path paths[] = {CV_PATH_TUNNEL, CV_PATH_DIRECT};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const json_t *chain;
		struct pair pair;
		size_t at = 0;

		if (!find_pair(bench, paths[i], &pair))
			continue;
		while ((chain = next_filter(bench, "forward", &at))) {
			if (!judge_forward_chain(bench, chain, &pair, false))
				judge_forward_chain(bench, chain, &pair, true);
		}
	}
}

/* ---- the wrong number ---------------------------------------------------------------------- */

/* Somebody who let "ipip" pass meant 4, and wrote 94. */
static bool is_for_94(const json_t *rule)
{
	const json_t *expressions = json_object_get(rule, "expr"), *statement;
	bool names_94 = false, accepts = false;
	size_t i;

	json_array_foreach(expressions, i, statement)
	{
		const json_t *match = json_object_get(statement, "match");
		const json_t *right = json_object_get(match, "right");
		const char *key =
			text_of(json_object_get(json_object_get(match, "left"), "meta"), "key");
		const char *field = text_of(
			json_object_get(json_object_get(match, "left"), "payload"), "field");
		bool is_protocol = !strcmp(key, "l4proto") || !strcmp(field, "protocol");

		accepts |= json_object_get(statement, "accept") != NULL;
		if (is_protocol &&
		    ((json_is_string(right) && !strcmp(json_string_value(right), "ipip")) ||
		     json_integer_value(right) == PROTOCOL_94))
			names_94 = true;
	}
	return names_94 && accepts;
}

static void judge_numbers(struct bench *bench)
{
	const json_t *entries = json_object_get(bench->ruleset.root, "nftables"), *entry;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		const json_t *rule = json_object_get(entry, "rule");
		const struct cv_ruleset_culprit culprit = {.rule = rule};
		char remedy[CV_REMEDY_MAX], name[CV_RULESET_NAME_MAX + 64];

		if (!rule || !is_for_94(rule))
			continue;
		cv_remedy(remedy, "nft insert rule %s %s %s meta l4proto 4 accept",
			  text_of(rule, "family"), text_of(rule, "table"), text_of(rule, "chain"));
		cv_finding_add(bench->findings, CV_FINDING_WARNING, remedy,
			       "%s lets IP protocol 94 pass, which is called \"ipip\"; IP-in-IP is "
			       "number 4",
			       name_culprit(&culprit, name));
	}
}

/* ---- all ------------------------------------------------------------------------------------ */

void cv_doctor_judge_firewall(const struct cv_doctor_input *input, json_t *listed,
			      struct cv_findings *findings)
{
	struct bench bench = {.input = input, .findings = findings};
	size_t before = findings->troubles;

	if (cv_ruleset_init(&bench.ruleset, listed))
		return;
	if (input->intent->self.address) {
		if (input->intent->has_device) {
			judge_outer(&bench);
			judge_icmp(&bench);
			judge_numbers(&bench);
		}
		judge_forward(&bench);
	}
	if (findings->troubles == before)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "no rule of netfilter is seen to drop the overlay's packets (%zu "
			       "chains)",
			       json_array_size(bench.ruleset.chains));
	cv_ruleset_fini(&bench.ruleset);
}

/* A source translation that comes first wins; one that comes later finds ours done. */
static bool is_earlier_nat(const struct bench *bench, const json_t *chain)
{
	const json_t *priority = json_object_get(chain, "prio");

	if (!cv_ruleset_is_hook(chain, "postrouting") || !is_nat(chain) || is_ours(chain))
		return false;
	return !bench->input->report->nat_in_force || json_integer_value(priority) <= PRIORITY_OURS;
}

static void judge_nat_chain(struct bench *bench, const json_t *chain, const struct pair *pair)
{
	const struct cv_ruleset_packet packet = {
		.protocol = -1,
		.source = pair->near,
		.destination = pair->far,
		.iif = pair->near_device,
		.oif = pair->far_device,
		.ct_state = "new",
	};
	char chain_name[CV_RULESET_NAME_MAX], name[CV_RULESET_NAME_MAX + 64];
	char remedy[CV_REMEDY_MAX], far[CV_ADDRESS_TEXT_MAX];
	struct cv_ruleset_culprit culprit;
	enum cv_ruleset_fate fate =
		cv_ruleset_judge(&bench->ruleset, chain, &packet, true, &culprit);

	if (fate == CV_FATE_PASSES)
		return;
	cv_address_format(pair->far, far);
	cv_remedy(remedy, "nft insert rule %s oifname %s accept",
		  cv_ruleset_chain_name(chain, chain_name),
		  pair->far_device ? pair->far_device : "DEVICE");
	cv_finding_add(
		bench->findings, fate == CV_FATE_HIT ? CV_FINDING_ERROR : CV_FINDING_WARNING,
		remedy, "%s %stranslates the source of packets to other nodes' pods (%s), %s",
		name_culprit(&culprit, name), fate == CV_FATE_HIT ? "" : "perhaps ", far,
		bench->input->report->nat_in_force ? "and comes before our rule against that"
						   : "and our rule against that is not there");
}

void cv_doctor_judge_nat(const struct cv_doctor_input *input, json_t *listed,
			 struct cv_findings *findings)
{
	static const enum cv_path paths[] = {CV_PATH_TUNNEL, CV_PATH_DIRECT};
	struct bench bench = {.input = input, .findings = findings};
	size_t before = findings->troubles;

	if (cv_ruleset_init(&bench.ruleset, listed))
		return;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const json_t *chain;
		struct pair pair;
		size_t j;

		if (!find_pair(&bench, paths[i], &pair))
			continue;
		json_array_foreach(bench.ruleset.chains, j, chain)
		{
			if (is_earlier_nat(&bench, chain))
				judge_nat_chain(&bench, chain, &pair);
		}
	}
	if (findings->troubles == before)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "nobody's NAT comes before ours; natOutgoing is %s",
			       !input->intent->nat.source_count ? "not asked for"
			       : input->report->nat_in_force	? "in force"
								: "not in force");
	cv_ruleset_fini(&bench.ruleset);
}

void cv_doctor_check_firewall(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	if (input->ruleset_error)
		cv_finding_add(findings, CV_FINDING_WARNING, "nft list ruleset",
			       "nftables' rules cannot be listed, nor judged: %s",
			       strerror(-input->ruleset_error));
	if (input->ruleset)
		cv_doctor_judge_firewall(input, input->ruleset, findings);
}

void cv_doctor_check_nat(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_node_report *report = input->report;

	if (report->nat_problem[0])
		cv_finding_add(findings, CV_FINDING_ERROR, "nft list tables", "%s",
			       report->nat_problem);
	if (input->ruleset)
		cv_doctor_judge_nat(input, input->ruleset, findings);
}
