/* SPDX-License-Identifier: Apache-2.0 */
/* Paths with names, found, counted, and judged in words. */
#include "agent/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ipip.h"

/* ---- the list ------------------------------------------------------------------------- */

static int compare_paths(const void *a, const void *b)
{
	const struct cv_known_path *x = a, *y = b;
	uint32_t p = cv_ntohl(x->path.remote), q = cv_ntohl(y->path.remote);
	int order = strcmp(x->tunnel, y->tunnel);

	return order ? order : (p > q) - (p < q);
}

int cv_paths_make(const struct cv_prober_path *list, size_t count,
		  const char *(*name)(int ifindex, const void *data), const void *data,
		  const struct cv_intent *intent, struct cv_paths *ret_paths)
{
	struct cv_known_path *items = calloc(count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct cv_peer_intent *peer = cv_intent_peer(intent, list[i].remote);
		const char *tunnel = name(list[i].tunnel, data);

		items[i].path = list[i];
		items[i].node = peer ? peer->node->name : NULL;
		snprintf(items[i].tunnel, sizeof(items[i].tunnel), "%s", tunnel ? tunnel : "");
	}
	qsort(items, count, sizeof(*items), compare_paths);
	*ret_paths = (struct cv_paths){.items = items, .count = count};
	return 0;
}

static const char *name_of(int ifindex, const void *engine)
{
	return cv_engine_tunnel_name(engine, ifindex);
}

int cv_paths_read(struct cv_engine *engine, const struct cv_intent *intent,
		  struct cv_paths *ret_paths)
{
	struct cv_prober_path *list = NULL;
	size_t count = 0;
	int rc = cv_engine_paths(engine, &list, &count);

	if (!rc)
		rc = cv_paths_make(list, count, name_of, engine, intent, ret_paths);
	free(list);
	return rc;
}

void cv_paths_fini(struct cv_paths *paths)
{
	free(paths->items);
	*paths = (struct cv_paths){.count = 0};
}

/* ---- finding ---------------------------------------------------------------------------- */

bool cv_path_matches(const struct cv_known_path *path, const char *peer)
{
	char address[CV_ADDRESS_TEXT_MAX];

	return !strcmp(path->tunnel, peer) || (path->node && !strcmp(path->node, peer)) ||
	       !strcmp(cv_address_format(path->path.remote, address), peer);
}

int cv_paths_explain_none(const struct cv_intent *intent, const char *peer, bool is_tunnel,
			  struct cv_error *error)
{
	const struct cv_peer_intent *known = cv_intent_peer_named(intent, peer);
	struct cv_prefix address;

	if (is_tunnel)
		return cv_error_set(error, -ENOENT,
				    "tunnel %s has no remote end now: no route leads through it to "
				    "a gateway",
				    peer);
	if (known)
		return cv_error_set(error, -ENOENT,
				    "nothing goes to node %s through a tunnel: its path is \"%s\" "
				    "(`culvert status` says why)",
				    peer, cv_peer_path_name(known));
	if (!strcmp(peer, intent->self.name))
		return cv_error_set(error, -ENOENT, "%s is this node; name another one", peer);
	if (cv_prefix_parse(peer, &address) == -ENODATA)
		return cv_error_set(error, -ENOENT,
				    "no tunnel sends to %s now; `culvert path` lists the remote "
				    "ends that there are",
				    peer);
	return cv_error_set(error, -ENOENT,
			    "there is no tunnel, no node and no remote address %s; `culvert path` "
			    "lists what there is",
			    peer);
}

/* ---- judging ------------------------------------------------------------------------------ */

uint32_t cv_path_inner_mtu(const struct cv_known_path *path)
{
	return path->path.mtu > CV_IPIP_OVERHEAD ? path->path.mtu - CV_IPIP_OVERHEAD : 0;
}

void cv_paths_sum_up(const struct cv_paths *paths, struct cv_paths_summary *ret_summary)
{
	*ret_summary = (struct cv_paths_summary){.count = paths->count};
	for (size_t i = 0; i < paths->count; i++) {
		const struct cv_prober_path *path = &paths->items[i].path;

		ret_summary->blocked += path->is_blocked;
		ret_summary->states[path->state]++;
		ret_summary->liveness[path->liveness]++;
	}
}

/* "192.0.2.7", or "192.0.2.7 (node b1)". */
static const char *name_remote(const struct cv_known_path *path, char *buffer, size_t size)
{
	char address[CV_ADDRESS_TEXT_MAX];

	cv_address_format(path->path.remote, address);
	if (path->node)
		snprintf(buffer, size, "%s (node %.64s)", address, path->node);
	else
		snprintf(buffer, size, "%s", address);
	return buffer;
}

const char *cv_path_problem(const struct cv_known_path *path, char buffer[CV_PATH_TEXT_MAX])
{
	char remote[CV_ADDRESS_TEXT_MAX + 80], source[CV_ADDRESS_TEXT_MAX] = "us";

	name_remote(path, remote, sizeof(remote));
	if (path->path.source)
		cv_address_format(path->path.source, source);
	if (path->path.is_blocked)
		snprintf(buffer, CV_PATH_TEXT_MAX,
			 "%s answers on the underlay, but nothing comes back through %s: IP "
			 "protocol 4 is filtered on the way (security groups of OpenStack and "
			 "clouds: a rule for the protocol number 4; `ipip` means 94), or it has "
			 "no tunnel to %s",
			 remote, path->tunnel, source);
	else if (!path->path.mtu)
		snprintf(buffer, CV_PATH_TEXT_MAX, "%s: this host has no route to %s", path->tunnel,
			 remote);
	else if (path->path.liveness == CV_LIVENESS_DOWN)
		snprintf(buffer, CV_PATH_TEXT_MAX, "%s: %s does not answer any more", path->tunnel,
			 remote);
	else if (path->path.state == CV_PLPMTUD_ERROR)
		snprintf(buffer, CV_PATH_TEXT_MAX,
			 "%s: %s answers small probes only: packets of more than %u bytes are lost "
			 "on the way, and no ICMP says so",
			 path->tunnel, remote, cv_path_inner_mtu(path));
	else
		return NULL;
	return buffer;
}

bool cv_path_filters_icmp(const struct cv_known_path *path)
{
	return path->path.how == CV_PLPMTUD_BY_PROBE && path->path.mtu &&
	       path->path.mtu < path->path.link_mtu &&
	       (path->path.state == CV_PLPMTUD_COMPLETE || path->path.state == CV_PLPMTUD_ERROR);
}
