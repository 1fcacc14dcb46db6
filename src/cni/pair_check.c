/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK: what pair.c has made, looked at again. */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "cni/pair.h"
#include "net/neighbour.h"
#include "net/route_table.h"
#include "net/sysctl.h"

/* Of the first thing that is wrong. */
static int wrong(struct cv_cni_failure *failure, const char *device, const char *what)
{
	return cv_cni_fail(failure, CV_CNI_NOT_AS_MADE, "%s %s", device, what);
}

static int check_link(struct cv_nl *nl, const char *name, const struct cv_cni_pair *pair,
		      const uint8_t *mac, struct cv_link *ret_link, struct cv_cni_failure *failure)
{
	char is[CV_ATTACHMENT_MAC_TEXT], was[CV_ATTACHMENT_MAC_TEXT];

	if (cv_link_get(nl, name, ret_link))
		return wrong(failure, name, "is gone");
	if (!(ret_link->flags & IFF_UP))
		return wrong(failure, name, "is down");
	if (strcmp(ret_link->kind, "veth"))
		return wrong(failure, name, "is another sort of device");
	if (mac && memcmp(mac, ret_link->mac, CV_ATTACHMENT_MAC))
		return cv_cni_fail(failure, CV_CNI_NOT_AS_MADE, "%s has MAC %s, not %s", name,
				   cv_attachment_mac_format(ret_link->mac, is),
				   cv_attachment_mac_format(mac, was));
	if (pair->mtu && pair->mtu != ret_link->mtu)
		return cv_cni_fail(failure, CV_CNI_NOT_AS_MADE, "%s has MTU %u, not %u", name,
				   ret_link->mtu, pair->mtu);
	return 0;
}

static int check_neighbour(struct cv_nl *nl, const struct cv_link *link, __be32 address,
			   const uint8_t *mac, struct cv_cni_failure *failure)
{
	struct cv_neighbour neighbour;
	char text[CV_ADDRESS_TEXT_MAX];

	if (!cv_neighbour_get(nl, link->index, address, &neighbour) &&
	    neighbour.state & NUD_PERMANENT && !memcmp(neighbour.mac, mac, sizeof(neighbour.mac)))
		return 0;
	return cv_cni_fail(failure, CV_CNI_NOT_AS_MADE,
			   "%s has no permanent neighbour %s of the other end's MAC", link->name,
			   cv_address_format(address, text));
}

static int check_host_end(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
			  const struct cv_link *link, const struct cv_link *inside,
			  struct cv_cni_failure *failure)
{
	struct cv_link bridge;

	if (!cv_attachment_is_device(pair->names, link) || !*link->alias)
		return wrong(failure, link->name, "has not the alias that culvert-cni gave it");
	if (pair->bridge) {
		if (cv_link_get(sides->host, pair->bridge, &bridge) || link->master != bridge.index)
			return cv_cni_fail(failure, CV_CNI_NOT_AS_MADE, "%s is no port of %s",
					   link->name, pair->bridge);
		return 0;
	}
	if (cv_sysctl_read_ipv4(link->name, "rp_filter") != 1)
		return wrong(failure, link->name, "has not rp_filter 1");
	for (size_t i = 0; i < pair->result->ip_count; i++) {
		int code = check_neighbour(sides->host, link, pair->result->ips[i].address.address,
					   inside->mac, failure);

		if (code)
			return code;
	}
	return 0;
}

struct search {
	int index;
	struct cv_prefix prefix;
	__be32 gateway;
	uint32_t metric; /* 0: any, as results before 1.1.0 do not tell */
};

static int is_address(const struct cv_address *address, void *data)
{
	const struct search *search = data;

	return address->ifindex == search->index && address->address == search->prefix.address &&
	       address->prefix_length == search->prefix.length;
}

static int is_route(const struct cv_table_route *route, void *data)
{
	const struct search *search = data;

	return !cv_prefix_compare(&route->prefix, &search->prefix) && route->oif == search->index &&
	       route->gateway == search->gateway &&
	       (!search->metric || route->metric == search->metric);
}

/* Whether the first of the pod's routes of this prefix and metric is another interface's. */
static int is_anothers(const struct cv_table_route *route, void *data)
{
	const struct search *search = data;

	return !cv_prefix_compare(&route->prefix, &search->prefix) && route->oif != search->index &&
	       route->metric == search->metric;
}

static int check_routes(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
			const struct cv_link *link, struct cv_cni_failure *failure)
{
	for (size_t i = 0; i < pair->result->route_count; i++) {
		const struct cv_cni_route *route = &pair->result->routes[i];
		struct search search = {.index = link->index,
					.prefix = route->prefix,
					.gateway = route->gateway,
					.metric = route->metric};
		char text[CV_PREFIX_TEXT_MAX];

		/* Other tables are not read. */
		if (route->table && route->table != RT_TABLE_MAIN)
			continue;
		if (cv_route_table_for_each(sides->pod, 0, is_route, &search) == 1 ||
		    cv_route_table_for_each(sides->pod, 0, is_anothers, &search) == 1)
			continue;
		return cv_cni_fail(failure, CV_CNI_NOT_AS_MADE, "the route to %s by %s is gone",
				   cv_prefix_format(&route->prefix, text), link->name);
	}
	return 0;
}

static int check_pod_end(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
			 const struct cv_link *link, const struct cv_link *outside,
			 struct cv_cni_failure *failure)
{
	for (size_t i = 0; i < pair->result->ip_count; i++) {
		struct search search = {.index = link->index,
					.prefix = pair->result->ips[i].address};
		char text[CV_PREFIX_TEXT_MAX];

		if (cv_address_for_each(sides->pod, is_address, &search) != 1)
			return cv_cni_fail(failure, CV_CNI_NOT_AS_MADE, "%s has not address %s",
					   link->name, cv_prefix_format(&search.prefix, text));
	}
	if (!pair->bridge) {
		int code = check_neighbour(sides->pod, link, cv_cni_pair_gateway(), outside->mac,
					   failure);

		if (code)
			return code;
	}
	return check_routes(sides, pair, link, failure);
}

int cv_cni_pair_check(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
		      struct cv_cni_failure *failure)
{
	struct cv_link outside, inside;
	int code = check_link(sides->host, pair->names->device, pair, NULL, &outside, failure);

	if (!code)
		code = check_link(sides->pod, pair->ifname, pair, pair->mac, &inside, failure);
	if (!code)
		code = check_host_end(sides, pair, &outside, &inside, failure);
	if (!code)
		code = check_pod_end(sides, pair, &inside, &outside, failure);
	return code;
}
