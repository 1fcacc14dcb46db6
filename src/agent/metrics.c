/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All metrics, one table: name, type, help, and what prints its samples. Everything that several
 * need is asked for once, before (struct scrape). Counters begin at 0 with culvertd, but those of
 * the fast path, which outlive it: rate() takes either for a restart.
 */
#include "agent/metrics.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/metrics_writer.h"

enum {
	UNDERLAYS_MAX = 64
};

/* One tunnel as it is now. */
struct tunnel {
	struct cv_tunnel_status status;
	struct cv_counters engine, sum; /* sum: of engine and fast path */
	struct cv_fastpath_share share;
};

/* What was asked for. */
struct scrape {
	const struct cv_metrics_input *input;
	const struct cv_intent *intent;	     /* NULL: no node agent */
	const struct cv_node_report *report; /* NULL with it */
	const struct cv_snapshot *snapshot;  /* NULL with it */
	struct tunnel *tunnels;
	size_t tunnel_count;
	struct cv_peer_counters *peers; /* of the pool device */
	size_t peer_count;
	struct cv_counters rest; /* of no tunnel */
	struct cv_fastpath_share rest_share;
	size_t bypassed;
};

/* ---- asking -------------------------------------------------------------------------------- */

static void ask_tunnel(const struct scrape *scrape, size_t index, struct tunnel *tunnel)
{
	const struct cv_metrics_input *input = scrape->input;

	cv_tunnel_set_status(input->tunnels, index, &tunnel->status);
	if (!input->engine || !tunnel->status.active ||
	    cv_engine_tunnel_counters(input->engine, tunnel->status.ifindex, &tunnel->engine))
		memset(&tunnel->engine, 0, sizeof(tunnel->engine));
	tunnel->sum = tunnel->engine;
	if (input->fastpath && tunnel->status.ifindex)
		cv_fastpath_counters(input->fastpath, tunnel->status.ifindex, &tunnel->sum,
				     &tunnel->share);
}

static bool ask(struct scrape *scrape)
{
	const struct cv_metrics_input *input = scrape->input;
	size_t count = input->tunnels ? cv_tunnel_set_count(input->tunnels) : 0;
	struct cv_endpoint_status endpoint;

	if (input->node) {
		scrape->intent = cv_node_intent(input->node);
		scrape->report = cv_node_report(input->node);
		scrape->snapshot = scrape->intent->snapshot;
	}
	scrape->tunnels = calloc(count + 1, sizeof(*scrape->tunnels));
	if (!scrape->tunnels)
		return false;
	for (size_t i = 0; i < count; i++)
		ask_tunnel(scrape, i, &scrape->tunnels[i]);
	if (input->tunnels && input->node &&
	    cv_tunnel_set_peer_counters(input->tunnels, cv_node_pool_device(input->node),
					&scrape->peers, &scrape->peer_count))
		scrape->peer_count = 0;
	scrape->tunnel_count = count;
	if (input->engine)
		cv_engine_counters(input->engine, &scrape->rest);
	if (input->fastpath)
		cv_fastpath_counters(input->fastpath, 0, &scrape->rest, &scrape->rest_share);
	count = input->endpoints ? cv_endpoint_set_count(input->endpoints) : 0;
	for (size_t i = 0; i < count; i++) {
		cv_endpoint_set_status(input->endpoints, i, &endpoint);
		scrape->bypassed += endpoint.wanted && endpoint.in_force;
	}
	return true;
}

/* ---- culvertd ------------------------------------------------------------------------------- */

static void print_info(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	(void)scrape;
	cv_metrics_sample(writer, 1, "version", CV_VERSION);
}

static void print_workers(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->input->engine)
		cv_metrics_sample(writer, cv_engine_workers(scrape->input->engine), "");
}

static void print_kernel_tunnel(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->input->tunnels)
		cv_metrics_sample(writer, *cv_tunnel_set_kernel_tunnel(scrape->input->tunnels) != 0,
				  "");
}

static void print_fastpath_on(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->input->engine)
		cv_metrics_sample(writer, scrape->input->fastpath != NULL, "");
}

static void print_underlays(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	char names[UNDERLAYS_MAX][IFNAMSIZ];
	size_t count = 0;

	if (scrape->input->fastpath)
		count = cv_fastpath_underlays(scrape->input->fastpath, names, UNDERLAYS_MAX);
	for (size_t i = 0; i < count; i++)
		cv_metrics_sample(writer, 1, "device", names[i]);
}

static void print_endpoints(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->input->endpoints)
		cv_metrics_sample(writer, (double)cv_endpoint_set_count(scrape->input->endpoints),
				  "");
}

static void print_bypassed(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->input->endpoints)
		cv_metrics_sample(writer, (double)scrape->bypassed, "");
}

static void print_local(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->input->engine)
		cv_metrics_sample(writer, (double)scrape->rest_share.local_packets, "");
}

static void print_capture(const struct scrape *scrape, struct cv_metrics_writer *writer,
			  const char *member)
{
	json_t *status =
		scrape->input->capturers ? cv_capturers_status(scrape->input->capturers) : NULL;

	if (status)
		cv_metrics_sample(writer, json_number_value(json_object_get(status, member)), "");
	json_decref(status);
}

static void print_captures(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	print_capture(scrape, writer, "capturers");
}

static void print_snap(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	print_capture(scrape, writer, "snap");
}

/* ---- resources ------------------------------------------------------------------------------ */

static void print_node_info(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	const struct cv_self *self;
	struct cv_prefix address;
	char text[CV_PREFIX_TEXT_MAX];

	if (!scrape->intent)
		return;
	self = &scrape->intent->self;
	address = (struct cv_prefix){self->address, self->prefix_length};
	cv_metrics_sample(writer, 1, "node address how", self->name,
			  self->address ? cv_prefix_format(&address, text) : "", self->how);
}

static void print_node_address(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->intent)
		cv_metrics_sample(writer,
				  scrape->intent->self.address && !scrape->intent->self.problem[0],
				  "");
}

static void print_resources(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (enum cv_kind kind = 0; scrape->snapshot && kind < CV_KIND_MAX; kind++) {
		size_t count;

		cv_snapshot_kind(scrape->snapshot, kind, &count);
		cv_metrics_sample(writer, (double)count, "kind", cv_kind_name(kind));
	}
}

static void print_store_info(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->snapshot)
		cv_metrics_sample(writer, 1, "directory digest",
				  cv_store_directory(cv_node_store(scrape->input->node)),
				  cv_snapshot_digest(scrape->snapshot));
}

static void print_store_broken(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->input->node)
		cv_metrics_sample(writer,
				  cv_store_problem(cv_node_store(scrape->input->node)) != NULL, "");
}

static void print_warnings(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->input->node)
		cv_metrics_sample(
			writer,
			(double)(cv_store_warnings(cv_node_store(scrape->input->node))->count +
				 scrape->intent->warnings.count),
			"");
}

static void for_each_pool(const struct scrape *scrape, struct cv_metrics_writer *writer,
			  void (*print)(const struct scrape *scrape,
					struct cv_metrics_writer *writer,
					const struct cv_resource *pool))
{
	size_t count = 0;
	struct cv_resource *const *pools =
		scrape->snapshot ? cv_snapshot_kind(scrape->snapshot, CV_KIND_IP_POOL, &count)
				 : NULL;

	for (size_t i = 0; i < count; i++)
		print(scrape, writer, pools[i]);
}

static void print_one_pool(const struct scrape *scrape, struct cv_metrics_writer *writer,
			   const struct cv_resource *pool)
{
	char cidr[CV_PREFIX_TEXT_MAX];

	(void)scrape;
	cv_metrics_sample(
		writer, 1, "pool cidr ipip_mode nat_outgoing disabled", pool->name,
		cv_prefix_format(&pool->pool.cidr, cidr), cv_ipip_mode_name(pool->pool.ipip_mode),
		pool->pool.nat_outgoing ? "true" : "false", pool->pool.disabled ? "true" : "false");
}

static void print_pools(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for_each_pool(scrape, writer, print_one_pool);
}

static void print_one_pool_claims(const struct scrape *scrape, struct cv_metrics_writer *writer,
				  const struct cv_resource *pool)
{
	size_t claims = 0;

	for (size_t i = 0; i < scrape->intent->decision_count; i++)
		claims += scrape->intent->decisions[i].claim.pool == pool;
	cv_metrics_sample(writer, (double)claims, "pool", pool->name);
}

static void print_pool_claims(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for_each_pool(scrape, writer, print_one_pool_claims);
}

static void print_pool_device(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	char address[CV_ADDRESS_TEXT_MAX] = "";

	if (!scrape->intent || !scrape->intent->has_device)
		return;
	if (scrape->intent->tunnel_address)
		cv_address_format(scrape->intent->tunnel_address, address);
	cv_metrics_sample(writer, 1, "device address", cv_node_pool_device(scrape->input->node),
			  address);
}

/* ---- decisions ------------------------------------------------------------------------------ */

static void print_peers(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	static const char *const paths[] = {"tunnel", "direct", "underlay", "mixed", "none"};
	const struct cv_intent *intent = scrape->intent;

	for (size_t i = 0; intent && i < sizeof(paths) / sizeof(paths[0]); i++) {
		size_t count = 0;

		for (size_t j = 0; j < intent->peer_count; j++)
			count += !strcmp(cv_peer_path_name(&intent->peers[j]), paths[i]);
		cv_metrics_sample(writer, (double)count, "path", paths[i]);
	}
}

static void print_prefixes(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	const struct cv_intent *intent = scrape->intent;
	size_t counts[CV_PATH_NONE + 1] = {0};

	for (size_t i = 0; intent && i < intent->decision_count; i++)
		counts[intent->decisions[i].path]++;
	for (enum cv_path path = 0; intent && path <= CV_PATH_NONE; path++)
		cv_metrics_sample(writer, (double)counts[path], "path", cv_path_name(path));
}

static void print_routes_wanted(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->intent)
		cv_metrics_sample(writer, (double)scrape->intent->route_count, "");
}

static void print_routes_failed(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->report)
		cv_metrics_sample(writer, (double)scrape->report->routes_failed, "");
}

static void print_routes_repaired(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->report)
		cv_metrics_sample(writer, (double)scrape->report->routes_repaired, "");
}

static void print_nat_wanted(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->intent)
		cv_metrics_sample(writer, scrape->intent->nat.wanted, "");
}

static void print_nat_in_force(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->report)
		cv_metrics_sample(writer, scrape->report->nat_in_force, "");
}

static void print_problems(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (!scrape->report)
		return;
	cv_metrics_sample(writer, scrape->report->device_problem[0] != 0, "part", "devices");
	cv_metrics_sample(writer, scrape->report->route_failure[0] != 0, "part", "routes");
	cv_metrics_sample(writer, scrape->report->nat_problem[0] != 0, "part", "nat");
}

static void print_reconciles(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->report)
		cv_metrics_sample(writer, (double)scrape->report->reconciles, "");
}

static void print_errors(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->report)
		cv_metrics_sample(writer, (double)scrape->report->errors, "");
}

static void print_last(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->report)
		cv_metrics_sample(writer, (double)scrape->report->last_us / 1e6, "");
}

static void print_longest(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (scrape->report)
		cv_metrics_sample(writer, (double)scrape->report->longest_us / 1e6, "");
}

/* ---- peers ---------------------------------------------------------------------------------- */

/*
 * Only those with whom there was traffic: in an overlay of 5,000 nodes all series of all peers
 * would be 100 million. External nodes have no name.
 */
static void for_each_peer(const struct scrape *scrape, struct cv_metrics_writer *writer,
			  void (*print)(struct cv_metrics_writer *writer, const char *name,
					const char *address, const struct cv_peer_counters *peer))
{
	for (size_t i = 0; i < scrape->peer_count; i++) {
		const struct cv_peer_counters *peer = &scrape->peers[i];
		const struct cv_peer_intent *intent;
		char address[CV_ADDRESS_TEXT_MAX];

		if (peer->is_partial || !(peer->rx_packets | peer->tx_packets))
			continue;
		intent = cv_intent_peer(scrape->intent, peer->address);
		cv_address_format(peer->address, address);
		print(writer, intent ? intent->node->name : "", address, peer);
	}
}

static void print_peer(struct cv_metrics_writer *writer, const char *name, const char *address,
		       uint64_t rx, uint64_t tx)
{
	static const char labels[] = "peer address direction";

	cv_metrics_sample(writer, (double)rx, labels, name, address, "rx");
	cv_metrics_sample(writer, (double)tx, labels, name, address, "tx");
}

static void print_one_peer_packets(struct cv_metrics_writer *writer, const char *name,
				   const char *address, const struct cv_peer_counters *peer)
{
	print_peer(writer, name, address, peer->rx_packets, peer->tx_packets);
}

static void print_one_peer_bytes(struct cv_metrics_writer *writer, const char *name,
				 const char *address, const struct cv_peer_counters *peer)
{
	print_peer(writer, name, address, peer->rx_bytes, peer->tx_bytes);
}

static void print_peer_packets(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for_each_peer(scrape, writer, print_one_peer_packets);
}

static void print_peer_bytes(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for_each_peer(scrape, writer, print_one_peer_bytes);
}

/* ---- tunnels -------------------------------------------------------------------------------- */

static void print_tunnel_active(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		cv_metrics_sample(writer, tunnel->status.active, "tunnel",
				  tunnel->status.config->name);
	}
}

static void print_tunnel_up(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		cv_metrics_sample(writer, tunnel->status.up, "tunnel", tunnel->status.config->name);
	}
}

static void print_tunnel_fastpath(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		cv_metrics_sample(writer, tunnel->status.no_fastpath == NULL, "tunnel",
				  tunnel->status.config->name);
	}
}

static void print_tunnel_mtu(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		cv_metrics_sample(writer, tunnel->status.mtu, "tunnel",
				  tunnel->status.config->name);
	}
}

/* Of one direction and path. */
static void print_way(struct cv_metrics_writer *writer, const struct tunnel *tunnel,
		      const char *direction, const char *path, uint64_t value)
{
	cv_metrics_sample(writer, (double)value, "tunnel direction path",
			  tunnel->status.config->name, direction, path);
}

static void print_packets(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		print_way(writer, tunnel, "rx", "fast", tunnel->share.rx_packets);
		print_way(writer, tunnel, "rx", "engine", tunnel->engine.rx_packets);
		print_way(writer, tunnel, "tx", "fast", tunnel->share.tx_packets);
		print_way(writer, tunnel, "tx", "engine", tunnel->engine.tx_packets);
	}
}

static void print_bytes(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		print_way(writer, tunnel, "rx", "fast", tunnel->share.rx_bytes);
		print_way(writer, tunnel, "rx", "engine", tunnel->engine.rx_bytes);
		print_way(writer, tunnel, "tx", "fast", tunnel->share.tx_bytes);
		print_way(writer, tunnel, "tx", "engine", tunnel->engine.tx_bytes);
	}
}

static void print_direction(struct cv_metrics_writer *writer, const struct tunnel *tunnel,
			    const char *direction, uint64_t value)
{
	cv_metrics_sample(writer, (double)value, "tunnel direction", tunnel->status.config->name,
			  direction);
}

static void print_endpoint_packets(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		print_direction(writer, tunnel, "rx", tunnel->share.rx_endpoint_packets);
		print_direction(writer, tunnel, "tx", tunnel->share.tx_endpoint_packets);
	}
}

static void print_handed_over(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		print_direction(writer, tunnel, "rx", tunnel->share.in_handed_over);
		print_direction(writer, tunnel, "tx", tunnel->share.out_handed_over);
	}
}

static void print_tunnel_drops(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		for (enum cv_drop i = CV_DROP_NONE + 1; i < CV_DROP_MAX; i++)
			cv_metrics_sample(writer, (double)tunnel->sum.drops[i], "tunnel reason",
					  tunnel->status.config->name, cv_drop_name(i));
	}
}

static void print_tunnel_events(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (size_t t = 0; t < scrape->tunnel_count; t++) {
		const struct tunnel *tunnel = &scrape->tunnels[t];

		for (enum cv_event i = 0; i < CV_EVENT_MAX; i++)
			cv_metrics_sample(writer, (double)tunnel->sum.events[i], "tunnel event",
					  tunnel->status.config->name, cv_event_name(i));
	}
}

static void print_drops(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (enum cv_drop i = CV_DROP_NONE + 1; scrape->input->engine && i < CV_DROP_MAX; i++)
		cv_metrics_sample(writer, (double)scrape->rest.drops[i], "reason", cv_drop_name(i));
}

static void print_events(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	for (enum cv_event i = 0; scrape->input->engine && i < CV_EVENT_MAX; i++)
		cv_metrics_sample(writer, (double)scrape->rest.events[i], "event",
				  cv_event_name(i));
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct {
	const char *name, *type, *help;
	void (*print)(const struct scrape *scrape, struct cv_metrics_writer *writer);
} metrics[] = {
	{"culvert_info", "gauge", "1; version: of culvertd", print_info},
	{"culvert_workers", "gauge", "Threads of the engine", print_workers},
	{"culvert_kernel_tunnel", "gauge",
	 "1: a tunnel of the kernel takes IP protocol 4 beside culvertd", print_kernel_tunnel},
	{"culvert_fastpath_on", "gauge", "1: the fast path is loaded; 0: the engine carries all",
	 print_fastpath_on},
	{"culvert_fastpath_underlay_info", "gauge", "1 for each network card that it takes from",
	 print_underlays},
	{"culvert_endpoints", "gauge", "Endpoints of this node", print_endpoints},
	{"culvert_endpoints_bypassed", "gauge", "Of these, past the host's stack", print_bypassed},
	{"culvert_local_packets_total", "counter", "Packets from endpoint to endpoint of this node",
	 print_local},
	{"culvert_captures", "gauge", "Captures under way", print_captures},
	{"culvert_capture_snap_bytes", "gauge", "Bytes recorded of a packet for them", print_snap},
	{"culvert_node_info", "gauge", "1; this node: its name, address, and how that was found",
	 print_node_info},
	{"culvert_node_has_address", "gauge", "0: this node has no address, and no pool works",
	 print_node_address},
	{"culvert_resources", "gauge", "Resources in force, by kind", print_resources},
	{"culvert_store_info", "gauge", "1; digest: the same on hosts with the same resources",
	 print_store_info},
	{"culvert_store_broken", "gauge", "1: a file has an error, the last good state is in force",
	 print_store_broken},
	{"culvert_warnings", "gauge", "Warnings of resources and decisions", print_warnings},
	{"culvert_pool_info", "gauge", "1 for each IPPool", print_pools},
	{"culvert_pool_claims", "gauge", "Blocks and workloads in an IPPool", print_pool_claims},
	{"culvert_pool_device_info", "gauge", "1; the pool device and its address",
	 print_pool_device},
	{"culvert_peers", "gauge", "Other nodes, by the way that their prefixes are reached",
	 print_peers},
	{"culvert_prefixes", "gauge", "Claimed prefixes, by the way that they are reached",
	 print_prefixes},
	{"culvert_routes_wanted", "gauge", "Routes that culvertd is to keep", print_routes_wanted},
	{"culvert_routes_failed", "gauge", "Of these, not made at the last attempt",
	 print_routes_failed},
	{"culvert_routes_repaired_total", "counter", "Routes that had gone or were changed",
	 print_routes_repaired},
	{"culvert_nat_wanted", "gauge", "1: there is to be NAT", print_nat_wanted},
	{"culvert_nat_in_force", "gauge", "1: there is", print_nat_in_force},
	{"culvert_problem", "gauge", "1: the last reconcile did not make this part as wanted",
	 print_problems},
	{"culvert_reconciles_total", "counter", "Times that all was looked at and made right",
	 print_reconciles},
	{"culvert_reconcile_errors_total", "counter", "Of these, with a problem", print_errors},
	{"culvert_reconcile_last_seconds", "gauge", "How long the last one took", print_last},
	{"culvert_reconcile_longest_seconds", "gauge", "How long the longest one took",
	 print_longest},
	{"culvert_tunnel_active", "gauge", "1: the tunnel is carried; 0: suspended",
	 print_tunnel_active},
	{"culvert_tunnel_up", "gauge", "1: its device is up", print_tunnel_up},
	{"culvert_tunnel_fastpath", "gauge", "1: the fast path carries it; 0: the engine does",
	 print_tunnel_fastpath},
	{"culvert_tunnel_mtu_bytes", "gauge", "MTU of its device", print_tunnel_mtu},
	{"culvert_tunnel_packets_total", "counter", "Packets delivered (rx) and sent (tx)",
	 print_packets},
	{"culvert_tunnel_bytes_total", "counter", "Inner bytes of them", print_bytes},
	{"culvert_tunnel_endpoint_packets_total", "counter",
	 "Of the fast path's, straight to and from endpoints", print_endpoint_packets},
	{"culvert_tunnel_handed_over_total", "counter",
	 "Packets that the fast path gave to the engine", print_handed_over},
	{"culvert_tunnel_drops_total", "counter", "Packets dropped, by reason (culvert.8)",
	 print_tunnel_drops},
	{"culvert_tunnel_events_total", "counter", "Events that drop nothing (culvert.8)",
	 print_tunnel_events},
	{"culvert_peer_packets_total", "counter",
	 "Packets delivered (rx) and sent (tx) through the pool device, by peer",
	 print_peer_packets},
	{"culvert_peer_bytes_total", "counter", "Inner bytes of them", print_peer_bytes},
	{"culvert_drops_total", "counter", "Packets of no tunnel dropped, by reason", print_drops},
	{"culvert_events_total", "counter", "Events of no tunnel", print_events},
};

char *cv_metrics_text(const struct cv_metrics_input *input)
{
	struct scrape scrape = {.input = input};
	struct cv_metrics_writer writer;

	if (!ask(&scrape))
		return NULL;
	if (cv_metrics_writer_init(&writer)) {
		free(scrape.tunnels);
		free(scrape.peers);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		cv_metrics_family(&writer, metrics[i].name, metrics[i].type, metrics[i].help);
		metrics[i].print(&scrape, &writer);
	}
	free(scrape.tunnels);
	free(scrape.peers);
	return cv_metrics_writer_finish(&writer);
}
