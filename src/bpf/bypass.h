/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Endpoints (pods, VMs): packets from them and to them past the host's stack, by the rule
 * of flow.h. What a router does for a packet that it forwards is done here: the TTL, and nothing
 * for packets that need an answer from the router, which go to the stack.
 */
#ifndef CV_BPF_BYPASS_H
#define CV_BPF_BYPASS_H

#include "bpf/in.h"
#include "bpf/out.h"

/* ---- to an endpoint ----------------------------------------------------------------------- */

/*
 * The last step to an endpoint: into its namespace, or to its neighbour entry. The packet
 * has an Ethernet header, right or not: bpf_redirect_peer() needs none that is right.
 */
CV_INLINE int cv_hand_to_endpoint(__u32 ifindex, __u32 by_peer, __be32 address)
{
	struct bpf_redir_neigh neighbour = {.nh_family = CV_AF_INET, .ipv4_nh = address};

	if (by_peer)
		return (int)bpf_redirect_peer(ifindex, 0);
	return (int)bpf_redirect_neigh(ifindex, &neighbour, sizeof(neighbour), 0);
}

/* Remember the permit in the flow's entry, so that the next packet costs one look-up. */
static __attribute__((noinline)) int remember_in(const struct cv_fp_flow_key *key,
						 const struct cv_fp_flow *known,
						 const struct cv_inbound *in,
						 const struct cv_fp_permit *permit,
						 const struct cv_fp_endpoint *endpoint)
{
	struct cv_fp_flow flow;

	cv_flow_copy(&flow, known);
	flow.path = CV_FP_PATH_BYPASS;
	flow.endpoint = endpoint->ifindex;
	flow.in_stamp = permit->stamp;
	flow.in_source = in->key.outer_source;
	flow.in_destination = in->key.outer_destination;
	flow.in_ifindex = in->key.ifindex;
	flow.in_tos = in->key.tos;
	flow.in_tunnel = permit->tunnel;
	flow.in_slot = permit->slot;
	flow.in_by_peer = endpoint->by_peer;
	return (int)bpf_map_update_elem(&cv_flows_1, key, &flow, BPF_ANY);
}

/* True if the flow's entry permits this very packet. */
CV_INLINE bool cv_flow_permits(const struct cv_fp_flow *flow, const struct cv_inbound *in,
			       const struct cv_fp_stamp *now)
{
	return flow->path == CV_FP_PATH_BYPASS && !in->tuple.quotes &&
	       cv_stamp_holds(&flow->in_stamp, now) && flow->in_source == in->key.outer_source &&
	       flow->in_destination == in->key.outer_destination &&
	       flow->in_ifindex == in->key.ifindex && flow->in_tos == in->key.tos;
}

/*
 * Shall a permitted packet go straight to an endpoint? Its address, or NULL; then its flow is the
 * stack's. Fragments of an endpoint's packets are flows like others.
 */
CV_INLINE const struct cv_fp_endpoint *cv_endpoint_for(const struct cv_inbound *in,
						       const struct cv_fp_permit *permit)
{
	const struct cv_fp_endpoint *endpoint;
	const struct cv_fp_flow *known;
	struct cv_fp_flow_key key;

	endpoint = bpf_map_lookup_elem(&cv_endpoints_1, &in->inner.destination);
	if (!endpoint)
		return NULL;
	cv_flow_key_of(&in->tuple, false, &key);
	known = in->tuple.known ? bpf_map_lookup_elem(&cv_flows_1, &key) : NULL;
	if (cv_flow_choose(&in->tuple, known, endpoint->bypass && permit->routed_back) !=
	    CV_FP_PATH_BYPASS) {
		if (in->tuple.known && !in->tuple.quotes)
			give_to_stack(&key);
		return NULL;
	}
	if (!in->tuple.quotes)
		remember_in(&key, known, in, permit, endpoint);
	return endpoint;
}

/* ---- from an endpoint --------------------------------------------------------------------- */

#define CV_EXIT_HOLDS_NS 1000000000ULL /* as the engine's remembered routes (router.c) */

/* The answer to "where does this packet of an endpoint go", as it is remembered. */
struct cv_exit {
	struct cv_fp_stamp stamp;
	__u32 tunnel; /* index of its device; 0: to an endpoint of this node */
	__u32 slot;
	__be32 destination; /* outer */
	struct cv_ipip_params ipip;
	__u8 by_peer;
	__u8 to_stack;
	struct cv_fp_way way; /* to an endpoint: way.oif alone */
};

CV_INLINE void cv_read_exit(const struct cv_fp_flow *flow, struct cv_exit *ret)
{
	ret->stamp = flow->out_stamp;
	ret->tunnel = flow->out_tunnel;
	ret->slot = flow->out_slot;
	ret->destination = flow->out_destination;
	ret->ipip = flow->out_ipip;
	ret->by_peer = flow->out_by_peer;
	ret->to_stack = 0;
	ret->way = flow->out_way;
}

static __attribute__((noinline)) int remember_exit(const struct cv_fp_flow_key *key,
						   const struct cv_fp_flow *known,
						   const struct cv_exit *exit, __u32 endpoint,
						   __u32 tos)
{
	struct cv_fp_flow flow;

	cv_flow_copy(&flow, known);
	flow.path = CV_FP_PATH_BYPASS;
	flow.endpoint = endpoint;
	flow.out_stamp = exit->stamp;
	flow.out_tunnel = exit->tunnel;
	flow.out_slot = exit->slot;
	flow.out_destination = exit->destination;
	flow.out_tos = tos;
	flow.out_ipip = exit->ipip;
	flow.out_by_peer = exit->by_peer;
	flow.out_way = exit->way;
	return (int)bpf_map_update_elem(&cv_flows_1, key, &flow, BPF_ANY);
}

/* Which of several next hops it is depends on sysctls, too, of which nothing tells. */
CV_INLINE void cv_limit_exit(struct cv_fp_way *way)
{
	__u64 until_ns = bpf_ktime_get_coarse_ns() + CV_EXIT_HOLDS_NS;

	if (!way->mtu_until_ns || way->mtu_until_ns > until_ns)
		way->mtu_until_ns = until_ns;
}

/*
 * The kernel's choice for a forwarded packet of this flow: with the input device, so that
 * policy rules and the hash over several next hops are those of the packet itself.
 */
static __attribute__((noinline)) int route_exit(struct __sk_buff *skb,
						const struct cv_flow_tuple *tuple, __u32 tos,
						struct cv_exit *exit)
{
	const struct cv_fp_config *config = cv_config();
	struct bpf_fib_lookup fib = {
		.family = CV_AF_INET,
		.ifindex = skb->ifindex,
		.l4_protocol = tuple->protocol,
		.tos = tos,
		.ipv4_src = tuple->source,
		.ipv4_dst = tuple->destination,
		.sport = tuple->source_port,
		.dport = tuple->destination_port,
	};
	const struct cv_fp_endpoint *endpoint;
	const struct cv_fp_tunnel *tunnel;
	struct cv_fp_tunnel copy;

	exit->to_stack = 1;
	if (!config)
		return 0;
	exit->stamp = cv_stamp_now(config);
	if (tuple->protocol == CV_IPV4_PROTO_ICMP)
		fib.sport = fib.dport = 0;
	if (!cv_fib_found(bpf_fib_lookup(skb, &fib, sizeof(fib), cv_fib_flags())) ||
	    fib.family != CV_AF_INET)
		return 0;
	endpoint = bpf_map_lookup_elem(&cv_endpoints_1, &tuple->destination);
	if (endpoint) {
		exit->to_stack = !endpoint->bypass || endpoint->ifindex != fib.ifindex;
		exit->way.oif = endpoint->ifindex;
		exit->by_peer = endpoint->by_peer;
		exit->tunnel = 0;
		exit->slot = CV_FP_SLOT_NONE;
		return 0;
	}
	exit->tunnel = fib.ifindex;
	tunnel = bpf_map_lookup_elem(&cv_tunnels_1, &exit->tunnel);
	if (!tunnel || !tunnel->up)
		return 0;
	copy = *tunnel;
	exit->destination = copy.remote ? copy.remote : fib.ipv4_dst;
	if (cv_ipv4_is_martian_source(exit->destination))
		return 0;
	exit->slot = copy.slot;
	exit->ipip = copy.ipip;
	cv_find_way(skb, config, &copy, exit->tunnel, exit->destination, &exit->way);
	cv_limit_exit(&exit->way);
	exit->to_stack = 0;
	return 0;
}

/* True if the endpoint may be passed by: its address, its device, its setting. */
CV_INLINE bool cv_endpoint_bypasses(__be32 address, __u32 ifindex)
{
	const struct cv_fp_endpoint *endpoint = bpf_map_lookup_elem(&cv_endpoints_1, &address);

	return endpoint && endpoint->ifindex == ifindex && endpoint->bypass;
}

/* The answer of the flow's entry holds for this packet. */
CV_INLINE bool cv_flow_has_exit(const struct cv_fp_flow *flow, const struct cv_flow_tuple *tuple,
				__u32 ifindex, __u32 tos, const struct cv_fp_stamp *now)
{
	return flow->path == CV_FP_PATH_BYPASS && !tuple->quotes && flow->endpoint == ifindex &&
	       flow->out_tos == tos && cv_stamp_holds(&flow->out_stamp, now) &&
	       (!flow->out_way.mtu_until_ns ||
		bpf_ktime_get_coarse_ns() < flow->out_way.mtu_until_ns);
}

/* Where this packet of an endpoint goes; *ret_exit, whose to_stack says "nowhere by us". */
CV_INLINE void cv_find_exit(struct __sk_buff *skb, const struct cv_fp_config *config,
			    const struct cv_ipv4 *ip, const struct cv_flow_tuple *tuple,
			    struct cv_exit *ret_exit)
{
	struct cv_fp_stamp now = cv_stamp_now(config);
	__u32 tos = ip->tos & CV_IPV4_DSCP_MASK;
	const struct cv_fp_flow *known;
	struct cv_fp_flow_key key;
	struct cv_flow_tuple packet;

	ret_exit->to_stack = 1;
	if (!tuple->known)
		return;
	cv_flow_key_of(tuple, true, &key);
	known = bpf_map_lookup_elem(&cv_flows_1, &key);
	if (known && known->path == CV_FP_PATH_STACK)
		return;
	if (known && cv_flow_has_exit(known, tuple, skb->ifindex, tos, &now)) {
		cv_read_exit(known, ret_exit);
		return;
	}
	if (cv_flow_choose(tuple, known, cv_endpoint_bypasses(ip->source, skb->ifindex)) ==
	    CV_FP_PATH_BYPASS) {
		packet = *tuple;
		packet.source = ip->source;
		packet.destination = ip->destination;
		packet.protocol = ip->protocol;
		__builtin_memset(ret_exit, 0, sizeof(*ret_exit));
		route_exit(skb, &packet, tos, ret_exit);
	}
	if (tuple->quotes)
		return;
	if (ret_exit->to_stack)
		give_to_stack(&key);
	else if (!ret_exit->way.to_engine)
		remember_exit(&key, known, ret_exit, skb->ifindex, tos);
}

/* To an endpoint of this node: never through a tunnel. */
CV_INLINE int cv_leave_for_endpoint(struct __sk_buff *skb, struct cv_scene *scene,
				    const struct cv_ipv4 *ip, const struct cv_exit *exit)
{
	struct cv_fp_counters *counters = cv_counters(CV_FP_SLOT_NONE);

	if (counters)
		counters->local_packets += cv_packet_segments(skb);
	cv_capture_packet(skb, scene, CV_FP_VERDICT_LOCAL, CV_DROP_NONE);
	return cv_hand_to_endpoint(exit->way.oif, exit->by_peer, ip->destination);
}

/* Into a tunnel. The TTL has been counted down. */
CV_INLINE int cv_leave_by_tunnel(struct __sk_buff *skb, struct cv_scene *scene,
				 const struct cv_ipv4 *ip, const struct cv_exit *exit)
{
	struct cv_departure departure = {
		.ipip = &exit->ipip,
		.way = &exit->way,
		.destination = exit->destination,
	};
	__u32 headers, segment, segments = cv_packet_segments(skb);
	__u8 drop;

	scene->tunnel = exit->tunnel;
	scene->slot = exit->slot;
	if (exit->way.to_engine)
		return cv_to_engine(skb, scene);
	drop = cv_check_departure(&departure, ip);
	if (drop)
		return cv_drop_packet(skb, scene, drop);
	if (!cv_packet_segment(skb, ETH_HLEN, ip, &headers, &segment) ||
	    !cv_fits(skb, &exit->way, ip, segment))
		return cv_to_engine(skb, scene);
	return cv_encapsulate(skb, scene, &departure, ip, segments,
			      ip->total_length + (__u64)(segments - 1) * headers);
}

CV_INLINE int cv_send_from_endpoint(struct __sk_buff *skb, struct cv_scene *scene)
{
	struct cv_flow_tuple tuple;
	struct cv_ipv4_header header;
	struct cv_exit exit = {0};
	struct cv_ipv4 ip = {0};

	if (!cv_packet_header(skb, ETH_HLEN, &header))
		return CV_PASS;
	if (cv_ipv4_parse(&header, skb->len - ETH_HLEN, &ip) ||
	    ip.header_length != CV_IPV4_HEADER_MIN || !cv_header_ok(&header))
		return cv_to_stack(skb, scene);
	cv_flow_read(skb, ETH_HLEN, &ip, &tuple);
	cv_find_exit(skb, scene->config, &ip, &tuple, &exit);
	/* The stack tells the sender that the TTL has run out. */
	if (exit.to_stack || ip.ttl <= 1)
		return cv_to_stack(skb, scene);
	if (!cv_rewrite(skb, ETH_HLEN, &ip, ip.tos, ip.ttl - 1))
		return TC_ACT_SHOT;
	ip.ttl--;
	if (!exit.tunnel)
		return cv_leave_for_endpoint(skb, scene, &ip, &exit);
	return cv_leave_by_tunnel(skb, scene, &ip, &exit);
}

#endif
