/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways to other nodes: what the engine's prober knows of the pool device's peers. As long as it
 * knows none, which may be because it has only begun to look, the kernel is asked here: what an
 * earlier daemon has made of its device and routes is not to change for a moment, and back.
 */
#include "agent/node_paths.h"

#include <stdlib.h>

#include "net/route.h"
#include "net/vector.h"
#include "tunnel/mtu.h"
#include "wire/types.h"

static int add(struct cv_vector *list, __be32 remote, uint32_t link_mtu)
{
	const struct cv_fact_path path = {.remote = remote, .link_mtu = link_mtu};

	return link_mtu ? cv_vector_append(list, &path) : 0;
}

static int take_known(const struct cv_node_paths *paths, int ifindex, struct cv_vector *list)
{
	struct cv_prober_path *known;
	size_t count;
	int rc = cv_engine_paths(paths->engine, &known, &count);

	if (rc)
		return rc;
	for (size_t i = 0; i < count && !rc; i++) {
		if (known[i].tunnel == ifindex)
			rc = add(list, known[i].remote, known[i].link_mtu);
	}
	free(known);
	return rc;
}

struct asking {
	struct cv_tunnel_mtu_host host;
	__be32 local;
	struct cv_vector *list;
};

static bool is_ours(int ifindex, const void *data)
{
	return cv_tunnel_set_has_device(data, ifindex);
}

static int ask_of(__be32 gateway, void *data)
{
	const struct asking *asking = data;

	return add(asking->list, gateway,
		   cv_tunnel_link_mtu(&asking->host, gateway, asking->local, 0));
}

static int ask_kernel(const struct cv_node_paths *paths, int ifindex, struct cv_vector *list)
{
	const struct cv_tunnel_config *config =
		cv_tunnel_set_find(paths->tunnels, paths->pool_device);
	struct asking asking = {
		.host = {paths->nl, paths->engine, is_ours, paths->tunnels},
		.local = config ? config->local : 0,
		.list = list,
	};

	return cv_route_for_each_gateway(paths->nl, ifindex, ask_of, &asking);
}

int cv_node_paths_read(const struct cv_node_paths *paths, struct cv_facts *facts)
{
	int ifindex = cv_tunnel_set_ifindex(paths->tunnels, paths->pool_device);
	bool by_hand = cv_tunnel_set_is_mtu_by_hand(paths->tunnels, paths->pool_device);
	bool changed = facts->mtu_by_hand != by_hand;
	struct cv_vector list;
	int rc = 0;

	cv_vector_init(&list, sizeof(struct cv_fact_path));
	if (ifindex)
		rc = take_known(paths, ifindex, &list);
	if (ifindex && !rc && !list.count)
		rc = ask_kernel(paths, ifindex, &list);
	if (!rc)
		rc = cv_facts_set_paths(facts, list.items, list.count);
	cv_vector_fini(&list);
	if (rc < 0)
		return rc;
	facts->mtu_by_hand = by_hand;
	return rc || changed;
}

static bool has(const struct cv_node_jumbo *jumbo, __be32 remote)
{
	size_t low = 0, high = jumbo->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (jumbo->remotes[middle] == remote)
			return true;
		if (cv_ntohl(jumbo->remotes[middle]) < cv_ntohl(remote))
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

void cv_node_paths_tell(const struct cv_node_paths *paths, const struct cv_facts *facts,
			const struct cv_intent *intent, struct cv_node_jumbo *jumbo)
{
	struct cv_node_jumbo now = {.count = 0};

	if (!jumbo->count && !facts->wider_count)
		return;
	now.remotes = calloc(facts->wider_count + 1, sizeof(*now.remotes));
	if (!now.remotes)
		return;
	/* In the order of facts->wider: sorted. Each is told again: soft state is forgotten. */
	for (size_t i = 0; i < facts->wider_count; i++) {
		__be32 remote = facts->wider[i].remote;
		uint32_t mtu = cv_decide_route_mtu(facts, intent, remote);

		if (!mtu)
			continue;
		now.remotes[now.count++] = remote;
		cv_engine_set_inner_mtu(paths->engine, remote, mtu);
	}
	for (size_t i = 0; i < jumbo->count; i++) {
		if (!has(&now, jumbo->remotes[i]))
			cv_engine_set_inner_mtu(paths->engine, jumbo->remotes[i], 0);
	}
	free(jumbo->remotes);
	*jumbo = now;
}
