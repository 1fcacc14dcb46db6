/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules between BGPPeers, BGPFilters, BGPConfigurations and Nodes. Selectors are parsed once; a
 * Node is asked by each of them, so that what a store of P peers and N nodes takes is P × N looks
 * at labels at worst.
 */
#include "model/snapshot_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/place.h"
#include "model/selector.h"
#include "wire/types.h"

enum {
	WARNINGS_MAX = 10, /* of a kind; the rest is counted */
	MESH_MAX = 200,	   /* nodes; every one has a session with every other */
};

enum warning {
	WARN_NO_FILTER,
	WARN_NO_NODE,
	WARN_SELECTS_NOTHING,
	WARN_NO_AS,
	WARN_ITSELF,
	WARN_LONELY_REFLECTOR,
	WARN_MAX
};

struct peer {
	const struct cv_resource *resource;
	const struct cv_bgp_peer *spec;
	struct cv_selector *nodes, *peers; /* NULL: not given */
	uint16_t port;			   /* in effect, where the address is compared */
};

struct check {
	const struct cv_snapshot *snapshot;
	struct cv_messages *warnings;
	struct cv_error *error;
	struct cv_resource *const *nodes;
	size_t node_count;
	const struct cv_resource **by_address; /* Nodes, sorted by their address */
	struct peer *peers;
	size_t peer_count;
	size_t seen[WARN_MAX];
};

static bool is_worth(struct check *check, enum warning warning)
{
	return ++check->seen[warning] <= WARNINGS_MAX;
}

static void count_the_rest(struct check *check)
{
	static const char *const what[WARN_MAX] = {
		[WARN_NO_FILTER] = "BGPPeers name BGPFilters that there are not",
		[WARN_NO_NODE] = "resources of BGP are of nodes that there are not",
		[WARN_SELECTS_NOTHING] = "selectors of BGPPeers select no Node",
		[WARN_NO_AS] = "BGPPeers have no asNumber",
		[WARN_ITSELF] = "BGPPeers are of the node itself",
		[WARN_LONELY_REFLECTOR] = "route reflectors have no BGPPeer",
	};

	for (int i = 0; i < WARN_MAX; i++) {
		if (check->seen[i] > WARNINGS_MAX)
			cv_messages_add(check->warnings, "%zu more %s",
					check->seen[i] - WARNINGS_MAX, what[i]);
	}
}

/* ---- peers ----------------------------------------------------------------------- */

/* Whether a peer is one of this node's. */
static bool is_of(const struct peer *peer, const struct cv_resource *node)
{
	if (peer->spec->node)
		return !strcmp(peer->spec->node, node->name);
	return !peer->nodes || cv_selector_matches(peer->nodes, node);
}

static int parse_selector(const char *text, struct cv_selector **ret_selector,
			  struct cv_error *error)
{
	return text ? cv_selector_create(text, ret_selector, error) : 0;
}

static int list_peers(struct check *check)
{
	struct cv_resource *const *resources =
		cv_snapshot_kind(check->snapshot, CV_KIND_BGP_PEER, &check->peer_count);

	check->peers = calloc(check->peer_count + 1, sizeof(*check->peers));
	if (!check->peers)
		return cv_error_set(check->error, -ENOMEM, "no memory to check the resources");
	for (size_t i = 0; i < check->peer_count; i++) {
		struct peer *peer = &check->peers[i];
		int rc;

		peer->resource = resources[i];
		peer->spec = resources[i]->bgp_peer;
		rc = parse_selector(peer->spec->node_selector, &peer->nodes, check->error);
		if (!rc)
			rc = parse_selector(peer->spec->peer_selector, &peer->peers, check->error);
		if (rc)
			return rc;
	}
	return 0;
}

static void free_peers(struct check *check)
{
	for (size_t i = 0; check->peers && i < check->peer_count; i++) {
		cv_selector_destroy(check->peers[i].nodes);
		cv_selector_destroy(check->peers[i].peers);
	}
	free(check->peers);
}

static bool selects_any(const struct check *check, const struct cv_selector *selector)
{
	for (size_t i = 0; i < check->node_count; i++) {
		if (cv_selector_matches(selector, check->nodes[i]))
			return true;
	}
	return false;
}

static void check_selector(struct check *check, const struct peer *peer, const char *field,
			   const struct cv_selector *selector)
{
	char text[CV_PLACE_NAME_MAX];

	if (selector && !selects_any(check, selector) && is_worth(check, WARN_SELECTS_NOTHING))
		cv_messages_add(check->warnings,
				"%s: its %s selects no Node, so there is no session by it; mend "
				"it, or label the Nodes",
				cv_place_here(peer->resource, text), field);
}

static int compare_nodes(const void *a, const void *b)
{
	uint32_t x = cv_ntohl((*(const struct cv_resource *const *)a)->node.address);
	uint32_t y = cv_ntohl((*(const struct cv_resource *const *)b)->node.address);

	return (x > y) - (x < y);
}

static int sort_nodes(struct check *check)
{
	check->by_address = calloc(check->node_count + 1, sizeof(*check->by_address));
	if (!check->by_address)
		return cv_error_set(check->error, -ENOMEM, "no memory to check the resources");
	for (size_t i = 0; i < check->node_count; i++)
		check->by_address[i] = check->nodes[i];
	if (check->node_count)
		qsort(check->by_address, check->node_count, sizeof(*check->by_address),
		      compare_nodes);
	return 0;
}

static const struct cv_resource *node_at(const struct check *check, __be32 address)
{
	struct cv_resource wanted = {.node.address = address};
	const struct cv_resource *key = &wanted;
	const struct cv_resource **found =
		check->node_count ? bsearch(&key, check->by_address, check->node_count,
					    sizeof(*check->by_address), compare_nodes)
				  : NULL;

	return found ? *found : NULL;
}

static void check_address(struct check *check, const struct peer *peer)
{
	const struct cv_bgp_peer *spec = peer->spec;
	char text[CV_PLACE_NAME_MAX], address[CV_ADDRESS_TEXT_MAX];
	const struct cv_resource *node;

	if (!spec->address || (spec->as_number && !spec->node))
		return;
	node = node_at(check, spec->address);
	cv_address_format(spec->address, address);
	if (node && spec->node && !strcmp(node->name, spec->node) && is_worth(check, WARN_ITSELF))
		cv_messages_add(check->warnings,
				"%s: its peerIP %s is the address of Node %s itself; give the "
				"other end's, or mend its node",
				cv_place_here(peer->resource, text), address, spec->node);
	if (!node && !spec->as_number && is_worth(check, WARN_NO_AS))
		cv_messages_add(check->warnings,
				"%s: its peerIP %s is no Node's, so its AS is not known and there "
				"is no session; add asNumber",
				cv_place_here(peer->resource, text), address);
}

static void check_peer(struct check *check, const struct peer *peer)
{
	const struct cv_bgp_peer *spec = peer->spec;
	char text[CV_PLACE_NAME_MAX];

	if (spec->node && !cv_snapshot_find(check->snapshot, CV_KIND_NODE, spec->node) &&
	    is_worth(check, WARN_NO_NODE))
		cv_messages_add(check->warnings,
				"%s: there is no Node %s, whose peer it is; add the Node, or mend "
				"the name",
				cv_place_here(peer->resource, text), spec->node);
	for (size_t i = 0; i < spec->filter_count; i++) {
		if (!cv_snapshot_find(check->snapshot, CV_KIND_BGP_FILTER, spec->filters[i]) &&
		    is_worth(check, WARN_NO_FILTER))
			cv_messages_add(check->warnings,
					"%s: there is no BGPFilter %s, so it filters nothing; add "
					"it, or mend the name",
					cv_place_here(peer->resource, text), spec->filters[i]);
	}
	check_selector(check, peer, "nodeSelector", peer->nodes);
	check_selector(check, peer, "peerSelector", peer->peers);
	check_address(check, peer);
}

/* ---- two sessions of a node with one address ------------------------------------- */

/* By address and port, those that are selected before those of one node, these by its name. */
static int compare_peers(const void *a, const void *b)
{
	const struct peer *x = *(const struct peer *const *)a, *y = *(const struct peer *const *)b;

	if (x->spec->address != y->spec->address)
		return cv_ntohl(x->spec->address) < cv_ntohl(y->spec->address) ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (!x->spec->node || !y->spec->node)
		return (x->spec->node != NULL) - (y->spec->node != NULL);
	return strcmp(x->spec->node, y->spec->node);
}

static int refuse_pair(struct check *check, const struct peer *x, const struct peer *y,
		       const char *node)
{
	const struct cv_resource *a = x->resource, *b = y->resource;
	char text[CV_PLACE_NAME_MAX], other[CV_PLACE_NAME_MAX], address[CV_ADDRESS_TEXT_MAX];

	if (cv_place_is_later(a, b)) {
		a = y->resource;
		b = x->resource;
	}
	cv_address_format(x->spec->address, address);
	return cv_error_set(check->error, -EINVAL,
			    "%s: node %s has a session with %s port %u by %s already; change its "
			    "node or nodeSelector, or delete one of them",
			    cv_place_here(b, text), node, address, x->port,
			    cv_place_there(a, other));
}

/* The peer of a name in a group's part that is sorted by names; NULL: none. */
static const struct peer *find_named(const struct peer *const *peers, size_t count,
				     const char *name)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(peers[middle]->spec->node, name);

		if (!order)
			return peers[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* A group: all peers of one address and port. No node may be of two. */
static int check_group(struct check *check, const struct peer *const *peers, size_t count)
{
	size_t selected = 0;

	while (selected < count && !peers[selected]->spec->node)
		selected++;
	for (size_t i = selected + 1; i < count; i++) {
		if (!strcmp(peers[i - 1]->spec->node, peers[i]->spec->node))
			return refuse_pair(check, peers[i - 1], peers[i], peers[i]->spec->node);
	}
	for (size_t n = 0; selected && n < check->node_count; n++) {
		const struct cv_resource *node = check->nodes[n];
		const struct peer *has = find_named(peers + selected, count - selected, node->name);

		for (size_t i = 0; i < selected; i++) {
			if (!is_of(peers[i], node))
				continue;
			if (has)
				return refuse_pair(check, has, peers[i], node->name);
			has = peers[i];
		}
	}
	return 0;
}

/* What a peer without a port of its own is spoken with at. */
static uint16_t port_of(const struct check *check, const struct cv_bgp_peer *spec)
{
	const struct cv_resource *node = spec->port ? NULL : node_at(check, spec->address);
	struct cv_bgp_configuration bgp;

	if (!node)
		return spec->port ? spec->port : CV_BGP_PORT;
	cv_snapshot_bgp(check->snapshot, node->name, &bgp);
	return bgp.listen_port;
}

static bool is_same_end(const struct peer *a, const struct peer *b)
{
	return a->spec->address == b->spec->address && a->port == b->port;
}

static int check_pairs(struct check *check)
{
	const struct peer **sorted = calloc(check->peer_count + 1, sizeof(*sorted));
	size_t count = 0, begin = 0;
	int rc = 0;

	if (!sorted)
		return cv_error_set(check->error, -ENOMEM, "no memory to check the resources");
	for (size_t i = 0; i < check->peer_count; i++) {
		struct peer *peer = &check->peers[i];

		if (!peer->spec->address)
			continue;
		peer->port = port_of(check, peer->spec);
		sorted[count++] = peer;
	}
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare_peers);
	for (size_t i = 1; !rc && i <= count; i++) {
		if (i < count && is_same_end(sorted[begin], sorted[i]))
			continue;
		if (i - begin > 1)
			rc = check_group(check, sorted + begin, i - begin);
		begin = i;
	}
	free(sorted);
	return rc;
}

/* ---- configurations -------------------------------------------------------------- */

/* A route reflector is not part of the mesh: without a BGPPeer nobody speaks with it. */
static void check_reflector(struct check *check, const struct cv_resource *node)
{
	char text[CV_PLACE_NAME_MAX];

	for (size_t i = 0; i < check->peer_count; i++) {
		const struct peer *peer = &check->peers[i];

		if (is_of(peer, node) || (peer->peers && cv_selector_matches(peer->peers, node)) ||
		    (peer->spec->address && peer->spec->address == node->node.address))
			return;
	}
	if (is_worth(check, WARN_LONELY_REFLECTOR))
		cv_messages_add(check->warnings,
				"%s: it is a route reflector, and so not part of the mesh, and no "
				"BGPPeer is about it; add one whose peerSelector selects it",
				cv_place_here(node, text));
}

static void check_mesh(struct check *check, const struct cv_resource *common)
{
	struct cv_bgp_configuration bgp;
	char text[CV_PLACE_NAME_MAX];
	size_t in_mesh = 0;

	cv_snapshot_bgp(check->snapshot, NULL, &bgp);
	for (size_t i = 0; i < check->node_count; i++) {
		if (check->nodes[i]->node.cluster_id)
			check_reflector(check, check->nodes[i]);
		else
			in_mesh += check->nodes[i]->node.address != 0;
	}
	if (!bgp.mesh && !check->peer_count)
		cv_messages_add(check->warnings,
				"%s: nodeToNodeMeshEnabled is false and there is no BGPPeer, so no "
				"node speaks with any; add BGPPeers",
				cv_place_here(common, text));
	if (bgp.mesh && in_mesh > MESH_MAX)
		cv_messages_add(check->warnings,
				"%s: a mesh of %zu nodes, each with a session to every other; "
				"beyond %d, better make some of them route reflectors",
				cv_place_here(common, text), in_mesh, MESH_MAX);
}

/* Felix has a field of the same name, with which Calico splits the work; here one is enough. */
static void check_programs(struct check *check)
{
	size_t count;
	struct cv_resource *const *felix =
		cv_snapshot_kind(check->snapshot, CV_KIND_FELIX_CONFIGURATION, &count);
	struct cv_bgp_configuration bgp;
	char text[CV_PLACE_NAME_MAX];

	cv_snapshot_bgp(check->snapshot, NULL, &bgp);
	for (size_t i = 0; i < count; i++) {
		if (!felix[i]->felix->has_program_cluster_routes ||
		    felix[i]->felix->program_cluster_routes != bgp.program_cluster_routes)
			continue;
		cv_messages_add(
			check->warnings,
			"%s: its programClusterRoutes: %s is not acted on: BGPConfiguration "
			"default decides, by which %s programs routes; write %s there for "
			"the other",
			cv_place_here(felix[i], text),
			bgp.program_cluster_routes ? "Enabled" : "Disabled",
			bgp.program_cluster_routes ? "BIRD" : "culvertd",
			bgp.program_cluster_routes ? "Disabled" : "Enabled");
	}
}

static void check_nodes_own(struct check *check)
{
	size_t count;
	struct cv_resource *const *resources =
		cv_snapshot_kind(check->snapshot, CV_KIND_BGP_CONFIGURATION, &count);
	char text[CV_PLACE_NAME_MAX];

	for (size_t i = 0; i < count; i++) {
		const char *node = resources[i]->name + strlen("node.");

		if (strcmp(resources[i]->name, "default") &&
		    !cv_snapshot_find(check->snapshot, CV_KIND_NODE, node) &&
		    is_worth(check, WARN_NO_NODE))
			cv_messages_add(check->warnings,
					"%s: there is no Node %s; add it, or mend the name",
					cv_place_here(resources[i], text), node);
	}
}

/* One warning is enough, for the first of them. */
static void warn_of_no_default(struct check *check)
{
	static const enum cv_kind kinds[] = {CV_KIND_BGP_PEER, CV_KIND_BGP_FILTER,
					     CV_KIND_BGP_CONFIGURATION};
	const struct cv_resource *first = NULL;
	char text[CV_PLACE_NAME_MAX];
	size_t total = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t count;
		struct cv_resource *const *resources =
			cv_snapshot_kind(check->snapshot, kinds[i], &count);

		if (count && !first)
			first = resources[0];
		total += count;
	}
	if (first)
		cv_messages_add(check->warnings,
				"%s%s: no node speaks BGP without a BGPConfiguration default; "
				"apply {apiVersion: projectcalico.org/v3, kind: BGPConfiguration, "
				"metadata: {name: default}}",
				cv_place_here(first, text), total > 1 ? ", and others" : "");
}

int cv_snapshot_check_bgp(const struct cv_snapshot *snapshot, struct cv_messages *warnings,
			  struct cv_error *error)
{
	const struct cv_resource *common =
		cv_snapshot_find(snapshot, CV_KIND_BGP_CONFIGURATION, "default");
	struct check check = {.snapshot = snapshot, .warnings = warnings, .error = error};
	int rc;

	check.nodes = cv_snapshot_kind(snapshot, CV_KIND_NODE, &check.node_count);
	rc = list_peers(&check);
	if (!rc)
		rc = sort_nodes(&check);
	if (!rc)
		rc = check_pairs(&check);
	for (size_t i = 0; !rc && i < check.peer_count; i++)
		check_peer(&check, &check.peers[i]);
	if (!rc && common) {
		check_mesh(&check, common);
		check_programs(&check);
	} else if (!rc) {
		warn_of_no_default(&check);
	}
	if (!rc)
		check_nodes_own(&check);
	count_the_rest(&check);
	free(check.by_address);
	free_peers(&check);
	return rc;
}
