/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TUN devices: multi-queue, IFF_VNET_HDR, persistent.
 *
 * MULTI_QUEUE must match on every later open of a device; a different VNET_HDR is
 * silently ignored by the kernel and the holder's wins, so it is checked here.
 */
#ifndef CV_NET_TUN_H
#define CV_NET_TUN_H

#include <stdbool.h>

enum {
	CV_TUN_TX_QUEUE_LENGTH =
		5000, /* 500 (the default) lost 5,609 packets of bursts, 5,000 none */
};

/*
 * Open one queue of TUN device name, which is created when it does not exist: then
 * persistent. Header size 10 (struct virtio_net_hdr), offloads CSUM, TSO4, TSO_ECN and
 * where the kernel has it USO4. Non-blocking, close-on-exec. Returns the descriptor, which the
 * caller closes, or -errno: -ENOENT/-ENODEV no /dev/net/tun, -EPERM no CAP_NET_ADMIN,
 * -EBUSY/-EINVAL the name is taken by something that is not such a device.
 */
int cv_tun_open(const char *name);

/* True when the kernel lets this queue read UDP super-packets (TUN_F_USO4, Linux 6.2). */
bool cv_tun_has_udp_segmentation(int fd);

/*
 * Take a queue out of service: it gets no packets, what waited in it is dropped, but while
 * its descriptor is open anywhere the device keeps its carrier. Linux tells every opening,
 * detaching and closing as a RTM_NEWLINK in which nothing has changed. 0 or -errno.
 */
int cv_tun_detach(int fd);

/* Let the device vanish with its last queue (false), or stay (true). 0 or -errno. */
int cv_tun_set_persistent(int fd, bool persistent);

#endif
