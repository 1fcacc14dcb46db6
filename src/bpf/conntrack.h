/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Asking the host's conntrack, with kernel functions of Linux 5.18. They exist only where
 * conntrack does (a module may come later), and a program that names one that is missing is not
 * loaded, so this is compiled both ways and fastpath/programs.c takes what the kernel takes.
 */
#ifndef CV_BPF_CONNTRACK_H
#define CV_BPF_CONNTRACK_H

#include "bpf/flow.h"

#if defined(CV_CONNTRACK) && !defined(CV_CONNTRACK_OFF)

enum {
	CV_HAS_CONNTRACK = 1
};

/* libbpf wants a struct where the kernel has one; nothing of it is read. */
struct nf_conn {
	unsigned long status;
} CV_CORE;

/* As in net/netfilter/nf_conntrack_bpf.c; 12 bytes are what every kernel takes. */
struct bpf_ct_opts {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					 __u32 tuple_size, struct bpf_ct_opts *opts,
					 __u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

CV_INLINE bool cv_conntrack_has(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u8 protocol)
{
	struct bpf_ct_opts opts = {.netns_id = -1, .l4proto = protocol};
	struct nf_conn *ct =
		bpf_skb_ct_lookup(skb, tuple, sizeof(tuple->ipv4), &opts, sizeof(opts));

	if (!ct)
		return false;
	bpf_ct_release(ct);
	return true;
}

/*
 * Does conntrack know the flow, or one whose answers would look like the answers to this packet
 * (the flow of a service address behind which the destination is)? TCP and UDP alone.
 */
static __attribute__((noinline)) int is_tracked(struct __sk_buff *skb,
						const struct cv_flow_tuple *tuple)
{
	struct bpf_sock_tuple asked = {0};

	asked.ipv4.saddr = tuple->source;
	asked.ipv4.daddr = tuple->destination;
	asked.ipv4.sport = tuple->source_port;
	asked.ipv4.dport = tuple->destination_port;
	if (cv_conntrack_has(skb, &asked, tuple->protocol))
		return 1;
	asked.ipv4.saddr = tuple->destination;
	asked.ipv4.daddr = tuple->source;
	asked.ipv4.sport = tuple->destination_port;
	asked.ipv4.dport = tuple->source_port;
	return cv_conntrack_has(skb, &asked, tuple->protocol);
}

#else

enum {
	CV_HAS_CONNTRACK = 0
};

CV_INLINE int is_tracked(struct __sk_buff *skb, const struct cv_flow_tuple *tuple)
{
	(void)skb;
	(void)tuple;
	return 1;
}

#endif
#endif
