/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of live tunnels: an array of slots, and a hash by (remote, local) for the
 * way in. The hash is built anew on every change (at most 1,024 entries, and changes are
 * rare), so that there are no tombstones on the packet path.
 */
#include "engine/live.h"

#include <errno.h>
#include <string.h>

static unsigned int hash_pair(__be32 remote, __be32 local)
{
	uint64_t x = ((uint64_t)(CV_FORCE uint32_t)remote << 32 | (CV_FORCE uint32_t)local) *
		     0x9e3779b97f4a7c15ULL;

	return (unsigned int)(x >> 40) % CV_LIVE_HASH_SIZE;
}

static void rebuild_hash(struct cv_live *live)
{
	memset(live->hash, 0, sizeof(live->hash));
	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX; i++) {
		const struct cv_live_tunnel *tunnel = live->slots[i];
		unsigned int at;

		if (!tunnel)
			continue;
		at = hash_pair(tunnel->config.remote, tunnel->config.local);
		while (live->hash[at])
			at = (at + 1) % CV_LIVE_HASH_SIZE;
		live->hash[at] = (uint16_t)(i + 1);
	}
}

struct cv_live_tunnel *cv_live_exact(const struct cv_live *live, __be32 remote, __be32 local)
{
	unsigned int at = hash_pair(remote, local);

	for (; live->hash[at]; at = (at + 1) % CV_LIVE_HASH_SIZE) {
		struct cv_live_tunnel *tunnel = live->slots[live->hash[at] - 1];

		if (tunnel->config.remote == remote && tunnel->config.local == local)
			return tunnel;
	}
	return NULL;
}

int cv_live_add(struct cv_live *live, struct cv_live_tunnel *tunnel)
{
	unsigned int slot = 0;

	if (cv_live_exact(live, tunnel->config.remote, tunnel->config.local) ||
	    cv_live_find(live, tunnel->config.ifindex))
		return -EEXIST;
	if (live->count == CV_ENGINE_TUNNELS_MAX)
		return -ENOSPC;
	while (live->slots[slot])
		slot++;
	tunnel->slot = slot;
	live->slots[slot] = tunnel;
	live->count++;
	rebuild_hash(live);
	return 0;
}

int cv_live_change(struct cv_live *live, struct cv_live_tunnel *tunnel,
		   const struct cv_engine_tunnel *config)
{
	const struct cv_live_tunnel *other = cv_live_exact(live, config->remote, config->local);

	if (other && other != tunnel)
		return -EEXIST;
	tunnel->config = *config;
	rebuild_hash(live);
	return 0;
}

void cv_live_remove(struct cv_live *live, struct cv_live_tunnel *tunnel)
{
	live->slots[tunnel->slot] = NULL;
	live->count--;
	rebuild_hash(live);
}

struct cv_live_tunnel *cv_live_find(const struct cv_live *live, int ifindex)
{
	unsigned int seen = 0;

	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX && seen < live->count; i++) {
		if (!live->slots[i])
			continue;
		if (live->slots[i]->config.ifindex == ifindex)
			return live->slots[i];
		seen++;
	}
	return NULL;
}

bool cv_live_is_device(const struct cv_live *live, int ifindex)
{
	return cv_live_find(live, ifindex) != NULL;
}

void cv_live_resolve_devices(struct cv_live *live, unsigned int worker)
{
	unsigned int seen = 0;

	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX && seen < live->count; i++) {
		struct cv_live_tunnel *tunnel = live->slots[i];

		if (!tunnel)
			continue;
		seen++;
		if (tunnel->config.dev[0])
			tunnel->lanes[worker].dev_index = (int)if_nametoindex(tunnel->config.dev);
	}
}

struct cv_live_tunnel *cv_live_lookup(const struct cv_live *live, unsigned int worker,
				      __be32 source, __be32 destination, int ifindex, bool own)
{
	const struct {
		__be32 remote;
		__be32 local;
	} order[] = {
		{source, destination},
		{source, 0},
		{0, destination},
		{0, 0},
	};

	for (unsigned int i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct cv_live_tunnel *tunnel;

		if (!order[i].local && !own)
			continue;
		tunnel = cv_live_exact(live, order[i].remote, order[i].local);
		if (!tunnel)
			continue;
		if (!tunnel->config.dev[0] || !ifindex ||
		    tunnel->lanes[worker].dev_index == ifindex)
			return tunnel;
	}
	return NULL;
}
