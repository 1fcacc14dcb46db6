/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of the kernel: features that are missing, settings that drop the overlay's packets, limits
 * that are too low. All from files below /proc, of this network namespace.
 */
#include "agent/doctor_kernel.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "net/sysctl.h"

enum {
	UNDERLAYS_MAX = 64,
	DEVICES_MAX = 64, /* as many as anybody wants to read about */
};

/* ---- which devices ---------------------------------------------------------------------- */

struct names {
	const char *items[DEVICES_MAX]; /* of facts and resources */
	size_t count;
};

static void add_name(struct names *names, const char *name)
{
	if (!name || !*name || names->count == DEVICES_MAX)
		return;
	for (size_t i = 0; i < names->count; i++) {
		if (!strcmp(names->items[i], name))
			return;
	}
	names->items[names->count++] = name;
}

static void add_underlays(const struct cv_doctor_input *input, struct names *names)
{
	for (size_t i = 0; i < input->intent->peer_count; i++) {
		const struct cv_fact_interface *interface =
			cv_facts_interface(input->facts, cv_doctor_peer_oif(input, i));

		if (interface)
			add_name(names, interface->name);
	}
}

/* Devices of Workloads of this node that exist. */
static void add_workloads(const struct cv_doctor_input *input, struct names *names)
{
	const struct cv_intent *intent = input->intent;

	for (size_t i = 0; i < intent->decision_count; i++) {
		const struct cv_resource *resource = intent->decisions[i].claim.resource;

		if (intent->decisions[i].path == CV_PATH_LOCAL &&
		    resource->kind == CV_KIND_WORKLOAD &&
		    cv_facts_interface_named(input->facts, resource->workload.device))
			add_name(names, resource->workload.device);
	}
}

/* ---- features ---------------------------------------------------------------------------- */

/* The fast path is on, and yet some tunnels are the engine's alone. */
static void check_tunnels(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	struct cv_tunnel_status status;
	char remedy[CV_REMEDY_MAX];

	for (size_t i = 0; input->tunnels && i < cv_tunnel_set_count(input->tunnels); i++) {
		cv_tunnel_set_status(input->tunnels, i, &status);
		if (!status.active || !status.no_fastpath)
			continue;
		cv_finding_add(findings, CV_FINDING_WARNING,
			       cv_remedy(remedy, "culvert tunnel show %s -s", status.config->name),
			       "the fast path does not carry %s, the engine does, and is slower: "
			       "%s",
			       status.config->name, status.no_fastpath);
	}
}

void cv_doctor_check_fastpath(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	char names[UNDERLAYS_MAX][IFNAMSIZ], list[256] = "";
	size_t count = 0, used = 0;

	if (input->no_fastpath) {
		bool is_asked_for = strstr(input->no_fastpath, "--fastpath off") != NULL;

		cv_finding_add(findings, is_asked_for ? CV_FINDING_OK : CV_FINDING_WARNING,
			       is_asked_for ? NULL : "journalctl -u culvertd | grep 'fast path'",
			       "the fast path is off, the engine carries everything and is slower: "
			       "%s",
			       input->no_fastpath);
		return;
	}
	check_tunnels(input, findings);
	if (input->fastpath)
		count = cv_fastpath_underlays(input->fastpath, names, UNDERLAYS_MAX);
	for (size_t i = 0; i < count && used < sizeof(list) - IFNAMSIZ - 2; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
					 names[i]);
	if (count || !input->intent->has_device)
		cv_finding_add(findings, CV_FINDING_OK, NULL, "the fast path is on%s%s",
			       count ? ", and takes packets from " : "", list);
	else
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "journalctl -u culvertd | grep 'fast path'",
			       "the fast path is on, but on no network card: what arrives is the "
			       "engine's");
}

static int read_number(const char *path, long *ret_number)
{
	FILE *file = fopen(path, "re");
	int rc = 0;

	if (!file)
		return -errno;
	if (fscanf(file, "%ld", ret_number) != 1)
		rc = -EINVAL;
	(void)fclose(file);
	return rc;
}

void cv_doctor_check_conntrack(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	long count = 0, max = 0;
	char remedy[CV_REMEDY_MAX];

	if (read_number("/proc/sys/net/netfilter/nf_conntrack_count", &count) ||
	    read_number("/proc/sys/net/netfilter/nf_conntrack_max", &max)) {
		if (input->intent->nat.source_count)
			cv_finding_add(findings, CV_FINDING_WARNING, "modprobe nf_conntrack",
				       "the kernel tracks no connections, which natOutgoing needs");
		return;
	}
	if (max > 0 && count >= max / 10 * 9)
		cv_finding_add(
			findings, CV_FINDING_ERROR,
			cv_remedy(remedy, "sysctl -w net.netfilter.nf_conntrack_max=%ld", max * 4),
			"%ld of %ld connections are tracked: new ones are being dropped, or "
			"soon",
			count, max);
	else
		cv_finding_add(findings, CV_FINDING_OK, NULL, "%ld of %ld connections are tracked",
			       count, max);
}

/* ---- settings ---------------------------------------------------------------------------- */

static void check_device_forwarding(const char *name, const char *what,
				    struct cv_findings *findings)
{
	char remedy[CV_REMEDY_MAX];

	if (cv_sysctl_read_ipv4(name, "forwarding") == 0)
		cv_finding_add(findings, CV_FINDING_ERROR,
			       cv_remedy(remedy, "sysctl -w net.ipv4.conf.%s.forwarding=1", name),
			       "%s, %s, forwards nothing that arrives on it", name, what);
}

void cv_doctor_check_forwarding(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	struct names underlays = {.count = 0}, workloads = {.count = 0};
	size_t before = findings->troubles;

	if (!cv_intent_has_path(input->intent, CV_PATH_LOCAL)) {
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "nothing has to be forwarded: no prefix is this node's");
		return;
	}
	if (cv_sysctl_read_ipv4("all", "forwarding") == 0)
		cv_finding_add(
			findings, CV_FINDING_ERROR, "sysctl -w net.ipv4.ip_forward=1",
			"this host forwards nothing (net.ipv4.ip_forward is 0), and prefixes "
			"are this node's");
	if (input->pool_ifindex)
		check_device_forwarding(input->pool_device, "the pool device", findings);
	if (cv_intent_has_path(input->intent, CV_PATH_DIRECT))
		add_underlays(input, &underlays);
	for (size_t i = 0; i < underlays.count; i++)
		check_device_forwarding(underlays.items[i], "where direct packets arrive",
					findings);
	add_workloads(input, &workloads);
	for (size_t i = 0; i < workloads.count; i++)
		check_device_forwarding(workloads.items[i], "a Workload's device", findings);
	if (findings->troubles == before)
		cv_finding_add(findings, CV_FINDING_OK, NULL, "this host forwards");
}

/*
 * In force is the greater of the device's and that of "all". Strict (1): a packet is dropped that
 * arrives on another device than the way back would take, as happens while only one of two ends
 * has gone over from tunnel to direct. Loose (2) asks only for any way back.
 */
static void check_device_rp_filter(const char *name, const char *what, int all,
				   struct cv_findings *findings)
{
	int own = cv_sysctl_read_ipv4(name, "rp_filter");
	char remedy[CV_REMEDY_MAX];

	if (own < 0 || (own > all ? own : all) != 1)
		return;
	cv_finding_add(
		findings, CV_FINDING_WARNING,
		cv_remedy(remedy, "sysctl -w net.ipv4.conf.%s.rp_filter=2", name),
		"%s, %s, has strict rp_filter%s: packets are dropped while the two ends do not "
		"agree on tunnel or direct (a mode changes)",
		name, what, own == 1 ? "" : " (by net.ipv4.conf.all)");
}

void cv_doctor_check_rp_filter(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	int all = cv_sysctl_read_ipv4("all", "rp_filter");
	size_t before = findings->troubles;
	struct names underlays = {.count = 0};

	if (!input->intent->snapshot->count)
		return;
	all = all < 0 ? 0 : all;
	if (input->pool_ifindex)
		check_device_rp_filter(input->pool_device, "the pool device", all, findings);
	add_underlays(input, &underlays);
	for (size_t i = 0; i < underlays.count; i++)
		check_device_rp_filter(underlays.items[i], "an underlay device", all, findings);
	if (findings->troubles == before)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "no device of the overlay has strict rp_filter");
}

/* ---- limits ------------------------------------------------------------------------------ */

/* BGP's peers on a link of ours that are no Nodes. */
static long count_routers(const struct cv_doctor_input *input)
{
	const struct cv_bgp_intent *bgp = input->bgp ? input->bgp->view.intent : NULL;
	long count = 0;

	for (size_t i = 0; bgp && i < bgp->session_count; i++) {
		for (size_t j = 0; !bgp->sessions[i].node && j < bgp->link_count; j++) {
			if (!cv_prefix_has(&bgp->links[j].prefix, bgp->sessions[i].address))
				continue;
			count++;
			break;
		}
	}
	return count;
}

/* One table for all network namespaces; only the first one may read and set its limits. */
void cv_doctor_check_neighbours(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	long threshold_2 = 0, threshold_3 = 0, on_link = 0;
	char remedy[CV_REMEDY_MAX];

	for (size_t i = 0; i < input->intent->peer_count; i++)
		on_link += input->intent->peers[i].on_link;
	on_link += count_routers(input);
	if (read_number("/proc/sys/net/ipv4/neigh/default/gc_thresh2", &threshold_2) ||
	    read_number("/proc/sys/net/ipv4/neigh/default/gc_thresh3", &threshold_3)) {
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%ld node%s on link; the neighbour table's limits are not to be "
			       "seen from this network namespace",
			       on_link, on_link == 1 ? " is" : "s are");
		return;
	}
	cv_remedy(remedy,
		  "sysctl -w net.ipv4.neigh.default.gc_thresh3=%ld "
		  "net.ipv4.neigh.default.gc_thresh2=%ld net.ipv4.neigh.default.gc_thresh1=%ld",
		  on_link * 4, on_link * 3, on_link * 2);
	if (on_link >= threshold_3)
		cv_finding_add(findings, CV_FINDING_ERROR, remedy,
			       "%ld nodes are on link, and the neighbour table holds %ld "
			       "(gc_thresh3): packets to the others are lost",
			       on_link, threshold_3);
	else if (on_link >= threshold_2)
		cv_finding_add(findings, CV_FINDING_WARNING, remedy,
			       "%ld nodes are on link, more than gc_thresh2 (%ld): neighbours are "
			       "forgotten and asked for over and over",
			       on_link, threshold_2);
	else
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%ld node%s on link; the neighbour table holds %ld", on_link,
			       on_link == 1 ? " is" : "s are", threshold_3);
}

static long count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	long count = -3; /* ".", ".." and the directory's own */

	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* A tunnel takes one descriptor for each worker, and one; the rest is some dozens. */
void cv_doctor_check_descriptors(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	static const char remedy[] =
		"systemctl edit culvertd (LimitNOFILE=65536), then systemctl restart culvertd";
	unsigned int each = input->engine ? cv_engine_workers(input->engine) + 1 : 2;
	long used = count_descriptors();
	struct rlimit limit;

	if (used < 0 || getrlimit(RLIMIT_NOFILE, &limit))
		return;
	if (limit.rlim_cur != RLIM_INFINITY && (unsigned long)used + 10UL * each > limit.rlim_cur)
		cv_finding_add(findings, CV_FINDING_ERROR, remedy,
			       "culvertd has %ld files open and may have %lu: there is no room for "
			       "ten more tunnels",
			       used, (unsigned long)limit.rlim_cur);
	else
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "culvertd has %ld files open and may have %lu", used,
			       (unsigned long)limit.rlim_cur);
}
