/* SPDX-License-Identifier: Apache-2.0 */
/* From a line of the control protocol to its answer; protocol.md has both. */
#include "agent/commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/commands_bgp.h"
#include "agent/commands_cni.h"
#include "agent/commands_doctor.h"
#include "agent/commands_endpoint.h"
#include "agent/commands_ipam.h"
#include "agent/commands_path.h"
#include "agent/commands_resource.h"
#include "agent/control.h"
#include "agent/json_text.h"
#include "agent/log.h"
#include "agent/mtu_file.h"
#include "agent/node_json.h"
#include "agent/request.h"
#include "agent/trace.h"
#include "model/tunnel.h"
#include "tunnel/endpoint_mtu.h"

enum {
	UNDERLAYS_MAX = 64 /* as many as anybody wants to read */
};

/* ---- looking ------------------------------------------------------------------- */

static json_t *drops_to_json(const struct cv_counters *counters)
{
	json_t *json = json_object();

	for (unsigned int i = CV_DROP_NONE + 1; i < CV_DROP_MAX; i++)
		json_object_set_new(json, cv_drop_name(i),
				    json_integer((json_int_t)counters->drops[i]));
	return json;
}

static json_t *events_to_json(const struct cv_counters *counters)
{
	json_t *json = json_object();

	for (unsigned int i = 0; i < CV_EVENT_MAX; i++)
		json_object_set_new(json, cv_event_name(i),
				    json_integer((json_int_t)counters->events[i]));
	return json;
}

static json_t *counters_to_json(const struct cv_counters *counters)
{
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:o, s:o}", "rx_packets", (json_int_t)counters->rx_packets,
		"rx_bytes", (json_int_t)counters->rx_bytes, "tx_packets",
		(json_int_t)counters->tx_packets, "tx_bytes", (json_int_t)counters->tx_bytes,
		"drops", drops_to_json(counters), "events", events_to_json(counters));
}

/* What the fast path does, for all tunnels alike. */
struct in_force {
	json_t *underlays;
	json_int_t endpoints;
	json_int_t bypassed; /* of these, those whose packets go past the host's stack */
};

static void find_in_force(const struct cv_commands *commands, struct in_force *ret)
{
	char names[UNDERLAYS_MAX][IFNAMSIZ];
	struct cv_endpoint_status endpoint;
	size_t count = 0;

	*ret = (struct in_force){.underlays = json_array()};
	if (commands->fastpath)
		count = cv_fastpath_underlays(commands->fastpath, names, UNDERLAYS_MAX);
	for (size_t i = 0; i < count; i++)
		json_array_append_new(ret->underlays, cv_json_text(names[i]));
	count = cv_endpoint_set_count(commands->endpoints);
	ret->endpoints = (json_int_t)count;
	for (size_t i = 0; i < count; i++) {
		cv_endpoint_set_status(commands->endpoints, i, &endpoint);
		if (endpoint.wanted && endpoint.in_force)
			ret->bypassed++;
	}
}

/* no_fastpath: NULL when it is on. */
static json_t *fastpath_to_json(const struct in_force *in_force, const char *no_fastpath)
{
	return json_pack("{s:s, s:o, s:O, s:I, s:I}", "state", no_fastpath ? "off" : "on", "reason",
			 cv_json_text(no_fastpath), "underlays", in_force->underlays, "endpoints",
			 in_force->endpoints, "bypassed", in_force->bypassed);
}

static json_t *mtu_or_null(uint32_t mtu)
{
	return mtu ? json_integer((json_int_t)mtu) : json_null();
}

static json_t *status_to_json(const struct cv_tunnel_status *status,
			      const struct in_force *in_force)
{
	json_t *json = json_pack("{s:o}", "config", cv_tunnel_config_to_json(status->config));

	json_object_set_new(json, "owner", cv_json_text_or_null(status->config->owner));
	json_object_set_new(json, "ifindex",
			    status->ifindex ? json_integer(status->ifindex) : json_null());
	json_object_set_new(json, "mtu", mtu_or_null(status->mtu));
	json_object_set_new(json, "mtu_by_hand", json_boolean(status->mtu_by_hand));
	json_object_set_new(json, "up", json_boolean(status->up));
	json_object_set_new(json, "state", json_string(status->active ? "active" : "suspended"));
	if (!status->active)
		json_object_set_new(json, "reason", cv_json_text(status->reason));
	json_object_set_new(json, "fastpath", fastpath_to_json(in_force, status->no_fastpath));
	return json;
}

static json_t *direction_counters(uint64_t rx_packets, uint64_t rx_bytes, uint64_t tx_packets,
				  uint64_t tx_bytes)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "rx_packets", (json_int_t)rx_packets, "rx_bytes",
			 (json_int_t)rx_bytes, "tx_packets", (json_int_t)tx_packets, "tx_bytes",
			 (json_int_t)tx_bytes);
}

/* Which share took which path. */
static json_t *paths_to_json(const struct cv_counters *engine,
			     const struct cv_fastpath_share *share)
{
	json_t *fast = direction_counters(share->rx_packets, share->rx_bytes, share->tx_packets,
					  share->tx_bytes);

	json_object_set_new(fast, "rx_endpoint_packets",
			    json_integer((json_int_t)share->rx_endpoint_packets));
	json_object_set_new(fast, "tx_endpoint_packets",
			    json_integer((json_int_t)share->tx_endpoint_packets));
	return json_pack("{s:o, s:o, s:{s:I, s:I}}", "fast", fast, "engine",
			 direction_counters(engine->rx_packets, engine->rx_bytes,
					    engine->tx_packets, engine->tx_bytes),
			 "handed_over", "in", (json_int_t)share->in_handed_over, "out",
			 (json_int_t)share->out_handed_over);
}

static void add_counters(json_t *tunnel, const struct cv_commands *commands,
			 const struct cv_tunnel_status *status)
{
	struct cv_fastpath_share share = {.rx_packets = 0};
	struct cv_counters engine, sum;

	if (!status->active ||
	    cv_engine_tunnel_counters(commands->engine, status->ifindex, &engine))
		memset(&engine, 0, sizeof(engine));
	sum = engine;
	/* -ENOENT: the fast path knows nothing of it, and adds nothing. */
	if (commands->fastpath && status->ifindex)
		cv_fastpath_counters(commands->fastpath, status->ifindex, &sum, &share);
	json_object_set_new(tunnel, "counters", counters_to_json(&sum));
	json_object_set_new(tunnel, "paths", paths_to_json(&engine, &share));
}

static json_t *show(const struct cv_commands *commands, const struct cv_request *request)
{
	struct cv_prober_path *paths = NULL;
	json_t *tunnels = json_array();
	struct in_force in_force;
	size_t path_count = 0;

	if (cv_engine_paths(commands->engine, &paths, &path_count))
		path_count = 0;
	find_in_force(commands, &in_force);
	for (size_t i = 0; i < cv_tunnel_set_count(commands->set); i++) {
		struct cv_tunnel_status status;
		json_t *tunnel;

		if (!cv_tunnel_config_matches(cv_tunnel_set_config(commands->set, i),
					      &request->filter))
			continue;
		cv_tunnel_set_status(commands->set, i, &status);
		tunnel = status_to_json(&status, &in_force);
		json_object_set_new(tunnel, "endpoint_mtu",
				    mtu_or_null(cv_endpoint_mtu(status.ifindex, status.mtu, paths,
								path_count)));
		if (request->counters)
			add_counters(tunnel, commands, &status);
		json_array_append_new(tunnels, tunnel);
	}
	free(paths);
	json_decref(in_force.underlays);
	return json_pack("{s:o}", "tunnels", tunnels);
}

static json_t *status(const struct cv_commands *commands)
{
	const char *kernel_tunnel = cv_tunnel_set_kernel_tunnel(commands->set);
	const char *no_fastpath = commands->fastpath ? NULL : commands->no_fastpath;
	bool bypass = cv_endpoint_set_default_bypass(commands->endpoints);
	struct cv_fastpath_share share = {.local_packets = 0};
	struct cv_counters counters;
	struct in_force in_force;
	json_t *json;

	find_in_force(commands, &in_force);
	cv_engine_counters(commands->engine, &counters);
	if (commands->fastpath)
		cv_fastpath_counters(commands->fastpath, 0, &counters, &share);
	json = json_pack("{s:s, s:i, s:o, s:i, s:i, s:o, s:o}", "version", CV_VERSION, "pid",
			 (int)getpid(), "run_dir", cv_json_text(commands->run_dir), "workers",
			 (int)cv_engine_workers(commands->engine), "tunnels",
			 (int)cv_tunnel_set_count(commands->set), "kernel_tunnel",
			 cv_json_text_or_null(kernel_tunnel), "counters",
			 counters_to_json(&counters));
	json_object_set_new(json, "capture", cv_capturers_status(commands->capturers));
	json_object_set_new(json, "fastpath", fastpath_to_json(&in_force, no_fastpath));
	json_decref(in_force.underlays);
	json_object_set_new(json, "endpoints", json_integer(in_force.endpoints));
	json_object_set_new(json, "default_bypass", json_string(bypass ? "on" : "off"));
	json_object_set_new(json, "endpoint_mtu",
			    mtu_or_null(cv_mtu_for_endpoints(commands->engine, commands->set)));
	json_object_set_new(json, "local_packets", json_integer((json_int_t)share.local_packets));
	cv_node_add_status(commands->node, commands->set, json);
	cv_commands_path_status(commands, json);
	cv_commands_bgp_add_status(commands, json);
	cv_commands_cni_add_status(commands, json);
	return json;
}

/* ---- changing ------------------------------------------------------------------ */

static void log_changes(struct cv_tunnel_set *set, const struct cv_request *request,
			const struct cv_peer *peer)
{
	static const char *const done[] = {
		[CV_TUNNEL_ADD] = "added",
		[CV_TUNNEL_CHANGE] = "changed",
		[CV_TUNNEL_REPLACE] = "replaced",
		[CV_TUNNEL_DELETE] = "deleted",
	};

	for (size_t i = 0; i < request->count; i++) {
		const struct cv_tunnel_change *change = &request->changes[i];
		const char *name = change->patch.config.name;
		const struct cv_tunnel_config *config = cv_tunnel_set_find(set, name);
		char words[CV_TUNNEL_TEXT_MAX];

		if (change->verb == CV_TUNNEL_DELETE || !config) {
			cv_log(LOG_INFO, "%s: %s, as process %d asked", name, done[change->verb],
			       (int)peer->pid);
			continue;
		}
		cv_tunnel_print_words(config, words);
		cv_log(LOG_INFO, "%s: %s, as process %d asked: %s", name, done[change->verb],
		       (int)peer->pid, words);
	}
}

static int change(const struct cv_commands *commands, const struct cv_request *request,
		  const struct cv_peer *peer, long *ret_index, struct cv_error *error)
{
	size_t index;
	int rc = cv_tunnel_set_apply(commands->set, CV_TUNNEL_OWNER_NOBODY, request->changes,
				     request->count, &index, error);

	if (rc) {
		*ret_index = request->batch && index < request->count ? (long)index : -1;
		return rc;
	}
	log_changes(commands->set, request, peer);
	return 0;
}

/* ---- capturing ------------------------------------------------------------------- */

static int capture(const struct cv_commands *commands, const struct cv_request *request,
		   const struct cv_peer *peer, json_t **ret_result, struct cv_server_then *ret_then,
		   struct cv_error *error)
{
	const char *name = request->filter.config.name;
	int rc;

	if (*name && !cv_tunnel_set_find(commands->set, name))
		return cv_error_set(error, -ENOENT, "there is no such tunnel as %s", name);
	rc = cv_capturers_add(commands->capturers, name, request->snap, ret_result, ret_then,
			      error);
	if (!rc)
		cv_log(LOG_INFO, "process %d captures%s%s", (int)peer->pid, *name ? " from " : "",
		       name);
	return rc;
}

/* ---- all ------------------------------------------------------------------------ */

static int perform(const struct cv_commands *commands, const struct cv_request *request,
		   const struct cv_peer *peer, json_t **ret_result, long *ret_index,
		   struct cv_server_then *ret_then, struct cv_error *error)
{
	json_t *result = NULL;
	int rc = 0;

	if (!cv_commands_is_cni(request->kind))
		commands->catch_up(commands->context);
	switch (request->kind) {
	case CV_REQUEST_STATUS:
		result = status(commands);
		break;
	case CV_REQUEST_SHOW:
		result = show(commands, request);
		break;
	case CV_REQUEST_CAPTURE:
		rc = capture(commands, request, peer, &result, ret_then, error);
		break;
	case CV_REQUEST_CHANGES:
		rc = change(commands, request, peer, ret_index, error);
		result = rc ? NULL : json_object();
		break;
	case CV_REQUEST_ENDPOINT_SHOW:
		result = cv_commands_endpoint_show(commands, request);
		break;
	case CV_REQUEST_ENDPOINT_CHANGE:
		rc = cv_commands_endpoint_change(commands, request, peer, &result, error);
		break;
	case CV_REQUEST_ENDPOINT_DEFAULT:
		rc = cv_commands_endpoint_default(commands, request, peer, &result, error);
		break;
	case CV_REQUEST_APPLY:
		rc = cv_commands_apply(commands, request, peer, &result, error);
		break;
	case CV_REQUEST_DELETE:
		rc = cv_commands_delete(commands, request, peer, &result, error);
		break;
	case CV_REQUEST_GET:
		rc = cv_commands_get(commands, request, &result, error);
		break;
	case CV_REQUEST_DIFF:
		rc = cv_commands_diff(commands, request, &result, error);
		break;
	case CV_REQUEST_TRACE:
		rc = cv_trace(commands, &request->trace, &result, error);
		break;
	case CV_REQUEST_DOCTOR:
		rc = cv_commands_doctor(commands, request, &result, ret_then, error);
		break;
	case CV_REQUEST_METRICS:
		rc = cv_commands_metrics(commands, &result, error);
		break;
	case CV_REQUEST_PATH:
		rc = cv_commands_path(commands, request, &result, error);
		break;
	case CV_REQUEST_BGP_STATUS:
		result = cv_commands_bgp_status(commands);
		break;
	case CV_REQUEST_BGP_PEERS:
		result = cv_commands_bgp_peers(commands);
		break;
	case CV_REQUEST_BGP_ROUTES:
		rc = cv_commands_bgp_routes(commands, request, &result, ret_then, error);
		break;
	case CV_REQUEST_BGP_RESTART:
		rc = cv_commands_bgp_restart(commands, peer, &result, error);
		break;
	case CV_REQUEST_IPAM_SHOW:
	case CV_REQUEST_IPAM_CHECK:
	case CV_REQUEST_IPAM_RELEASE:
	case CV_REQUEST_IPAM_RESERVE:
		rc = cv_commands_ipam(commands, request, peer, &result, ret_then, error);
		break;
	case CV_REQUEST_CNI_ADD:
	case CV_REQUEST_CNI_ATTACH:
	case CV_REQUEST_CNI_DEL:
	case CV_REQUEST_CNI_CHECK:
	case CV_REQUEST_CNI_GC:
	case CV_REQUEST_CNI_STATUS:
		rc = cv_commands_cni(commands, request, peer, &result, ret_then, error);
		break;
	case CV_REQUEST_PODS:
		result = cv_commands_pods(commands);
		break;
	case CV_REQUEST_MIGRATE:
	case CV_REQUEST_MIGRATE_STATUS:
		rc = cv_commands_migrate(commands, request, peer, &result, error);
		break;
	}
	if (rc)
		return rc;
	if (!result)
		return cv_error_set(error, -ENOMEM, "out of memory");
	*ret_result = result;
	return 0;
}

char *cv_commands_handle(void *context, const struct cv_peer *peer, const char *line, size_t length,
			 struct cv_server_then *ret_then)
{
	const struct cv_commands *commands = context;
	struct cv_request request;
	struct cv_error error;
	json_t *id, *result = NULL;
	long index;
	char *answer;
	int rc = cv_request_parse(line, length, &request, &id, &index, &error);

	if (!rc) {
		rc = perform(commands, &request, peer, &result, &index, ret_then, &error);
		cv_request_fini(&request);
	} else {
		ret_then->close = rc == -EBADMSG;
	}
	answer = rc ? cv_answer_error(id, rc, error.text, index) : cv_answer_result(id, result);
	json_decref(id);
	return answer;
}
