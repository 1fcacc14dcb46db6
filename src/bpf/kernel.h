/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the programs read of the kernel's own structures, by CO-RE: the route that the
 * stack chose for a packet, and the number that says whether remembered routes still hold.
 *
 * Two ways of reading, compiled both: through typed pointers, which take kernel functions
 * of Linux 6.2 (CV_CASTS), and with bpf_probe_read_kernel(), at 20 to 30 ns a word.
 * fastpath/programs.c takes what the kernel takes.
 */
#ifndef CV_BPF_KERNEL_H
#define CV_BPF_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "bpf/abi.h"

#define CV_CORE __attribute__((preserve_access_index))

/* What CO-RE knows of a field in the running kernel: where it is, how wide. */
#define CV_FIELD(field, info) __builtin_preserve_field_info(field, BPF_FIELD_##info)

/* Just the fields that are read; CO-RE finds where they are in the running kernel. */
struct atomic_counter {
	int counter;
} CV_CORE;

struct fib_rules_ops {
	unsigned int fib_rules_seq;
} CV_CORE;

struct netns_ipv4 {
	struct atomic_counter rt_genid;
	unsigned int fib_seq;
	struct fib_rules_ops *rules_ops;
} CV_CORE;

struct netns_nexthop {
	unsigned int seq;
} CV_CORE;

struct netns_xfrm {
	unsigned int policy_count[6];
} CV_CORE;

struct net {
	struct netns_ipv4 ipv4;
	struct netns_nexthop nexthop;
	struct netns_xfrm xfrm; /* CONFIG_XFRM */
} CV_CORE;

struct net_pointer {
	struct net *net;
} CV_CORE;

struct net_device {
	struct net_pointer nd_net;
	unsigned int flags;
	unsigned int mtu;
} CV_CORE;

struct rtable {
	__u8 rt_gw_family;
	__be32 rt_gw4;
} CV_CORE;

struct sk_buff {
	unsigned long _skb_refdst;
	struct net_device *dev;
	__u8 encapsulation : 1;
} CV_CORE;

enum {
	CV_AF_INET = 2,
	CV_IFF_UP = 1,
	CV_REFDST_NOREF = 1, /* include/linux/skbuff.h: SKB_DST_NOREF */
	CV_POLICIES_OUT = 1, /* linux/xfrm.h: XFRM_POLICY_OUT, XFRM_POLICY_FWD */
	CV_POLICIES_FWD = 2,
};

#define CV_NEXTHOP_FACTOR 0x9e3779b1U

/* A field by a copy; also where it is a pointer that is to be known as a number. */
#define CV_PROBE(object, field)                                                   \
	({                                                                        \
		__typeof__((object)->field) value_ = 0;                           \
		bpf_probe_read_kernel(&value_, sizeof(value_), &(object)->field); \
		value_;                                                           \
	})

#ifdef CV_CASTS

extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym;

/* An object of the kernel: its fields can be read. A bad address reads as zeroes. */
#define CV_OBJECT(type, address)                                 \
	((struct type *)bpf_rdonly_cast((const void *)(address), \
					bpf_core_type_id_kernel(struct type)))
#define CV_READ(object, field) ((object)->field)

#else

#define CV_OBJECT(type, address) ((struct type *)(address))
#define CV_READ(object, field)	 CV_PROBE(object, field)

#endif

/* The struct sk_buff behind a program's context: the context's own address. */
#define CV_SKB(skb) CV_OBJECT(sk_buff, (unsigned long)(skb))

/* The packet's route; 0: it did not come through the stack's routing. */
CV_INLINE unsigned long cv_skb_dst(const struct __sk_buff *skb)
{
	return CV_READ(CV_SKB(skb), _skb_refdst) & ~(unsigned long)CV_REFDST_NOREF;
}

/*
 * True if the kernel remembers a tunnel's header in front of this packet, be it still there or not:
 * taking one off does not make it forget (seen up to 6.18), and it allows no second one.
 */
CV_INLINE bool cv_skb_is_encapsulated(const struct __sk_buff *skb)
{
	struct sk_buff *packet = CV_SKB(skb);
	__u64 bits = 0;

#ifdef CV_CASTS
	/* What BPF_CORE_READ_BITFIELD() does, which our warnings forbid. */
	const __u8 *at = (const __u8 *)packet + CV_FIELD(packet->encapsulation, BYTE_OFFSET);

	switch (CV_FIELD(packet->encapsulation, BYTE_SIZE)) {
	case 1:
		bits = *at;
		break;
	case 2:
		bits = *(const __u16 *)(const void *)at;
		break;
	case 4:
		bits = *(const __u32 *)(const void *)at;
		break;
	case 8:
		bits = *(const __u64 *)(const void *)at;
	}
#else
	if (bpf_probe_read_kernel(&bits, CV_FIELD(packet->encapsulation, BYTE_SIZE),
				  (const __u8 *)packet +
					  CV_FIELD(packet->encapsulation, BYTE_OFFSET)))
		return false;
#endif
	return bits << CV_FIELD(packet->encapsulation, LSHIFT_U64) >>
	       CV_FIELD(packet->encapsulation, RSHIFT_U64);
}

/* The gateway of a route: 0 and *ret_gateway (0: none, on-link); -1: not an IPv4 one. */
CV_INLINE int cv_dst_gateway(unsigned long dst, __be32 *ret_gateway)
{
	struct rtable *route = CV_OBJECT(rtable, dst);
	__u8 family = CV_READ(route, rt_gw_family);

	if (family && family != CV_AF_INET)
		return -1;
	*ret_gateway = family ? CV_READ(route, rt_gw4) : 0;
	return 0;
}

/*
 * Is a device up, and its MTU: from its struct net_device, as both may have changed a moment ago
 * and user space hears of it later. False: its address is not known.
 */
CV_INLINE bool cv_device_read(__u64 address, bool *ret_up, __u32 *ret_mtu)
{
	struct net_device *device = CV_OBJECT(net_device, (unsigned long)address);

	if (!address)
		return false;
	*ret_up = CV_READ(device, flags) & CV_IFF_UP;
	*ret_mtu = CV_READ(device, mtu);
	return true;
}

/* The kernel's address of the packet's device; 0: not to be found. */
CV_INLINE __u64 cv_skb_device(const struct __sk_buff *skb)
{
	return (unsigned long)CV_PROBE((struct sk_buff *)(unsigned long)skb, dev);
}

/* The same of its network namespace. */
CV_INLINE __u64 cv_skb_namespace(const struct __sk_buff *skb)
{
	struct net_device *device = (struct net_device *)(unsigned long)cv_skb_device(skb);

	return (unsigned long)CV_PROBE(device, nd_net.net);
}

/*
 * The stamp of answers that are asked for from now on. Taken before the question: a change
 * in between makes the answer expire, not last.
 *
 * The kernel leaves rt_genid as it is when a next hop object is taken out of a group (seen up to
 * 6.18), but counts every change of those objects; the factor keeps the two sums apart.
 */
CV_INLINE struct cv_fp_stamp cv_stamp_now(const struct cv_fp_config *config)
{
	struct net *net = CV_OBJECT(net, (unsigned long)config->namespace);
	struct cv_fp_stamp stamp = {0, 0};

	if (!config->namespace)
		return stamp;
	stamp.genid = (__u32)CV_READ(net, ipv4.rt_genid.counter) +
		      CV_READ(net, nexthop.seq) * CV_NEXTHOP_FACTOR;
	stamp.generation = config->generation;
	return stamp;
}

/*
 * The state of the routing tables: a sum of what the kernel counts up with every change of a route,
 * a rule or a next hop that makes a difference to look-ups, and with nothing else. False: not to be
 * found.
 */
CV_INLINE bool cv_tables_now(const struct cv_fp_config *config, __u32 *ret_state)
{
	struct net *net = CV_OBJECT(net, (unsigned long)config->namespace);
	unsigned long rules;

	if (!config->namespace || !CV_FIELD(net->ipv4.fib_seq, EXISTS))
		return false;
	*ret_state = CV_READ(net, ipv4.fib_seq);
	*ret_state += CV_READ(net, nexthop.seq);
	if (CV_FIELD(net->ipv4.rules_ops, EXISTS)) {
		rules = (unsigned long)CV_PROBE(net, ipv4.rules_ops);
		*ret_state += CV_READ(CV_OBJECT(fib_rules_ops, rules), fib_rules_seq);
	}
	return true;
}

/*
 * The stamp of the engine's words: one genid for as long as the routing tables stay in the state
 * that is known, whatever else makes the kernel count. It may count the state a moment before
 * it changes a table (fib_table_delete): what is asked in between has the genid of then as
 * its stamp, which is over with the change.
 */
CV_INLINE struct cv_fp_stamp cv_stamp_of_word(const struct cv_fp_config *config)
{
	struct cv_fp_stamp stamp = cv_stamp_now(config);
	__u32 tables;

	if (config->known_genid && cv_tables_now(config, &tables) && tables == config->known_tables)
		stamp.genid = config->known_genid;
	if (stamp.generation)
		stamp.generation = config->words;
	return stamp;
}

CV_INLINE bool cv_stamp_holds(const struct cv_fp_stamp *stamp, const struct cv_fp_stamp *now)
{
	return stamp->genid == now->genid && stamp->generation == now->generation &&
	       now->generation;
}

/*
 * Are there IPsec policies for packets that leave this host, or are forwarded? Which packets they
 * mean only the stack can tell, so that where there are any it must see them all. The kernel bumps
 * rt_genid when one is added (xfrm_policy_insert), so an answer of before does not hold.
 */
CV_INLINE bool cv_has_policies(const struct cv_fp_config *config)
{
	struct net *net = CV_OBJECT(net, (unsigned long)config->namespace);

	if (!config->namespace || !bpf_core_field_exists(net->xfrm.policy_count))
		return false;
	return CV_READ(net, xfrm.policy_count[CV_POLICIES_OUT]) ||
	       CV_READ(net, xfrm.policy_count[CV_POLICIES_FWD]);
}

#endif
