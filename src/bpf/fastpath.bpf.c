// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The programs of the fast path, one per hook (doc/architecture.md has the drawing):
 *
 *   cv_tunnel_out    egress of a tunnel's device: what the stack routes into the tunnel
 *   cv_underlay_in   ingress of a network card: outer packets
 *   cv_endpoint_in   ingress of an endpoint's device: what the endpoint sends
 *   cv_endpoint_out  egress of an endpoint's device: what the stack sends to it
 *   cv_tunnel_in     ingress of a tunnel's device: what the engine has decapsulated
 *   cv_hand_over     reached by tail call while an engine runs
 *   cv_look          run by user space: addresses of the namespace and of a device
 *   cv_stamp         run by user space: by what the engine's words are stamped
 *
 * Each decides the common packet alone and completely, or leaves it to the engine: as it is, but
 * for the TTL of an endpoint's.
 */
#include "bpf/bypass.h"

char cv_license[] SEC("license") = "Dual BSD/GPL";

/* An IPv4 packet for this host, with an Ethernet header alone in front. */
CV_INLINE bool is_for_us(const struct __sk_buff *skb)
{
	return skb->protocol == cv_htons(ETH_P_IP) && skb->pkt_type == CV_PACKET_HOST &&
	       !skb->vlan_present;
}

enum {
	FROM_ENDPOINT = 1,
	TO_ENDPOINT = 2
};

/* A function of its own: inlined, the compiler would compute with pointers that may be NULL. */
static __attribute__((noinline)) int endpoints_of(__be32 source, __be32 destination)
{
	int ends = 0;

	if (bpf_map_lookup_elem(&cv_endpoints_1, &source))
		ends |= FROM_ENDPOINT;
	if (bpf_map_lookup_elem(&cv_endpoints_1, &destination))
		ends |= TO_ENDPOINT;
	return ends;
}

/*
 * What leaves the stack belongs to the stack, as seen from any endpoint at either end; but for what
 * an endpoint has sent in another's name.
 */
CV_INLINE void note_stack_flow(struct __sk_buff *skb, __u32 offset)
{
	struct cv_ipv4_header header;
	struct cv_flow_tuple tuple = {0};
	struct cv_fp_flow_key key;
	struct cv_ipv4 ip;
	int ends;

	if (skb->tc_index == CV_MARK_FOREIGN_SOURCE || !cv_packet_header(skb, offset, &header) ||
	    cv_ipv4_parse(&header, skb->len - offset, &ip))
		return;
	ends = endpoints_of(ip.source, ip.destination);
	if (!ends)
		return;
	cv_flow_read(skb, offset, &ip, &tuple);
	if (!tuple.known || tuple.quotes)
		return;
	if (ends & FROM_ENDPOINT) {
		cv_flow_key(&tuple, true, &key);
		give_to_stack(&key);
	}
	if (ends & TO_ENDPOINT) {
		cv_flow_key(&tuple, false, &key);
		give_to_stack(&key);
	}
}

SEC("tc")
int cv_tunnel_out(struct __sk_buff *skb)
{
	struct cv_scene scene = {
		.config = cv_config(),
		.tunnel = skb->ifindex,
		.hook = CV_FP_HOOK_TUNNEL_OUT,
	};
	const struct cv_fp_tunnel *tunnel;
	unsigned long dst;

	tunnel = bpf_map_lookup_elem(&cv_tunnels_1, &scene.tunnel);
	if (!tunnel || !scene.config)
		return CV_PASS;
	/* Nothing that was routed: what our programs hand over, or a packet socket's. */
	dst = cv_skb_dst(skb);
	if (!dst)
		return CV_PASS;
	scene.slot = tunnel->slot;
	if (scene.config->endpoints)
		note_stack_flow(skb, 0);
	return cv_send_from_stack(skb, &scene, tunnel, dst);
}

/*
 * To the tunnel's device, as if it had arrived there. It may be larger than the device's MTU, which
 * is about packets that leave: the kernel has not measured what is redirected to an ingress since
 * 5.12.
 */
CV_INLINE int to_device(struct __sk_buff *skb, struct cv_scene *scene, const struct cv_inbound *in,
			__u8 tos)
{
	if (!cv_decapsulate(skb, scene, in, tos, in->inner.ttl, false))
		return cv_drop_packet(skb, scene, CV_DROP_DEVICE_WRITE_FAILED);
	skb->tc_index = CV_MARK_STACKS;
	return (int)bpf_redirect(scene->tunnel, BPF_F_INGRESS);
}

CV_INLINE int to_endpoint(struct __sk_buff *skb, struct cv_scene *scene,
			  const struct cv_inbound *in, __u8 tos, __u32 ifindex, __u32 by_peer)
{
	if (!cv_decapsulate(skb, scene, in, tos, in->inner.ttl - 1, true))
		return cv_drop_packet(skb, scene, CV_DROP_DEVICE_WRITE_FAILED);
	return cv_hand_to_endpoint(ifindex, by_peer, in->inner.destination);
}

/* The entry of the packet's flow, if it alone permits the packet. */
CV_INLINE const struct cv_fp_flow *find_flow(const struct cv_fp_config *config,
					     const struct cv_inbound *in)
{
	const struct cv_fp_flow *flow;
	struct cv_fp_flow_key key;
	struct cv_fp_stamp now;

	if (!config->endpoints || !in->tuple.known)
		return NULL;
	cv_flow_key_of(&in->tuple, false, &key);
	flow = bpf_map_lookup_elem(&cv_flows_1, &key);
	if (!flow || flow->path != CV_FP_PATH_BYPASS)
		return NULL;
	now = cv_stamp_now(config);
	return cv_flow_permits(flow, in, &now) ? flow : NULL;
}

/* An inner packet that is as it should be, from somewhere. */
CV_INLINE int take_inner(struct __sk_buff *skb, struct cv_scene *scene, struct cv_inbound *in)
{
	const struct cv_fp_endpoint *endpoint = NULL;
	const struct cv_fp_flow *flow;
	struct cv_fp_permit permit;
	__u8 drop, tos;
	int entry;

	if (scene->config->endpoints)
		cv_flow_read(skb, ETH_HLEN + CV_IPIP_OVERHEAD, &in->inner, &in->tuple);
	flow = find_flow(scene->config, in);
	if (flow && in->inner.ttl > 1) {
		__u32 ifindex = flow->endpoint, by_peer = flow->in_by_peer;

		scene->tunnel = flow->in_tunnel;
		scene->slot = flow->in_slot;
		scene->peer = flow->in_peer;
		drop = cv_merge_ecn(scene, in, &tos);
		if (drop)
			return cv_drop_packet(skb, scene, drop);
		return to_endpoint(skb, scene, in, tos, ifindex, by_peer);
	}
	entry = cv_permit_find(skb, scene->config, &in->key, &permit);
	scene->tunnel = permit.tunnel;
	scene->slot = permit.slot;
	scene->peer = permit.peer;
	if (entry == CV_ENTRY_PASS)
		return CV_PASS;
	if (entry == CV_ENTRY_SOCKET)
		return cv_to_socket(skb, scene);
	if (entry == CV_ENTRY_ENGINE)
		return cv_to_engine(skb, scene);
	drop = permit.drop;
	if (!drop)
		drop = cv_merge_ecn(scene, in, &tos);
	if (drop)
		return cv_drop_packet(skb, scene, drop);
	if (scene->config->endpoints && in->inner.ttl > 1)
		endpoint = cv_endpoint_for(skb, in, &permit);
	if (endpoint)
		return to_endpoint(skb, scene, in, tos, endpoint->ifindex, endpoint->by_peer);
	return to_device(skb, scene, in, tos);
}

/*
 * Outer packets whose inner header is not read here (fragments, options), or is none (drop): whose
 * are they, and may they come by this card?
 */
CV_INLINE int take_unread(struct __sk_buff *skb, struct cv_scene *scene,
			  const struct cv_fp_permit_key *key, __u8 inner_drop)
{
	struct cv_fp_permit permit = {0};
	int entry = judge(skb, key, &permit, false);

	scene->tunnel = permit.tunnel;
	scene->slot = permit.slot;
	if (entry == CV_ENTRY_PASS)
		return CV_PASS;
	if (inner_drop)
		return cv_drop_packet(skb, scene, inner_drop);
	if (entry == CV_ENTRY_SOCKET)
		return cv_to_socket(skb, scene);
	if (entry == CV_ENTRY_DECIDED)
		return cv_drop_packet(skb, scene, permit.drop);
	return cv_to_engine(skb, scene);
}

/* An outer packet: protocol 4, for this host at the link layer. */
CV_INLINE int take_outer(struct __sk_buff *skb, struct cv_scene *scene,
			 const struct cv_ipv4_header *header)
{
	struct cv_inbound in = {0};
	__u8 drop;

	in.key.outer_source = header->source;
	in.key.outer_destination = header->destination;
	in.key.ifindex = skb->ifindex;
	/* Before anything is handed over: the engine would take what lies for an inner packet. */
	drop = cv_ipv4_parse(header, skb->len - ETH_HLEN, &in.outer);
	if (!drop && in.outer.header_length == CV_IPV4_HEADER_MIN && !cv_header_ok(header))
		drop = CV_DROP_BAD_CHECKSUM;
	if (drop)
		return cv_drop_packet(skb, scene, drop);
	if (in.outer.header_length != CV_IPV4_HEADER_MIN || cv_ipv4_is_fragment(&in.outer))
		return take_unread(skb, scene, &in.key, CV_DROP_NONE);
	drop = cv_parse_inner(skb, &in);
	if (drop || in.inner.header_length != CV_IPV4_HEADER_MIN ||
	    cv_packet_is_probe_answer(skb, ETH_HLEN + CV_IPIP_OVERHEAD, &in.inner))
		return take_unread(skb, scene, &in.key, drop);
	in.key.inner_source = in.inner.source;
	in.key.inner_destination = in.inner.destination;
	in.key.tos = in.inner.tos & CV_IPV4_DSCP_MASK;
	return take_inner(skb, scene, &in);
}

SEC("tc")
int cv_underlay_in(struct __sk_buff *skb)
{
	struct cv_scene scene = {
		.config = cv_config(),
		.slot = CV_FP_SLOT_NONE,
		.hook = CV_FP_HOOK_UNDERLAY_IN,
		.offset = ETH_HLEN,
	};
	struct cv_ipv4_header header;

	if (!is_for_us(skb) || !scene.config || !cv_packet_header(skb, ETH_HLEN, &header) ||
	    header.protocol != CV_IPV4_PROTO_IPIP || header.version_ihl >> 4 != 4)
		return CV_PASS;
	return take_outer(skb, &scene, &header);
}

SEC("tc")
int cv_endpoint_in(struct __sk_buff *skb)
{
	struct cv_scene scene = {
		.config = cv_config(),
		.slot = CV_FP_SLOT_NONE,
		.hook = CV_FP_HOOK_ENDPOINT_IN,
		.offset = ETH_HLEN,
	};

	if (!is_for_us(skb) || !scene.config)
		return CV_PASS;
	return cv_send_from_endpoint(skb, &scene);
}

SEC("tc")
int cv_endpoint_out(struct __sk_buff *skb)
{
	/* Nothing that was routed: our own, or a bridge's. */
	if (skb->protocol != cv_htons(ETH_P_IP) || !cv_skb_dst(skb))
		return CV_PASS;
	note_stack_flow(skb, ETH_HLEN);
	return CV_PASS;
}

/* Would the endpoint's answer to a packet that came out of this tunnel go back into it? */
CV_INLINE bool goes_back(struct __sk_buff *skb, const struct cv_ipv4 *ip, __u32 endpoint)
{
	struct bpf_fib_lookup fib = {
		.family = CV_AF_INET,
		.ifindex = endpoint,
		.tos = ip->tos & CV_IPV4_DSCP_MASK,
		.ipv4_src = ip->destination,
		.ipv4_dst = ip->source,
	};

	return cv_fib_found(bpf_fib_lookup(skb, &fib, sizeof(fib), cv_fib_flags())) &&
	       fib.ifindex == skb->ifindex;
}

/* Where what the engine has decapsulated goes: an endpoint, or NULL: the stack. */
CV_INLINE const struct cv_fp_endpoint *endpoint_of_engine(struct __sk_buff *skb,
							  const struct cv_fp_config *config,
							  const struct cv_ipv4 *ip)
{
	const struct cv_fp_endpoint *endpoint;
	struct cv_flow_tuple tuple = {0};
	struct cv_fp_flow_key key;
	struct cv_paths paths;

	endpoint = bpf_map_lookup_elem(&cv_endpoints_1, &ip->destination);
	if (!endpoint)
		return NULL;
	cv_flow_read(skb, 0, ip, &tuple);
	cv_flow_key_of(&tuple, false, &key);
	paths = cv_paths_choose(skb, &tuple, &key,
				endpoint->bypass && !cv_has_policies(config) &&
					goes_back(skb, ip, endpoint->ifindex));
	if (cv_paths_settle(ip, &tuple, &key, &paths))
		set_path(&key, CV_FP_PATH_BYPASS, cv_flow_opener(&tuple));
	return cv_path_is_past(paths.packet) ? endpoint : NULL;
}

CV_INLINE int drop_of_engine(struct __sk_buff *skb, const struct cv_fp_config *config)
{
	struct cv_scene scene = {
		.config = config,
		.tunnel = skb->ifindex,
		.slot = CV_FP_SLOT_NONE,
		.hook = CV_FP_HOOK_TUNNEL_IN,
		.offset = ETH_HLEN,
	};
	const struct cv_fp_tunnel *tunnel = bpf_map_lookup_elem(&cv_tunnels_1, &scene.tunnel);

	if (tunnel)
		scene.slot = tunnel->slot;
	return cv_drop_packet(skb, &scene, CV_DROP_DEVICE_WRITE_FAILED);
}

/*
 * What the engine has decapsulated, and its ICMP errors: by the rule of flow.h, as if it had come
 * straight off the underlay. What cv_underlay_in sends here goes on into the stack.
 */
SEC("tc")
int cv_tunnel_in(struct __sk_buff *skb)
{
	const struct cv_fp_config *config = cv_config();
	const __be16 ethertype = cv_htons(ETH_P_IP);
	const struct cv_fp_endpoint *endpoint;
	struct cv_ipv4_header header;
	struct cv_ipv4 ip;

	if (skb->tc_index == CV_MARK_STACKS) {
		skb->tc_index = 0;
		return CV_PASS;
	}
	if (skb->protocol != cv_htons(ETH_P_IP) || !config || !config->endpoints ||
	    !cv_packet_header(skb, 0, &header) || cv_ipv4_parse(&header, skb->len, &ip) ||
	    ip.ttl <= 1 ||
	    (ip.header_length != CV_IPV4_HEADER_MIN &&
	     !cv_packet_options_idle(skb, 0, ip.header_length)))
		return CV_PASS;
	endpoint = endpoint_of_engine(skb, config, &ip);
	if (!endpoint || !cv_make_link_header(skb))
		return CV_PASS;
	/* The stack behind knows the protocol; who captures there reads it in the link header. */
	bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &ethertype, sizeof(ethertype),
			    0);
	if (!cv_rewrite(skb, ETH_HLEN, &ip, ip.tos, ip.ttl - 1))
		return drop_of_engine(skb, config);
	return cv_hand_to_endpoint(endpoint->ifindex, endpoint->by_peer, ip.destination);
}

SEC("tc")
int cv_hand_over(struct __sk_buff *skb)
{
	return cv_hand_over_packet(skb);
}

/*
 * Run by BPF_PROG_TEST_RUN: kernel addresses that hold as long as the namespace and the packet's
 * device do (the loopback device, or the one that ctx->ifindex names).
 */
SEC("tc")
int cv_look(struct __sk_buff *skb)
{
	__u64 namespace = cv_skb_namespace(skb);
	__u64 device = cv_skb_device(skb);

	skb->cb[CV_LOOK_NAMESPACE] = (__u32) namespace;
	skb->cb[CV_LOOK_NAMESPACE + 1] = namespace >> 32;
	skb->cb[CV_LOOK_DEVICE] = (__u32)device;
	skb->cb[CV_LOOK_DEVICE + 1] = device >> 32;
	return 0;
}

/* The stamp of the engine's words from now on; the state of the routing tables. */
SEC("tc")
int cv_stamp(struct __sk_buff *skb)
{
	const struct cv_fp_config *config = cv_config();
	struct cv_fp_stamp now = {0, 0};
	__u32 tables = 0;

	skb->cb[CV_STAMP_HAS_TABLES] = config && cv_tables_now(config, &tables);
	skb->cb[CV_STAMP_TABLES] = tables;
	if (config) {
		now = cv_stamp_now(config);
		skb->cb[CV_STAMP_GENID] = now.genid;
		now = cv_stamp_of_word(config);
	}
	skb->mark = now.genid;
	skb->priority = now.generation;
	return 0;
}
