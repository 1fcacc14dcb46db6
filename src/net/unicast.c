/* SPDX-License-Identifier: Apache-2.0 */
/* One RTM_NEWROUTE, as an administrator's (RTPROT_STATIC would be a routing daemon's to clean). */
#include "net/unicast.h"

#include <linux/rtnetlink.h>

#include "wire/types.h"

static void put_metrics(struct nlmsghdr *nlh, const struct cv_unicast *route)
{
	struct nlattr *metrics;

	if (!route->mtu && !route->advmss)
		return;
	metrics = mnl_attr_nest_start(nlh, RTA_METRICS);
	if (route->mtu)
		mnl_attr_put_u32(nlh, RTAX_MTU, route->mtu);
	if (route->advmss)
		mnl_attr_put_u32(nlh, RTAX_ADVMSS, route->advmss);
	mnl_attr_nest_end(nlh, metrics);
}

int cv_unicast_add(struct cv_nl *nl, const struct cv_unicast *route)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct rtmsg *message = mnl_nlmsg_put_extra_header(nlh, sizeof(*message));

	nlh->nlmsg_type = RTM_NEWROUTE;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	message->rtm_family = AF_INET;
	message->rtm_dst_len = route->prefix.length;
	message->rtm_table = RT_TABLE_UNSPEC; /* RTA_TABLE has 32 bits */
	message->rtm_protocol = RTPROT_BOOT;
	message->rtm_scope = route->scope;
	message->rtm_type = RTN_UNICAST;
	message->rtm_flags = route->onlink ? RTNH_F_ONLINK : 0;
	mnl_attr_put_u32(nlh, RTA_TABLE, route->table ? route->table : RT_TABLE_MAIN);
	mnl_attr_put_u32(nlh, RTA_DST, (CV_FORCE uint32_t)route->prefix.address);
	mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)route->oif);
	if (route->gateway)
		mnl_attr_put_u32(nlh, RTA_GATEWAY, (CV_FORCE uint32_t)route->gateway);
	if (route->metric)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, route->metric);
	put_metrics(nlh, route);
	return cv_nl_talk(nl, nlh, NULL, NULL);
}
