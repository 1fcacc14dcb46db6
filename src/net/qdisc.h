/* SPDX-License-Identifier: Apache-2.0 */
/* Queueing disciplines, by rtnetlink: which device has which. */
#ifndef CV_NET_QDISC_H
#define CV_NET_QDISC_H

#include <linux/types.h>

#include "net/netlink.h"

enum {
	CV_QDISC_KIND_MAX = 16
};

struct cv_qdisc {
	int ifindex;
	__u32 handle; /* 0: the kernel's default, which nobody asked for */
	__u32 parent; /* TC_H_ROOT, TC_H_INGRESS (clsact, too), or a class */
	char kind[CV_QDISC_KIND_MAX];
};

/*
 * Call cb for every qdisc of every device of this namespace; a non-zero return stops and is
 * returned. The list is complete before the first call: cb may use nl. 0 or -errno.
 */
int cv_qdisc_for_each(struct cv_nl *nl, int (*cb)(const struct cv_qdisc *qdisc, void *data),
		      void *data);

/*
 * Let packets go to the device without a queue in between ("noqueue", whatever there was at its
 * root). For devices that never say "stop": TUN devices queue or drop by themselves. 0 or -errno.
 */
int cv_qdisc_set_noqueue(struct cv_nl *nl, int ifindex);

/*
 * Give a device the clsact qdisc, which the fast path's hooks need. Of one that is up, the kernel
 * drops what is sent by it meanwhile (qdisc_graft() deactivates it): so better before. One that is
 * there is no failure. 0 or -errno; -ENOENT, -EOPNOTSUPP: this kernel has none; -EEXIST or -EINVAL:
 * the device has an ingress qdisc, which excludes it.
 */
int cv_qdisc_add_clsact(struct cv_nl *nl, int ifindex);

#endif
