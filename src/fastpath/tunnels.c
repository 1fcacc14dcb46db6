/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels and their entries.
 *
 * Invariant: what a program reads is complete before it can find it: a tunnel's entry before its
 * pair of addresses.
 */
#include "fastpath/tunnels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "fastpath/devices.h"
#include "fastpath/sweep.h"
#include "fastpath/traffic.h"

static uint32_t take_slot(struct cv_fastpath *fastpath)
{
	for (uint32_t slot = 0; slot < CV_FP_SLOT_NONE; slot++) {
		uint64_t bit = 1ULL << (slot % 64);

		if (fastpath->slots[slot / 64] & bit)
			continue;
		fastpath->slots[slot / 64] |= bit;
		return slot;
	}
	return CV_FP_SLOT_NONE;
}

static void clear_counters(struct cv_fastpath *fastpath, uint32_t slot)
{
	int cpus = libbpf_num_possible_cpus();
	struct cv_fp_counters *zero = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*zero));

	if (zero)
		bpf_map_update_elem(fastpath->programs.map[CV_MAP_COUNTERS], &slot, zero, BPF_ANY);
	free(zero);
}

/* The slot that an earlier daemon gave it, with what it counted; else a new one. */
static uint32_t slot_for(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fp_tunnel entry;
	__u32 key = (__u32)ifindex;
	uint32_t slot;

	if (!bpf_map_lookup_elem(fastpath->programs.map[CV_MAP_TUNNELS], &key, &entry) &&
	    entry.slot < CV_FP_SLOT_NONE &&
	    !(fastpath->slots[entry.slot / 64] & 1ULL << (entry.slot % 64))) {
		fastpath->slots[entry.slot / 64] |= 1ULL << (entry.slot % 64);
		return entry.slot;
	}
	slot = take_slot(fastpath);
	if (slot != CV_FP_SLOT_NONE)
		clear_counters(fastpath, slot);
	return slot;
}

static void set_problem(struct cv_fastpath_tunnel *tunnel, const char *text)
{
	snprintf(tunnel->problem, sizeof(tunnel->problem), "%s", text);
}

static struct cv_fp_pair pair_of(const struct cv_fp_tunnel *entry)
{
	return (struct cv_fp_pair){.remote = entry->remote, .local = entry->local};
}

/* Take the tunnel's pair out, if it is this tunnel's. */
static void delete_pair(struct cv_fastpath *fastpath, const struct cv_fastpath_tunnel *tunnel)
{
	struct cv_fp_pair pair = pair_of(&tunnel->entry);
	int map = fastpath->programs.map[CV_MAP_PAIRS];
	__u32 ifindex;

	if (!bpf_map_lookup_elem(map, &pair, &ifindex) && ifindex == (__u32)tunnel->config.ifindex)
		bpf_map_delete_elem(map, &pair);
}

/* Whether its other addresses are its own here, as engine/live.c has it. */
static bool has_fallback(const struct cv_fastpath *fastpath)
{
	for (size_t i = 0; i < fastpath->tunnel_count; i++) {
		if (!fastpath->tunnels[i].config.remote && !fastpath->tunnels[i].config.local)
			return true;
	}
	return false;
}

static bool is_other(const struct cv_engine_tunnel *config, __be32 address)
{
	for (unsigned int i = 0; i < config->other_count; i++) {
		if (config->others[i] == address)
			return true;
	}
	return false;
}

/* Take out the pairs of what were its other addresses and are none of wanted (NULL: of nobody). */
static void delete_others(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel,
			  const struct cv_engine_tunnel *wanted)
{
	int map = fastpath->programs.map[CV_MAP_PAIRS];
	unsigned int kept = 0;
	__u32 ifindex;

	for (unsigned int i = 0; i < tunnel->other_count; i++) {
		struct cv_fp_pair pair = {.local = tunnel->others[i]};

		if (wanted && is_other(wanted, pair.local)) {
			tunnel->others[kept++] = pair.local;
			continue;
		}
		if (pair.local != tunnel->entry.local &&
		    !bpf_map_lookup_elem(map, &pair, &ifindex) &&
		    ifindex == (__u32)tunnel->config.ifindex)
			bpf_map_delete_elem(map, &pair);
	}
	tunnel->other_count = kept;
}

/* No pair of a tunnel's own is taken, and none is missed if there is no room. */
static void write_others(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel)
{
	bool none = !tunnel->in_map || has_fallback(fastpath);
	__u32 key = (__u32)tunnel->config.ifindex, ifindex = 0;
	int map = fastpath->programs.map[CV_MAP_PAIRS];

	delete_others(fastpath, tunnel, none ? NULL : &tunnel->config);
	tunnel->other_count = 0;
	for (unsigned int i = 0; i < tunnel->config.other_count && !none; i++) {
		struct cv_fp_pair pair = {.local = tunnel->config.others[i]};

		/* It may be there, also from an earlier daemon. */
		if (!bpf_map_update_elem(map, &pair, &key, BPF_NOEXIST) ||
		    (!bpf_map_lookup_elem(map, &pair, &ifindex) && ifindex == key))
			tunnel->others[tunnel->other_count++] = pair.local;
	}
}

static void remove_from_maps(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel)
{
	__u32 key = (__u32)tunnel->config.ifindex;

	if (!tunnel->in_map)
		return;
	delete_others(fastpath, tunnel, NULL);
	delete_pair(fastpath, tunnel);
	bpf_map_delete_elem(fastpath->programs.map[CV_MAP_TUNNELS], &key);
	tunnel->in_map = false;
	cv_fastpath_bump(fastpath);
}

/* All of it, or nothing: half a tunnel would send and not receive. */
static void write_tunnel(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel,
			 const struct cv_fp_tunnel *entry)
{
	struct cv_fp_pair pair = pair_of(entry);
	__u32 key = (__u32)tunnel->config.ifindex;
	bool failed;

	if (tunnel->in_map &&
	    (entry->remote != tunnel->entry.remote || entry->local != tunnel->entry.local))
		delete_pair(fastpath, tunnel);
	failed =
		bpf_map_update_elem(fastpath->programs.map[CV_MAP_TUNNELS], &key, entry, BPF_ANY) ||
		bpf_map_update_elem(fastpath->programs.map[CV_MAP_PAIRS], &pair, &key, BPF_ANY);
	tunnel->entry = *entry;
	tunnel->in_map = true;
	if (failed) {
		remove_from_maps(fastpath, tunnel);
		set_problem(tunnel, "the fast path has no room for more tunnels");
		return;
	}
	cv_fastpath_bump(fastpath);
}

/* By index as long as there is such a device, whatever its name is now (as engine/live.c). */
static void resolve_dev(struct cv_fastpath_tunnel *tunnel)
{
	char name[IFNAMSIZ];

	if (!tunnel->config.dev[0])
		tunnel->dev = 0;
	else if (!tunnel->dev || !if_indextoname((unsigned int)tunnel->dev, name))
		tunnel->dev = (int)if_nametoindex(tunnel->config.dev);
}

static void say_no_lookup(const struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel)
{
	snprintf(tunnel->problem, sizeof(tunnel->problem), "routes cannot be asked for: %.96s",
		 fastpath->no_lookup);
}

/* Bring the maps in line with the tunnel as it is now. */
void cv_tunnels_refresh(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel)
{
	const struct cv_fastpath_device *device;
	uint64_t namespace, address = tunnel->entry.device;
	struct cv_fp_tunnel entry;

	resolve_dev(tunnel);
	device = cv_devices_find(fastpath, tunnel->config.ifindex);
	if (!device) {
		set_problem(tunnel, "its device is missing");
		remove_from_maps(fastpath, tunnel);
		return;
	}
	if (!address &&
	    cv_programs_look(&fastpath->programs, device->ifindex, &namespace, &address))
		address = 0;
	memset(&entry, 0, sizeof(entry));
	entry.device = address;
	entry.remote = tunnel->config.remote;
	entry.local = tunnel->config.local;
	entry.dev = (__u32)tunnel->dev;
	entry.slot = tunnel->slot;
	entry.mtu = device->mtu;
	entry.ipip = tunnel->config.ipip;
	entry.strict = tunnel->config.strict;
	entry.up = device->up;
	entry.mssclamp = tunnel->config.mssclamp;
	if (device->problem[0])
		set_problem(tunnel, device->problem);
	else if (!(device->kind & CV_FP_DEVICE_TUNNEL))
		set_problem(tunnel, "no program is attached to its device");
	else if (tunnel->config.dev[0] && !tunnel->dev)
		set_problem(tunnel, "its underlay device is missing");
	else if (!fastpath->config.lookup_ifindex)
		say_no_lookup(fastpath, tunnel);
	else
		set_problem(tunnel, "");
	/* Inner packets come to the program with or without an entry; without, they pass. */
	if (tunnel->problem[0])
		remove_from_maps(fastpath, tunnel);
	else if (!tunnel->in_map || memcmp(&entry, &tunnel->entry, sizeof(entry)) != 0)
		write_tunnel(fastpath, tunnel, &entry);
	if (tunnel->config.other_count || tunnel->other_count)
		write_others(fastpath, tunnel);
}

int cv_fastpath_tunnel_set(struct cv_fastpath *fastpath, const struct cv_engine_tunnel *config)
{
	struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, config->ifindex);

	if (!tunnel) {
		tunnel = realloc(fastpath->tunnels, (fastpath->tunnel_count + 1) * sizeof(*tunnel));
		if (!tunnel)
			return -ENOMEM;
		fastpath->tunnels = tunnel;
		tunnel = &fastpath->tunnels[fastpath->tunnel_count++];
		memset(tunnel, 0, sizeof(*tunnel));
		tunnel->slot = slot_for(fastpath, config->ifindex);
	} else if (strcmp(tunnel->config.dev, config->dev) != 0) {
		tunnel->dev = 0;
	}
	tunnel->config = *config;
	if (!fastpath->ready)
		return 0;
	/* With the first one come the network cards. */
	if (fastpath->tunnel_count == 1)
		cv_fastpath_refresh(fastpath);
	cv_devices_add_tunnel(fastpath, config->ifindex);
	cv_tunnels_refresh(fastpath, tunnel);
	return 0;
}

static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;
	return sum ^ sum >> 29;
}

/* 0: of none. */
static uint64_t hash_owners(const struct cv_owners *owners)
{
	uint64_t sum = mix(0, owners->peer_count);

	for (size_t i = 0; i < owners->peer_count; i++)
		sum = mix(sum, (CV_FORCE uint32_t)owners->peers[i]);
	for (size_t i = 0; i < owners->range_count; i++) {
		const struct cv_owner_range *range = &owners->ranges[i];

		sum = mix(sum, (uint64_t)range->first << 32 | range->last);
		sum = mix(sum, (CV_FORCE uint32_t)range->owner);
	}
	for (size_t i = 0; i < owners->former_count; i++)
		sum = mix(sum, (uint64_t)(CV_FORCE uint32_t)owners->formers[i].former << 32 |
				       (CV_FORCE uint32_t)owners->formers[i].now);
	return sum;
}

void cv_fastpath_tunnel_owners(struct cv_fastpath *fastpath, int ifindex,
			       const struct cv_owners *owners)
{
	struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, ifindex);
	uint64_t hash = hash_owners(owners);

	if (!tunnel || tunnel->owners == hash)
		return;
	tunnel->owners = hash;
	cv_traffic_declare(fastpath, tunnel, owners);
	cv_fastpath_bump(fastpath);
}

void cv_fastpath_tunnel_delete(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, ifindex);

	if (!tunnel)
		return;
	cv_traffic_forget(fastpath, tunnel);
	remove_from_maps(fastpath, tunnel);
	fastpath->slots[tunnel->slot / 64] &= ~(1ULL << (tunnel->slot % 64));
	*tunnel = fastpath->tunnels[--fastpath->tunnel_count];
	cv_devices_release(fastpath, ifindex, CV_FP_DEVICE_TUNNEL);
	if (!fastpath->tunnel_count)
		cv_fastpath_refresh(fastpath);
}

const char *cv_fastpath_tunnel_problem(struct cv_fastpath *fastpath, int ifindex)
{
	const struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, ifindex);

	if (!tunnel)
		return "the fast path does not know it";
	return tunnel->problem[0] ? tunnel->problem : NULL;
}

/* A tunnel that has a problem is known, but not carried. */
static bool is_in_map(const struct cv_fastpath_tunnel *tunnel)
{
	return tunnel && tunnel->in_map;
}

static bool tunnel_stays(const void *key, void *data)
{
	__u32 ifindex;

	memcpy(&ifindex, key, sizeof(ifindex));
	return is_in_map(cv_fastpath_find_tunnel(data, (int)ifindex));
}

static bool pair_stays(const void *key, void *data)
{
	struct cv_fastpath *fastpath = data;
	const struct cv_fastpath_tunnel *tunnel;
	struct cv_fp_pair pair;
	__u32 ifindex;

	memcpy(&pair, key, sizeof(pair));
	if (bpf_map_lookup_elem(fastpath->programs.map[CV_MAP_PAIRS], &pair, &ifindex))
		return false;
	tunnel = cv_fastpath_find_tunnel(fastpath, (int)ifindex);
	return is_in_map(tunnel) && tunnel->config.remote == pair.remote &&
	       (tunnel->config.local == pair.local || is_other(&tunnel->config, pair.local));
}

void cv_tunnels_sweep(struct cv_fastpath *fastpath)
{
	cv_sweep(fastpath->programs.map[CV_MAP_PAIRS], sizeof(struct cv_fp_pair), pair_stays,
		 fastpath);
	cv_sweep(fastpath->programs.map[CV_MAP_TUNNELS], sizeof(__u32), tunnel_stays, fastpath);
}
