/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of live tunnels: an array of slots, and two hashes, by (remote, local) for the
 * way in, and by device. The hashes are built anew on every change (at most 1,024 entries, and
 * changes are rare), so that there are no tombstones on the packet path.
 */
#include "engine/live.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"

/*
 * The top bits of the product: the only ones to which every bit of key contributes. Remotes
 * of one subnet differ in their last byte, which is the highest one here.
 */
static unsigned int hash_of(uint64_t key)
{
	_Static_assert(CV_LIVE_HASH_SIZE == 1 << 12, "what is left of 64 bits");
	return (unsigned int)(key * 0x9e3779b97f4a7c15ULL >> 52);
}

static unsigned int hash_pair(__be32 remote, __be32 local)
{
	return hash_of((uint64_t)(CV_FORCE uint32_t)remote << 32 | (CV_FORCE uint32_t)local);
}

static unsigned int hash_device(int ifindex)
{
	return hash_of((uint32_t)ifindex);
}

static void hash_insert(uint16_t *hash, unsigned int at, unsigned int slot)
{
	while (hash[at])
		at = (at + 1) % CV_LIVE_HASH_SIZE;
	hash[at] = (uint16_t)(slot + 1);
}

static bool is_other(const struct cv_live_tunnel *tunnel, __be32 remote, __be32 local)
{
	if (tunnel->config.remote != remote)
		return false;
	for (unsigned int i = 0; i < tunnel->config.other_count; i++) {
		if (tunnel->config.others[i] == local)
			return true;
	}
	return false;
}

/* The tunnel of this pair; if there is none, one that has it by another of its addresses. */
static struct cv_live_tunnel *find_pair(const struct cv_live *live, __be32 remote, __be32 local)
{
	struct cv_live_tunnel *other = NULL;
	unsigned int at = hash_pair(remote, local);

	for (; live->by_addresses[at]; at = (at + 1) % CV_LIVE_HASH_SIZE) {
		struct cv_live_tunnel *tunnel = live->slots[live->by_addresses[at] - 1];

		if (tunnel->config.remote == remote && tunnel->config.local == local)
			return tunnel;
		/* One of another hash may stand here, too. */
		if (live->has_others && !other && is_other(tunnel, remote, local))
			other = tunnel;
	}
	return other;
}

struct cv_live_tunnel *cv_live_exact(const struct cv_live *live, __be32 remote, __be32 local)
{
	struct cv_live_tunnel *tunnel = find_pair(live, remote, local);

	return tunnel && tunnel->config.local == local ? tunnel : NULL;
}

/* The tunnels' own pairs are all there: they come first. */
static void hash_others(struct cv_live *live, const struct cv_live_tunnel *tunnel)
{
	for (unsigned int i = 0; i < tunnel->config.other_count && !tunnel->config.remote; i++) {
		__be32 other = tunnel->config.others[i];

		if (!cv_live_exact(live, 0, other))
			hash_insert(live->by_addresses, hash_pair(0, other), tunnel->slot);
	}
}

static void rebuild_hashes(struct cv_live *live)
{
	memset(live->by_addresses, 0, sizeof(live->by_addresses));
	memset(live->by_device, 0, sizeof(live->by_device));
	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX; i++) {
		const struct cv_live_tunnel *tunnel = live->slots[i];

		if (!tunnel)
			continue;
		hash_insert(live->by_addresses,
			    hash_pair(tunnel->config.remote, tunnel->config.local), i);
		hash_insert(live->by_device, hash_device(tunnel->config.ifindex), i);
	}
	live->has_others = false;
	live->has_others = !cv_live_exact(live, 0, 0);
	for (unsigned int i = 0; live->has_others && i < CV_ENGINE_TUNNELS_MAX; i++) {
		if (live->slots[i] && live->slots[i]->config.other_count)
			hash_others(live, live->slots[i]);
	}
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
	for (unsigned int i = 0; i < CV_ENGINE_WORKERS_MAX; i++)
		tunnel->lanes[i].others.tunnel = tunnel;
	live->slots[slot] = tunnel;
	live->count++;
	rebuild_hashes(live);
	return 0;
}

int cv_live_change(struct cv_live *live, struct cv_live_tunnel *tunnel,
		   const struct cv_engine_tunnel *config)
{
	const struct cv_live_tunnel *other = cv_live_exact(live, config->remote, config->local);

	if (other && other != tunnel)
		return -EEXIST;
	if (strcmp(tunnel->config.dev, config->dev)) {
		for (unsigned int i = 0; i < CV_ENGINE_WORKERS_MAX; i++)
			tunnel->lanes[i].dev_index = 0;
	}
	tunnel->config = *config;
	rebuild_hashes(live);
	return 0;
}

/* ---- declared peers ---------------------------------------------------------------- */

int cv_live_owners_init(struct cv_live_owners *ret_next, const struct cv_owners *owners,
			unsigned int workers)
{
	struct cv_live_owners next = {.peers = {NULL}};
	size_t size;

	if (owners && cv_owners_copy(owners, &next.owners))
		return -ENOMEM;
	/* Cache lines of each worker's own. */
	size = (next.owners.peer_count * sizeof(*next.peers[0]) + 63) & ~(size_t)63;
	for (unsigned int i = 0; i < workers && size; i++) {
		next.peers[i] = aligned_alloc(64, size);
		if (!next.peers[i]) {
			cv_live_owners_fini(&next);
			return -ENOMEM;
		}
		memset(next.peers[i], 0, size);
	}
	*ret_next = next;
	return 0;
}

void cv_live_owners_fini(struct cv_live_owners *next)
{
	cv_owners_fini(&next->owners);
	for (unsigned int i = 0; i < CV_ENGINE_WORKERS_MAX; i++) {
		free(next->peers[i]);
		next->peers[i] = NULL;
	}
}

/* Both lists are sorted. */
static void keep_counters(const struct cv_owners *before, const struct cv_live_peer *from,
			  const struct cv_owners *after, struct cv_live_peer *to)
{
	size_t i = 0;

	for (size_t j = 0; j < after->peer_count; j++) {
		while (i < before->peer_count &&
		       cv_ntohl(before->peers[i]) < cv_ntohl(after->peers[j]))
			i++;
		if (i < before->peer_count && before->peers[i] == after->peers[j])
			to[j] = from[i];
	}
}

void cv_live_owners_swap(struct cv_live_tunnel *tunnel, struct cv_live_owners *next)
{
	struct cv_owners owners = tunnel->owners;

	for (unsigned int i = 0; i < CV_ENGINE_WORKERS_MAX; i++) {
		struct cv_live_lane *lane = &tunnel->lanes[i];
		struct cv_live_peer *before = lane->peers, *after = next->peers[i];

		if (before && after)
			keep_counters(&owners, before, &next->owners, after);
		for (size_t j = 0; after && j < next->owners.peer_count; j++)
			after[j].tunnel = tunnel;
		lane->peers = after;
		lane->recent = NULL;
		next->peers[i] = before;
	}
	tunnel->owners = next->owners;
	next->owners = owners;
}

struct cv_live_peer *cv_live_peer(struct cv_live_tunnel *tunnel, unsigned int worker,
				  __be32 address)
{
	struct cv_live_lane *lane = &tunnel->lanes[worker];
	size_t index;

	if (!lane->peers)
		return &lane->others;
	if (!lane->recent || lane->recent_address != address) {
		index = cv_owners_peer_index(&tunnel->owners,
					     cv_owners_now(&tunnel->owners, address));
		lane->recent =
			index < tunnel->owners.peer_count ? &lane->peers[index] : &lane->others;
		lane->recent_address = address;
	}
	return lane->recent;
}

void cv_live_add_peers(const struct cv_live_tunnel *tunnel, struct cv_peer_counters *list,
		       size_t count)
{
	for (size_t i = 0; i < tunnel->owners.peer_count; i++) {
		struct cv_peer_counters *sum =
			cv_peer_counters_find(list, count, tunnel->owners.peers[i]);

		for (unsigned int j = 0; sum && j < CV_ENGINE_WORKERS_MAX; j++) {
			const struct cv_live_peer *peer = tunnel->lanes[j].peers;

			if (!peer)
				continue;
			sum->rx_packets += peer[i].rx_packets;
			sum->rx_bytes += peer[i].rx_bytes;
			sum->tx_packets += peer[i].tx_packets;
			sum->tx_bytes += peer[i].tx_bytes;
		}
	}
}

void cv_live_remove(struct cv_live *live, struct cv_live_tunnel *tunnel)
{
	live->slots[tunnel->slot] = NULL;
	live->count--;
	rebuild_hashes(live);
}

struct cv_live_tunnel *cv_live_find(const struct cv_live *live, int ifindex)
{
	unsigned int at = hash_device(ifindex);

	for (; live->by_device[at]; at = (at + 1) % CV_LIVE_HASH_SIZE) {
		struct cv_live_tunnel *tunnel = live->slots[live->by_device[at] - 1];

		if (tunnel->config.ifindex == ifindex)
			return tunnel;
	}
	return NULL;
}

bool cv_live_is_device(const struct cv_live *live, int ifindex)
{
	return cv_live_find(live, ifindex) != NULL;
}

/* A device that got another name is the same one, as for Linux's tunnels. */
static void resolve_device(struct cv_live_lane *lane, const char *dev)
{
	char name[IFNAMSIZ];

	if (!lane->dev_index || !if_indextoname((unsigned int)lane->dev_index, name))
		lane->dev_index = (int)if_nametoindex(dev);
}

void cv_live_resolve_devices(struct cv_live *live, unsigned int worker)
{
	unsigned int seen = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned int i = 0; i < CV_ENGINE_TUNNELS_MAX && seen < live->count; i++) {
		struct cv_live_tunnel *tunnel = live->slots[i];

		if (!tunnel)
			continue;
		seen++;
		if (cv_link_read_mtu(fd, tunnel->config.ifindex, &tunnel->lanes[worker].mtu))
			tunnel->lanes[worker].mtu = 0;
		if (tunnel->config.dev[0])
			resolve_device(&tunnel->lanes[worker], tunnel->config.dev);
	}
	if (fd >= 0)
		close(fd);
}

struct cv_live_tunnel *cv_live_lookup(const struct cv_live *live, unsigned int worker,
				      __be32 source, __be32 destination, int ifindex)
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

		tunnel = find_pair(live, order[i].remote, order[i].local);
		if (!tunnel)
			continue;
		if (!tunnel->config.dev[0] || !ifindex ||
		    tunnel->lanes[worker].dev_index == ifindex)
			return tunnel;
	}
	return NULL;
}
