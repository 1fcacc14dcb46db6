/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network devices and their addresses.
 *
 * Lists are read whole, again when the kernel says that they changed meanwhile
 * (NLM_F_DUMP_INTR), and only then told to the caller: nobody sees half a list.
 */
#include "net/link.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#include "net/vector.h"
#include "wire/types.h"

/* ---- reading ------------------------------------------------------------------ */

static void copy_string(char *target, size_t size, const struct nlattr *attr)
{
	snprintf(target, size, "%.*s", (int)mnl_attr_get_payload_len(attr), mnl_attr_get_str(attr));
}

/* A fixed-size value; 0 for an attribute that is too short. */
static uint32_t get_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

static uint8_t get_u8(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= sizeof(uint8_t) ? mnl_attr_get_u8(attr) : 0;
}

static void parse_tun(const struct nlattr *info_data, struct cv_link *link)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info_data)
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_TUN_TYPE:
			link->tun_is_tun = get_u8(attr) == IFF_TUN;
			break;
		case IFLA_TUN_MULTI_QUEUE:
			link->tun_multi_queue = get_u8(attr);
			break;
		case IFLA_TUN_PERSIST:
			link->tun_persist = get_u8(attr);
			break;
		case IFLA_TUN_VNET_HDR:
			link->tun_vnet_hdr = get_u8(attr);
			break;
		}
	}
}

/* Kinds ipip and sit. */
static void parse_ip_tunnel(const struct nlattr *info_data, struct cv_link *link)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info_data)
	{
		if (mnl_attr_get_type(attr) == IFLA_IPTUN_PROTO)
			link->tunnel_protocol = get_u8(attr);
	}
}

static void parse_link_info(const struct nlattr *link_info, struct cv_link *link)
{
	const struct nlattr *data = NULL;
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, link_info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			copy_string(link->kind, sizeof(link->kind), attr);
		else if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	if (data && !strcmp(link->kind, "tun"))
		parse_tun(data, link);
	if (data && (!strcmp(link->kind, "ipip") || !strcmp(link->kind, "sit")))
		parse_ip_tunnel(data, link);
}

static int parse_link(const struct nlmsghdr *nlh, void *data)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	struct cv_link *link = data;
	struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*info))
		return -EBADMSG;
	*link = (struct cv_link){
		.index = info->ifi_index,
		.flags = info->ifi_flags,
		.type = info->ifi_type,
	};
	mnl_attr_for_each(attr, nlh, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_string(link->name, sizeof(link->name), attr);
			break;
		case IFLA_IFALIAS:
			copy_string(link->alias, sizeof(link->alias), attr);
			break;
		case IFLA_ADDRESS:
			if (mnl_attr_get_payload_len(attr) == sizeof(link->mac))
				memcpy(link->mac, mnl_attr_get_payload(attr), sizeof(link->mac));
			break;
		case IFLA_MTU:
			link->mtu = get_u32(attr);
			break;
		case IFLA_MASTER:
			link->master = (int)get_u32(attr);
			break;
		case IFLA_LINK_NETNSID:
			link->peer_away = true;
			break;
		case IFLA_LINKINFO:
			parse_link_info(attr, link);
			break;
		}
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *link_request(struct cv_nl *nl, uint16_t type, uint16_t flags, int index)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	info->ifi_family = AF_UNSPEC;
	info->ifi_index = index;
	return nlh;
}

static int get_link(struct cv_nl *nl, struct nlmsghdr *nlh, struct cv_link *ret_link)
{
	struct cv_link link;
	int err;

	mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = cv_nl_talk(nl, nlh, parse_link, &link);
	if (err < 0)
		return err;
	*ret_link = link;
	return 0;
}

int cv_link_get(struct cv_nl *nl, const char *name, struct cv_link *ret_link)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_GETLINK, 0, 0);

	/* What cannot be a device's name is no device's name. */
	if (!*name || strlen(name) >= IFNAMSIZ)
		return -ENODEV;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return get_link(nl, nlh, ret_link);
}

int cv_link_get_by_index(struct cv_nl *nl, int index, struct cv_link *ret_link)
{
	if (index <= 0)
		return -ENODEV;
	return get_link(nl, link_request(nl, RTM_GETLINK, 0, index), ret_link);
}

/*
 * RTM_GETLINK costs 7.6 µs and takes the rtnl lock, behind which anybody's slow configuration
 * waits; these ioctls take 1.2 µs and no such lock.
 */
int cv_link_get_name(struct cv_nl *nl, int index, char ret_name[static IFNAMSIZ])
{
	struct ifreq request = {.ifr_ifindex = index};

	if (ioctl(cv_nl_fd(nl), SIOCGIFNAME, &request) < 0)
		return -errno;
	memcpy(ret_name, request.ifr_name, IFNAMSIZ);
	return 0;
}

bool cv_link_is_up(struct cv_nl *nl, int index)
{
	struct ifreq request = {.ifr_ifindex = index};

	return ioctl(cv_nl_fd(nl), SIOCGIFNAME, &request) >= 0 &&
	       ioctl(cv_nl_fd(nl), SIOCGIFFLAGS, &request) >= 0 && request.ifr_flags & IFF_UP;
}

/*
 * They want a name: ask for the index again afterwards, lest a renaming in between gave us another
 * device's MTU.
 */
int cv_link_read_mtu(int fd, int index, uint32_t *ret_mtu)
{
	for (int attempt = 0; attempt < CV_NL_DUMP_ATTEMPTS; attempt++) {
		struct ifreq request = {.ifr_ifindex = index};
		int mtu;

		if (ioctl(fd, SIOCGIFNAME, &request) < 0)
			return -errno;
		if (ioctl(fd, SIOCGIFMTU, &request) < 0)
			continue;
		mtu = request.ifr_mtu;
		if (ioctl(fd, SIOCGIFINDEX, &request) < 0 || request.ifr_ifindex != index)
			continue;
		*ret_mtu = (uint32_t)mtu;
		return 0;
	}
	return -ENODEV;
}

int cv_link_get_mtu(struct cv_nl *nl, int index, uint32_t *ret_mtu)
{
	return cv_link_read_mtu(cv_nl_fd(nl), index, ret_mtu);
}

/* ---- lists -------------------------------------------------------------------- */

static int collect_link(const struct nlmsghdr *nlh, void *data)
{
	struct cv_link link;
	int err = parse_link(nlh, &link);

	if (err < 0)
		return err;
	err = cv_vector_append(data, &link);
	return err < 0 ? err : MNL_CB_OK;
}

static int list_links(struct cv_nl *nl, struct cv_vector *links)
{
	int err = -EINTR;

	for (int attempt = 0; err == -EINTR && attempt < CV_NL_DUMP_ATTEMPTS; attempt++) {
		struct nlmsghdr *nlh = link_request(nl, RTM_GETLINK, NLM_F_DUMP, 0);

		links->count = 0;
		mnl_attr_put_u32(nlh, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		err = cv_nl_talk(nl, nlh, collect_link, links);
	}
	return err;
}

int cv_link_for_each(struct cv_nl *nl, int (*cb)(const struct cv_link *link, void *data),
		     void *data)
{
	struct cv_vector links;
	int result;

	cv_vector_init(&links, sizeof(struct cv_link));
	result = list_links(nl, &links);
	for (size_t i = 0; !result && i < links.count; i++)
		result = cb(cv_vector_at(&links, i), data);
	cv_vector_fini(&links);
	return result;
}

static int collect_address(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(nlh);
	struct cv_address address = {0};
	struct nlattr *attr;
	int err;

	if (nlh->nlmsg_type != RTM_NEWADDR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*info))
		return -EBADMSG;
	if (info->ifa_family != AF_INET)
		return MNL_CB_OK;
	address.ifindex = (int)info->ifa_index;
	address.prefix_length = info->ifa_prefixlen;
	mnl_attr_for_each(attr, nlh, sizeof(*info))
	{
		/* IFA_ADDRESS is the peer's on a point-to-point device; IFA_LOCAL is ours. */
		if (mnl_attr_get_type(attr) == IFA_LOCAL)
			address.address = (CV_FORCE __be32)get_u32(attr);
		else if (mnl_attr_get_type(attr) == IFA_BROADCAST)
			address.broadcast = (CV_FORCE __be32)get_u32(attr);
	}
	err = cv_vector_append(data, &address);
	return err < 0 ? err : MNL_CB_OK;
}

static int list_addresses(struct cv_nl *nl, struct cv_vector *addresses)
{
	int err = -EINTR;

	for (int attempt = 0; err == -EINTR && attempt < CV_NL_DUMP_ATTEMPTS; attempt++) {
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
		struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

		addresses->count = 0;
		nlh->nlmsg_type = RTM_GETADDR;
		nlh->nlmsg_flags = NLM_F_DUMP;
		info->ifa_family = AF_INET;
		err = cv_nl_talk(nl, nlh, collect_address, addresses);
	}
	return err;
}

int cv_address_for_each(struct cv_nl *nl, int (*cb)(const struct cv_address *address, void *data),
			void *data)
{
	struct cv_vector addresses;
	int result;

	cv_vector_init(&addresses, sizeof(struct cv_address));
	result = list_addresses(nl, &addresses);
	for (size_t i = 0; !result && i < addresses.count; i++)
		result = cb(cv_vector_at(&addresses, i), data);
	cv_vector_fini(&addresses);
	return result;
}

/* ---- changing ----------------------------------------------------------------- */

/* Without a positive index the kernel would take a change for a wish to create a device. */
static int change_link(struct cv_nl *nl, struct nlmsghdr *nlh)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

	if (info->ifi_index <= 0)
		return -ENODEV;
	return cv_nl_talk(nl, nlh, NULL, NULL);
}

/*
 * Without one of its own a bridge has the smallest of its ports' MACs: another one with every pod
 * that comes or goes, while the others still send to the one before. No randomness: so it is.
 */
static void put_own_mac(struct nlmsghdr *nlh)
{
	uint8_t mac[CV_LINK_MAC_LENGTH];

	if (getrandom(mac, sizeof(mac), GRND_NONBLOCK) != sizeof(mac))
		return;
	mac[0] = (uint8_t)((mac[0] & ~0x01u) | 0x02u); /* unicast, locally administered */
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof(mac), mac);
}

int cv_link_add_bridge(struct cv_nl *nl, const char *name)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info;

	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	put_own_mac(nlh);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(nlh, info);
	return cv_nl_talk(nl, nlh, NULL, NULL);
}

int cv_link_set_up(struct cv_nl *nl, int index, bool up)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_NEWLINK, 0, index);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

	info->ifi_change = IFF_UP;
	info->ifi_flags = up ? IFF_UP : 0;
	return change_link(nl, nlh);
}

int cv_link_set_mtu(struct cv_nl *nl, int index, uint32_t mtu)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_NEWLINK, 0, index);

	mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
	return change_link(nl, nlh);
}

int cv_link_set_alias(struct cv_nl *nl, int index, const char *alias)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_NEWLINK, 0, index);
	size_t length = strlen(alias);

	if (length >= CV_LINK_ALIAS_MAX)
		return -EINVAL;
	/* Without its NUL: the kernel would count it; of length 0 it removes the alias. */
	mnl_attr_put(nlh, IFLA_IFALIAS, length, alias);
	return change_link(nl, nlh);
}

int cv_link_set_tx_queue_length(struct cv_nl *nl, int index, uint32_t packets)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_NEWLINK, 0, index);

	mnl_attr_put_u32(nlh, IFLA_TXQLEN, packets);
	return change_link(nl, nlh);
}

int cv_link_delete(struct cv_nl *nl, int index)
{
	return change_link(nl, link_request(nl, RTM_DELLINK, 0, index));
}

int cv_link_set_group(struct cv_nl *nl, int index, uint32_t group)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_NEWLINK, 0, index);

	mnl_attr_put_u32(nlh, IFLA_GROUP, group);
	return change_link(nl, nlh);
}

int cv_link_delete_group(struct cv_nl *nl, uint32_t group)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_DELLINK, 0, 0);

	/* That of all devices that are in no other. */
	if (!group)
		return -EINVAL;
	mnl_attr_put_u32(nlh, IFLA_GROUP, group);
	return cv_nl_talk(nl, nlh, NULL, NULL);
}

int cv_link_set_hairpin(struct cv_nl *nl, int index, bool on)
{
	struct nlmsghdr *nlh = link_request(nl, RTM_SETLINK, 0, index);
	struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	struct nlattr *port;

	info->ifi_family = AF_BRIDGE;
	port = mnl_attr_nest_start(nlh, IFLA_PROTINFO | NLA_F_NESTED);
	mnl_attr_put_u8(nlh, IFLA_BRPORT_MODE, on);
	mnl_attr_nest_end(nlh, port);
	return change_link(nl, nlh);
}

static int change_address(struct cv_nl *nl, uint16_t type, uint16_t flags, int ifindex,
			  const struct cv_prefix *address)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	info->ifa_family = AF_INET;
	info->ifa_prefixlen = address->length;
	info->ifa_index = (unsigned int)ifindex;
	/* Two attributes, as on a broadcast device: the peer's address is our own. */
	mnl_attr_put_u32(nlh, IFA_LOCAL, (CV_FORCE uint32_t)address->address);
	mnl_attr_put_u32(nlh, IFA_ADDRESS, (CV_FORCE uint32_t)address->address);
	return cv_nl_talk(nl, nlh, NULL, NULL);
}

int cv_address_add(struct cv_nl *nl, int ifindex, const struct cv_prefix *address)
{
	return change_address(nl, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifindex, address);
}

int cv_address_delete(struct cv_nl *nl, int ifindex, const struct cv_prefix *address)
{
	return change_address(nl, RTM_DELADDR, 0, ifindex, address);
}
