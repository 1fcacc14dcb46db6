/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices and their addresses, by rtnetlink. */
#ifndef CV_NET_LINK_H
#define CV_NET_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

#include "net/netlink.h"
#include "net/prefix.h"

enum {
	CV_LINK_ALIAS_MAX = 256,
	CV_LINK_KIND_MAX = 32,
	CV_LINK_MAC_LENGTH = 6,
};

struct cv_link {
	int index;
	char name[IFNAMSIZ];
	char kind[CV_LINK_KIND_MAX];	 /* IFLA_INFO_KIND: "tun", "veth", "ipip"; "" without */
	char alias[CV_LINK_ALIAS_MAX];	 /* IFLA_IFALIAS, "" when it has none */
	uint8_t mac[CV_LINK_MAC_LENGTH]; /* all zero when it has none of this length */
	uint32_t mtu;
	uint32_t flags;	 /* IFF_* */
	uint16_t type;	 /* ARPHRD_* */
	int master;	 /* index of the bridge or bond that has it, 0: none */
	bool peer_away;	 /* its other end (veth) is in another network namespace */
	bool tun_is_tun; /* kind tun: a TUN (not TAP) device */
	bool tun_multi_queue;
	bool tun_persist;
	bool tun_vnet_hdr;
	uint8_t tunnel_protocol; /* kinds ipip and sit: what they carry, 0: anything, or not told */
};

/* Find a device by name (alternative names count), or by index. 0, -ENODEV, -errno. */
int cv_link_get(struct cv_nl *nl, const char *name, struct cv_link *ret_link);
int cv_link_get_by_index(struct cv_nl *nl, int index, struct cv_link *ret_link);

/*
 * Only the name of a device, or its MTU in bytes: never cached, about a microsecond, without the
 * kernel's rtnl lock. 0, -ENODEV, -errno.
 */
int cv_link_get_name(struct cv_nl *nl, int index, char ret_name[static IFNAMSIZ]);
int cv_link_get_mtu(struct cv_nl *nl, int index, uint32_t *ret_mtu);

/* True if there is such a device, and it is set up; two system calls, as those. */
bool cv_link_is_up(struct cv_nl *nl, int index);

/* cv_link_get_mtu for who has no cv_nl: fd is any socket of the device's namespace. */
int cv_link_read_mtu(int fd, int index, uint32_t *ret_mtu);

/*
 * Call cb for every device of this namespace; a non-zero return of cb stops and is returned.
 * The list is complete before the first call: cb may use nl.
 */
int cv_link_for_each(struct cv_nl *nl, int (*cb)(const struct cv_link *link, void *data),
		     void *data);

/* Make a bridge, which is down, with a MAC of its own, which ports do not change. 0; -EEXIST: there
 * is a device of that name; -errno. */
int cv_link_add_bridge(struct cv_nl *nl, const char *name);

/* Change a device. 0, -ENODEV, -errno. An alias longer than CV_LINK_ALIAS_MAX - 1 is -EINVAL. */
int cv_link_set_up(struct cv_nl *nl, int index, bool up);
int cv_link_set_mtu(struct cv_nl *nl, int index, uint32_t mtu);
int cv_link_set_alias(struct cv_nl *nl, int index, const char *alias);
int cv_link_set_tx_queue_length(struct cv_nl *nl, int index, uint32_t packets);
int cv_link_delete(struct cv_nl *nl, int index);

/* Put it into a group of devices (0: the default one); delete all devices of a group other than 0
 * at once, for which the kernel takes hardly longer than for one (-EOPNOTSUPP: one of them cannot
 * be deleted, and none is; -ENODEV: it has none). */
int cv_link_set_group(struct cv_nl *nl, int index, uint32_t group);
int cv_link_delete_group(struct cv_nl *nl, uint32_t group);

/* A port of a bridge may send frames back to where they came from (a pod that reaches itself by a
 * host port). 0, -EOPNOTSUPP or -EINVAL: it is no port; -errno. */
int cv_link_set_hairpin(struct cv_nl *nl, int index, bool on);

struct cv_address {
	int ifindex;
	__be32 address;
	uint8_t prefix_length;
	__be32 broadcast; /* 0 when there is none */
};

/* Call cb, which may use nl, for every IPv4 address; a non-zero return stops and is returned. */
int cv_address_for_each(struct cv_nl *nl, int (*cb)(const struct cv_address *address, void *data),
			void *data);

/* Add or delete an IPv4 address of a device. 0; -EEXIST, -EADDRNOTAVAIL; -ENODEV; -errno. */
int cv_address_add(struct cv_nl *nl, int ifindex, const struct cv_prefix *address);
int cv_address_delete(struct cv_nl *nl, int ifindex, const struct cv_prefix *address);

#endif
