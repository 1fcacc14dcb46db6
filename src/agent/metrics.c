/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All metrics but those of paths (metrics_paths.c), one table: name, type, help, and its number or
 * what prints its samples. Everything is asked for once, before (struct scrape). Counters begin at
 * 0 with culvertd, but those of the fast path, which outlive it: rate() takes either for a restart.
 */
#include "agent/metrics.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/metrics_bgp.h"
#include "agent/metrics_paths.h"
#include "agent/metrics_pods.h"
#include "agent/metrics_writer.h"

enum {
	UNDERLAYS_MAX = 64
};

/* The metrics that are one number, and have no labels. */
enum number {
	NO_NUMBER,
	WORKERS,
	KERNEL_TUNNEL,
	FASTPATH_ON,
	ENDPOINTS,
	ENDPOINTS_BYPASSED,
	LOCAL_PACKETS,
	CAPTURES,
	CAPTURE_SNAP,
	NODE_HAS_ADDRESS,
	STORE_BROKEN,
	WARNINGS,
	ROUTES_WANTED,
	ROUTES_FAILED,
	ROUTES_REPAIRED,
	NAT_WANTED,
	NAT_IN_FORCE,
	RECONCILES,
	RECONCILE_ERRORS,
	RECONCILE_LAST,
	RECONCILE_LONGEST,
	NUMBER_MAX
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
	struct cv_counters rest;    /* of no tunnel */
	double numbers[NUMBER_MAX]; /* NAN: not to be had */
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

static void ask_endpoints(const struct cv_endpoint_set *endpoints, double *numbers)
{
	size_t count = cv_endpoint_set_count(endpoints);
	struct cv_endpoint_status endpoint;

	numbers[ENDPOINTS] = (double)count;
	numbers[ENDPOINTS_BYPASSED] = 0;
	for (size_t i = 0; i < count; i++) {
		cv_endpoint_set_status(endpoints, i, &endpoint);
		numbers[ENDPOINTS_BYPASSED] += endpoint.wanted && endpoint.in_force;
	}
}

static void ask_capturers(const struct cv_capturers *capturers, double *numbers)
{
	json_t *status = cv_capturers_status(capturers);

	if (!status)
		return;
	numbers[CAPTURES] = json_number_value(json_object_get(status, "capturers"));
	numbers[CAPTURE_SNAP] = json_number_value(json_object_get(status, "snap"));
	json_decref(status);
}

static void ask_node(struct scrape *scrape)
{
	const struct cv_node_agent *node = scrape->input->node;
	const struct cv_intent *intent = cv_node_intent(node);
	const struct cv_node_report *report = cv_node_report(node);
	double *numbers = scrape->numbers;

	scrape->intent = intent;
	scrape->report = report;
	scrape->snapshot = intent->snapshot;
	numbers[NODE_HAS_ADDRESS] = intent->self.address && !intent->self.problem[0];
	numbers[STORE_BROKEN] = cv_store_problem(cv_node_store(node)) != NULL;
	numbers[WARNINGS] =
		(double)(cv_store_warnings(cv_node_store(node))->count + intent->warnings.count);
	numbers[ROUTES_WANTED] = (double)intent->route_count;
	numbers[ROUTES_FAILED] = (double)report->routes_failed;
	numbers[ROUTES_REPAIRED] = (double)report->routes_repaired;
	numbers[NAT_WANTED] = intent->nat.wanted;
	numbers[NAT_IN_FORCE] = report->nat_in_force;
	numbers[RECONCILES] = (double)report->reconciles;
	numbers[RECONCILE_ERRORS] = (double)report->errors;
	numbers[RECONCILE_LAST] = (double)report->last_us / 1e6;
	numbers[RECONCILE_LONGEST] = (double)report->longest_us / 1e6;
}

static void ask_datapath(struct scrape *scrape)
{
	const struct cv_metrics_input *input = scrape->input;
	struct cv_fastpath_share share = {0};

	if (input->engine)
		cv_engine_counters(input->engine, &scrape->rest);
	if (input->fastpath)
		cv_fastpath_counters(input->fastpath, 0, &scrape->rest, &share);
	if (input->engine) {
		scrape->numbers[WORKERS] = cv_engine_workers(input->engine);
		scrape->numbers[FASTPATH_ON] = input->fastpath != NULL;
		scrape->numbers[LOCAL_PACKETS] = (double)share.local_packets;
	}
}

static bool ask(struct scrape *scrape)
{
	const struct cv_metrics_input *input = scrape->input;
	size_t count = input->tunnels ? cv_tunnel_set_count(input->tunnels) : 0;

	scrape->tunnels = calloc(count + 1, sizeof(*scrape->tunnels));
	if (!scrape->tunnels)
		return false;
	for (size_t i = 0; i < NUMBER_MAX; i++)
		scrape->numbers[i] = NAN;
	for (size_t i = 0; i < count; i++)
		ask_tunnel(scrape, i, &scrape->tunnels[i]);
	scrape->tunnel_count = count;
	if (input->tunnels)
		scrape->numbers[KERNEL_TUNNEL] = *cv_tunnel_set_kernel_tunnel(input->tunnels) != 0;
	if (input->node)
		ask_node(scrape);
	if (input->tunnels && input->node &&
	    cv_tunnel_set_peer_counters(input->tunnels, cv_node_pool_device(input->node),
					&scrape->peers, &scrape->peer_count))
		scrape->peer_count = 0;
	ask_datapath(scrape);
	if (input->endpoints)
		ask_endpoints(input->endpoints, scrape->numbers);
	if (input->capturers)
		ask_capturers(input->capturers, scrape->numbers);
	return true;
}

/* ---- culvertd ------------------------------------------------------------------------------- */

static void print_info(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	(void)scrape;
	cv_metrics_sample(writer, 1, "version", CV_VERSION);
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

static struct cv_resource *const *all_pools(const struct scrape *scrape, size_t *ret_count)
{
	*ret_count = 0;
	return scrape->snapshot ? cv_snapshot_kind(scrape->snapshot, CV_KIND_IP_POOL, ret_count)
				: NULL;
}

static void print_pools(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	size_t count;
	struct cv_resource *const *pools = all_pools(scrape, &count);

	for (size_t i = 0; i < count; i++) {
		const struct cv_ip_pool *pool = &pools[i]->pool;
		char cidr[CV_PREFIX_TEXT_MAX];

		cv_metrics_sample(
			writer, 1, "pool cidr ipip_mode nat_outgoing disabled", pools[i]->name,
			cv_prefix_format(&pool->cidr, cidr), cv_ipip_mode_name(pool->ipip_mode),
			pool->nat_outgoing ? "true" : "false", pool->disabled ? "true" : "false");
	}
}

static void print_pool_claims(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	size_t count;
	struct cv_resource *const *pools = all_pools(scrape, &count);

	for (size_t i = 0; i < count; i++) {
		size_t claims = 0;

		for (size_t j = 0; j < scrape->intent->decision_count; j++)
			claims += scrape->intent->decisions[j].claim.pool == pools[i];
		cv_metrics_sample(writer, (double)claims, "pool", pools[i]->name);
	}
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

static void print_problems(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	if (!scrape->report)
		return;
	cv_metrics_sample(writer, scrape->report->device_problem[0] != 0, "part", "devices");
	cv_metrics_sample(writer, scrape->report->route_failure[0] != 0, "part", "routes");
	cv_metrics_sample(writer, scrape->report->nat_problem[0] != 0, "part", "nat");
}

/* ---- peers ---------------------------------------------------------------------------------- */

/*
 * Only those with whom there was traffic: in an overlay of 5,000 nodes all series of all peers
 * would be 100 million. External nodes have no name.
 */
static void print_traffic(const struct scrape *scrape, struct cv_metrics_writer *writer,
			  bool is_bytes)
{
	static const char labels[] = "peer address direction";

	for (size_t i = 0; i < scrape->peer_count; i++) {
		const struct cv_peer_counters *peer = &scrape->peers[i];
		const struct cv_peer_intent *intent;
		char address[CV_ADDRESS_TEXT_MAX];
		const char *name;

		if (peer->is_partial || !(peer->rx_packets | peer->tx_packets))
			continue;
		intent = cv_intent_peer(scrape->intent, peer->address);
		name = intent ? intent->node->name : "";
		cv_address_format(peer->address, address);
		cv_metrics_sample(writer, (double)(is_bytes ? peer->rx_bytes : peer->rx_packets),
				  labels, name, address, "rx");
		cv_metrics_sample(writer, (double)(is_bytes ? peer->tx_bytes : peer->tx_packets),
				  labels, name, address, "tx");
	}
}

static void print_peer_packets(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	print_traffic(scrape, writer, false);
}

static void print_peer_bytes(const struct scrape *scrape, struct cv_metrics_writer *writer)
{
	print_traffic(scrape, writer, true);
}

/* ---- tunnels -------------------------------------------------------------------------------- */

static double is_active(const struct tunnel *tunnel)
{
	return tunnel->status.active;
}

static double is_up(const struct tunnel *tunnel)
{
	return tunnel->status.up;
}

static double is_fast(const struct tunnel *tunnel)
{
	return tunnel->status.no_fastpath == NULL;
}

static double mtu(const struct tunnel *tunnel)
{
	return tunnel->status.mtu;
}

/* Of one direction and path. */
static void print_way(struct cv_metrics_writer *writer, const struct tunnel *tunnel,
		      const char *direction, const char *path, uint64_t value)
{
	cv_metrics_sample(writer, (double)value, "tunnel direction path",
			  tunnel->status.config->name, direction, path);
}

static void print_packets(const struct tunnel *tunnel, struct cv_metrics_writer *writer)
{
	print_way(writer, tunnel, "rx", "fast", tunnel->share.rx_packets);
	print_way(writer, tunnel, "rx", "engine", tunnel->engine.rx_packets);
	print_way(writer, tunnel, "tx", "fast", tunnel->share.tx_packets);
	print_way(writer, tunnel, "tx", "engine", tunnel->engine.tx_packets);
}

static void print_bytes(const struct tunnel *tunnel, struct cv_metrics_writer *writer)
{
	print_way(writer, tunnel, "rx", "fast", tunnel->share.rx_bytes);
	print_way(writer, tunnel, "rx", "engine", tunnel->engine.rx_bytes);
	print_way(writer, tunnel, "tx", "fast", tunnel->share.tx_bytes);
	print_way(writer, tunnel, "tx", "engine", tunnel->engine.tx_bytes);
}

static void print_direction(struct cv_metrics_writer *writer, const struct tunnel *tunnel,
			    const char *direction, uint64_t value)
{
	cv_metrics_sample(writer, (double)value, "tunnel direction", tunnel->status.config->name,
			  direction);
}

static void print_endpoint_packets(const struct tunnel *tunnel, struct cv_metrics_writer *writer)
{
	print_direction(writer, tunnel, "rx", tunnel->share.rx_endpoint_packets);
	print_direction(writer, tunnel, "tx", tunnel->share.tx_endpoint_packets);
}

static void print_handed_over(const struct tunnel *tunnel, struct cv_metrics_writer *writer)
{
	print_direction(writer, tunnel, "rx", tunnel->share.in_handed_over);
	print_direction(writer, tunnel, "tx", tunnel->share.out_handed_over);
}

static void print_tunnel_drops(const struct tunnel *tunnel, struct cv_metrics_writer *writer)
{
	for (enum cv_drop i = CV_DROP_NONE + 1; i < CV_DROP_MAX; i++)
		cv_metrics_sample(writer, (double)tunnel->sum.drops[i], "tunnel reason",
				  tunnel->status.config->name, cv_drop_name(i));
}

static void print_tunnel_events(const struct tunnel *tunnel, struct cv_metrics_writer *writer)
{
	for (enum cv_event i = 0; i < CV_EVENT_MAX; i++)
		cv_metrics_sample(writer, (double)tunnel->sum.events[i], "tunnel event",
				  tunnel->status.config->name, cv_event_name(i));
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

static const struct metric {
	const char *name, *type, *help;
	/* One of these four; the second and the third are of each tunnel. */
	enum number number;
	double (*of_tunnel)(const struct tunnel *tunnel);
	void (*print_tunnel)(const struct tunnel *tunnel, struct cv_metrics_writer *writer);
	void (*print)(const struct scrape *scrape, struct cv_metrics_writer *writer);
} metrics[] = {
	{"culvert_info", "gauge", "1; version: of culvertd", .print = print_info},
	{"culvert_workers", "gauge", "Threads of the engine", .number = WORKERS},
	{"culvert_kernel_tunnel", "gauge",
	 "1: a tunnel of the kernel takes IP protocol 4 beside culvertd", .number = KERNEL_TUNNEL},
	{"culvert_fastpath_on", "gauge", "1: the fast path is loaded; 0: the engine carries all",
	 .number = FASTPATH_ON},
	{"culvert_fastpath_underlay_info", "gauge", "1 for each network card that it takes from",
	 .print = print_underlays},
	{"culvert_endpoints", "gauge", "Endpoints of this node", .number = ENDPOINTS},
	{"culvert_endpoints_bypassed", "gauge", "Of these, past the host's stack",
	 .number = ENDPOINTS_BYPASSED},
	{"culvert_local_packets_total", "counter", "Packets from endpoint to endpoint of this node",
	 .number = LOCAL_PACKETS},
	{"culvert_captures", "gauge", "Captures under way", .number = CAPTURES},
	{"culvert_capture_snap_bytes", "gauge", "Bytes recorded of a packet for them",
	 .number = CAPTURE_SNAP},
	{"culvert_node_info", "gauge", "1; this node: its name, address, and how that was found",
	 .print = print_node_info},
	{"culvert_node_has_address", "gauge", "0: this node has no address, and no pool works",
	 .number = NODE_HAS_ADDRESS},
	{"culvert_resources", "gauge", "Resources in force, by kind", .print = print_resources},
	{"culvert_store_info", "gauge", "1; digest: the same on hosts with the same resources",
	 .print = print_store_info},
	{"culvert_store_broken", "gauge", "1: a file has an error, the last good state is in force",
	 .number = STORE_BROKEN},
	{"culvert_warnings", "gauge", "Warnings of resources and decisions", .number = WARNINGS},
	{"culvert_pool_info", "gauge", "1 for each IPPool", .print = print_pools},
	{"culvert_pool_claims", "gauge", "Blocks and workloads in an IPPool",
	 .print = print_pool_claims},
	{"culvert_pool_device_info", "gauge", "1; the pool device and its address",
	 .print = print_pool_device},
	{"culvert_peers", "gauge", "Other nodes, by the way that their prefixes are reached",
	 .print = print_peers},
	{"culvert_prefixes", "gauge", "Claimed prefixes, by the way that they are reached",
	 .print = print_prefixes},
	{"culvert_routes_wanted", "gauge", "Routes that culvertd is to keep",
	 .number = ROUTES_WANTED},
	{"culvert_routes_failed", "gauge", "Of these, not made at the last attempt",
	 .number = ROUTES_FAILED},
	{"culvert_routes_repaired_total", "counter", "Routes that had gone or were changed",
	 .number = ROUTES_REPAIRED},
	{"culvert_nat_wanted", "gauge", "1: there is to be NAT", .number = NAT_WANTED},
	{"culvert_nat_in_force", "gauge", "1: there is", .number = NAT_IN_FORCE},
	{"culvert_problem", "gauge", "1: the last reconcile did not make this part as wanted",
	 .print = print_problems},
	{"culvert_reconciles_total", "counter", "Times that all was looked at and made right",
	 .number = RECONCILES},
	{"culvert_reconcile_errors_total", "counter", "Of these, with a problem",
	 .number = RECONCILE_ERRORS},
	{"culvert_reconcile_last_seconds", "gauge", "How long the last one took",
	 .number = RECONCILE_LAST},
	{"culvert_reconcile_longest_seconds", "gauge", "How long the longest one took",
	 .number = RECONCILE_LONGEST},
	{"culvert_tunnel_active", "gauge", "1: the tunnel is carried; 0: suspended",
	 .of_tunnel = is_active},
	{"culvert_tunnel_up", "gauge", "1: its device is up", .of_tunnel = is_up},
	{"culvert_tunnel_fastpath", "gauge", "1: the fast path carries it; 0: the engine does",
	 .of_tunnel = is_fast},
	{"culvert_tunnel_mtu_bytes", "gauge", "MTU of its device", .of_tunnel = mtu},
	{"culvert_tunnel_packets_total", "counter", "Packets delivered (rx) and sent (tx)",
	 .print_tunnel = print_packets},
	{"culvert_tunnel_bytes_total", "counter", "Inner bytes of them",
	 .print_tunnel = print_bytes},
	{"culvert_tunnel_endpoint_packets_total", "counter",
	 "Of the fast path's, straight to and from endpoints",
	 .print_tunnel = print_endpoint_packets},
	{"culvert_tunnel_handed_over_total", "counter",
	 "Packets that the fast path gave to the engine", .print_tunnel = print_handed_over},
	{"culvert_tunnel_drops_total", "counter", "Packets dropped, by reason (culvert.8)",
	 .print_tunnel = print_tunnel_drops},
	{"culvert_tunnel_events_total", "counter", "Events that drop nothing (culvert.8)",
	 .print_tunnel = print_tunnel_events},
	{"culvert_peer_packets_total", "counter",
	 "Packets delivered (rx) and sent (tx) through the pool device, by peer",
	 .print = print_peer_packets},
	{"culvert_peer_bytes_total", "counter", "Inner bytes of them", .print = print_peer_bytes},
	{"culvert_drops_total", "counter", "Packets of no tunnel dropped, by reason",
	 .print = print_drops},
	{"culvert_events_total", "counter", "Events of no tunnel", .print = print_events},
};

static void print_family(const struct scrape *scrape, const struct metric *metric,
			 struct cv_metrics_writer *writer)
{
	cv_metrics_family(writer, metric->name, metric->type, metric->help);
	if (metric->number && !isnan(scrape->numbers[metric->number]))
		cv_metrics_sample(writer, scrape->numbers[metric->number], "");
	for (size_t i = 0; i < scrape->tunnel_count; i++) {
		const struct tunnel *tunnel = &scrape->tunnels[i];

		if (metric->of_tunnel)
			cv_metrics_sample(writer, metric->of_tunnel(tunnel), "tunnel",
					  tunnel->status.config->name);
		else if (metric->print_tunnel)
			metric->print_tunnel(tunnel, writer);
	}
	if (metric->print)
		metric->print(scrape, writer);
}

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
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		print_family(&scrape, &metrics[i], &writer);
	cv_metrics_paths(input->paths, &writer);
	cv_metrics_bgp(input->bgp, &writer);
	cv_metrics_pods(input->pods, &writer);
	free(scrape.tunnels);
	free(scrape.peers);
	return cv_metrics_writer_finish(&writer);
}
