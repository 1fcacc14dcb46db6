/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of addresses and pods. A host that has neither etcd nor pods, nor a CNI configuration of
 * ours, is told nothing.
 */
#include "agent/doctor_pods.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/ipam_json.h"
#include "store/certificate.h"

enum {
	DAY_S = 86400,
	EXPIRY_DAYS = 30,	  /* of a certificate: worth a warning */
	NEARLY_FULL_PERCENT = 10, /* free */
	TOMBSTONE_S = 60,	  /* one that waits longer is stuck */
	REASONS_MAX = 8,	  /* why pods are not bypassed, told apart */
};

/* ---- the datastore ----------------------------------------------------------------------- */

static void check_certificate(const char *what, const char *path, int64_t now_s,
			      struct cv_findings *findings)
{
	static const char remedy[] = "renew it in place: culvertd reads it anew by itself";
	struct cv_certificate dates;
	struct cv_error error;
	int64_t left_s;

	if (!path)
		return;
	if (cv_certificate_read(path, &dates, &error)) {
		cv_finding_add(findings, CV_FINDING_ERROR, NULL,
			       "%s %.256s: there is no certificate to be read in it (%s)", what,
			       path, error.text);
		return;
	}
	left_s = dates.not_after_s - now_s;
	if (left_s < 0)
		cv_finding_add(findings, CV_FINDING_ERROR, remedy, "%s %.256s has expired", what,
			       path);
	else if (left_s < (int64_t)EXPIRY_DAYS * DAY_S)
		cv_finding_add(findings, CV_FINDING_WARNING, remedy, "%s %.256s expires in %d days",
			       what, path, (int)(left_s / DAY_S));
}

void cv_doctor_check_datastore(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_pods_look *pods = input->pods;
	size_t troubles = findings->troubles;

	if (!pods)
		return;
	if (pods->migration)
		cv_finding_add(findings, CV_FINDING_WARNING, "systemctl restart culvertd",
			       "no pod gets an address: %s", pods->migration);
	if (!pods->datastore || !pods->datastore->is_etcd)
		return;
	if (pods->addresses.problem[0])
		cv_finding_add(findings, CV_FINDING_ERROR,
			       "see to etcd, and to the way there; pods that there are are "
			       "unharmed",
			       "addresses cannot be assigned: %s", pods->addresses.problem);
	if (pods->registration)
		cv_finding_add(findings, CV_FINDING_ERROR,
			       "add a Node resource for this host, or mend that",
			       "this node is not registered: %s", pods->registration);
	check_certificate("etcdCertFile", pods->datastore->cert_file, pods->now_s, findings);
	check_certificate("etcdCACertFile", pods->datastore->ca_file, pods->now_s, findings);
	if (findings->troubles == troubles && !input->store_problem)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "resources and addresses are in etcd (%zu endpoint%s)",
			       pods->datastore->endpoint_count,
			       pods->datastore->endpoint_count == 1 ? "" : "s");
}

/* ---- addresses --------------------------------------------------------------------------- */

static void check_sums(const struct cv_ipam_sums *sums, bool is_etcd, struct cv_findings *findings)
{
	size_t size = sums->assigned + sums->free;

	if (sums->exhausted[0])
		cv_finding_add(findings, CV_FINDING_ERROR, "add an IPPool, or delete pods",
			       "IPPool %s has no address left", sums->exhausted);
	else if (!is_etcd && sums->blocks && size && sums->free * 100 < size * NEARLY_FULL_PERCENT)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "add another BlockAffinity for this node",
			       "this node's blocks are nearly full: %zu of %zu addresses are free",
			       sums->free, size);
	if (sums->borrowed)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "add an IPPool, or raise maxBlocksPerHost (IPAMConfiguration): each "
			       "borrowed address is a route of its own everywhere",
			       "%zu address%s of this node %s borrowed from other nodes' blocks",
			       sums->borrowed, sums->borrowed == 1 ? "" : "es",
			       sums->borrowed == 1 ? "is" : "are");
	if (sums->faults)
		cv_finding_add(findings, CV_FINDING_WARNING, "culvert ipam check",
			       "%zu document%s of addresses do%s not fit together", sums->faults,
			       sums->faults == 1 ? "" : "s", sums->faults == 1 ? "es" : "");
}

void cv_doctor_check_addresses(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_pods_look *pods = input->pods;
	size_t troubles = findings->troubles;
	bool is_etcd;

	if (!pods)
		return;
	is_etcd = pods->datastore && pods->datastore->is_etcd;
	if (!is_etcd && pods->addresses.problem[0])
		cv_finding_add(findings, CV_FINDING_ERROR, NULL, "addresses cannot be assigned: %s",
			       pods->addresses.problem);
	if (pods->pod_count && !pods->pools)
		cv_finding_add(findings, CV_FINDING_ERROR,
			       "add an IPPool whose nodeSelector selects this node",
			       "no IPPool is for this node's pods: new ones get no address");
	else if (pods->pod_count && !is_etcd && !pods->blocks)
		cv_finding_add(findings, CV_FINDING_ERROR, "add a BlockAffinity for this node",
			       "this node has no block: new pods get no address");
	if (pods->sums && pods->sums->is_known)
		check_sums(pods->sums, is_etcd, findings);
	if (findings->troubles == troubles && pods->sums && pods->sums->is_known &&
	    pods->sums->blocks)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "%zu block%s of this node: %zu addresses assigned, %zu free",
			       pods->sums->blocks, pods->sums->blocks == 1 ? "" : "s",
			       pods->sums->assigned, pods->sums->free);
}

/* ---- pods -------------------------------------------------------------------------------- */

/* Pods that have the same reason. */
struct reason {
	char text[128];
	size_t count;
	bool is_wanted; /* they were to be bypassed */
};

static void count_reason(struct reason reasons[REASONS_MAX], size_t *count, const char *text,
			 bool is_wanted)
{
	size_t i = 0;

	while (i < *count && strncmp(reasons[i].text, text, sizeof(reasons[i].text) - 1) != 0)
		i++;
	if (i == REASONS_MAX)
		i--;
	if (i == *count) {
		snprintf(reasons[i].text, sizeof(reasons[i].text), "%s", text);
		reasons[i].is_wanted = is_wanted;
		++*count;
	}
	reasons[i].count++;
}

static void check_bypass(const struct cv_pods_look *pods, struct cv_findings *findings)
{
	struct reason reasons[REASONS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < pods->pod_count; i++) {
		struct cv_endpoint_status status = {.reason = ""};

		if (pods->pods[i]->state != CV_POD_ATTACHED ||
		    !cv_pod_endpoint(pods->pods[i], pods->endpoints, &status) || status.in_force ||
		    !status.wanted)
			continue;
		count_reason(reasons, &count, status.reason, status.wanted);
	}
	for (size_t i = 0; i < count; i++)
		cv_finding_add(findings, CV_FINDING_WARNING, "culvert pods",
			       "packets of %zu pod%s go through the host's stack, which is slower: "
			       "%s",
			       reasons[i].count, reasons[i].count == 1 ? "" : "s", reasons[i].text);
}

/* Those that a DEL without culvertd has left, and that nobody has taken since. */
static void check_tombstones(const struct cv_pods_look *pods, struct cv_findings *findings)
{
	DIR *directory = opendir(pods->tombstones);
	const struct dirent *entry;
	size_t count = 0;

	while (directory && (entry = readdir(directory))) {
		struct stat st;

		if (entry->d_name[0] != '.' &&
		    !fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    pods->now_s - st.st_mtim.tv_sec > TOMBSTONE_S)
			count++;
	}
	if (directory)
		closedir(directory);
	if (count)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "look at culvertd's log: it says why they wait",
			       "%zu container%s deleted while culvertd was away, and %s still "
			       "waits to be cleaned up (%.256s)",
			       count, count == 1 ? " was" : "s were", count == 1 ? "it" : "they",
			       pods->tombstones);
}

static size_t count_state(const struct cv_pods_look *pods, enum cv_pod_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < pods->pod_count; i++)
		count += pods->pods[i]->state == state;
	return count;
}

void cv_doctor_check_pods(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_pods_look *pods = input->pods;
	size_t troubles = findings->troubles, deleting;

	if (!pods)
		return;
	check_tombstones(pods, findings);
	check_bypass(pods, findings);
	deleting = count_state(pods, CV_POD_DELETING);
	if (deleting)
		cv_finding_add(findings, CV_FINDING_WARNING, "culvert pods",
			       "%zu pod%s being deleted, and not all of %s could be removed yet",
			       deleting, deleting == 1 ? " is" : "s are",
			       deleting == 1 ? "it" : "them");
	if (pods->pod_count && findings->troubles == troubles)
		cv_finding_add(findings, CV_FINDING_OK, NULL, "%zu pod%s attached",
			       count_state(pods, CV_POD_ATTACHED),
			       count_state(pods, CV_POD_ATTACHED) == 1 ? " is" : "s are");
}

/* ---- CNI --------------------------------------------------------------------------------- */

static bool is_config(const char *name)
{
	const char *end = strrchr(name, '.');

	return end && name[0] != '.' &&
	       (!strcmp(end, ".conflist") || !strcmp(end, ".conf") || !strcmp(end, ".json"));
}

/* It has our plugin: itself, or in its list. */
static bool is_ours(const json_t *config)
{
	const json_t *plugins = json_object_get(config, "plugins"), *plugin;
	const char *type = json_string_value(json_object_get(config, "type"));
	size_t i;

	if (type && !strcmp(type, "culvert-cni"))
		return true;
	json_array_foreach(plugins, i, plugin)
	{
		if (is_ours(plugin))
			return true;
	}
	return false;
}

/* A configuration of ours in the directory; NULL: there is none. */
static json_t *find_config(const char *path, char name[256])
{
	DIR *directory = path ? opendir(path) : NULL;
	const struct dirent *entry;
	json_t *found = NULL;

	while (directory && !found && (entry = readdir(directory))) {
		char file[4096];

		if (!is_config(entry->d_name) ||
		    snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) >= (int)sizeof(file))
			continue;
		found = json_load_file(file, 0, NULL);
		if (found && !is_ours(found)) {
			json_decref(found);
			found = NULL;
		}
		if (found)
			snprintf(name, 256, "%s", entry->d_name);
	}
	if (directory)
		closedir(directory);
	return found;
}

static bool has_program(const struct cv_pods_look *pods)
{
	for (size_t i = 0; pods->bin_dirs && pods->bin_dirs[i]; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/culvert-cni", pods->bin_dirs[i]);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

/* A list of 1.1.0 that chains plugins of 1.0.0 makes the whole network disappear. */
static void check_version(const json_t *config, const char *name, struct cv_findings *findings)
{
	const char *version = json_string_value(json_object_get(config, "cniVersion"));

	if (version && !strcmp(version, "1.1.0") &&
	    json_array_size(json_object_get(config, "plugins")) > 1)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "culvert-cni install, which writes 1.0.0",
			       "%s has cniVersion 1.1.0 and chains plugins: where one of these "
			       "does not speak it, there is no network at all",
			       name);
}

void cv_doctor_check_cni(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_pods_look *pods = input->pods;
	size_t troubles = findings->troubles;
	char name[256] = "";
	bool is_there;
	json_t *config;

	if (!pods)
		return;
	config = find_config(pods->conf_dir, name);
	is_there = has_program(pods);
	if (config && !is_there)
		cv_finding_add(findings, CV_FINDING_ERROR, "culvert-cni install",
			       "%s names the plugin culvert-cni, which is not where runtimes look "
			       "for it (%s)",
			       name, pods->bin_dirs ? pods->bin_dirs[0] : "?");
	if (config)
		check_version(config, name, findings);
	else if (pods->pod_count)
		cv_finding_add(findings, CV_FINDING_WARNING, "culvert-cni install",
			       "there are pods, and no configuration of culvert-cni is in %s: new "
			       "ones are another plugin's",
			       pods->conf_dir ? pods->conf_dir : "?");
	if (config && findings->troubles == troubles)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "CNI configuration %s, cniVersion %s, and the plugin are in place",
			       name,
			       json_is_string(json_object_get(config, "cniVersion"))
				       ? json_string_value(json_object_get(config, "cniVersion"))
				       : "(none)");
	json_decref(config);
}
