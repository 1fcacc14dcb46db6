/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Endpoints (pods, VMs): packets from them and to them past the host's stack, by the rule
 * of flow.h. What a router does for a packet that it forwards is done here: the TTL, and nothing
 * for packets that need an answer from the router, which go to the stack.
 */
#ifndef CV_BPF_BYPASS_H
#define CV_BPF_BYPASS_H

#include "bpf/choice.h"
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

/* The flow's entry as it is, for a flow that is past the stack from now on. */
CV_INLINE void cv_flow_begin(struct cv_fp_flow *ret_flow, const struct cv_fp_flow_key *key,
			     const struct cv_flow_tuple *tuple, __u32 endpoint)
{
	cv_flow_copy(ret_flow, bpf_map_lookup_elem(&cv_flows_1, key));
	if (ret_flow->path != CV_FP_PATH_BYPASS || tuple->begins)
		ret_flow->opener = cv_flow_opener(tuple);
	ret_flow->path = CV_FP_PATH_BYPASS;
	ret_flow->endpoint = endpoint;
}

/* Remember the permit in the flow's entry, so that the next packet costs one look-up. */
static __attribute__((noinline)) int remember_in(const struct cv_fp_flow_key *key,
						 const struct cv_inbound *in,
						 const struct cv_fp_permit *permit,
						 const struct cv_fp_endpoint *endpoint)
{
	struct cv_fp_flow flow;

	cv_flow_begin(&flow, key, &in->tuple, endpoint->ifindex);
	flow.in_stamp = permit->stamp;
	flow.in_source = in->key.outer_source;
	flow.in_destination = in->key.outer_destination;
	flow.in_ifindex = in->key.ifindex;
	flow.in_tos = in->key.tos;
	flow.in_tunnel = permit->tunnel;
	flow.in_slot = permit->slot;
	flow.in_peer = permit->peer;
	flow.in_by_peer = endpoint->by_peer;
	return (int)bpf_map_update_elem(&cv_flows_1, key, &flow, BPF_ANY);
}

/* True if the entry of a flow that is past the stack permits this very packet. */
CV_INLINE bool cv_flow_permits(const struct cv_fp_flow *flow, const struct cv_inbound *in,
			       const struct cv_fp_stamp *now)
{
	return !in->tuple.quotes && cv_datagram_is_past(&in->inner, &in->tuple) &&
	       cv_stamp_holds(&flow->in_stamp, now) && flow->in_source == in->key.outer_source &&
	       flow->in_destination == in->key.outer_destination &&
	       flow->in_ifindex == in->key.ifindex && flow->in_tos == in->key.tos;
}

/*
 * Shall a permitted packet go straight to an endpoint? To which; NULL: its flow is the stack's.
 */
CV_INLINE const struct cv_fp_endpoint *cv_endpoint_for(struct __sk_buff *skb,
						       const struct cv_inbound *in,
						       const struct cv_fp_permit *permit)
{
	const struct cv_fp_endpoint *endpoint;
	struct cv_fp_flow_key key;
	struct cv_paths paths;

	endpoint = bpf_map_lookup_elem(&cv_endpoints_1, &in->inner.destination);
	if (!endpoint)
		return NULL;
	cv_flow_key_of(&in->tuple, false, &key);
	paths = cv_paths_choose(skb, &in->tuple, &key, endpoint->bypass && permit->routed_back);
	if (cv_paths_settle(&in->inner, &in->tuple, &key, &paths))
		remember_in(&key, in, permit, endpoint);
	return cv_path_is_past(paths.packet) ? endpoint : NULL;
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
						   const struct cv_flow_tuple *tuple,
						   const struct cv_exit *exit, __u32 endpoint,
						   __u32 tos)
{
	struct cv_fp_flow flow;

	cv_flow_begin(&flow, key, tuple, endpoint);
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
static __attribute__((noinline)) int route_exit(struct __sk_buff *skb, const struct cv_ipv4 *ip,
						const struct cv_flow_tuple *tuple,
						struct cv_exit *exit)
{
	const struct cv_fp_config *config = cv_config();
	struct bpf_fib_lookup fib = {
		.family = CV_AF_INET,
		.ifindex = skb->ifindex,
		.l4_protocol = ip->protocol,
		.tos = ip->tos & CV_IPV4_DSCP_MASK,
		.ipv4_src = ip->source,
		.ipv4_dst = ip->destination,
		.sport = tuple->source_port,
		.dport = tuple->destination_port,
	};
	const struct cv_fp_endpoint *endpoint;
	const struct cv_fp_tunnel *tunnel;

	exit->to_stack = 1;
	if (!config)
		return 0;
	exit->stamp = cv_stamp_now(config);
	if (cv_has_policies(config))
		return 0;
	if (ip->protocol == CV_IPV4_PROTO_ICMP)
		fib.sport = fib.dport = 0;
	if (!cv_fib_found(bpf_fib_lookup(skb, &fib, sizeof(fib), cv_fib_flags())) ||
	    fib.family != CV_AF_INET)
		return 0;
	endpoint = bpf_map_lookup_elem(&cv_endpoints_1, &ip->destination);
	if (endpoint) {
		exit->to_stack = endpoint->ifindex != fib.ifindex;
		exit->way.oif = endpoint->ifindex;
		exit->by_peer = endpoint->by_peer;
		exit->tunnel = 0;
		exit->slot = CV_FP_SLOT_NONE;
		return 0;
	}
	exit->tunnel = fib.ifindex;
	tunnel = bpf_map_lookup_elem(&cv_tunnels_1, &exit->tunnel);
	if (!tunnel)
		return 0;
	exit->destination = tunnel->remote ? tunnel->remote : fib.ipv4_dst;
	if (cv_ipv4_is_martian_source(exit->destination))
		return 0;
	exit->slot = tunnel->slot;
	exit->ipip = tunnel->ipip;
	cv_find_way(skb, config, tunnel, exit->tunnel, exit->destination, &exit->way);
	cv_limit_exit(&exit->way);
	/* What waits for the engine may be told at any moment, without a new generation (teach.c).
	 */
	if (exit->way.to_engine)
		exit->stamp.generation = 0;
	exit->to_stack = 0;
	return 0;
}

/* The flow's other end is an endpoint of this node, too, and has an entry of its own. */
CV_INLINE void cv_mirror_bypass(const struct cv_fp_flow_key *key, const struct cv_flow_tuple *tuple)
{
	struct cv_fp_flow_key mirror;

	cv_flow_mirror(key, &mirror);
	set_path(&mirror, CV_FP_PATH_BYPASS,
		 cv_flow_opener(tuple) == CV_FP_OPENER_ENDPOINT ? CV_FP_OPENER_REMOTE
								: CV_FP_OPENER_UNKNOWN);
}

/* The answer of the entry of a flow that is past the stack holds for this packet. */
CV_INLINE bool cv_flow_has_exit(const struct cv_fp_flow *flow, const struct cv_ipv4 *ip,
				const struct cv_flow_tuple *tuple, __u32 ifindex,
				const struct cv_fp_stamp *now)
{
	return !tuple->quotes && cv_datagram_is_past(ip, tuple) && flow->endpoint == ifindex &&
	       flow->out_tos == (ip->tos & CV_IPV4_DSCP_MASK) &&
	       cv_stamp_holds(&flow->out_stamp, now) &&
	       (!flow->out_way.mtu_until_ns ||
		bpf_ktime_get_coarse_ns() < flow->out_way.mtu_until_ns);
}

/*
 * Choose the path of an endpoint's packet, whose source is the endpoint's own, and find where
 * it goes to.
 */
CV_INLINE void cv_choose_exit(struct __sk_buff *skb, const struct cv_ipv4 *ip,
			      const struct cv_flow_tuple *tuple, const struct cv_fp_flow_key *key,
			      bool may_bypass, struct cv_exit *ret_exit)
{
	const struct cv_fp_endpoint *neighbour;
	struct cv_paths paths;

	neighbour = bpf_map_lookup_elem(&cv_endpoints_1, &ip->destination);
	if (neighbour && !neighbour->bypass)
		may_bypass = false;
	paths = cv_paths_choose(skb, tuple, key, may_bypass);
	if (cv_path_is_past(paths.packet)) {
		__builtin_memset(ret_exit, 0, sizeof(*ret_exit));
		route_exit(skb, ip, tuple, ret_exit);
		if (ret_exit->to_stack)
			paths.packet = paths.flow = CV_FP_PATH_STACK;
	}
	if (!cv_paths_settle(ip, tuple, key, &paths))
		return;
	remember_exit(key, tuple, ret_exit, skb->ifindex, ip->tos & CV_IPV4_DSCP_MASK);
	if (!ret_exit->tunnel)
		cv_mirror_bypass(key, tuple);
}

/* Where this packet of an endpoint goes; *ret_exit, whose to_stack says "nowhere by us". */
CV_INLINE void cv_find_exit(struct __sk_buff *skb, const struct cv_fp_config *config,
			    const struct cv_ipv4 *ip, const struct cv_flow_tuple *tuple,
			    struct cv_exit *ret_exit)
{
	const struct cv_fp_endpoint *endpoint;
	const struct cv_fp_flow *known = NULL;
	struct cv_fp_flow_key key;
	struct cv_fp_stamp now;

	ret_exit->to_stack = 1;
	cv_flow_key_of(tuple, true, &key);
	if (tuple->known)
		known = bpf_map_lookup_elem(&cv_flows_1, &key);
	if (known && known->path == CV_FP_PATH_BYPASS) {
		now = cv_stamp_now(config);
		if (cv_flow_has_exit(known, ip, tuple, skb->ifindex, &now)) {
			cv_read_exit(known, ret_exit);
			return;
		}
	}
	if (known && known->path == CV_FP_PATH_STACK && !cv_ipv4_is_fragment(ip) &&
	    !(tuple->protocol == CV_IPV4_PROTO_TCP && tuple->begins))
		return;
	endpoint = bpf_map_lookup_elem(&cv_endpoints_1, &ip->source);
	if (!endpoint || endpoint->ifindex != skb->ifindex) {
		/* Not its own: the host's rules decide, and it may change nobody's flow. */
		skb->tc_index = CV_MARK_FOREIGN_SOURCE;
		return;
	}
	cv_choose_exit(skb, ip, tuple, &key, endpoint->bypass, ret_exit);
}

/* To an endpoint of this node: never through a tunnel. */
CV_INLINE int cv_leave_for_endpoint(struct __sk_buff *skb, struct cv_scene *scene,
				    const struct cv_ipv4 *ip, const struct cv_exit *exit)
{
	struct cv_fp_counters *counters = cv_counters(CV_FP_SLOT_NONE);
	struct cv_packet_size size;

	cv_packet_measure(skb, ETH_HLEN, ip, &size);
	if (counters)
		counters->local_packets += size.segments;
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
	struct cv_packet_size size;
	__u8 drop;

	scene->tunnel = exit->tunnel;
	scene->slot = exit->slot;
	if (exit->way.to_engine || ip->header_length != CV_IPV4_HEADER_MIN)
		return cv_to_engine(skb, scene);
	drop = cv_check_departure(&departure, ip);
	if (drop)
		return cv_drop_packet(skb, scene, drop);
	if (!cv_packet_measure(skb, ETH_HLEN, ip, &size) ||
	    !cv_fits(skb, &exit->way, ip, size.largest))
		return cv_to_engine(skb, scene);
	return cv_encapsulate(skb, scene, &departure, ip, &size);
}

CV_INLINE bool cv_header_whole(struct __sk_buff *skb, const struct cv_ipv4 *ip,
			       const struct cv_ipv4_header *header)
{
	if (ip->header_length == CV_IPV4_HEADER_MIN)
		return cv_header_ok(header);
	return cv_packet_options_idle(skb, ETH_HLEN, ip->header_length);
}

CV_INLINE int cv_send_from_endpoint(struct __sk_buff *skb, struct cv_scene *scene)
{
	struct cv_flow_tuple tuple = {0};
	struct cv_ipv4_header header;
	struct cv_exit exit = {0};
	struct cv_ipv4 ip = {0};

	if (!cv_packet_header(skb, ETH_HLEN, &header))
		return CV_PASS;
	if (cv_ipv4_parse(&header, skb->len - ETH_HLEN, &ip) || !cv_header_whole(skb, &ip, &header))
		return cv_to_stack(skb, scene);
	cv_flow_read(skb, ETH_HLEN, &ip, &tuple);
	tuple.outbound = true;
	cv_find_exit(skb, scene->config, &ip, &tuple, &exit);
	/* The stack tells the sender that the TTL has run out. */
	if (exit.to_stack || ip.ttl <= 1)
		return cv_to_stack(skb, scene);
	if (!cv_rewrite(skb, ETH_HLEN, &ip, ip.tos, ip.ttl - 1))
		return cv_drop_packet(skb, scene, CV_DROP_SEND_FAILED);
	ip.ttl--;
	if (!exit.tunnel)
		return cv_leave_for_endpoint(skb, scene, &ip, &exit);
	return cv_leave_by_tunnel(skb, scene, &ip, &exit);
}

#endif
