/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a fast path pays for, one thing in each program: run in a loop by BPF_PROG_TEST_RUN
 * (tests/bench/cost), whose time less that of cost_noop is the thing's.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/kernel.h"
#include "bpf/maps.h"

char cost_license[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bpf_fib_lookup);
} cost_question SEC(".maps");

SEC("tc")
int cost_noop(struct __sk_buff *skb)
{
	return (int)(skb->len & 0);
}

/* The question is the caller's, in cost_question. */
SEC("tc")
int cost_fib_lookup(struct __sk_buff *skb)
{
	__u32 zero = 0;
	const struct bpf_fib_lookup *question = bpf_map_lookup_elem(&cost_question, &zero);
	struct bpf_fib_lookup fib;

	if (!question)
		return -1;
	fib = *question;
	return (int)bpf_fib_lookup(skb, &fib, sizeof(fib), 0);
}

SEC("tc")
int cost_array(struct __sk_buff *skb)
{
	const struct cv_fp_config *config = cv_config();

	(void)skb;
	return config ? (int)config->generation : -1;
}

SEC("tc")
int cost_hash(struct __sk_buff *skb)
{
	__u32 key = 7;

	(void)skb;
	return bpf_map_lookup_elem(&cv_tunnels_1, &key) ? 1 : 0;
}

SEC("tc")
int cost_lru_hash(struct __sk_buff *skb)
{
	struct cv_fp_flow_key key = {.protocol = 17};

	(void)skb;
	return bpf_map_lookup_elem(&cv_flows_1, &key) ? 1 : 0;
}

/* What makes remembering safe: rt_genid and the generation. */
SEC("tc")
int cost_stamp(struct __sk_buff *skb)
{
	const struct cv_fp_config *config = cv_config();
	struct cv_fp_stamp stamp;

	(void)skb;
	if (!config)
		return -1;
	stamp = cv_stamp_now(config);
	return (int)stamp.genid;
}

/* As many reads as for a gateway, but of the device: a packet of this kind has no route. */
SEC("tc")
int cost_next_hop(struct __sk_buff *skb)
{
	__u32 mtu = 0;
	bool up = false;

	cv_device_read(cv_skb_device(skb), &up, &mtu);
	return (int)mtu;
}

/* Room for an outer header and back again: the header is 20 bytes. */
SEC("tc")
int cost_room(struct __sk_buff *skb)
{
	if (bpf_skb_adjust_room(skb, 20, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET))
		return -1;
	return (int)bpf_skb_adjust_room(skb, -20, BPF_ADJ_ROOM_MAC,
					BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET);
}
