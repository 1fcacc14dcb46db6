/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints.
 *
 * Invariant: an entry of cv_endpoints says bypass only while our programs stand on the
 * device's both hooks and no foreign qdisc does: a flow that goes past the stack one way only
 * would die in conntrack.
 */
#include "fastpath/endpoints.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <bpf/bpf.h>

#include "fastpath/devices.h"
#include "fastpath/sweep.h"
#include "net/link.h"

static struct cv_fastpath_known_endpoint *find(const struct cv_fastpath *fastpath, int ifindex)
{
	for (size_t i = 0; i < fastpath->endpoint_count; i++) {
		if (fastpath->endpoints[i].wanted.ifindex == ifindex)
			return &fastpath->endpoints[i];
	}
	return NULL;
}

static bool has_address(const struct cv_fastpath_endpoint *endpoint, __be32 address)
{
	for (unsigned int i = 0; i < endpoint->count; i++) {
		if (endpoint->addresses[i] == address)
			return true;
	}
	return false;
}

static const struct cv_fastpath_known_endpoint *owner_of(const struct cv_fastpath *fastpath,
							 __be32 address)
{
	for (size_t i = 0; i < fastpath->endpoint_count; i++) {
		if (has_address(&fastpath->endpoints[i].wanted, address))
			return &fastpath->endpoints[i];
	}
	return NULL;
}

bool cv_endpoints_have(const struct cv_fastpath *fastpath, int ifindex)
{
	return find(fastpath, ifindex) != NULL;
}

/* ---- the map -------------------------------------------------------------------------- */

static void write_entries(struct cv_fastpath *fastpath,
			  const struct cv_fastpath_known_endpoint *endpoint)
{
	for (unsigned int i = 0; i < endpoint->wanted.count; i++)
		bpf_map_update_elem(fastpath->programs.map[CV_MAP_ENDPOINTS],
				    &endpoint->wanted.addresses[i], &endpoint->entry, BPF_ANY);
}

void cv_endpoints_suspend(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fastpath_known_endpoint *endpoint = find(fastpath, ifindex);

	if (!endpoint || !endpoint->entry.bypass)
		return;
	endpoint->entry.bypass = 0;
	write_entries(fastpath, endpoint);
	cv_fastpath_bump(fastpath);
}

/* Entries of addresses that are not kept. */
static void delete_entries(struct cv_fastpath *fastpath,
			   const struct cv_fastpath_endpoint *endpoint,
			   const struct cv_fastpath_endpoint *keep)
{
	for (unsigned int i = 0; i < endpoint->count; i++) {
		if (!keep || !has_address(keep, endpoint->addresses[i]))
			bpf_map_delete_elem(fastpath->programs.map[CV_MAP_ENDPOINTS],
					    &endpoint->addresses[i]);
	}
}

/* What keeps an endpoint from being bypassed as wanted, when that changes. */
static void tell_problem(const struct cv_fastpath *fastpath,
			 const struct cv_fastpath_known_endpoint *endpoint,
			 const struct cv_fastpath_device *device, const char *problem)
{
	const char *name = device ? device->name : "an endpoint's device";

	if (!strcmp(problem, endpoint->problem))
		return;
	if (*problem)
		cv_fastpath_say(fastpath, LOG_WARNING, "%s: endpoint not bypassed: %s", name,
				problem);
	else
		cv_fastpath_say(fastpath, LOG_NOTICE, "%s: endpoint bypassed again", name);
}

/* "" if bypass can be in force. */
static void judge(struct cv_fastpath *fastpath, struct cv_fastpath_known_endpoint *endpoint)
{
	const struct cv_fastpath_device *device =
		cv_devices_find(fastpath, endpoint->wanted.ifindex);
	struct cv_fp_endpoint entry = {.ifindex = (__u32)endpoint->wanted.ifindex};
	char shaped[CV_FASTPATH_PROBLEM_MAX] = "";
	struct cv_link link;
	const char *problem = "";

	if (device)
		snprintf(shaped, sizeof(shaped), "the device has a foreign qdisc (%s)",
			 device->shaper);
	memset(&link, 0, sizeof(link));
	if (cv_link_get_by_index(fastpath->nl, endpoint->wanted.ifindex, &link))
		problem = "the device is gone";
	else if (link.type != ARPHRD_ETHER)
		problem = "the device is not like Ethernet";
	else if (link.master)
		problem = "the device is a port of a bridge; make the bridge the endpoint";
	else if (device && device->problem[0])
		problem = device->problem;
	else if (device && device->shaper[0])
		problem = shaped;
	else if (device && device->filtered)
		problem = "the device has foreign filters, which would be passed by";
	else if (!device || !(device->kind & CV_FP_DEVICE_ENDPOINT))
		problem = "no program is attached to the device";
	entry.by_peer = link.peer_away && !strcmp(link.kind, "veth");
	entry.bypass = endpoint->wanted.bypass && !*problem;
	if (endpoint->wanted.bypass)
		tell_problem(fastpath, endpoint, device, problem);
	snprintf(endpoint->problem, sizeof(endpoint->problem), "%s", problem);
	if (memcmp(&entry, &endpoint->entry, sizeof(entry)) != 0) {
		endpoint->entry = entry;
		write_entries(fastpath, endpoint);
		cv_fastpath_bump(fastpath);
	}
}

void cv_endpoints_refresh(struct cv_fastpath *fastpath)
{
	fastpath->config.endpoints = (__u32)fastpath->endpoint_count;
	for (size_t i = 0; i < fastpath->endpoint_count; i++)
		judge(fastpath, &fastpath->endpoints[i]);
}

static bool has_owner(const void *key, void *data)
{
	__be32 address;

	memcpy(&address, key, sizeof(address));
	return owner_of(data, address) != NULL;
}

void cv_endpoints_sweep(struct cv_fastpath *fastpath)
{
	cv_sweep(fastpath->programs.map[CV_MAP_ENDPOINTS], sizeof(__be32), has_owner, fastpath);
}

/* ---- what the daemon says ------------------------------------------------------------------ */

int cv_fastpath_endpoint_set(struct cv_fastpath *fastpath,
			     const struct cv_fastpath_endpoint *endpoint)
{
	struct cv_fastpath_known_endpoint *known = find(fastpath, endpoint->ifindex);

	for (unsigned int i = 0; i < endpoint->count; i++) {
		const struct cv_fastpath_known_endpoint *owner =
			owner_of(fastpath, endpoint->addresses[i]);

		if (owner && owner != known)
			return -EEXIST;
	}
	if (!known) {
		known = realloc(fastpath->endpoints,
				(fastpath->endpoint_count + 1) * sizeof(*known));
		if (!known)
			return -ENOMEM;
		fastpath->endpoints = known;
		known = &fastpath->endpoints[fastpath->endpoint_count++];
		memset(known, 0, sizeof(*known));
	} else {
		/* What stays is never away: its packets would be a stranger's meanwhile. */
		delete_entries(fastpath, &known->wanted, endpoint);
		memset(&known->entry, 0, sizeof(known->entry));
	}
	known->wanted = *endpoint;
	if (!fastpath->ready)
		return 0;
	if (fastpath->is_batch) {
		known->is_new = true;
		fastpath->batch_news = true;
		return 0;
	}
	fastpath->config.endpoints = (__u32)fastpath->endpoint_count;
	cv_devices_refresh(fastpath);
	judge(fastpath, known);
	cv_fastpath_bump(fastpath);
	return 0;
}

void cv_fastpath_endpoint_delete(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fastpath_known_endpoint *known = find(fastpath, ifindex);

	if (!known)
		return;
	delete_entries(fastpath, &known->wanted, NULL);
	*known = fastpath->endpoints[--fastpath->endpoint_count];
	fastpath->config.endpoints = (__u32)fastpath->endpoint_count;
	cv_fastpath_bump(fastpath);
	/* Of a batch, those that go do so with their devices: what stands on these needs no look.
	 */
	if (!fastpath->is_batch)
		cv_devices_refresh(fastpath);
}

void cv_fastpath_endpoints_begin(struct cv_fastpath *fastpath)
{
	fastpath->is_batch = true;
	fastpath->batch_news = false;
}

void cv_fastpath_endpoints_end(struct cv_fastpath *fastpath)
{
	fastpath->is_batch = false;
	if (!fastpath->batch_news)
		return;
	fastpath->config.endpoints = (__u32)fastpath->endpoint_count;
	cv_devices_refresh(fastpath);
	for (size_t i = 0; i < fastpath->endpoint_count; i++) {
		if (!fastpath->endpoints[i].is_new)
			continue;
		fastpath->endpoints[i].is_new = false;
		judge(fastpath, &fastpath->endpoints[i]);
	}
	cv_fastpath_bump(fastpath);
}

const char *cv_fastpath_endpoint_problem(struct cv_fastpath *fastpath, int ifindex)
{
	const struct cv_fastpath_known_endpoint *known = find(fastpath, ifindex);

	if (!known)
		return "the fast path does not know it";
	return known->problem[0] ? known->problem : NULL;
}
