/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers and their numbers in real maps: who counts on, who begins at 0, over changes of owners and
 * over restarts, against a table that knows what each peer's counters must be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "fastpath/traffic.h"

enum {
	TUNNELS = 3,
	ADDRESSES = 40,
	ROUNDS = 400,
	TOO_MANY = CV_FP_PEERS_MAX + 10
};

struct fixture {
	struct cv_fastpath fastpath;
	struct cv_fastpath_tunnel tunnels[TUNNELS];
	/* What is right. */
	bool declared[TUNNELS][ADDRESSES];
	uint64_t counted[TUNNELS][ADDRESSES];
};

static uint32_t any(uint32_t n)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 33) % n;
}

static __be32 address_of(unsigned int i)
{
	return cv_htonl(0x0a000001 + i * 0x00ffffff);
}

static int set_up(void **state)
{
	struct fixture *f;

	*state = NULL;
	if (libbpf_probe_bpf_map_type(BPF_MAP_TYPE_PERCPU_ARRAY, NULL) != 1)
		return 0;
	f = test_calloc(1, sizeof(*f));
	f->fastpath.programs.map[CV_MAP_PEERS] =
		bpf_map_create(BPF_MAP_TYPE_HASH, "cv_t_1", sizeof(struct cv_fp_way_key),
			       sizeof(uint32_t), CV_FP_PEERS_MAX, NULL);
	f->fastpath.programs.map[CV_MAP_TRAFFIC] =
		bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "cv_t_2", sizeof(uint32_t),
			       sizeof(struct cv_fp_traffic), CV_FP_PEERS_MAX, NULL);
	assert_true(f->fastpath.programs.map[CV_MAP_PEERS] >= 0);
	assert_true(f->fastpath.programs.map[CV_MAP_TRAFFIC] >= 0);
	f->fastpath.tunnels = f->tunnels;
	f->fastpath.tunnel_count = TUNNELS;
	for (unsigned int t = 0; t < TUNNELS; t++)
		f->tunnels[t].config.ifindex = 10 + (int)t;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (!f)
		return 0;
	for (unsigned int t = 0; t < TUNNELS; t++)
		cv_traffic_forget(&f->fastpath, &f->tunnels[t]);
	close(f->fastpath.programs.map[CV_MAP_PEERS]);
	close(f->fastpath.programs.map[CV_MAP_TRAFFIC]);
	test_free(f);
	return 0;
}

/* As a program does it. True: it is counted. */
static bool count_packet(struct fixture *f, unsigned int t, unsigned int i)
{
	struct cv_fp_way_key key = {
		.tunnel = (uint32_t)f->tunnels[t].config.ifindex,
		.destination = address_of(i),
	};
	struct cv_fp_traffic *values =
		calloc((size_t)libbpf_num_possible_cpus(), sizeof(struct cv_fp_traffic));
	uint32_t number = 0;

	assert_non_null(values);
	if (!bpf_map_lookup_elem(f->fastpath.programs.map[CV_MAP_PEERS], &key, &number)) {
		int map = f->fastpath.programs.map[CV_MAP_TRAFFIC];

		assert_in_range(number, 1, CV_FP_PEERS_MAX - 1);
		assert_int_equal(bpf_map_lookup_elem(map, &number, values), 0);
		values[0].rx_packets++;
		values[0].tx_bytes += 3;
		assert_int_equal(bpf_map_update_elem(map, &number, values, BPF_ANY), 0);
	}
	free(values);
	return number != 0;
}

/* Sorted, as address_of() is not. */
static void make(const bool *declared, struct cv_owners *ret_owners)
{
	__be32 peers[ADDRESSES];
	size_t count = 0;

	for (unsigned int i = 0; i < ADDRESSES; i++) {
		if (declared[i])
			peers[count++] = address_of(i);
	}
	assert_int_equal(cv_owners_make(NULL, 0, peers, count, ret_owners), 0);
}

static void declare(struct fixture *f, unsigned int t, const bool *declared)
{
	struct cv_owners owners;

	make(declared, &owners);
	cv_traffic_declare(&f->fastpath, &f->tunnels[t], &owners);
	cv_owners_fini(&owners);
	for (unsigned int i = 0; i < ADDRESSES; i++) {
		f->declared[t][i] = declared[i];
		if (!declared[i])
			f->counted[t][i] = 0;
	}
}

static void check(struct fixture *f, unsigned int t)
{
	struct cv_peer_counters list[ADDRESSES];
	struct cv_owners owners;

	make(f->declared[t], &owners);
	memset(list, 0, sizeof(list));
	for (size_t i = 0; i < owners.peer_count; i++)
		list[i].address = owners.peers[i];
	assert_int_equal(cv_fastpath_peer_counters(&f->fastpath, f->tunnels[t].config.ifindex, list,
						   owners.peer_count),
			 0);
	for (unsigned int i = 0; i < ADDRESSES; i++) {
		const struct cv_peer_counters *peer =
			cv_peer_counters_find(list, owners.peer_count, address_of(i));

		assert_int_equal(peer != NULL, f->declared[t][i]);
		if (!peer)
			continue;
		assert_false(peer->is_partial);
		assert_int_equal(peer->rx_packets, f->counted[t][i]);
		assert_int_equal(peer->tx_bytes, 3 * f->counted[t][i]);
		assert_int_equal(peer->tx_packets + peer->rx_bytes, 0);
	}
	cv_owners_fini(&owners);
}

/* The process ends; what is in the maps stays. */
static void restart(struct fixture *f)
{
	for (unsigned int t = 0; t < TUNNELS; t++) {
		free(f->tunnels[t].peers);
		free(f->tunnels[t].formers);
		f->tunnels[t].peers = NULL;
		f->tunnels[t].formers = NULL;
		f->tunnels[t].former_count = 0;
		f->tunnels[t].peer_count = 0;
	}
	memset(f->fastpath.numbers, 0, sizeof(f->fastpath.numbers));
	memset(f->fastpath.own_numbers, 0, sizeof(f->fastpath.own_numbers));
	f->fastpath.last_number = 0;
	cv_traffic_take_up(&f->fastpath);
}

static void change(bool *declared)
{
	for (unsigned int i = 0; i < ADDRESSES; i++) {
		if (!any(4))
			declared[i] = !declared[i];
	}
}

static void test_counts_as_the_table(void **state)
{
	struct fixture *f = *state;
	bool wanted[ADDRESSES];

	if (!f)
		skip();
	for (unsigned int round = 0; round < ROUNDS; round++) {
		unsigned int t = any(TUNNELS);
		bool restarts = !any(5);

		if (restarts)
			restart(f);
		for (unsigned int other = 0; other < TUNNELS; other++) {
			memcpy(wanted, f->declared[other], sizeof(wanted));
			if (other == t)
				change(wanted);
			if (other == t || restarts)
				declare(f, other, wanted);
		}
		if (restarts)
			cv_traffic_sweep(&f->fastpath);
		if (!any(10)) {
			cv_traffic_forget(&f->fastpath, &f->tunnels[t]);
			memset(f->declared[t], 0, sizeof(f->declared[t]));
			memset(f->counted[t], 0, sizeof(f->counted[t]));
		}
		for (unsigned int i = 0; i < ADDRESSES; i++) {
			t = any(TUNNELS);
			assert_int_equal(count_packet(f, t, i), f->declared[t][i]);
			f->counted[t][i] += f->declared[t][i];
		}
		for (t = 0; t < TUNNELS; t++)
			check(f, t);
	}
}

/* What nobody declares again after a restart is swept, and its numbers are free again. */
static void test_sweep_frees_numbers(void **state)
{
	struct fixture *f = *state;
	bool all[ADDRESSES];

	if (!f)
		skip();
	memset(all, 1, sizeof(all));
	declare(f, 0, all);
	restart(f);
	cv_traffic_sweep(&f->fastpath);
	for (unsigned int i = 0; i < CV_FP_PEERS_MAX / 64; i++)
		assert_int_equal(f->fastpath.numbers[i], 0);
	for (unsigned int i = 0; i < ADDRESSES; i++)
		assert_false(count_packet(f, 0, i));
}

/* What comes from an address that a peer had before is the peer's; later it may be another's. */
static void test_addresses_of_before(void **state)
{
	struct fixture *f = *state;
	const __be32 peers[] = {address_of(1)}, both[] = {address_of(0), address_of(1)};
	struct cv_peer_counters now = {.address = address_of(1)},
				other = {.address = address_of(0)};
	struct cv_owners owners;

	if (!f)
		skip();
	assert_int_equal(cv_owners_make(NULL, 0, peers, 1, &owners), 0);
	assert_int_equal(cv_owners_add_former(&owners, address_of(0), address_of(1)), 0);
	cv_traffic_declare(&f->fastpath, &f->tunnels[0], &owners);
	assert_true(count_packet(f, 0, 0));
	assert_true(count_packet(f, 0, 1));
	cv_traffic_sweep(&f->fastpath);
	assert_true(count_packet(f, 0, 0));
	cv_fastpath_peer_counters(&f->fastpath, 10, &now, 1);
	assert_int_equal(now.rx_packets, 3);
	cv_owners_fini(&owners);
	/* After a restart both are peers: one counts on, the other begins. */
	restart(f);
	assert_int_equal(cv_owners_make(NULL, 0, both, 2, &owners), 0);
	cv_traffic_declare(&f->fastpath, &f->tunnels[0], &owners);
	cv_traffic_sweep(&f->fastpath);
	assert_int_not_equal(f->tunnels[0].peers[0].number, f->tunnels[0].peers[1].number);
	now.rx_packets = 0;
	cv_fastpath_peer_counters(&f->fastpath, 10, &now, 1);
	cv_fastpath_peer_counters(&f->fastpath, 10, &other, 1);
	assert_int_equal(now.rx_packets + other.rx_packets, 3);
	cv_owners_fini(&owners);
	/* And one that is let go is nobody's. */
	assert_int_equal(cv_owners_make(NULL, 0, peers, 1, &owners), 0);
	cv_traffic_declare(&f->fastpath, &f->tunnels[0], &owners);
	cv_owners_fini(&owners);
	assert_false(count_packet(f, 0, 0));
}

static void declare_many(struct fixture *f, unsigned int count)
{
	static __be32 peers[TOO_MANY];
	struct cv_owners owners;

	for (unsigned int i = 0; i < count; i++)
		peers[i] = cv_htonl(0x0a000001 + i);
	assert_int_equal(cv_owners_make(NULL, 0, peers, count, &owners), 0);
	cv_traffic_declare(&f->fastpath, &f->tunnels[0], &owners);
	cv_owners_fini(&owners);
}

/* More than there are numbers: the rest is told as not known, until others have gone. */
static void test_more_than_there_is_room_for(void **state)
{
	struct fixture *f = *state;
	struct cv_peer_counters last = {.address = cv_htonl(TOO_MANY + 0x0a000000)};
	struct cv_peer_counters first = {.address = cv_htonl(0x0a000001)};
	unsigned int numbered = 0;

	if (!f)
		skip();
	declare_many(f, TOO_MANY);
	for (unsigned int i = 0; i < TOO_MANY; i++)
		numbered += f->tunnels[0].peers[i].number != 0;
	assert_int_equal(numbered, CV_FP_PEERS_MAX - 1);
	cv_fastpath_peer_counters(&f->fastpath, 10, &last, 1);
	cv_fastpath_peer_counters(&f->fastpath, 10, &first, 1);
	assert_true(last.is_partial);
	assert_false(first.is_partial);
	declare_many(f, 1);
	declare_many(f, CV_FP_PEERS_MAX - 1);
	for (unsigned int i = 0; i < CV_FP_PEERS_MAX - 1; i++)
		assert_int_not_equal(f->tunnels[0].peers[i].number, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(counts_as_the_table),
		TEST(sweep_frees_numbers),
		TEST(addresses_of_before),
		TEST(more_than_there_is_room_for),
	};

	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
