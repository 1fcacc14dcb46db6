/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The questions to the kernel's routing that the engine asks (engine/router.c), asked with
 * bpf_fib_lookup(). It tells one next hop and little of the rest, so every answer here is
 * "yes, certainly", or "ask the engine".
 *
 * bpf_fib_lookup() wants a device with forwarding switched on to ask from. Routes of packets
 * of the host itself are asked for with config->lookup_ifindex: the loopback device where the
 * host forwards (as the kernel itself does), else a device of ours that is there for nothing else.
 */
#ifndef CV_BPF_ROUTE_H
#define CV_BPF_ROUTE_H

#include "bpf/kernel.h"
#include "bpf/maps.h"

/* Answers of which a part is good: the device and the gateway are there. */
CV_INLINE bool cv_fib_found(long rc)
{
	return rc == BPF_FIB_LKUP_RET_SUCCESS || rc == BPF_FIB_LKUP_RET_NO_NEIGH ||
	       rc == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

CV_INLINE __u32 cv_fib_flags(void)
{
	return cv_features.skip_neigh ? BPF_FIB_LOOKUP_SKIP_NEIGH : 0;
}

/* ---- the outer route ----------------------------------------------------------------- */

#define CV_NS_PER_S 1000000000ULL

/* What the engine knows of the remote: errors to be told, a smaller path MTU. */
CV_INLINE void cv_apply_remote(__be32 destination, struct cv_fp_way *way)
{
	const struct cv_fp_remote *remote = bpf_map_lookup_elem(&cv_remotes_2, &destination);

	if (!remote)
		return;
	if (remote->error_until_s && bpf_ktime_get_ns() < remote->error_until_s * CV_NS_PER_S)
		way->to_engine = 1;
	if (remote->mtu && remote->mtu < way->mtu && bpf_ktime_get_ns() < remote->mtu_until_ns) {
		way->mtu = remote->mtu;
		way->mtu_until_ns = remote->mtu_until_ns;
	}
}

/*
 * What is larger than the tunnel's device is here if the route into it has a larger mtu metric, or
 * if an endpoint has sent it past the stack. The fast path takes it if the engine has said that
 * routes to this remote are for such packets (inner_mtu); else the engine does, which asks for the
 * route. So the device's MTU, or inner_mtu, is also what is known here of the outer route's mtu
 * metric, which bpf_fib_lookup() minds only when it is locked. The stamp holds no longer than the
 * device's MTU: changing it flushes the kernel's routes.
 */
CV_INLINE void cv_apply_device(const struct cv_fp_tunnel *tunnel, __be32 destination,
			       struct cv_fp_way *way)
{
	const struct cv_fp_remote *remote = bpf_map_lookup_elem(&cv_remotes_2, &destination);
	__u32 mtu = tunnel->mtu;
	bool up;

	cv_device_read(tunnel->device, &up, &mtu);
	if (remote && remote->inner_mtu > mtu)
		mtu = remote->inner_mtu;
	if (mtu && mtu + CV_IPIP_OVERHEAD < way->mtu)
		way->mtu = mtu + CV_IPIP_OVERHEAD;
}

/*
 * Ask for the way of outer packets to destination. Two questions: for a packet that is too
 * large for any route, only the path's MTU comes back (with its path MTU exceptions), for
 * one of no length everything else.
 */
static __attribute__((noinline)) int resolve_way(struct __sk_buff *skb,
						 const struct cv_fp_tunnel *tunnel,
						 __u32 lookup_ifindex, __be32 destination,
						 struct cv_fp_way *way)
{
	struct bpf_fib_lookup fib = {
		.family = CV_AF_INET,
		.l4_protocol = CV_IPV4_PROTO_IPIP,
		.tot_len = CV_IPV4_LENGTH_MAX,
		.ifindex = lookup_ifindex,
		.ipv4_src = tunnel->local,
		.ipv4_dst = destination,
	};
	__u32 flags = cv_fib_flags();
	long rc;

	if (tunnel->dev) {
		fib.ifindex = tunnel->dev;
		flags |= BPF_FIB_LOOKUP_OUTPUT;
	}
	way->to_engine = 1;
	rc = bpf_fib_lookup(skb, &fib, sizeof(fib), flags);
	if (!cv_fib_found(rc))
		return 0;
	way->mtu = rc == BPF_FIB_LKUP_RET_FRAG_NEEDED ? fib.mtu_result : CV_IPV4_LENGTH_MAX;

	fib.family = CV_AF_INET;
	fib.tot_len = 0;
	fib.tos = 0;
	fib.ifindex = tunnel->dev ? tunnel->dev : lookup_ifindex;
	fib.ipv4_src = tunnel->local;
	fib.ipv4_dst = destination;
	if (!tunnel->local && cv_features.source)
		flags |= BPF_FIB_LOOKUP_SRC;
	if (!cv_fib_found(bpf_fib_lookup(skb, &fib, sizeof(fib), flags)) ||
	    fib.family != CV_AF_INET)
		return 0;
	way->oif = fib.ifindex;
	way->gateway = fib.ipv4_dst;
	way->source = tunnel->local ? tunnel->local : fib.ipv4_src;
	if (bpf_map_lookup_elem(&cv_tunnels_1, &way->oif)) {
		way->drop = CV_DROP_UNDERLAY_LOOP;
		way->to_engine = 0;
		return 0;
	}
	way->to_engine = !way->source;
	cv_apply_device(tunnel, destination, way);
	cv_apply_remote(destination, way);
	return 0;
}

CV_INLINE bool cv_way_holds(const struct cv_fp_way *way, const struct cv_fp_stamp *now)
{
	if (!cv_stamp_holds(&way->stamp, now))
		return false;
	return !way->mtu_until_ns || bpf_ktime_get_ns() < way->mtu_until_ns;
}

/* A peer's number, 0: it has none. Tunnels with a remote have no others. */
CV_INLINE __u16 cv_peer_find(const struct cv_fp_tunnel *tunnel, __u32 ifindex, __be32 remote)
{
	struct cv_fp_way_key key = {.tunnel = ifindex, .destination = remote};
	const __u32 *peer;

	if (tunnel->remote)
		return 0;
	peer = bpf_map_lookup_elem(&cv_peers_1, &key);
	return peer ? (__u16)*peer : 0;
}

/* The way of outer packets through a tunnel to destination: remembered, or asked for. */
CV_INLINE void cv_find_way(struct __sk_buff *skb, const struct cv_fp_config *config,
			   const struct cv_fp_tunnel *tunnel, __u32 ifindex, __be32 destination,
			   struct cv_fp_way *ret_way)
{
	struct cv_fp_way_key key = {.tunnel = ifindex, .destination = destination};
	struct cv_fp_stamp now = cv_stamp_now(config);
	const struct cv_fp_way *known = bpf_map_lookup_elem(&cv_ways_1, &key);

	if (known && cv_way_holds(known, &now)) {
		*ret_way = *known;
		return;
	}
	__builtin_memset(ret_way, 0, sizeof(*ret_way));
	ret_way->stamp = now;
	ret_way->peer = cv_peer_find(tunnel, ifindex, destination);
	if (cv_has_policies(config)) {
		ret_way->to_engine = 1;
		return;
	}
	resolve_way(skb, tunnel, config->lookup_ifindex, destination, ret_way);
	/* What waits for the engine is not remembered: it may be told at any moment. */
	if (now.generation && !ret_way->to_engine)
		bpf_map_update_elem(&cv_ways_1, &key, ret_way, BPF_ANY);
}

/* ---- who may send ---------------------------------------------------------------------- */

enum cv_answer {
	CV_ANSWER_YES,
	CV_ANSWER_ASK, /* the engine */
};

/*
 * Would a packet back from the inner destination to the inner source go through this tunnel, to
 * this outer source? As cv_router_authorise asks: with the device that the inner
 * destination is behind, for policy rules. YES only for a unicast route.
 */
static __attribute__((noinline)) int is_routed_back(struct __sk_buff *skb,
						    const struct cv_fp_permit_key *key,
						    __u32 lookup_ifindex, __u32 tunnel,
						    __be32 remote)
{
	struct bpf_fib_lookup fib = {
		.family = CV_AF_INET,
		.ifindex = lookup_ifindex,
	};
	const struct cv_fp_endpoint *endpoint;
	long rc;

	endpoint = bpf_map_lookup_elem(&cv_endpoints_1, &key->inner_destination);
	if (endpoint) {
		fib.ifindex = endpoint->ifindex;
	} else if (!bpf_map_lookup_elem(&cv_addresses_1, &key->inner_destination)) {
		fib.ipv4_dst = key->inner_destination;
		rc = bpf_fib_lookup(skb, &fib, sizeof(fib), cv_fib_flags());
		if (!cv_fib_found(rc))
			return CV_ANSWER_ASK;
	}
	fib.family = CV_AF_INET;
	fib.tot_len = 0;
	fib.tos = key->tos;
	fib.ipv4_src = key->inner_destination;
	fib.ipv4_dst = key->inner_source;
	rc = bpf_fib_lookup(skb, &fib, sizeof(fib), cv_fib_flags());
	if (!cv_fib_found(rc) || fib.family != CV_AF_INET || fib.ifindex != tunnel)
		return CV_ANSWER_ASK;
	/* Without gateway the answer holds the destination itself. */
	return remote || fib.ipv4_dst == key->outer_source ? CV_ANSWER_YES : CV_ANSWER_ASK;
}

/*
 * Does the host route the inner destination, if it is an endpoint's, to that endpoint? If it does
 * not (another route, a blackhole), its packets are the stack's, which does what the route says.
 */
static __attribute__((noinline)) int is_routed_on(struct __sk_buff *skb,
						  const struct cv_fp_permit_key *key,
						  __u32 lookup_ifindex)
{
	const struct cv_fp_endpoint *endpoint =
		bpf_map_lookup_elem(&cv_endpoints_1, &key->inner_destination);
	struct bpf_fib_lookup fib = {
		.family = CV_AF_INET,
		.ifindex = lookup_ifindex,
		.tos = key->tos,
	};

	if (!endpoint)
		return 1;
	fib.ipv4_src = key->inner_source;
	fib.ipv4_dst = key->inner_destination;
	return cv_fib_found(bpf_fib_lookup(skb, &fib, sizeof(fib), cv_fib_flags())) &&
	       fib.ifindex == endpoint->ifindex;
}

/*
 * Would the host take an outer packet that came like this (rp_filter)? As fib_validate_source() of
 * Linux asks, with one next hop only.
 */
static __attribute__((noinline)) int may_arrive(struct __sk_buff *skb,
						const struct cv_fp_permit_key *key,
						__u32 lookup_ifindex, __u32 rp_filter)
{
	struct bpf_fib_lookup fib = {
		.family = CV_AF_INET,
		.ifindex = lookup_ifindex,
	};

	fib.ipv4_dst = key->outer_source;
	fib.ipv4_src = key->outer_destination;
	if (!cv_fib_found(bpf_fib_lookup(skb, &fib, sizeof(fib), cv_fib_flags())))
		return CV_ANSWER_ASK;
	return rp_filter != 1 || fib.ifindex == key->ifindex ? CV_ANSWER_YES : CV_ANSWER_ASK;
}

#endif
