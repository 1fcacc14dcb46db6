/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of devices below /proc/sys/net/ipv4/conf and ipv6/conf, of this thread's network
 * namespace. */
#ifndef CV_NET_SYSCTL_H
#define CV_NET_SYSCTL_H

/* net.ipv4.conf.DEVICE.NAME ("all" and "default" are devices, too): its value, or -errno. */
int cv_sysctl_read_ipv4(const char *device, const char *name);

/* Set it. 0 or -errno (-EROFS in many containers; -ENOENT: the kernel has no IPv6). */
int cv_sysctl_write_ipv4(const char *device, const char *name, int value);
int cv_sysctl_write_ipv6(const char *device, const char *name, int value);

/* The same of net.ipv4.neigh.DEVICE.NAME. */
int cv_sysctl_write_neigh(const char *device, const char *name, int value);

#endif
