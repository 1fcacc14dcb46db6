/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends are described in one RTM_NEWLINK; the peer's stands in VETH_INFO_PEER. */
#include "net/veth.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>

static void put_end(struct nlmsghdr *nlh, const struct cv_veth_end *end, uint32_t mtu)
{
	mnl_attr_put_strz(nlh, IFLA_IFNAME, end->name);
	if (end->mac)
		mnl_attr_put(nlh, IFLA_ADDRESS, CV_LINK_MAC_LENGTH, end->mac);
	if (mtu)
		mnl_attr_put_u32(nlh, IFLA_MTU, mtu);
}

static void set_flags(struct ifinfomsg *info, const struct cv_veth_end *end)
{
	info->ifi_family = AF_UNSPEC;
	info->ifi_flags = end->up ? IFF_UP : 0;
	info->ifi_change = end->up ? IFF_UP : 0;
}

static void put_peer(struct nlmsghdr *nlh, const struct cv_veth *veth)
{
	struct nlattr *peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	/* Not an attribute: the body of a RTM_NEWLINK begins here. */
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	set_flags(info, &veth->peer);
	put_end(nlh, &veth->peer, veth->mtu);
	if (veth->peer_namespace >= 0)
		mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)veth->peer_namespace);
	mnl_attr_nest_end(nlh, peer);
}

int cv_veth_create(struct cv_nl *nl, const struct cv_veth *veth)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	struct nlattr *link_info, *data;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	set_flags(info, &veth->here);
	put_end(nlh, &veth->here, veth->mtu);
	if (veth->master)
		mnl_attr_put_u32(nlh, IFLA_MASTER, (uint32_t)veth->master);
	link_info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	put_peer(nlh, veth);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, link_info);
	return cv_nl_talk(nl, nlh, NULL, NULL);
}
