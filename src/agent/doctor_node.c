/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of resources: what is broken, missing, or not acted on. Asks the kernel nothing. */
#include "agent/doctor_node.h"

#include <strings.h>
#include <string.h>

enum {
	LINES_MAX = 20, /* of one kind; the rest is counted */
};

/* ---- the store --------------------------------------------------------------------------- */

/* "…: Node a1: spec.orchRefs is not acted on": of a field, not of a network policy. */
static bool is_unused_field(const char *text)
{
	const char *field = strstr(text, ": spec.");

	return field && strstr(field, " is not acted on");
}

/* Fields that somebody else acts on are no trouble here, but dozens in an export of Calico's. */
static void add_store_warnings(const struct cv_messages *messages, struct cv_findings *findings)
{
	const char *first = NULL;
	size_t count = 0, shown = 0, more = 0;

	for (size_t i = 0; i < messages->count; i++) {
		const char *text = messages->texts[i];

		if (is_unused_field(text)) {
			first = first ? first : text;
			count++;
		} else if (shown < LINES_MAX) {
			cv_finding_add(findings, CV_FINDING_WARNING, NULL, "%s", text);
			shown++;
		} else {
			more++;
		}
	}
	if (more)
		cv_finding_add(findings, CV_FINDING_WARNING, NULL,
			       "... and %zu more warnings like these", more);
	if (count)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%zu field%s not acted on, which `culvert -s status` lists: %s",
			       count, count == 1 ? " is" : "s are", first);
}

static void add_messages(const struct cv_messages *messages, const char *remedy,
			 struct cv_findings *findings)
{
	size_t shown = messages->count < LINES_MAX ? messages->count : LINES_MAX;

	for (size_t i = 0; i < shown; i++)
		cv_finding_add(findings, CV_FINDING_WARNING, remedy, "%s", messages->texts[i]);
	if (shown < messages->count)
		cv_finding_add(findings, CV_FINDING_WARNING, remedy,
			       "... and %zu more warnings like these", messages->count - shown);
}

void cv_doctor_check_store(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_snapshot *snapshot = input->intent->snapshot;

	if (input->store_problem)
		cv_finding_add(findings, CV_FINDING_ERROR,
			       "mend that line: culvertd reads the file again by itself",
			       "the resources as they are now are not in force; the last good ones "
			       "are: %s",
			       input->store_problem);
	if (input->store_warnings)
		add_store_warnings(input->store_warnings, findings);
	if (!snapshot->count)
		cv_finding_add(findings, CV_FINDING_OK,
			       "culvert plan --pool 10.244.0.0/16 NAME=ADDRESS/LENGTH ...",
			       "there are no resources; tunnels are only those of `culvert tunnel "
			       "add`");
	else if (!input->store_problem)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%zu resource%s in force (digest %.12s)", snapshot->count,
			       snapshot->count == 1 ? " is" : "s are",
			       cv_snapshot_digest(snapshot));
}

/* ---- this node --------------------------------------------------------------------------- */

/* A Node that has this host's address, or nearly its name, and is not taken for this one. */
static const struct cv_resource *find_namesake(const struct cv_intent *intent)
{
	const struct cv_self *self = &intent->self;
	size_t count, length = strcspn(self->name, ".");
	struct cv_resource *const *nodes = cv_snapshot_kind(intent->snapshot, CV_KIND_NODE, &count);

	for (size_t i = 0; i < count; i++) {
		const char *name = nodes[i]->name;

		if (self->address && nodes[i]->node.address == self->address)
			return nodes[i];
		if (strcspn(name, ".") == length && !strncasecmp(name, self->name, length))
			return nodes[i];
	}
	return NULL;
}

static void check_name(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_self *self = &input->intent->self;
	const struct cv_resource *namesake;
	char remedy[CV_REMEDY_MAX];
	size_t count;

	cv_snapshot_kind(input->intent->snapshot, CV_KIND_NODE, &count);
	if (self->node || !count)
		return;
	namesake = find_namesake(input->intent);
	if (namesake) {
		cv_finding_add(findings, CV_FINDING_ERROR,
			       cv_remedy(remedy, "culvertd --node %s", namesake->name),
			       "this node's name is %s, and there is no such Node, but a Node %s, "
			       "which is probably this one",
			       self->name, namesake->name);
		return;
	}
	cv_finding_add(findings, CV_FINDING_ERROR,
		       "culvertd --node NAME (a Node's), or add a Node of this name",
		       "this node's name is %s, and there is no such Node: the others do not know "
		       "it",
		       self->name);
}

void cv_doctor_check_self(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_intent *intent = input->intent;
	const struct cv_self *self = &intent->self;
	const struct cv_prefix address = {self->address, self->prefix_length};
	const struct cv_node_report *report = input->report;
	char text[CV_PREFIX_TEXT_MAX];

	if (!intent->snapshot->count)
		return;
	check_name(input, findings);
	if (self->address)
		cv_finding_add(findings, CV_FINDING_OK, NULL, "this node is %s, %s (%s)%s",
			       self->name, cv_prefix_format(&address, text), self->how,
			       self->prefix_length == 32
				       ? "; a /32 is in nobody's subnet: CrossSubnet means tunnel"
				       : "");
	else
		cv_finding_add(findings, CV_FINDING_ERROR,
			       "culvertd --address-detection interface=NAME, or give the Node a "
			       "bgp.ipv4Address",
			       "this node, %s, has no address: %s", self->name, self->problem);
	if (intent->no_block)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "add a BlockAffinity, as the warning below says",
			       "no prefix is this node's: pods and machines here have no addresses "
			       "of a pool");
	/* Among these are the snapshot's, the block to add, and a pool device without address. */
	add_messages(&intent->warnings, NULL, findings);
	if (report->device_problem[0])
		cv_finding_add(findings, CV_FINDING_ERROR, "culvert tunnel show", "%s",
			       report->device_problem);
}

/* ---- the others -------------------------------------------------------------------------- */

static size_t count_without_address(const struct cv_snapshot *snapshot, const char *self,
				    const char **ret_first)
{
	size_t count, without = 0;
	struct cv_resource *const *nodes = cv_snapshot_kind(snapshot, CV_KIND_NODE, &count);

	for (size_t i = 0; i < count; i++) {
		if (nodes[i]->node.address || !strcmp(nodes[i]->name, self))
			continue;
		if (!without++)
			*ret_first = nodes[i]->name;
	}
	return without;
}

static size_t count_unreachable(const struct cv_intent *intent, const struct cv_decision **ret)
{
	size_t count = 0;

	for (size_t i = 0; i < intent->decision_count; i++) {
		if (intent->decisions[i].path != CV_PATH_NONE)
			continue;
		if (!count++)
			*ret = &intent->decisions[i];
	}
	return count;
}

static void check_prefixes(const struct cv_intent *intent, struct cv_findings *findings)
{
	const struct cv_decision *first = NULL;
	size_t count = count_unreachable(intent, &first);
	char text[CV_PREFIX_TEXT_MAX], remedy[CV_REMEDY_MAX], address[CV_ADDRESS_TEXT_MAX];

	if (!count)
		return;
	cv_address_format(first->claim.prefix.address, address);
	cv_finding_add(findings, CV_FINDING_WARNING, cv_remedy(remedy, "culvert trace %s", address),
		       "to %zu prefix%s there is no way, %s%s: %s", count, count == 1 ? "" : "es",
		       count == 1 ? "" : "the first is ",
		       cv_prefix_format(&first->claim.prefix, text),
		       cv_path_reason_text(first->reason));
}

void cv_doctor_check_peers(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_intent *intent = input->intent;
	size_t without, no_route = 0;
	const char *first = NULL;
	char remedy[CV_REMEDY_MAX], address[CV_ADDRESS_TEXT_MAX];

	if (!intent->snapshot->count)
		return;
	without = count_without_address(intent->snapshot, intent->self.name, &first);
	if (without)
		cv_finding_add(findings, CV_FINDING_ERROR,
			       cv_remedy(remedy, "culvert get node %s -o yaml", first),
			       "%zu node%s no bgp.ipv4Address, %s%s: nothing can be sent there",
			       without, without == 1 ? " has" : "s have",
			       without == 1 ? "" : "the first is ", first);
	for (size_t i = 0; i < intent->peer_count; i++) {
		const struct cv_peer_intent *peer = &intent->peers[i];

		if (cv_doctor_peer_oif(input, i) || no_route++ >= LINES_MAX)
			continue;
		cv_address_format(peer->address, address);
		cv_finding_add(findings, CV_FINDING_ERROR,
			       cv_remedy(remedy, "ip route get %s", address),
			       "this host has no route to node %s (%s)", peer->node->name, address);
	}
	check_prefixes(intent, findings);
	if (!intent->peer_count)
		cv_finding_add(findings, CV_FINDING_OK, NULL, "no other nodes are known");
	else if (!without && !no_route)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%zu other node%s known, and this host has a route to %s",
			       intent->peer_count, intent->peer_count == 1 ? " is" : "s are",
			       intent->peer_count == 1 ? "it" : "each");
}
