/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The maps (abi.h) as the programs see them. fastpath/programs.c pins them. */
#ifndef CV_BPF_MAPS_H
#define CV_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi.h"

/* As in abi.h. */
#ifdef CV_FP_NEXT_LAYOUT
#define cv_tunnels_1  cv_tunnels_2
#define cv_counters_1 cv_counters_2
#define cv_flows_1    cv_flows_2
#define cv_traffic_1  cv_traffic_2
#endif

/* The section's name is libbpf's; a map's is its variable's, hence the numbers in them. */
#define CV_MAP(map_type, max, key_type, value_type) \
	struct {                                    \
		__uint(type, map_type);             \
		__uint(max_entries, max);           \
		__type(key, key_type);              \
		__type(value, value_type);          \
	}

CV_MAP(BPF_MAP_TYPE_ARRAY, 1, __u32, struct cv_fp_config) cv_config_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_HASH, CV_FP_TUNNELS_MAX, __u32, struct cv_fp_tunnel)
cv_tunnels_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_HASH, CV_FP_TUNNELS_MAX, struct cv_fp_pair, __u32) cv_pairs_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_HASH, CV_FP_ADDRESSES_MAX, __be32, __u32) cv_addresses_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_HASH, CV_FP_DEVICES_MAX, __u32, struct cv_fp_device)
cv_devices_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_HASH, CV_FP_ENDPOINTS_MAX, __be32, struct cv_fp_endpoint)
cv_endpoints_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_LRU_HASH, CV_FP_REMOTES_MAX, __be32, struct cv_fp_remote)
cv_remotes_2 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_PERCPU_ARRAY, CV_FP_SLOTS, __u32, struct cv_fp_counters)
cv_counters_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_ARRAY, CV_FP_ID_SLOTS, __u32, __u32) cv_ids_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_LRU_HASH, CV_FP_WAYS_MAX, struct cv_fp_way_key, struct cv_fp_way)
cv_ways_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_LRU_HASH, CV_FP_PERMITS_MAX, struct cv_fp_permit_key, struct cv_fp_permit)
cv_permits_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_LRU_HASH, CV_FP_WORDS_MAX, struct cv_fp_word_key, struct cv_fp_word)
cv_words_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_LRU_HASH, CV_FP_WORDS_MAX, struct cv_fp_arrival_key, struct cv_fp_word)
cv_arrivals_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_LRU_HASH, CV_FP_FLOWS_MAX, struct cv_fp_flow_key, struct cv_fp_flow)
cv_flows_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_LRU_HASH, CV_FP_FRAGMENTS_MAX, struct cv_fp_fragment_key, struct cv_fp_fragment)
cv_fragments_2 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_HASH, CV_FP_PEERS_MAX, struct cv_fp_way_key, __u32) cv_peers_1 SEC(".maps");
CV_MAP(BPF_MAP_TYPE_PERCPU_ARRAY, CV_FP_PEERS_MAX, __u32, struct cv_fp_traffic)
cv_traffic_1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CV_FP_ACTIVITY_SLOTS);
	__type(key, __u32);
	__type(value, struct cv_fp_activity);
} cv_activity_1 SEC(".maps");

/*
 * The way to the engine: a program that hands over. The kernel empties a program array
 * when the last user of its descriptor is gone, so a tail call fails once culvertd is.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cv_engine SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} cv_capture SEC(".maps");

/* A section of its own: the compiler puts its own tables into .rodata. */
const volatile struct cv_fp_features cv_features SEC(CV_FP_FEATURES_SECTION);

CV_INLINE const struct cv_fp_config *cv_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cv_config_1, &zero);
}

#endif
