/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the kernel's routing.
 *
 * RTM_GETROUTE runs the same look-up as a packet does: rules, longest prefix, multipath
 * hash over the flow, PMTU exceptions. With iif it is the look-up of a forwarded packet.
 * RTM_F_FIB_MATCH returns the FIB entry instead of the decision.
 *
 * Strict checking (cv_nl_create): destination and source must be /32, the other
 * fields of rtmsg 0, and its flags none but RTM_F_FIB_MATCH.
 */
#include "net/route.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"
#include "net/nexthop.h"
#include "net/vector.h"
#include "wire/ipv4.h"

enum {
	DSCP_MASK = 0xfc,
	MTU_MAX = 0xffff, /* as the kernel's IP_MAX_MTU: loopback's 65536 is for nobody */
	MATCH_ATTEMPTS = 4,
};

static uint32_t get_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

/* ---- the question --------------------------------------------------------------- */

/* The kernel refuses RTA_IP_PROTO of any other protocol. */
static void put_protocol(struct nlmsghdr *nlh, const struct cv_route_flow *flow)
{
	bool has_ports = flow->protocol == IPPROTO_TCP || flow->protocol == IPPROTO_UDP;

	if (has_ports || flow->protocol == IPPROTO_ICMP)
		mnl_attr_put_u8(nlh, RTA_IP_PROTO, flow->protocol);
	if (has_ports && flow->source_port)
		mnl_attr_put_u16(nlh, RTA_SPORT, (CV_FORCE uint16_t)flow->source_port);
	if (has_ports && flow->destination_port)
		mnl_attr_put_u16(nlh, RTA_DPORT, (CV_FORCE uint16_t)flow->destination_port);
}

static struct nlmsghdr *flow_request(struct cv_nl *nl, const struct cv_route_flow *flow,
				     unsigned int flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

	nlh->nlmsg_type = RTM_GETROUTE;
	rtm->rtm_family = AF_INET;
	rtm->rtm_dst_len = 32;
	rtm->rtm_tos = flow->tos & DSCP_MASK;
	rtm->rtm_flags = flags;
	mnl_attr_put_u32(nlh, RTA_DST, (CV_FORCE uint32_t)flow->destination);
	if (flow->source) {
		rtm->rtm_src_len = 32;
		mnl_attr_put_u32(nlh, RTA_SRC, (CV_FORCE uint32_t)flow->source);
	}
	put_protocol(nlh, flow);
	if (flow->iif)
		mnl_attr_put_u32(nlh, RTA_IIF, (uint32_t)flow->iif);
	if (flow->oif)
		mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)flow->oif);
	return nlh;
}

/* ---- parts of an answer ----------------------------------------------------------- */

/* RTA_GATEWAY, or RTA_VIA, which names its family: -EAFNOSUPPORT for another than ours. */
static int parse_gateway(const struct nlattr *attr, __be32 *ret_gateway)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t length = mnl_attr_get_payload_len(attr);

	if (mnl_attr_get_type(attr) == RTA_GATEWAY) {
		if (length != sizeof(*ret_gateway))
			return -EBADMSG;
		*ret_gateway = (CV_FORCE __be32)mnl_attr_get_u32(attr);
		return 0;
	}
	if (length < sizeof(*via) || via->rtvia_family != AF_INET)
		return -EAFNOSUPPORT;
	if (length < sizeof(*via) + sizeof(*ret_gateway))
		return -EBADMSG;
	memcpy(ret_gateway, via->rtvia_addr, sizeof(*ret_gateway));
	return 0;
}

/* RTAX_MTU of RTA_METRICS, 0 without. */
static uint32_t parse_mtu_metric(const struct nlattr *metrics)
{
	struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			return get_u32(attr);
	}
	return 0;
}

/* rta_expires counts ticks of user space's clock (USER_HZ). */
static uint32_t parse_expires_ms(const struct nlattr *attr)
{
	long ticks_per_second = sysconf(_SC_CLK_TCK);
	struct rta_cacheinfo info;
	uint64_t ms;

	if (mnl_attr_get_payload_len(attr) < sizeof(info) || ticks_per_second <= 0)
		return 0;
	memcpy(&info, mnl_attr_get_payload(attr), sizeof(info));
	if (info.rta_expires <= 0)
		return 0;
	ms = (uint64_t)info.rta_expires * 1000 / (uint64_t)ticks_per_second;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static const struct rtmsg *route_message(const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct rtmsg))
		return NULL;
	return mnl_nlmsg_get_payload(nlh);
}

/*
 * Routes that share their next hop share the kernel's cache there, and its entry says the type
 * of whoever came first (seen on 6.18): with `224.0.0.0/4 dev X` beside it, what `10.0.0.0/8 dev
 * X` says of 10.0.0.1 may be "multicast".
 */
static uint8_t type_towards(__be32 destination, uint8_t type)
{
	return type == RTN_MULTICAST && !cv_ipv4_is_multicast(destination) ? RTN_UNICAST : type;
}

/* ---- the kernel's choice for a flow ------------------------------------------------ */

static int parse_choice(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = route_message(nlh);
	struct cv_route *route = data;
	struct nlattr *attr;
	int err = 0;

	if (!rtm)
		return -EBADMSG;
	route->type = rtm->rtm_type;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			route->oif = (int)get_u32(attr);
			break;
		case RTA_GATEWAY:
		case RTA_VIA:
			err = parse_gateway(attr, &route->gateway);
			break;
		case RTA_PREFSRC:
			route->source = (CV_FORCE __be32)get_u32(attr);
			break;
		case RTA_METRICS:
			route->mtu = parse_mtu_metric(attr);
			break;
		case RTA_CACHEINFO:
			route->expires_ms = parse_expires_ms(attr);
			break;
		}
		if (err < 0)
			return err;
	}
	return MNL_CB_OK;
}

int cv_route_get(struct cv_nl *nl, const struct cv_route_flow *flow, struct cv_route *ret_route)
{
	struct cv_route route = {0};
	int err = cv_nl_talk(nl, flow_request(nl, flow, 0), parse_choice, &route);

	if (err < 0)
		return err;
	route.type = type_towards(flow->destination, route.type);
	/* The kernel leaves RTA_PREFSRC out when it is what we asked with. */
	if (!route.source && !flow->iif)
		route.source = flow->source;
	/* The device may go at this very moment; then the route is gone as well. */
	if (!route.mtu && route.oif) {
		err = cv_link_get_mtu(nl, route.oif, &route.mtu);
		if (err < 0)
			return err == -ENODEV ? -ENETUNREACH : err;
	}
	if (route.mtu > MTU_MAX)
		route.mtu = MTU_MAX;
	*ret_route = route;
	return 0;
}

/* ---- next hops of an entry ----------------------------------------------------------- */

/* An entry of the FIB as a message describes it; its next hops go to hop(). */
struct entry {
	uint8_t type;
	uint8_t prefix_length;
	__be32 prefix;
	uint32_t mtu;
	uint32_t metric;
	uint32_t nexthop_id;	/* of a nexthop object, 0 without */
	bool has_hops;		/* listed in the message, beside the object or without */
	struct cv_next_hop hop; /* of an entry with a single one */
	bool is_foreign;	/* the single one has a gateway of another family */
	const struct nlattr *multipath;
};

static void parse_entry(const struct nlmsghdr *nlh, const struct rtmsg *rtm, struct entry *entry)
{
	struct nlattr *attr;

	*entry = (struct entry){.type = rtm->rtm_type, .prefix_length = rtm->rtm_dst_len};
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			entry->prefix = (CV_FORCE __be32)get_u32(attr);
			break;
		case RTA_OIF:
			entry->hop.oif = (int)get_u32(attr);
			entry->has_hops = true;
			break;
		case RTA_GATEWAY:
		case RTA_VIA:
			entry->is_foreign = parse_gateway(attr, &entry->hop.gateway) < 0;
			entry->has_hops = true;
			break;
		case RTA_METRICS:
			entry->mtu = parse_mtu_metric(attr);
			break;
		case RTA_PRIORITY:
			entry->metric = get_u32(attr);
			break;
		case RTA_NH_ID:
			entry->nexthop_id = get_u32(attr);
			break;
		case RTA_MULTIPATH:
			entry->multipath = attr;
			entry->has_hops = true;
			break;
		}
	}
}

typedef int (*hop_cb)(const struct cv_next_hop *hop, void *data);

/* One next hop of RTA_MULTIPATH. False when its gateway is of another family. */
static bool parse_multipath_hop(const struct rtnexthop *rtnh, struct cv_next_hop *hop)
{
	const struct nlattr *attr = (const struct nlattr *)(rtnh + 1);
	int left = rtnh->rtnh_len - (int)sizeof(*rtnh);

	*hop = (struct cv_next_hop){.oif = rtnh->rtnh_ifindex};
	while (mnl_attr_ok(attr, left)) {
		int type = mnl_attr_get_type(attr);

		if ((type == RTA_GATEWAY || type == RTA_VIA) &&
		    parse_gateway(attr, &hop->gateway) < 0)
			return false;
		left -= (int)MNL_ALIGN(attr->nla_len);
		attr = mnl_attr_next(attr);
	}
	return true;
}

static int for_each_multipath_hop(const struct nlattr *multipath, hop_cb cb, void *data)
{
	const char *at = mnl_attr_get_payload(multipath);
	size_t left = mnl_attr_get_payload_len(multipath);

	while (left >= sizeof(struct rtnexthop)) {
		const struct rtnexthop *rtnh = (const struct rtnexthop *)at;
		size_t step = MNL_ALIGN(rtnh->rtnh_len);
		struct cv_next_hop hop;
		int err;

		if (rtnh->rtnh_len < sizeof(*rtnh) || rtnh->rtnh_len > left)
			return -EBADMSG;
		err = parse_multipath_hop(rtnh, &hop) ? cb(&hop, data) : 0;
		if (err < 0)
			return err;
		if (step >= left)
			break;
		at += step;
		left -= step;
	}
	return 0;
}

/* The next hops that the message itself lists. */
static int for_each_hop(const struct entry *entry, hop_cb cb, void *data)
{
	if (entry->multipath)
		return for_each_multipath_hop(entry->multipath, cb, data);
	if (!entry->has_hops || entry->is_foreign)
		return 0;
	return cb(&entry->hop, data);
}

/* ---- the entry that matched --------------------------------------------------------- */

struct match {
	struct cv_route_entry *entry;
	uint32_t unresolved; /* nexthop object that still is to be asked for */
};

static int add_hop(const struct cv_next_hop *hop, void *data)
{
	struct cv_route_entry *entry = data;

	if (entry->count < CV_ROUTE_NEXT_HOPS_MAX)
		entry->next_hops[entry->count++] = *hop;
	return 0;
}

static __be32 mask_of(uint8_t prefix_length)
{
	if (!prefix_length)
		return 0;
	return cv_htonl(prefix_length < 32 ? ~(UINT32_MAX >> prefix_length) : UINT32_MAX);
}

static int parse_match(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = route_message(nlh);
	struct match *match = data;
	struct entry entry;

	if (!rtm)
		return -EBADMSG;
	parse_entry(nlh, rtm, &entry);
	match->entry->type = entry.type;
	match->entry->prefix_length = entry.prefix_length;
	match->entry->prefix = entry.prefix & mask_of(entry.prefix_length);
	match->entry->mtu = entry.mtu;
	match->entry->count = 0;
	match->unresolved = entry.has_hops ? 0 : entry.nexthop_id;
	return for_each_hop(&entry, add_hop, match->entry) < 0 ? -EBADMSG : MNL_CB_OK;
}

static int match_once(struct cv_nl *nl, const struct cv_route_flow *flow,
		      struct cv_route_entry *entry)
{
	struct match match = {.entry = entry};
	int result = cv_nl_talk(nl, flow_request(nl, flow, RTM_F_FIB_MATCH), parse_match, &match);

	if (result < 0 || !match.unresolved)
		return result;
	result = cv_nexthop_resolve(nl, match.unresolved, entry->next_hops, CV_ROUTE_NEXT_HOPS_MAX);
	if (result < 0)
		return result;
	entry->count = (unsigned int)result;
	return 0;
}

int cv_route_match(struct cv_nl *nl, const struct cv_route_flow *flow,
		   struct cv_route_entry *ret_entry)
{
	struct cv_route_entry entry;
	int err = -ENOENT;

	/* The object may have been replaced between the two questions: ask for the route again. */
	for (int attempt = 0; err == -ENOENT && attempt < MATCH_ATTEMPTS; attempt++)
		err = match_once(nl, flow, &entry);
	if (err < 0)
		return err;
	ret_entry->type = type_towards(flow->destination, entry.type);
	ret_entry->prefix_length = entry.prefix_length;
	ret_entry->prefix = entry.prefix;
	ret_entry->mtu = entry.mtu;
	ret_entry->count = entry.count;
	memcpy(ret_entry->next_hops, entry.next_hops, entry.count * sizeof(entry.next_hops[0]));
	return 0;
}

/* ---- gateways -------------------------------------------------------------------------- */

struct gateways {
	int oif; /* of these routes alone; 0: of the main table's, … */
	const struct cv_route_owner *owners; /* … but for theirs */
	size_t owner_count;
	struct cv_vector addresses; /* __be32 */
	struct cv_vector objects;   /* uint32_t, nexthop objects to ask for */
};

static int add_gateway(const struct cv_next_hop *hop, void *data)
{
	struct gateways *gateways = data;

	if ((gateways->oif && hop->oif != gateways->oif) || !hop->gateway)
		return 0;
	return cv_vector_append(&gateways->addresses, &hop->gateway);
}

static bool is_excepted(const struct gateways *gateways, uint8_t protocol, uint32_t metric)
{
	for (size_t i = 0; i < gateways->owner_count; i++) {
		const struct cv_route_owner *owner = &gateways->owners[i];

		if (owner->protocol == protocol && (!owner->metric || owner->metric == metric))
			return true;
	}
	return false;
}

static int collect_gateways(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = route_message(nlh);
	struct gateways *gateways = data;
	struct entry entry;
	int err;

	if (!rtm)
		return -EBADMSG;
	/* What the kernel learned for one destination (PMTU, redirect) is no route of its own. */
	if (rtm->rtm_flags & RTM_F_CLONED)
		return MNL_CB_OK;
	parse_entry(nlh, rtm, &entry);
	if (is_excepted(gateways, rtm->rtm_protocol, entry.metric))
		return MNL_CB_OK;
	if (!entry.has_hops && entry.nexthop_id)
		err = cv_vector_append(&gateways->objects, &entry.nexthop_id);
	else
		err = for_each_hop(&entry, add_gateway, gateways);
	return err < 0 ? err : MNL_CB_OK;
}

static int compare_u32(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Sort, and leave one of each. */
static void make_unique(struct cv_vector *vector)
{
	uint32_t *items = vector->items;
	size_t kept = 0;

	if (!vector->count)
		return;
	qsort(items, vector->count, sizeof(*items), compare_u32);
	for (size_t i = 1; i < vector->count; i++) {
		if (items[i] != items[kept])
			items[++kept] = items[i];
	}
	vector->count = kept + 1;
}

static int resolve_objects(struct cv_nl *nl, struct gateways *gateways)
{
	struct cv_next_hop hops[CV_ROUTE_NEXT_HOPS_MAX];

	make_unique(&gateways->objects);
	for (size_t i = 0; i < gateways->objects.count; i++) {
		const uint32_t *id = cv_vector_at(&gateways->objects, i);
		int count = cv_nexthop_resolve(nl, *id, hops, CV_ROUTE_NEXT_HOPS_MAX);

		/* Deleted meanwhile: its routes went with it. */
		if (count < 0 && count != -ENOENT)
			return count;
		for (int j = 0; j < count; j++) {
			int err = add_gateway(&hops[j], gateways);

			if (err < 0)
				return err;
		}
	}
	return 0;
}

static int list_gateways(struct cv_nl *nl, struct gateways *gateways)
{
	int err = -EINTR;

	for (int attempt = 0; err == -EINTR && attempt < CV_NL_DUMP_ATTEMPTS; attempt++) {
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
		struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));

		gateways->addresses.count = 0;
		gateways->objects.count = 0;
		nlh->nlmsg_type = RTM_GETROUTE;
		nlh->nlmsg_flags = NLM_F_DUMP;
		rtm->rtm_family = AF_INET;
		/* The kernel then leaves out the routes of other devices and tables (since 4.20).
		 */
		if (gateways->oif)
			mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)gateways->oif);
		else
			rtm->rtm_table = RT_TABLE_MAIN;
		err = cv_nl_talk(nl, nlh, collect_gateways, gateways);
		/* A namespace without a route has no such table. */
		if (err == -ENOENT && !gateways->oif)
			err = 0;
		if (!err)
			err = resolve_objects(nl, gateways);
	}
	return err;
}

static int for_each_gateway(struct cv_nl *nl, struct gateways *gateways,
			    int (*cb)(__be32 gateway, void *data), void *data)
{
	int result;

	cv_vector_init(&gateways->addresses, sizeof(__be32));
	cv_vector_init(&gateways->objects, sizeof(uint32_t));
	result = list_gateways(nl, gateways);
	make_unique(&gateways->addresses);
	for (size_t i = 0; !result && i < gateways->addresses.count; i++)
		result = cb(*(const __be32 *)cv_vector_at(&gateways->addresses, i), data);
	cv_vector_fini(&gateways->addresses);
	cv_vector_fini(&gateways->objects);
	return result;
}

int cv_route_for_each_gateway(struct cv_nl *nl, int oif, int (*cb)(__be32 gateway, void *data),
			      void *data)
{
	struct gateways gateways = {.oif = oif};

	/* No device has this index; and 0 has another meaning below. */
	return oif > 0 ? for_each_gateway(nl, &gateways, cb, data) : 0;
}

int cv_route_for_each_gateway_except(struct cv_nl *nl, const struct cv_route_owner *owners,
				     size_t count, int (*cb)(__be32 gateway, void *data),
				     void *data)
{
	struct gateways gateways = {.owners = owners, .owner_count = count};

	return for_each_gateway(nl, &gateways, cb, data);
}
