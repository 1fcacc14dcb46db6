/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the main routing table.
 *
 * Invariants: a change names all that tells our route from another's (protocol, type, scope,
 * metric, next hop), since the kernel deletes the first that has what is named. Lists are read
 * whole, again when they changed meanwhile (NLM_F_DUMP_INTR), before anybody is told of them.
 */
#include "net/route_table.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "net/vector.h"
#include "wire/types.h"

/* ---- listing ------------------------------------------------------------------- */

static uint32_t get_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

/* An MTU alone is told; whatever else there is, a lock included, is more than we make. */
static void parse_metrics(const struct nlattr *metrics, struct cv_table_route *route)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			route->mtu = get_u32(attr);
		else
			route->has_more = true;
	}
}

/* Devices alone, each once and with the same weight; whether the kernel uses them now is its
 * affair. False: something else. */
static bool parse_devices(const struct nlattr *attr, struct cv_table_route *route)
{
	const char *at = mnl_attr_get_payload(attr);
	size_t left = mnl_attr_get_payload_len(attr);
	uint8_t count = 0;

	while (left >= sizeof(struct rtnexthop)) {
		struct rtnexthop hop;
		size_t length;

		memcpy(&hop, at, sizeof(hop));
		length = MNL_ALIGN((size_t)hop.rtnh_len);
		/* Attributes of a hop are a gateway, or another thing that we never make. */
		if (hop.rtnh_len != sizeof(hop) || hop.rtnh_hops || length > left ||
		    hop.rtnh_flags & RTNH_F_ONLINK || count == CV_TABLE_ROUTE_DEVICES)
			return false;
		route->devices[count++] = hop.rtnh_ifindex;
		at += length;
		left -= length;
	}
	route->device_count = count;
	return count > 1;
}

static void parse_attribute(const struct nlattr *attr, struct cv_table_route *route)
{
	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		route->prefix.address = (CV_FORCE __be32)get_u32(attr);
		break;
	case RTA_PRIORITY:
		route->metric = get_u32(attr);
		break;
	case RTA_OIF:
		route->oif = (int)get_u32(attr);
		break;
	case RTA_GATEWAY:
		route->gateway = (CV_FORCE __be32)get_u32(attr);
		break;
	case RTA_PREFSRC:
		route->source = (CV_FORCE __be32)get_u32(attr);
		break;
	case RTA_MULTIPATH:
		if (!parse_devices(attr, route))
			route->multipath = true;
		break;
	case RTA_VIA: /* a gateway of IPv6: nothing that we would make */
	case RTA_NH_ID:
		route->multipath = true;
		break;
	case RTA_METRICS:
		parse_metrics(attr, route);
		break;
	case RTA_FLOW:
	case RTA_ENCAP:
		route->has_more = true;
		break;
	}
}

/* What the kernel could not filter by is left out here. */
struct listing {
	uint8_t protocol;
	struct cv_vector routes;
};

static int collect(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct listing *listing = data;
	struct cv_table_route route;
	struct nlattr *attr;
	int err;

	if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof(*rtm))
		return -EBADMSG;
	if (rtm->rtm_family != AF_INET || rtm->rtm_table != RT_TABLE_MAIN || rtm->rtm_tos ||
	    (rtm->rtm_flags & RTM_F_CLONED) || /* learned for one destination: a PMTU, a redirect */
	    (listing->protocol && rtm->rtm_protocol != listing->protocol))
		return MNL_CB_OK;
	route = (struct cv_table_route){
		.prefix.length = rtm->rtm_dst_len,
		.type = rtm->rtm_type,
		.protocol = rtm->rtm_protocol,
		.scope = rtm->rtm_scope,
		.onlink = rtm->rtm_flags & RTNH_F_ONLINK,
	};
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		parse_attribute(attr, &route);
	}
	if (route.multipath) {
		route.oif = 0;
		route.gateway = 0;
		route.device_count = 0;
	}
	err = cv_vector_append(&listing->routes, &route);
	return err < 0 ? err : MNL_CB_OK;
}

static int list(struct cv_nl *nl, struct listing *listing)
{
	int err = -EINTR;

	for (int attempt = 0; err == -EINTR && attempt < CV_NL_DUMP_ATTEMPTS; attempt++) {
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
		struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

		listing->routes.count = 0;
		nlh->nlmsg_type = RTM_GETROUTE;
		nlh->nlmsg_flags = NLM_F_DUMP;
		rtm->rtm_family = AF_INET;
		rtm->rtm_table = RT_TABLE_MAIN;
		rtm->rtm_protocol = listing->protocol;
		err = cv_nl_talk(nl, nlh, collect, listing);
	}
	/* A namespace in which there never was a route has no such table. */
	return err == -ENOENT ? 0 : err;
}

int cv_route_table_for_each(struct cv_nl *nl, uint8_t protocol,
			    int (*cb)(const struct cv_table_route *route, void *data), void *data)
{
	struct listing listing = {.protocol = protocol};
	int result;

	cv_vector_init(&listing.routes, sizeof(struct cv_table_route));
	result = list(nl, &listing);
	for (size_t i = 0; !result && i < listing.routes.count; i++)
		result = cb(cv_vector_at(&listing.routes, i), data);
	cv_vector_fini(&listing.routes);
	return result;
}

/* ---- changing ------------------------------------------------------------------ */

struct changes {
	struct cv_route_change *items;
	size_t failed;
};

bool cv_table_route_same_devices(const struct cv_table_route *a, const struct cv_table_route *b)
{
	return a->device_count == b->device_count &&
	       !memcmp(a->devices, b->devices, a->device_count * sizeof(a->devices[0]));
}

uint8_t cv_table_route_scope(const struct cv_table_route *route)
{
	return route->type == RTN_UNICAST && !route->gateway ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

static uint16_t flags_of(enum cv_route_verb verb)
{
	switch (verb) {
	case CV_ROUTE_ADD:
		return NLM_F_CREATE | NLM_F_EXCL;
	case CV_ROUTE_APPEND:
		return NLM_F_CREATE | NLM_F_APPEND;
	case CV_ROUTE_DELETE:
		break;
	}
	return 0;
}

static void put_address(struct nlmsghdr *nlh, uint16_t type, __be32 address)
{
	if (address)
		mnl_attr_put_u32(nlh, type, (CV_FORCE uint32_t)address);
}

static void put_mtu(struct nlmsghdr *nlh, uint32_t mtu)
{
	struct nlattr *metrics;

	if (!mtu)
		return;
	metrics = mnl_attr_nest_start(nlh, RTA_METRICS);
	mnl_attr_put_u32(nlh, RTAX_MTU, mtu);
	mnl_attr_nest_end(nlh, metrics);
}

static void put_devices(struct nlmsghdr *nlh, const struct cv_table_route *route)
{
	struct rtnexthop hops[CV_TABLE_ROUTE_DEVICES];

	for (unsigned int i = 0; i < route->device_count; i++)
		hops[i] = (struct rtnexthop){
			.rtnh_len = sizeof(hops[i]),
			.rtnh_ifindex = route->devices[i],
		};
	mnl_attr_put(nlh, RTA_MULTIPATH, route->device_count * sizeof(hops[0]), hops);
}

static void build(struct nlmsghdr *nlh, size_t i, void *data)
{
	const struct changes *changes = data;
	const struct cv_route_change *change = &changes->items[i];
	const struct cv_table_route *route = &change->route;
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	nlh->nlmsg_type = change->verb == CV_ROUTE_DELETE ? RTM_DELROUTE : RTM_NEWROUTE;
	nlh->nlmsg_flags = flags_of(change->verb);
	rtm->rtm_family = AF_INET;
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_dst_len = route->prefix.length;
	rtm->rtm_type = route->type;
	rtm->rtm_protocol = route->protocol;
	rtm->rtm_scope =
		change->verb == CV_ROUTE_DELETE ? route->scope : cv_table_route_scope(route);
	rtm->rtm_flags = route->onlink ? RTNH_F_ONLINK : 0;
	put_address(nlh, RTA_DST, route->prefix.address);
	put_address(nlh, RTA_GATEWAY, route->gateway);
	put_address(nlh, RTA_PREFSRC, route->source);
	if (route->metric)
		mnl_attr_put_u32(nlh, RTA_PRIORITY, route->metric);
	if (route->oif)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)route->oif);
	put_mtu(nlh, route->mtu);
	if (route->device_count)
		put_devices(nlh, route);
}

static void note_failure(size_t i, int err, void *data)
{
	struct changes *changes = data;

	changes->items[i].result = err;
	changes->failed++;
}

int cv_route_table_change(struct cv_nl *nl, struct cv_route_change *changes, size_t count,
			  size_t *ret_failed)
{
	struct changes all = {.items = changes};
	const struct cv_nl_batch batch = {
		.count = count, .build = build, .failed = note_failure, .data = &all};
	int err;

	for (size_t i = 0; i < count; i++)
		changes[i].result = 0;
	err = cv_nl_batch(nl, &batch);
	if (err < 0)
		return err;
	*ret_failed = all.failed;
	return 0;
}
