/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How the handling of a packet ends: counted, captured if somebody captures, and a return
 * value for the kernel. Nothing ends in any other way.
 */
#ifndef CV_BPF_VERDICT_H
#define CV_BPF_VERDICT_H

#include "bpf/maps.h"
#include "bpf/packet.h"
#include "wire/drop.h"

/*
 * What is not ours is left to whoever comes next on the hook, not accepted: foreign filters may
 * stand there too.
 */
enum {
	CV_PASS = TC_ACT_UNSPEC
};

/* What is known of the packet at hand. */
struct cv_scene {
	const struct cv_fp_config *config;
	__u32 tunnel; /* index of its device; 0: none known */
	__u32 slot;   /* of its counters */
	__u32 peer;   /* number of who has sent it through it, 0: not counted */
	__u8 hook;    /* enum cv_fp_hook */
	__u8 offset;  /* of the IPv4 header in the packet */
};

CV_INLINE struct cv_fp_counters *cv_counters(__u32 slot)
{
	return bpf_map_lookup_elem(&cv_counters_1, &slot);
}

/* NULL: this peer is not counted, as no peer of a plain tunnel is. */
CV_INLINE struct cv_fp_traffic *cv_traffic(__u32 peer)
{
	return peer ? bpf_map_lookup_elem(&cv_traffic_1, &peer) : NULL;
}

static __attribute__((noinline)) int capture(struct __sk_buff *skb, __u32 tunnel, __u32 snap,
					     __u32 hook_offset, __u32 verdict_drop)
{
	struct cv_fp_capture record = {
		.time_ns = bpf_ktime_get_ns(),
		.ifindex = skb->ifindex,
		.tunnel = tunnel,
		.captured = snap < skb->len ? snap : skb->len,
		.gso_size = skb->gso_size,
		.hook = hook_offset >> 8,
		.offset = hook_offset,
		.verdict = verdict_drop >> 8,
		.drop = verdict_drop,
	};

	record.length = skb->len - record.offset;
	return (int)bpf_perf_event_output(skb, &cv_capture,
					  BPF_F_CURRENT_CPU | (__u64)record.captured << 32, &record,
					  sizeof(record));
}

/* Tell whoever captures. */
CV_INLINE void cv_capture_packet(struct __sk_buff *skb, const struct cv_scene *scene, __u8 verdict,
				 __u8 drop)
{
	__u32 snap = scene->config->capture;

	if (__builtin_expect(snap != 0, 0))
		capture(skb, scene->tunnel, snap, (__u32)scene->hook << 8 | scene->offset,
			(__u32)verdict << 8 | drop);
}

CV_INLINE int cv_drop_packet(struct __sk_buff *skb, const struct cv_scene *scene, __u8 reason)
{
	struct cv_fp_counters *counters = cv_counters(scene->slot);

	if (counters)
		counters->drops[reason & (CV_FP_DROPS - 1)]++;
	cv_capture_packet(skb, scene, CV_FP_VERDICT_DROPPED, reason);
	return TC_ACT_SHOT;
}

/* Words in the packet's control block, for the program that hands over. */
enum {
	CV_CB_TUNNEL,
	CV_CB_SLOT,
	CV_CB_HOOK_OFFSET,
	CV_CB_TO_SOCKET,
};

CV_INLINE int cv_to_whom(struct __sk_buff *skb, const struct cv_scene *scene, __u32 to_socket)
{
	skb->cb[CV_CB_TUNNEL] = scene->tunnel;
	skb->cb[CV_CB_SLOT] = scene->slot;
	skb->cb[CV_CB_HOOK_OFFSET] = (__u32)scene->hook << 8 | scene->offset;
	skb->cb[CV_CB_TO_SOCKET] = to_socket;
	bpf_tail_call(skb, &cv_engine, 0);
	return cv_drop_packet(skb, scene, CV_DROP_ENGINE_ABSENT);
}

/*
 * Give the packet to the engine: what lies at scene->offset, an inner packet on the way out or an
 * outer one on the way in, goes into the tunnel's device. Where no engine runs, it is dropped.
 */
CV_INLINE int cv_to_engine(struct __sk_buff *skb, const struct cv_scene *scene)
{
	return cv_to_whom(skb, scene, 0);
}

/*
 * Leave an outer packet to the engine's packet socket, which tells by which device it came: the
 * engine alone can judge that, and then gives its word for those that follow.
 */
CV_INLINE int cv_to_socket(struct __sk_buff *skb, const struct cv_scene *scene)
{
	return cv_to_whom(skb, scene, 1);
}

/* What the program behind cv_engine does. */
CV_INLINE int cv_hand_over_packet(struct __sk_buff *skb)
{
	__u32 hook_offset = skb->cb[CV_CB_HOOK_OFFSET];
	struct cv_scene scene = {
		.config = cv_config(),
		.tunnel = skb->cb[CV_CB_TUNNEL],
		.slot = skb->cb[CV_CB_SLOT],
		.hook = hook_offset >> 8,
		.offset = hook_offset,
	};
	bool inbound = scene.hook == CV_FP_HOOK_UNDERLAY_IN;
	struct cv_fp_counters *counters = cv_counters(scene.slot);

	if (counters && inbound)
		counters->in_handed_over++;
	else if (counters)
		counters->out_handed_over++;
	if (scene.config)
		cv_capture_packet(skb, &scene, CV_FP_VERDICT_TO_ENGINE, CV_DROP_NONE);
	if (skb->cb[CV_CB_TO_SOCKET] || scene.hook == CV_FP_HOOK_TUNNEL_OUT)
		return CV_PASS;
	return (int)bpf_redirect(scene.tunnel, 0);
}

/* Left to the host's stack (an endpoint's packet): a verdict only for who captures. */
CV_INLINE int cv_to_stack(struct __sk_buff *skb, const struct cv_scene *scene)
{
	cv_capture_packet(skb, scene, CV_FP_VERDICT_TO_STACK, CV_DROP_NONE);
	return CV_PASS;
}

#endif
