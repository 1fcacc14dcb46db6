/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's notices on links, IPv4 addresses, routes, rules, nexthop objects and qdiscs.
 *
 * Only that something changed is told, not what: whoever caches answers of the
 * kernel drops them. Notices are queued before the request that caused them returns
 * to its sender, so a drain after `ip route replace` sees the change.
 *
 * All kinds are needed. A link that goes down takes its routes along with a
 * NEWLINK alone, and a changed nexthop object may say so by a NEWNEXTHOP alone. A qdisc that
 * somebody gives an endpoint ends its bypass; no other notice comes with it.
 */
#include "net/monitor.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netconf.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECEIVE_BUFFER = 16 << 20, /* about 20,000 route notices; beyond: OVERFLOW */
	MESSAGE_SIZE = 16384,
	DRAIN_MAX = 8192, /* notices of one call: a storm must not hold the caller for ever */
};

static const int groups[] = {
	RTNLGRP_LINK,
	RTNLGRP_IPV4_IFADDR,
	RTNLGRP_IPV4_ROUTE,
	RTNLGRP_IPV4_RULE,
	/* Forwarding, rp_filter, ignore_routes_with_linkdown: they change what a route says. */
	RTNLGRP_IPV4_NETCONF,
	RTNLGRP_NEXTHOP,
	RTNLGRP_TC,
};

int cv_monitor_open(void)
{
	int size = RECEIVE_BUFFER;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	/* A smaller buffer, for want of privilege, only overflows sooner. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		goto close_fd;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			goto close_fd;
	}
	return fd;
close_fd:
	err = -errno;
	close(fd);
	return err;
}

static int change_of(unsigned int type)
{
	switch (type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
	case RTM_SETLINK:
		return CV_MONITOR_LINK;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return CV_MONITOR_ADDRESS;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWNETCONF:
	case RTM_DELNETCONF:
		return CV_MONITOR_ROUTE;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return CV_MONITOR_RULE;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
	case RTM_NEWNEXTHOPBUCKET:
	case RTM_DELNEXTHOPBUCKET:
		return CV_MONITOR_NEXT_HOP;
	case RTM_NEWQDISC:
	case RTM_DELQDISC:
		return CV_MONITOR_QDISC;
	case RTM_NEWTFILTER:
	case RTM_DELTFILTER:
		return CV_MONITOR_FILTER;
	default:
		return 0;
	}
}

/* A route's notice names the socket that asked for the change; the kernel's own are of 0. */
static bool is_own_route(const struct nlmsghdr *nlh, uint32_t port_id)
{
	return port_id && nlh->nlmsg_pid == port_id &&
	       (nlh->nlmsg_type == RTM_NEWROUTE || nlh->nlmsg_type == RTM_DELROUTE);
}

/* Who asks, and about what. */
struct sorting {
	uint32_t port_id;
	bool (*is_minor)(int ifindex, const char *name, void *data); /* NULL: nothing is */
	void *data;
};

/* Of link and netconf messages. *ret_name stays as it is where there is none. */
static int index_of(const struct nlmsghdr *nlh, const char **ret_name)
{
	struct nlattr *attr;
	bool is_link = nlh->nlmsg_type == RTM_NEWLINK || nlh->nlmsg_type == RTM_DELLINK;
	size_t head = is_link ? sizeof(struct ifinfomsg) : sizeof(struct netconfmsg);
	int index = 0;

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + head)
		return 0;
	if (is_link)
		index = ((const struct ifinfomsg *)mnl_nlmsg_get_payload(nlh))->ifi_index;
	mnl_attr_for_each(attr, nlh, (unsigned int)head)
	{
		unsigned int type = mnl_attr_get_type(attr);

		if (is_link && type == IFLA_IFNAME && !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			*ret_name = mnl_attr_get_str(attr);
		else if (!is_link && type == NETCONFA_IFINDEX &&
			 !mnl_attr_validate(attr, MNL_TYPE_U32))
			index = (int)mnl_attr_get_u32(attr);
	}
	return index;
}

static bool is_minor(const struct nlmsghdr *nlh, const struct sorting *sorting)
{
	const char *name = NULL;
	int index;

	if (!sorting->is_minor)
		return false;
	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
	case RTM_NEWNETCONF:
	case RTM_DELNETCONF:
		index = index_of(nlh, &name);
		/* Below 0 are "all" and "default". */
		return index > 0 && sorting->is_minor(index, name, sorting->data);
	default:
		return false;
	}
}

/* Of a pod: nobody's way to anything else. */
static bool is_host_route(const struct nlmsghdr *nlh)
{
	return nlh->nlmsg_len >= MNL_NLMSG_HDRLEN + sizeof(struct rtmsg) &&
	       ((const struct rtmsg *)mnl_nlmsg_get_payload(nlh))->rtm_dst_len == 32;
}

static int change_by(const struct nlmsghdr *nlh, const struct sorting *sorting)
{
	if (is_own_route(nlh, sorting->port_id))
		return sorting->is_minor && is_host_route(nlh) ? CV_MONITOR_MINOR
							       : CV_MONITOR_OWN_ROUTE;
	return is_minor(nlh, sorting) ? CV_MONITOR_MINOR : change_of(nlh->nlmsg_type);
}

static int changes_in(const void *message, size_t length, const struct sorting *sorting)
{
	const struct nlmsghdr *nlh = message;
	int left = (int)length;
	int changes = 0;

	while (mnl_nlmsg_ok(nlh, left)) {
		changes |= change_by(nlh, sorting);
		nlh = mnl_nlmsg_next(nlh, &left);
	}
	return changes;
}

static int drain(int fd, const struct sorting *sorting)
{
	_Alignas(struct nlmsghdr) char buffer[MESSAGE_SIZE];
	int changes = 0;

	for (int i = 0; i < DRAIN_MAX; i++) {
		/* MSG_TRUNC: the true length, so that a cut message is seen. */
		ssize_t length = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);

		if (length < 0) {
			if (errno == EINTR)
				continue;
			if (errno == ENOBUFS) {
				changes |= CV_MONITOR_OVERFLOW;
				continue;
			}
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				break;
			return -errno;
		}
		if ((size_t)length > sizeof(buffer))
			changes |= CV_MONITOR_OVERFLOW;
		else
			changes |= changes_in(buffer, (size_t)length, sorting);
	}
	return changes;
}

int cv_monitor_drain_sorted(int fd, uint32_t port_id,
			    bool (*minor)(int ifindex, const char *name, void *data), void *data)
{
	const struct sorting sorting = {port_id, minor, data};

	return drain(fd, &sorting);
}

int cv_monitor_drain_others(int fd, uint32_t port_id)
{
	return cv_monitor_drain_sorted(fd, port_id, NULL, NULL);
}

int cv_monitor_drain(int fd)
{
	return cv_monitor_drain_others(fd, 0);
}
