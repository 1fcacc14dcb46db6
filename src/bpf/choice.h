/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Choosing the path of a packet by the rule of flow.h, and what follows for its flow. */
#ifndef CV_BPF_CHOICE_H
#define CV_BPF_CHOICE_H

#include "bpf/conntrack.h"

/* What choose_path() says: enum cv_fp_path, and: past the stack, but the entry is not to last. */
enum {
	CV_FP_PATH_LINGER = 3,
};

/* Is a flow that was past the stack to stay there for this packet, though bypass is off? */
CV_INLINE bool cv_flow_lingers(const struct cv_flow_tuple *tuple, const struct cv_fp_flow *known)
{
	if (tuple->quotes)
		return true;
	if (tuple->protocol != CV_IPV4_PROTO_TCP || tuple->begins)
		return false;
	return tuple->ends ||
	       known->opener == (tuple->outbound ? CV_FP_OPENER_REMOTE : CV_FP_OPENER_ENDPOINT);
}

/* True if a packet without an entry that holds may go past the stack. */
CV_INLINE bool cv_flow_may_begin(struct __sk_buff *skb, const struct cv_flow_tuple *tuple,
				 const struct cv_fp_flow_key *key)
{
	struct cv_fp_flow_key pair;

	if (CV_HAS_CONNTRACK &&
	    (tuple->protocol == CV_IPV4_PROTO_TCP || tuple->protocol == CV_IPV4_PROTO_UDP))
		return !is_tracked(skb, tuple);
	if (!tuple->begins || tuple->quotes)
		return false;
	if (tuple->protocol != CV_IPV4_PROTO_UDP)
		return true;
	/* Any packet of a UDP flow looks like its first. */
	cv_flow_pair(key, CV_FP_FLOWS_OF_PAIR, &pair);
	return !bpf_map_lookup_elem(&cv_flows_1, &pair);
}

/*
 * The path of a packet whose flow has the key. may_bypass: the setting of its endpoint, and all
 * else that speaks against it.
 */
static __attribute__((noinline)) int choose_path(struct __sk_buff *skb,
						 const struct cv_flow_tuple *tuple,
						 const struct cv_fp_flow_key *key, bool may_bypass)
{
	const struct cv_fp_flow *known;
	struct cv_fp_flow_key other;

	known = bpf_map_lookup_elem(&cv_flows_1, key);
	if (!known) {
		cv_flow_mirror(key, &other);
		known = bpf_map_lookup_elem(&cv_flows_1, &other);
	}
	if (!may_bypass)
		return known && known->path == CV_FP_PATH_BYPASS && cv_flow_lingers(tuple, known)
			       ? CV_FP_PATH_LINGER
			       : CV_FP_PATH_STACK;
	if (known && known->path == CV_FP_PATH_BYPASS)
		return CV_FP_PATH_BYPASS;
	/* A new connection with old ports may be another's, if conntrack says so. */
	if (known && !(CV_HAS_CONNTRACK && tuple->protocol == CV_IPV4_PROTO_TCP && tuple->begins))
		return CV_FP_PATH_STACK;
	return cv_flow_may_begin(skb, tuple, key) ? CV_FP_PATH_BYPASS : CV_FP_PATH_STACK;
}

/* The path of a fragment whose datagram has not been seen. */
static __attribute__((noinline)) int guess_path(const struct cv_fp_flow_key *key)
{
	const struct cv_fp_flow *known;
	struct cv_fp_flow_key pair;

	cv_flow_pair(key, CV_FP_FRAGMENTS_OF_PAIR, &pair);
	known = bpf_map_lookup_elem(&cv_flows_1, &pair);
	if (known)
		return known->path;
	cv_flow_pair(key, CV_FP_FLOWS_OF_PAIR, &pair);
	return bpf_map_lookup_elem(&cv_flows_1, &pair) ? CV_FP_PATH_STACK : CV_FP_PATH_BYPASS;
}

/* The path of a packet, and that of its flow, from which a datagram's may differ. */
struct cv_paths {
	int packet;
	int flow; /* NONE: not asked for */
};

CV_INLINE struct cv_paths cv_paths_choose(struct __sk_buff *skb, const struct cv_flow_tuple *tuple,
					  const struct cv_fp_flow_key *key, bool may_bypass)
{
	struct cv_paths paths = {CV_FP_PATH_STACK, CV_FP_PATH_NONE};

	if (tuple->later) {
		if (tuple->datagram != CV_FP_PATH_NONE)
			paths.packet = tuple->datagram;
		else if (may_bypass)
			paths.packet = guess_path(key);
	} else if (tuple->known) {
		paths.packet = paths.flow = choose_path(skb, tuple, key, may_bypass);
		if (tuple->datagram != CV_FP_PATH_NONE)
			paths.packet = tuple->datagram;
	}
	return paths;
}

/* Not a fragment, or one of a datagram that is known to go past the stack. */
CV_INLINE bool cv_datagram_is_past(const struct cv_ipv4 *ip, const struct cv_flow_tuple *tuple)
{
	return !cv_ipv4_is_fragment(ip) || tuple->datagram == CV_FP_PATH_BYPASS;
}

/* Past the stack, for this packet at least. */
CV_INLINE bool cv_path_is_past(int path)
{
	return path == CV_FP_PATH_BYPASS || path == CV_FP_PATH_LINGER;
}

/* The flow comes in fragments: its path is the best guess for those that come out of order. */
CV_INLINE void cv_note_fragments(const struct cv_fp_flow_key *key, int path)
{
	struct cv_fp_flow_key pair;

	cv_flow_pair(key, CV_FP_FRAGMENTS_OF_PAIR, &pair);
	set_path(&pair, cv_path_is_past(path) ? CV_FP_PATH_BYPASS : CV_FP_PATH_STACK,
		 CV_FP_OPENER_UNKNOWN);
}

/*
 * What a packet's paths mean for its flow and its datagram. True: the flow's entry is to be
 * written, so that it says bypass.
 */
CV_INLINE bool cv_paths_settle(const struct cv_ipv4 *ip, const struct cv_flow_tuple *tuple,
			       const struct cv_fp_flow_key *key, const struct cv_paths *paths)
{
	if (cv_ipv4_is_fragment(ip))
		note_datagram(ip, tuple,
			      cv_path_is_past(paths->packet) ? CV_FP_PATH_BYPASS
							     : CV_FP_PATH_STACK);
	if (!tuple->known || tuple->quotes)
		return false;
	if (ip->more_fragments && !ip->fragment_offset)
		cv_note_fragments(key, paths->flow);
	if (tuple->datagram != CV_FP_PATH_NONE)
		return false;
	if (paths->flow == CV_FP_PATH_STACK)
		give_to_stack(key);
	return paths->flow == CV_FP_PATH_BYPASS;
}

#endif
