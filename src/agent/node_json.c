/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the node agent knows, as JSON in the form of protocol.md. Strings of others (names of
 * devices and files, and the messages with them) go through cv_json_text.
 */
#include "agent/node_json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json_text.h"
#include "routing/wanted.h"

json_t *cv_messages_to_json(const struct cv_messages *messages)
{
	json_t *array = json_array();

	for (size_t i = 0; i < messages->count; i++)
		json_array_append_new(array, cv_json_text(messages->texts[i]));
	return array;
}

static json_t *address_to_json(__be32 address, uint8_t length)
{
	struct cv_prefix prefix = {address, length};
	char text[CV_PREFIX_TEXT_MAX];

	return address ? json_string(cv_prefix_format(&prefix, text)) : json_null();
}

static json_t *self_to_json(const struct cv_self *self)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "name", cv_json_text(self->name), "address",
			 address_to_json(self->address, self->prefix_length), "how",
			 cv_json_text_or_null(self->how), "problem",
			 cv_json_text_or_null(self->problem));
}

static json_t *store_to_json(const struct cv_store *store)
{
	const struct cv_snapshot *snapshot = cv_store_snapshot(store);

	return json_pack("{s:o, s:o, s:s, s:I, s:o}", "datastore",
			 cv_json_text_or_null(cv_store_datastore(store)), "directory",
			 cv_json_text(cv_store_directory(store)), "digest",
			 cv_snapshot_digest(snapshot), "resources", (json_int_t)snapshot->count,
			 "problem", cv_json_text_or_null(cv_store_problem(store)));
}

static json_t *pools_to_json(const struct cv_intent *intent)
{
	size_t count;
	struct cv_resource *const *pools =
		cv_snapshot_kind(intent->snapshot, CV_KIND_IP_POOL, &count);
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct cv_ip_pool *pool = &pools[i]->pool;
		char cidr[CV_PREFIX_TEXT_MAX];
		json_int_t blocks = 0;

		for (size_t j = 0; j < intent->decision_count; j++)
			blocks += intent->decisions[j].claim.pool == pools[i];
		json_array_append_new(
			array, json_pack("{s:s, s:s, s:s, s:b, s:b, s:I}", "name", pools[i]->name,
					 "cidr", cv_prefix_format(&pool->cidr, cidr), "ipip_mode",
					 cv_ipip_mode_name(pool->ipip_mode), "nat_outgoing",
					 (int)pool->nat_outgoing, "disabled", (int)pool->disabled,
					 "blocks", blocks));
	}
	return array;
}

static json_t *device_to_json(const struct cv_node_agent *node, struct cv_tunnel_set *tunnels)
{
	const struct cv_intent *intent = cv_node_intent(node);
	const struct cv_node_report *report = cv_node_report(node);
	const char *name = cv_node_pool_device(node);
	struct cv_tunnel_status status = {.reason = "it is not there"};

	if (!intent->has_device)
		return json_null();
	for (size_t i = 0; i < cv_tunnel_set_count(tunnels); i++) {
		if (!strcmp(cv_tunnel_set_config(tunnels, i)->name, name))
			cv_tunnel_set_status(tunnels, i, &status);
	}
	return json_pack("{s:o, s:o, s:b, s:I, s:o, s:s, s:o, s:o}", "name", cv_json_text(name),
			 "address", address_to_json(intent->tunnel_address, 32), "address_chosen",
			 (int)intent->tunnel_address_chosen, "mtu", (json_int_t)status.mtu,
			 "mtu_how", cv_json_text_or_null(intent->mtu_how), "state",
			 status.active && status.up ? "active" : "suspended", "problem",
			 cv_json_text_or_null(report->device_problem[0] ? report->device_problem
					      : status.active		? ""
									: status.reason),
			 "no_fastpath", cv_json_text_or_null(status.no_fastpath));
}

/* What the pool device has counted, for a search. */
struct traffic {
	struct cv_peer_counters *list;
	size_t count;
};

/* Null where nothing can be told. Who is reached directly alone is counted by nobody of us. */
static json_t *counters_to_json(const struct traffic *traffic, __be32 address)
{
	const struct cv_peer_counters *counters =
		cv_peer_counters_find(traffic->list, traffic->count, address);

	if (!counters || counters->is_partial)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I}", "rx_packets", (json_int_t)counters->rx_packets,
			 "rx_bytes", (json_int_t)counters->rx_bytes, "tx_packets",
			 (json_int_t)counters->tx_packets, "tx_bytes",
			 (json_int_t)counters->tx_bytes);
}

/* Why, in the words of its first prefix's decision; several pools may differ. */
static json_t *peer_to_json(const struct cv_peer_intent *peer, const struct traffic *traffic)
{
	return json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "name", peer->node->name,
			 "address", address_to_json(peer->address, peer->prefix_length), "path",
			 cv_peer_path_name(peer), "reason",
			 peer->prefixes ? cv_path_reason_text(peer->reason) : "it owns no prefix",
			 "prefixes", (json_int_t)peer->prefixes, "tunnelled",
			 (json_int_t)peer->tunnelled, "direct", (json_int_t)peer->direct,
			 "underlay", (json_int_t)peer->underlay, "counters",
			 counters_to_json(traffic, peer->address));
}

static json_t *peers_to_json(const struct cv_node_agent *node, const struct cv_tunnel_set *tunnels)
{
	const struct cv_intent *intent = cv_node_intent(node);
	struct traffic traffic = {.list = NULL};
	json_t *array = json_array();

	if (cv_tunnel_set_peer_counters(tunnels, cv_node_pool_device(node), &traffic.list,
					&traffic.count))
		traffic.count = 0;

	for (size_t i = 0; i < intent->peer_count; i++) {
		json_array_append_new(array, peer_to_json(&intent->peers[i], &traffic));
	}
	free(traffic.list);
	return array;
}

static json_t *warnings_to_json(const struct cv_node_agent *node)
{
	const struct cv_messages *files = cv_store_warnings(cv_node_store(node));
	const struct cv_intent *intent = cv_node_intent(node);
	const struct cv_node_report *report = cv_node_report(node);
	json_t *array = cv_messages_to_json(&intent->warnings);

	for (size_t i = 0; i < files->count; i++)
		json_array_append_new(array, cv_json_text(files->texts[i]));
	/* With a pool device, it is told there; a Tunnel may have one without. */
	if (report->device_problem[0] && !intent->has_device)
		json_array_append_new(array, cv_json_text(report->device_problem));
	return array;
}

void cv_node_add_status(const struct cv_node_agent *node, struct cv_tunnel_set *tunnels,
			json_t *status)
{
	const struct cv_intent *intent = cv_node_intent(node);
	const struct cv_node_report *report = cv_node_report(node);

	json_object_set_new(status, "node", self_to_json(&intent->self));
	json_object_set_new(status, "store", store_to_json(cv_node_store(node)));
	json_object_set_new(status, "pools", pools_to_json(intent));
	json_object_set_new(status, "pool_device", device_to_json(node, tunnels));
	json_object_set_new(status, "peers", peers_to_json(node, tunnels));
	json_object_set_new(
		status, "routes",
		json_pack("{s:I, s:I, s:o, s:I, s:i}", "wanted", (json_int_t)intent->route_count,
			  "failed", (json_int_t)report->routes_failed, "first_failure",
			  cv_json_text_or_null(report->route_failure), "repaired",
			  (json_int_t)report->routes_repaired, "protocol", (int)intent->protocol));
	json_object_set_new(status, "nat",
			    json_pack("{s:b, s:b, s:o}", "wanted", (int)intent->nat.wanted,
				      "in_force", (int)report->nat_in_force, "problem",
				      cv_json_text_or_null(report->nat_problem)));
	json_object_set_new(
		status, "reconcile",
		json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)report->reconciles, "errors",
			  (json_int_t)report->errors, "last_us", (json_int_t)report->last_us,
			  "longest_us", (json_int_t)report->longest_us));
	json_object_set_new(status, "warnings", warnings_to_json(node));
}

/* ---- what comes next -------------------------------------------------------------------- */

static void add_line(json_t *lines, const char *text)
{
	json_array_append_new(lines, cv_json_text(text));
}

static json_t *next_steps(const struct cv_intent *intent, bool is_shared)
{
	json_t *lines = json_array();
	char text[384];
	size_t pools, tunnels, paths;

	cv_snapshot_kind(intent->snapshot, CV_KIND_IP_POOL, &pools);
	cv_snapshot_kind(intent->snapshot, CV_KIND_TUNNEL, &tunnels);
	cv_snapshot_kind(intent->snapshot, CV_KIND_PATH_CONFIGURATION, &paths);
	if (intent->self.problem[0])
		add_line(lines, intent->self.problem);
	if (cv_decide_is_ipip_off(&intent->felix) && intent->overlay.encapsulated.count)
		add_line(lines, cv_intent_ipip_off_text);
	if (!pools) {
		if (!tunnels && !paths)
			add_line(lines, "add an IPPool; \"culvert plan\" prints a whole overlay");
		return lines;
	}
	if (!intent->peer_count && is_shared) {
		add_line(lines, "start culvertd on the other nodes, with this datastore: they "
				"register themselves, and have these resources");
	} else if (!intent->peer_count) {
		snprintf(text, sizeof(text),
			 "add the other nodes: a Node with bgp.ipv4Address, and a BlockAffinity "
			 "for what it owns, each (\"culvert plan --pool CIDR %s=%s … "
			 "NAME=ADDR/LEN\" "
			 "prints them); and apply the same on every host",
			 intent->self.name, "ADDR/LEN");
		add_line(lines, text);
	}
	if (intent->no_block)
		add_line(lines, intent->no_block);
	if (intent->peer_count) {
		snprintf(text, sizeof(text), "culvert doctor %s", intent->peers[0].node->name);
		add_line(lines, text);
	}
	return lines;
}

json_t *cv_node_summary_to_json(const struct cv_node_agent *node)
{
	const struct cv_intent *intent = cv_node_intent(node);
	json_t *json = self_to_json(&intent->self);

	/* protocol.md calls the name "node" here. */
	json_object_set(json, "node", json_object_get(json, "name"));
	json_object_del(json, "name");
	json_object_set_new(json, "others", json_integer((json_int_t)intent->peer_count));
	json_object_set_new(json, "next",
			    next_steps(intent, cv_store_datastore(cv_node_store(node))));
	return json;
}
