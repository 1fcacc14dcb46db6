/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the programs read of the kernel's own structures, by CO-RE: the route that the
 * stack chose for a packet, and the number that says whether remembered routes still hold.
 *
 * The programs read with bpf_probe_read_kernel() and not through typed pointers, because
 * turning a __sk_buff into a struct sk_buff takes a kernel function of Linux 6.2.
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

struct netns_ipv4 {
	struct atomic_counter rt_genid;
} CV_CORE;

struct net {
	struct netns_ipv4 ipv4;
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
};

/* A word of the struct sk_buff behind a program's context. */
#define CV_SKB_READ(skb, field)                                                              \
	({                                                                                   \
		unsigned long value_ = 0;                                                    \
		bpf_probe_read_kernel(&value_, sizeof(value_),                               \
				      (const __u8 *)(skb) +                                  \
					      bpf_core_field_offset(struct sk_buff, field)); \
		value_;                                                                      \
	})

/* The packet's route; 0: it did not come through the stack's routing. */
CV_INLINE unsigned long cv_skb_dst(const struct __sk_buff *skb)
{
	return CV_SKB_READ(skb, _skb_refdst) & ~(unsigned long)CV_REFDST_NOREF;
}

/*
 * True if the kernel remembers a tunnel's header in front of this packet, be it still there or not:
 * taking one off does not make it forget (seen up to 6.18), and it allows no second one.
 */
CV_INLINE bool cv_skb_is_encapsulated(const struct __sk_buff *skb)
{
	const struct sk_buff *packet = (const struct sk_buff *)(const void *)skb;
	__u64 bit = 0;

	/* BPF_CORE_READ_BITFIELD_PROBED(), which our warnings forbid. */
	if (bpf_probe_read_kernel(&bit, CV_FIELD(packet->encapsulation, BYTE_SIZE),
				  (const __u8 *)packet +
					  CV_FIELD(packet->encapsulation, BYTE_OFFSET)))
		return false;
	return bit << CV_FIELD(packet->encapsulation, LSHIFT_U64) >>
	       CV_FIELD(packet->encapsulation, RSHIFT_U64);
}

/* The gateway of a route: 0 and *ret_gateway (0: none, on-link); -1: not an IPv4 one. */
CV_INLINE int cv_dst_gateway(unsigned long dst, __be32 *ret_gateway)
{
	const struct rtable *route = (const struct rtable *)dst;
	__be32 gateway = 0;
	__u8 family = 0;

	if (bpf_probe_read_kernel(&family, sizeof(family), &route->rt_gw_family))
		return -1;
	if (family && family != CV_AF_INET)
		return -1;
	if (family && bpf_probe_read_kernel(&gateway, sizeof(gateway), &route->rt_gw4))
		return -1;
	*ret_gateway = gateway;
	return 0;
}

/*
 * Is a device up, and its MTU: from its struct net_device, as both may have changed a moment ago
 * and user space hears of it later. False: it cannot be read.
 */
CV_INLINE bool cv_device_read(__u64 address, bool *ret_up, __u32 *ret_mtu)
{
	const struct net_device *device = (const struct net_device *)(unsigned long)address;
	unsigned int flags = 0, mtu = 0;

	if (!address || bpf_probe_read_kernel(&flags, sizeof(flags), &device->flags) ||
	    bpf_probe_read_kernel(&mtu, sizeof(mtu), &device->mtu))
		return false;
	*ret_up = flags & CV_IFF_UP;
	*ret_mtu = mtu;
	return true;
}

/* Where the rt_genid of this packet's namespace lies; 0: not to be found. */
CV_INLINE __u64 cv_skb_genid_address(const struct __sk_buff *skb)
{
	const struct net_device *dev = (const struct net_device *)CV_SKB_READ(skb, dev);
	unsigned long net = 0;

	if (!dev || bpf_probe_read_kernel(&net, sizeof(net), &dev->nd_net.net))
		return 0;
	return net + bpf_core_field_offset(struct net, ipv4) +
	       bpf_core_field_offset(struct netns_ipv4, rt_genid);
}

/*
 * The stamp of answers that are asked for from now on. Taken before the question: a change
 * in between makes the answer expire, not last.
 */
CV_INLINE struct cv_fp_stamp cv_stamp_now(const struct cv_fp_config *config)
{
	struct cv_fp_stamp stamp = {0, 0};

	if (!config->genid_address ||
	    bpf_probe_read_kernel(&stamp.genid, sizeof(stamp.genid),
				  (const void *)(unsigned long)config->genid_address))
		return stamp;
	stamp.generation = config->generation;
	return stamp;
}

CV_INLINE bool cv_stamp_holds(const struct cv_fp_stamp *stamp, const struct cv_fp_stamp *now)
{
	return stamp->genid == now->genid && stamp->generation == now->generation &&
	       now->generation;
}

#endif
