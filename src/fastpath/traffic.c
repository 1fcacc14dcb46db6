/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declared peers and their numbers, by which the programs count (bpf/abi.h, cv_peers).
 *
 * Invariants: a number is one peer's at most, whom addresses that it had before lead to, too; it is
 * set in fastpath->numbers as long as it is in the map, in own_numbers as long as it is a peer's of
 * this daemon; what it counts is 0 before anybody can find it; a tunnel's peers are sorted as its
 * owners'.
 */
#include "fastpath/traffic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "fastpath/sweep.h"

/* ---- numbers ------------------------------------------------------------------------- */

static bool is_set(const uint64_t *numbers, uint32_t number)
{
	return numbers[number / 64] & 1ULL << (number % 64);
}

static void set(uint64_t *numbers, uint32_t number)
{
	numbers[number / 64] |= 1ULL << (number % 64);
}

static void give_back(struct cv_fastpath *fastpath, uint32_t number)
{
	fastpath->numbers[number / 64] &= ~(1ULL << (number % 64));
	fastpath->own_numbers[number / 64] &= ~(1ULL << (number % 64));
}

/*
 * In turn, so that the number of one who has just gone, by which a packet may be counted at this
 * moment, is not the next one's. 0: there is none.
 */
static uint32_t take_number(struct cv_fastpath *fastpath)
{
	for (uint32_t i = 0; i < CV_FP_PEERS_MAX; i++) {
		fastpath->last_number = (fastpath->last_number + 1) % CV_FP_PEERS_MAX;
		if (!fastpath->last_number || is_set(fastpath->numbers, fastpath->last_number))
			continue;
		set(fastpath->numbers, fastpath->last_number);
		set(fastpath->own_numbers, fastpath->last_number);
		return fastpath->last_number;
	}
	return 0;
}

static struct cv_fp_traffic *make_values(void)
{
	int cpus = libbpf_num_possible_cpus();

	return calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(struct cv_fp_traffic));
}

/* ---- peers ----------------------------------------------------------------------------- */

static struct cv_fp_way_key key_of(const struct cv_fastpath_tunnel *tunnel, __be32 address)
{
	return (struct cv_fp_way_key){
		.tunnel = (__u32)tunnel->config.ifindex,
		.destination = address,
	};
}

static void remove_peer(struct cv_fastpath *fastpath, const struct cv_fastpath_tunnel *tunnel,
			const struct cv_fastpath_peer *peer)
{
	struct cv_fp_way_key key = key_of(tunnel, peer->address);

	if (!peer->number)
		return;
	bpf_map_delete_elem(fastpath->programs.map[CV_MAP_PEERS], &key);
	give_back(fastpath, peer->number);
}

/* The number that an earlier daemon gave it, with what it counted; else a new one, or 0. */
static uint32_t number_for(struct cv_fastpath *fastpath, const struct cv_fastpath_tunnel *tunnel,
			   __be32 address, const struct cv_fp_traffic *zero)
{
	struct cv_fp_way_key key = key_of(tunnel, address);
	__u32 number;

	/* Two had one number there if one of them is an address that a peer had before. */
	if (!bpf_map_lookup_elem(fastpath->programs.map[CV_MAP_PEERS], &key, &number) && number &&
	    number < CV_FP_PEERS_MAX && !is_set(fastpath->own_numbers, number)) {
		set(fastpath->own_numbers, number);
		return number;
	}
	number = take_number(fastpath);
	if (!number)
		return 0;
	if (!bpf_map_update_elem(fastpath->programs.map[CV_MAP_TRAFFIC], &number, zero, BPF_ANY) &&
	    !bpf_map_update_elem(fastpath->programs.map[CV_MAP_PEERS], &key, &number, BPF_ANY))
		return number;
	give_back(fastpath, number);
	return 0;
}

/* ---- addresses that peers had before ---------------------------------------------------- */

static void forget_formers(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel)
{
	for (size_t i = 0; i < tunnel->former_count; i++) {
		struct cv_fp_way_key key = key_of(tunnel, tunnel->formers[i]);

		bpf_map_delete_elem(fastpath->programs.map[CV_MAP_PEERS], &key);
	}
	free(tunnel->formers);
	tunnel->formers = NULL;
	tunnel->former_count = 0;
}

/* What comes from there is the peer's: by its number. Nobody of these is a peer now. */
static void add_formers(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel,
			const struct cv_owners *owners)
{
	tunnel->formers =
		calloc(owners->former_count ? owners->former_count : 1, sizeof(*tunnel->formers));
	for (size_t i = 0; tunnel->formers && i < owners->former_count; i++) {
		struct cv_fp_way_key key = key_of(tunnel, owners->formers[i].former);
		size_t index = cv_owners_peer_index(owners, owners->formers[i].now);
		__u32 number = index < tunnel->peer_count ? tunnel->peers[index].number : 0;

		if (number && !bpf_map_update_elem(fastpath->programs.map[CV_MAP_PEERS], &key,
						   &number, BPF_ANY))
			tunnel->formers[tunnel->former_count++] = key.destination;
	}
}

/* ---- all of a tunnel's ------------------------------------------------------------------ */

void cv_traffic_forget(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel)
{
	forget_formers(fastpath, tunnel);
	for (size_t i = 0; i < tunnel->peer_count; i++)
		remove_peer(fastpath, tunnel, &tunnel->peers[i]);
	free(tunnel->peers);
	tunnel->peers = NULL;
	tunnel->peer_count = 0;
}

/* Numbers for the peers of a new list, both lists being sorted; those that went give theirs back.
 */
static void number_peers(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel,
			 struct cv_fastpath_peer *peers, size_t count,
			 const struct cv_fp_traffic *zero)
{
	size_t old = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t wanted = cv_ntohl(peers[i].address);

		while (old < tunnel->peer_count && cv_ntohl(tunnel->peers[old].address) < wanted)
			remove_peer(fastpath, tunnel, &tunnel->peers[old++]);
		if (old < tunnel->peer_count && tunnel->peers[old].address == peers[i].address)
			peers[i].number = tunnel->peers[old++].number;
		if (!peers[i].number)
			peers[i].number = number_for(fastpath, tunnel, peers[i].address, zero);
	}
	while (old < tunnel->peer_count)
		remove_peer(fastpath, tunnel, &tunnel->peers[old++]);
}

void cv_traffic_declare(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel,
			const struct cv_owners *owners)
{
	size_t count = owners->peer_count;
	struct cv_fp_traffic *zero = make_values();
	struct cv_fastpath_peer *peers = calloc(count ? count : 1, sizeof(*peers));

	if (!peers || !zero) {
		cv_traffic_forget(fastpath, tunnel);
		free(peers);
		free(zero);
		return;
	}
	for (size_t i = 0; i < count; i++)
		peers[i].address = owners->peers[i];
	forget_formers(fastpath, tunnel);
	number_peers(fastpath, tunnel, peers, count, zero);
	free(zero);
	free(tunnel->peers);
	tunnel->peers = peers;
	tunnel->peer_count = count;
	add_formers(fastpath, tunnel, owners);
}

/* ---- what an earlier daemon has left ----------------------------------------------------- */

void cv_traffic_take_up(struct cv_fastpath *fastpath)
{
	int map = fastpath->programs.map[CV_MAP_PEERS];
	struct cv_fp_way_key key, next;
	bool has_key = !bpf_map_get_next_key(map, NULL, &key);
	__u32 number;

	while (has_key) {
		if (!bpf_map_lookup_elem(map, &key, &number) && number < CV_FP_PEERS_MAX)
			set(fastpath->numbers, number);
		has_key = !bpf_map_get_next_key(map, &key, &next);
		key = next;
	}
}

static int compare_peers(const void *a, const void *b)
{
	uint32_t x = cv_ntohl(((const struct cv_fastpath_peer *)a)->address);
	uint32_t y = cv_ntohl(((const struct cv_fastpath_peer *)b)->address);

	return x < y ? -1 : x > y;
}

static bool is_former(const struct cv_fastpath_tunnel *tunnel, __be32 address)
{
	for (size_t i = 0; i < tunnel->former_count; i++) {
		if (tunnel->formers[i] == address)
			return true;
	}
	return false;
}

static bool peer_stays(const void *key, void *data)
{
	struct cv_fastpath *fastpath = data;
	const struct cv_fastpath_tunnel *tunnel;
	struct cv_fastpath_peer wanted = {0};
	struct cv_fp_way_key peer;

	memcpy(&peer, key, sizeof(peer));
	wanted.address = peer.destination;
	tunnel = cv_fastpath_find_tunnel(fastpath, (int)peer.tunnel);
	if (!tunnel)
		return false;
	return is_former(tunnel, peer.destination) ||
	       (tunnel->peer_count &&
		bsearch(&wanted, tunnel->peers, tunnel->peer_count, sizeof(wanted), compare_peers));
}

void cv_traffic_sweep(struct cv_fastpath *fastpath)
{
	cv_sweep(fastpath->programs.map[CV_MAP_PEERS], sizeof(struct cv_fp_way_key), peer_stays,
		 fastpath);
	memcpy(fastpath->numbers, fastpath->own_numbers, sizeof(fastpath->numbers));
}

/* ---- reading ----------------------------------------------------------------------------- */

static int add_traffic(const struct cv_fastpath *fastpath, uint32_t number,
		       struct cv_fp_traffic *values, struct cv_peer_counters *sum)
{
	int cpus = libbpf_num_possible_cpus();

	if (bpf_map_lookup_elem(fastpath->programs.map[CV_MAP_TRAFFIC], &number, values))
		return -errno;
	for (int i = 0; i < cpus; i++) {
		sum->rx_packets += values[i].rx_packets;
		sum->rx_bytes += values[i].rx_bytes;
		sum->tx_packets += values[i].tx_packets;
		sum->tx_bytes += values[i].tx_bytes;
	}
	return 0;
}

int cv_fastpath_peer_counters(struct cv_fastpath *fastpath, int ifindex,
			      struct cv_peer_counters *list, size_t count)
{
	const struct cv_fastpath_tunnel *tunnel = cv_fastpath_find_tunnel(fastpath, ifindex);
	struct cv_fp_traffic *values;
	int err = 0;

	if (!tunnel)
		return -ENOENT;
	values = make_values();
	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < tunnel->peer_count && !err; i++) {
		const struct cv_fastpath_peer *peer = &tunnel->peers[i];
		struct cv_peer_counters *sum = cv_peer_counters_find(list, count, peer->address);

		if (sum && peer->number)
			err = add_traffic(fastpath, peer->number, values, sum);
		else if (sum)
			sum->is_partial = true;
	}
	free(values);
	return err;
}
