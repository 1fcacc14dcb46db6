/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, pods and the node agent, put together. */
#include "agent/daemon_pods.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/control.h"
#include "agent/mtu_file.h"

enum {
	/* Periods between two looks at all blocks, which may be a cluster's. */
	ADDRESSES_EVERY = 10,
	MTU_DEFAULT = 1500, /* of a host that has no tunnel, nor an address of its own */
};

/* ---- what pods ask for ------------------------------------------------------------------- */

static int make_route(void *data, const struct cv_table_route *route, bool add,
		      struct cv_error *error)
{
	struct cv_daemon_pods *pods = data;

	return cv_node_route(pods->node, route, add, error);
}

/* As <run-dir>/mtu says; without a tunnel, as large as what leaves this host can be. */
static uint32_t pod_mtu(void *data)
{
	const struct cv_daemon_pods *pods = data;
	uint32_t mtu = cv_mtu_for_endpoints(pods->engine, pods->tunnels);
	const struct cv_fact_interface *own;

	if (mtu)
		return mtu;
	own = cv_facts_interface(cv_node_facts(pods->node),
				 cv_node_intent(pods->node)->self.ifindex);
	return own ? own->mtu : MTU_DEFAULT;
}

static const char *node_name(void *data)
{
	const struct cv_daemon_pods *pods = data;

	return cv_node_intent(pods->node)->self.name;
}

static const char *owner(void *data, __be32 address)
{
	const struct cv_daemon_pods *pods = data;
	const struct cv_facts *facts = cv_node_facts(pods->node);

	if (cv_facts_address(facts, address))
		return "this host's";
	for (size_t i = 0; i < facts->gateway_count; i++) {
		if (facts->gateways[i] == address)
			return "a gateway's";
	}
	return cv_intent_peer(cv_node_intent(pods->node), address) ? "another node's" : NULL;
}

static void on_changed(void *data)
{
	const struct cv_daemon_pods *pods = data;

	cv_node_decide_again(pods->node);
}

static const struct cv_pods_ops pods_ops = {
	.route = make_route,
	.mtu = pod_mtu,
	.node_name = node_name,
	.owner = owner,
	.changed = on_changed,
};

/* ---- beginning and end ------------------------------------------------------------------- */

static void default_dir(const char *run_dir, char path[PATH_MAX])
{
	if (!strcmp(run_dir, CV_CONTROL_RUN_DIR))
		snprintf(path, PATH_MAX, "%s", CV_DAEMON_STATE_DIR);
	else if (snprintf(path, PATH_MAX, "%s/" CV_DAEMON_STATE, run_dir) >= PATH_MAX)
		path[0] = '\0'; /* it cannot be made, then */
}

static int open_addresses(struct cv_daemon_pods *pods, const struct cv_daemon_pods_options *options,
			  struct cv_error *error)
{
	char path[PATH_MAX];
	const struct cv_addresses_options addresses = {
		.base = options->base,
		.state_dir = options->state_dir ? options->state_dir : path,
		.datastore = options->datastore,
	};

	default_dir(options->run_dir, path);
	return cv_addresses_create(&addresses, &pods->addresses, error);
}

int cv_daemon_pods_create(struct cv_daemon_pods *pods, const struct cv_daemon_pods_options *options,
			  struct cv_error *error)
{
	struct cv_pods_options list = {
		.base = options->base,
		.run_dir = options->run_dir,
		.nl = options->nl,
		.endpoints = options->endpoints,
		.ops = &pods_ops,
		.data = pods,
	};
	int rc = open_addresses(pods, options, error);

	pods->engine = options->engine;
	pods->is_etcd = options->datastore && options->datastore->is_etcd;
	pods->tunnels = options->tunnels;
	if (rc)
		return rc;
	list.addresses = pods->addresses;
	return cv_pods_create(&list, &pods->pods, error);
}

int cv_daemon_pods_start(struct cv_daemon_pods *pods, struct cv_node_agent *node)
{
	pods->node = node;
	pods->migrator = cv_migrator_create(pods->addresses, pods->pods, node);
	pods->registrar = cv_registrar_create(pods->addresses, node);
	if (!pods->migrator || !pods->registrar)
		return -ENOMEM;
	cv_pods_start(pods->pods);
	cv_daemon_pods_consider(pods);
	return 0;
}

void cv_daemon_pods_consider(struct cv_daemon_pods *pods)
{
	if (pods->registrar)
		cv_registrar_consider(pods->registrar);
}

void cv_daemon_pods_stop(struct cv_daemon_pods *pods)
{
	cv_migrator_stop(pods->migrator);
	cv_addresses_destroy(pods->addresses);
	pods->addresses = NULL;
	cv_migrator_destroy(pods->migrator);
	pods->migrator = NULL;
	cv_registrar_destroy(pods->registrar);
	pods->registrar = NULL;
	cv_leaks_fini(&pods->leaks);
}

void cv_daemon_pods_destroy(struct cv_daemon_pods *pods)
{
	cv_daemon_pods_stop(pods);
	cv_pods_destroy(pods->pods);
	pods->pods = NULL;
}

/* ---- leftovers --------------------------------------------------------------------------- */

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_looked(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct cv_daemon_pods *pods = context;

	(void)error;
	if (rc)
		return;
	cv_ipam_sums_of(result, cv_node_intent(pods->node)->snapshot, node_name(pods),
			pods->is_etcd, now_us(), &pods->sums);
	cv_pods_observe_addresses(pods->pods, result);
	cv_pods_keep(pods->pods, result);
}

void cv_daemon_pods_observe(struct cv_daemon_pods *pods, bool is_asked)
{
	cv_daemon_pods_consider(pods);
	cv_pods_observe(pods->pods);
	/* What is on this host's own disk costs nothing to speak of. */
	if (!is_asked && pods->is_etcd && pods->sums.is_known && ++pods->periods < ADDRESSES_EVERY)
		return;
	pods->periods = 0;
	cv_addresses_look(pods->addresses, on_looked, pods);
}
