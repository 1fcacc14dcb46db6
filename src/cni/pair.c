/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariants: the host end has the attachment's name and MAC from its first moment on, and its
 * alias at the end: killed at any point, we or a DEL find what is there, and know that it is not
 * whole. The pod's end begins its life in the pod, under its own name; it goes with the host end.
 *
 * Both sides' requests go over sockets of their own: where this thread is counts for settings below
 * /proc/sys alone.
 */
#include "cni/pair.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "net/neighbour.h"
#include "net/qdisc.h"
#include "net/removal.h"
#include "net/sysctl.h"
#include "net/unicast.h"
#include "net/veth.h"
#include "wire/types.h"

enum {
	HOST_PREFIX = 32,
	GATEWAY = 0xa9fe0101, /* 169.254.1.1 */
};

__be32 cv_cni_pair_gateway(void)
{
	return cv_htonl(GATEWAY);
}

/* ---- both sides --------------------------------------------------------------------- */

static int refuse_netns(const char *netns, int err, struct cv_cni_failure *failure)
{
	if (err == -ENOENT || err == -ENOTDIR)
		return cv_cni_fail(failure, CV_CNI_UNKNOWN_CONTAINER,
				   "CNI_NETNS: there is no network namespace at %.256s", netns);
	if (err == -EINVAL)
		return cv_cni_fail(failure, CV_CNI_NAMESPACE,
				   "CNI_NETNS: %.256s is no network namespace", netns);
	return cv_cni_fail(failure, CV_CNI_IO, "CNI_NETNS: %.256s: %s", netns, strerror(-err));
}

static int open_pod(const char *netns, bool override, struct cv_cni_sides *sides,
		    struct cv_cni_failure *failure)
{
	struct cv_namespace_inode ours;
	int err;

	sides->netns = cv_namespace_open(netns);
	if (sides->netns < 0)
		return refuse_netns(netns, sides->netns, failure);
	err = cv_namespace_inode(sides->netns, &sides->inode);
	if (!err)
		err = cv_namespace_inode(-1, &ours);
	if (err)
		return refuse_netns(netns, err, failure);
	if (!override && ours.device == sides->inode.device && ours.inode == sides->inode.inode)
		return cv_cni_fail(failure, CV_CNI_NAMESPACE,
				   "CNI_NETNS is culvert-cni's own network namespace; if that is "
				   "meant, set CNI_NETNS_OVERRIDE=1");
	err = cv_namespace_nl(sides->netns, &sides->pod);
	if (err)
		return cv_cni_fail(failure, CV_CNI_KERNEL, "cannot enter %.256s: %s", netns,
				   strerror(-err));
	return 0;
}

int cv_cni_sides_open(const char *netns, bool override, struct cv_cni_sides *ret_sides,
		      struct cv_cni_failure *failure)
{
	int err;

	*ret_sides = (struct cv_cni_sides){.netns = -1};
	err = cv_nl_create(&ret_sides->host);
	if (err)
		return cv_cni_fail(failure, CV_CNI_KERNEL, "cannot open a netlink socket: %s",
				   strerror(-err));
	return netns ? open_pod(netns, override, ret_sides, failure) : 0;
}

void cv_cni_sides_close(struct cv_cni_sides *sides)
{
	cv_nl_destroy(sides->host);
	cv_nl_destroy(sides->pod);
	if (sides->netns >= 0)
		close(sides->netns);
	*sides = (struct cv_cni_sides){.netns = -1};
}

/* The kernel refused what nl asked it; its own words, where it had some. */
static int refused(struct cv_nl *nl, int err, struct cv_cni_failure *failure, const char *step,
		   const char *device)
{
	cv_cni_fail(failure, CV_CNI_KERNEL, "cannot %s %s: %s", step, device, strerror(-err));
	if (*cv_nl_error_text(nl))
		cv_cni_details(failure, "the kernel: %s", cv_nl_error_text(nl));
	return failure->code;
}

/* ---- in its way --------------------------------------------------------------------- */

static int delete_device(struct cv_nl *host, const struct cv_link *link,
			 struct cv_cni_failure *failure)
{
	int err = cv_removal_run(link->index);

	/* No process to be had? */
	if (err && err != -ENODEV)
		err = cv_link_delete(host, link->index);
	/* Its namespace has ended, or another DEL was faster. */
	if (!err || err == -ENODEV)
		return 0;
	return refused(host, err, failure, "delete", link->name);
}

int cv_cni_pair_remove(struct cv_nl *host, const struct cv_attachment *names,
		       struct cv_cni_failure *failure)
{
	struct cv_link link;
	int err = cv_link_get(host, names->device, &link);

	if (err == -ENODEV)
		return 0;
	if (err)
		return refused(host, err, failure, "look at", names->device);
	return cv_attachment_is_device(names, &link) ? delete_device(host, &link, failure) : 0;
}

int cv_cni_pair_silence(struct cv_nl *host, const struct cv_attachment *names,
			struct cv_cni_failure *failure)
{
	struct cv_link link;
	int err = cv_link_get(host, names->device, &link);

	if (!err && cv_attachment_is_device(names, &link))
		err = cv_link_set_up(host, link.index, false);
	if (!err || err == -ENODEV)
		return 0;
	return refused(host, err, failure, "set down", names->device);
}

/* 0 and whether the container has such a device, or a code: not to know it is not to have none. */
static int look_inside(const struct cv_cni_sides *sides, const char *ifname, bool *ret_is_there,
		       struct cv_cni_failure *failure)
{
	struct cv_link inside;
	int err = cv_link_get(sides->pod, ifname, &inside);

	if (err && err != -ENODEV)
		return refused(sides->pod, err, failure, "look at", ifname);
	*ret_is_there = !err;
	return 0;
}

int cv_cni_pair_prepare(const struct cv_cni_sides *sides, const struct cv_attachment *names,
			const char *ifname, struct cv_cni_failure *failure)
{
	struct cv_link link;
	int err = cv_link_get(sides->host, names->device, &link);
	bool is_there = false;
	int code = look_inside(sides, ifname, &is_there, failure);

	if (code)
		return code;
	if (err && err != -ENODEV)
		return refused(sides->host, err, failure, "look at", names->device);
	if (!err && !cv_attachment_is_device(names, &link))
		return cv_cni_fail(failure, CV_CNI_KERNEL,
				   "there is a device %s, which culvert-cni has not made; rename "
				   "or delete it",
				   names->device);
	/* Half made, or of a namespace that the container has no more. */
	if (!err && (!*link.alias || !is_there)) {
		code = delete_device(sides->host, &link, failure);
		if (!code)
			code = look_inside(sides, ifname, &is_there, failure);
		if (code)
			return code;
	}
	if (is_there)
		return cv_cni_fail(failure, CV_CNI_ENVIRONMENT,
				   "CNI_IFNAME: the container has a device %s already", ifname);
	return 0;
}

/* ---- the host's end ----------------------------------------------------------------- */

static int create(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair, int master,
		  struct cv_cni_failure *failure)
{
	const struct cv_veth veth = {
		.here = {.name = pair->names->device,
			 .mac = pair->names->host_mac,
			 .up = !pair->clsact},
		.peer = {.name = pair->ifname, .mac = pair->mac},
		.peer_namespace = sides->netns,
		.mtu = pair->mtu,
		.master = master,
	};
	int err = cv_veth_create(sides->host, &veth);

	return err ? refused(sides->host, err, failure, "make", pair->names->device) : 0;
}

/* Already so is as good, where /proc/sys is read-only. */
static int set_ipv4(const char *device, const char *name, int value)
{
	int err = cv_sysctl_write_ipv4(device, name, value);

	return err && cv_sysctl_read_ipv4(device, name) == value ? 0 : err;
}

static int set_up_routed(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
			 int index, struct cv_cni_failure *failure)
{
	const char *device = pair->names->device;
	int err = set_ipv4(device, "rp_filter", 1);

	/* Without it the pod could speak for others. */
	if (err)
		return cv_cni_fail(failure, CV_CNI_KERNEL, "cannot set rp_filter of %s: %s", device,
				   strerror(-err));
	/* For pods that forget their neighbours; the entry that they are given is enough. */
	(void)cv_sysctl_write_ipv4(device, "proxy_arp", 1);
	(void)cv_sysctl_write_neigh(device, "proxy_delay", 0);
	/* There may be no IPv6. */
	(void)cv_sysctl_write_ipv6(device, "accept_ra", 0);
	for (size_t i = 0; i < pair->result->ip_count; i++) {
		err = cv_neighbour_set(sides->host, index, pair->result->ips[i].address.address,
				       pair->mac);
		if (err)
			return refused(sides->host, err, failure, "set the neighbour of", device);
	}
	return 0;
}

static int give_gateway(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
			int bridge, struct cv_cni_failure *failure)
{
	const struct cv_prefix address = {.address = pair->bridge_gateway,
					  .length = pair->result->ips[0].address.length};
	int err;

	if (!pair->bridge_gateway)
		return 0;
	err = cv_address_add(sides->host, bridge, &address);
	if (err && err != -EEXIST)
		return refused(sides->host, err, failure, "give the gateway's address to",
			       pair->bridge);
	return 0;
}

static int find_bridge(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
		       int *ret_index, struct cv_cni_failure *failure)
{
	struct cv_link link;
	int err = cv_link_get(sides->host, pair->bridge, &link);

	if (err)
		return refused(sides->host, err, failure, "find the bridge", pair->bridge);
	if (strcmp(link.kind, "bridge"))
		return cv_cni_fail(failure, CV_CNI_CONFIG,
				   "bridge: device %s is no bridge; give another name",
				   pair->bridge);
	*ret_index = link.index;
	return 0;
}

/*
 * While the device is still down: the fast path, which comes a moment after the ADD, then finds its
 * qdisc, and nothing is lost. Where the kernel has none the fast path is not, either.
 */
static int set_up_clsact(const struct cv_cni_sides *sides, const struct cv_link *link,
			 struct cv_cni_failure *failure)
{
	int err;

	(void)cv_qdisc_add_clsact(sides->host, link->index);
	err = cv_link_set_up(sides->host, link->index, true);
	return err ? refused(sides->host, err, failure, "set up", link->name) : 0;
}

static int make_host_end(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
			 struct cv_cni_failure *failure)
{
	struct cv_link link;
	int bridge = 0, err;
	int code = pair->bridge ? find_bridge(sides, pair, &bridge, failure) : 0;

	if (!code && bridge)
		code = give_gateway(sides, pair, bridge, failure);
	if (!code)
		code = create(sides, pair, bridge, failure);
	if (code)
		return code;
	err = cv_link_get(sides->host, pair->names->device, &link);
	if (err)
		return refused(sides->host, err, failure, "look at", pair->names->device);
	code = pair->clsact ? set_up_clsact(sides, &link, failure) : 0;
	if (code)
		return code;
	if (!bridge)
		return set_up_routed(sides, pair, link.index, failure);
	err = pair->hairpin ? cv_link_set_hairpin(sides->host, link.index, true) : 0;
	return err ? refused(sides->host, err, failure, "set the hairpin mode of", link.name) : 0;
}

/* ---- the pod's end ------------------------------------------------------------------ */

/*
 * Who had an address before had another MAC, which neighbours on the bridge may still know: tell
 * them when the device comes up.
 */
static void announce_addresses(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair)
{
	struct cv_cni_sides home = {.netns = cv_namespace_open("/proc/thread-self/ns/net")};

	if (home.netns < 0)
		return;
	if (!setns(sides->netns, CLONE_NEWNET)) {
		(void)cv_sysctl_write_ipv4(pair->ifname, "arp_notify", 1);
		(void)setns(home.netns, CLONE_NEWNET);
	}
	close(home.netns);
}

static int add_addresses(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
			 int index, struct cv_cni_failure *failure)
{
	for (size_t i = 0; i < pair->result->ip_count; i++) {
		struct cv_prefix address = pair->result->ips[i].address;
		int err = cv_address_add(sides->pod, index, &address);

		if (err)
			return refused(sides->pod, err, failure, "give an address to",
				       pair->ifname);
	}
	return 0;
}

static int add_route(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
		     const struct cv_unicast *route, struct cv_cni_failure *failure)
{
	int err = cv_unicast_add(sides->pod, route);

	/* Another interface of the pod has it: the first one's default route stays. */
	if (!err || err == -EEXIST)
		return 0;
	return refused(sides->pod, err, failure, "add a route by", pair->ifname);
}

static int add_routes(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair, int index,
		      struct cv_cni_failure *failure)
{
	const struct cv_unicast gateway = {
		.prefix = {.address = cv_cni_pair_gateway(), .length = HOST_PREFIX},
		.oif = index,
		.scope = RT_SCOPE_LINK,
	};
	int code = pair->bridge ? 0 : add_route(sides, pair, &gateway, failure);

	for (size_t i = 0; !code && i < pair->result->route_count; i++) {
		const struct cv_cni_route *route = &pair->result->routes[i];
		int scope = route->gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;

		code = add_route(
			sides, pair,
			&(struct cv_unicast){
				.prefix = route->prefix,
				.oif = index,
				.gateway = route->gateway,
				.onlink = route->gateway && !pair->bridge,
				.table = route->table,
				.metric = route->metric,
				.mtu = route->mtu,
				.advmss = route->advmss,
				.scope = (uint8_t)(route->scope < 0 ? scope : route->scope),
			},
			failure);
	}
	return code;
}

static int make_pod_end(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
			struct cv_cni_failure *failure)
{
	struct cv_link link;
	int err = cv_link_get(sides->pod, pair->ifname, &link);
	int code;

	if (err)
		return refused(sides->pod, err, failure, "look at", pair->ifname);
	code = add_addresses(sides, pair, link.index, failure);
	if (code)
		return code;
	if (pair->bridge)
		announce_addresses(sides, pair);
	err = cv_link_set_up(sides->pod, link.index, true);
	if (!err && !pair->bridge)
		err = cv_neighbour_set(sides->pod, link.index, cv_cni_pair_gateway(),
				       pair->names->host_mac);
	if (err)
		return refused(sides->pod, err, failure, "set up", pair->ifname);
	return add_routes(sides, pair, link.index, failure);
}

int cv_cni_pair_make(const struct cv_cni_sides *sides, const struct cv_cni_pair *pair,
		     struct cv_cni_failure *failure)
{
	int code = make_host_end(sides, pair, failure);

	return code ? code : make_pod_end(sides, pair, failure);
}

int cv_cni_pair_finish(const struct cv_cni_sides *sides, const struct cv_attachment *names,
		       struct cv_cni_failure *failure)
{
	struct cv_link link;
	int err = cv_link_get(sides->host, names->device, &link);

	if (!err)
		err = cv_link_set_alias(sides->host, link.index, names->alias);
	return err ? refused(sides->host, err, failure, "give an alias to", names->device) : 0;
}
