/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clean uninstall of one run directory.
 *
 * Invariants: it holds the directory's lock, so no daemon runs or starts there meanwhile; what
 * says what there is goes last (devices before the state file, the lock at the very end), so that
 * a purge that failed half-way can be repeated; nothing is touched that does not name this run
 * directory.
 */
#include "agent/purge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/log.h"
#include "agent/node.h"
#include "agent/rundir.h"
#include "fastpath/fastpath.h"
#include "model/attachment.h"
#include "net/link.h"
#include "net/netlink.h"
#include "tunnel/carrier.h"
#include "tunnel/device.h"

struct purge {
	struct cv_rundir rundir;
	struct cv_nl *nl;
	bool is_run_dir; /* daemons have run there: its files are ours */
};

static unsigned int removed;

static void tell_path(const char *path)
{
	removed++;
	printf("removed %s\n", path);
}

static void tell_device(const struct cv_link *link, const void *data)
{
	(void)data;
	removed++;
	printf("deleted device %s\n", link->name);
}

/*
 * A holder lives where its daemon's devices are. In another network namespace we would find none
 * of them, and remove the state file that knows them.
 */
static int check_namespace(const struct purge *purge, struct cv_error *error)
{
	pid_t pid = cv_carrier_find(purge->rundir.path);
	struct stat here, there;
	char path[32];

	if (pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (stat("/proc/self/ns/net", &here) || stat(path, &there) || here.st_ino == there.st_ino)
		return 0;
	return cv_error_set(error, -EXDEV,
			    "the devices of %s are in another network namespace; purge it there: "
			    "nsenter --net=%s culvertd --purge --run-dir %s",
			    purge->rundir.path, path, purge->rundir.path);
}

static const char *advice(int err)
{
	return err == -EPERM || err == -EACCES ? "; be root" : "";
}

/* What is attached and pinned goes before the devices do. */
static int purge_fastpath(const struct purge *purge, struct cv_error *error)
{
	unsigned int count = 0;
	int rc = cv_fastpath_purge(purge->rundir.path, purge->nl, &count);

	if (rc)
		return cv_error_set(error, rc, "cannot remove the fast path: %s%s", strerror(-rc),
				    advice(rc));
	if (!count)
		return 0;
	removed += count;
	printf("removed the fast path: %u programs and pins\n", count);
	return 0;
}

static int purge_devices(const struct purge *purge, struct cv_error *error)
{
	const struct cv_device_deletion all = {.tell = tell_device};
	char alias[CV_LINK_ALIAS_MAX];
	int rc = cv_device_alias(purge->rundir.path, alias, error);

	if (rc)
		return rc;
	rc = cv_device_delete_ours(purge->nl, alias, &all);
	if (rc)
		return cv_error_set(error, rc, "cannot delete the devices: %s%s", strerror(-rc),
				    advice(rc));
	return 0;
}

static int purge_holder(const struct purge *purge, struct cv_error *error)
{
	pid_t pid;
	int rc = cv_carrier_end(purge->rundir.path, &pid, error);

	if (rc <= 0)
		return rc;
	removed++;
	printf("ended the carrier holder, process %d\n", pid);
	return 0;
}

static void tell_text(const char *text)
{
	removed++;
	printf("%s\n", text);
}

/* Routes lead into devices, so they go first. */
static int purge_node(const struct purge *purge, struct cv_error *error)
{
	return purge->is_run_dir ? cv_node_purge(purge->rundir.path, purge->nl, tell_text, error)
				 : 0;
}

static int count_pod(const struct cv_link *link, void *data)
{
	size_t *count = data;

	*count += cv_attachment_is_device_name(link->name) &&
		  !strncmp(link->alias, CV_ATTACHMENT_ALIAS, strlen(CV_ATTACHMENT_ALIAS));
	return 0;
}

/* They are pods', and go with these; their routes have gone with ours. */
static int tell_of_pods(const struct purge *purge, struct cv_error *error)
{
	size_t count = 0;

	(void)error;
	if (purge->is_run_dir && !cv_link_for_each(purge->nl, count_pod, &count) && count)
		printf("left %zu device%s of pods, which are their runtime's to delete\n", count,
		       count == 1 ? "" : "s");
	return 0;
}

static int purge_files(const struct purge *purge, struct cv_error *error)
{
	return purge->is_run_dir ? cv_rundir_remove(&purge->rundir, tell_path, error) : 0;
}

static int run(struct purge *purge, struct cv_error *error)
{
	static int (*const steps[])(const struct purge *, struct cv_error *) = {
		check_namespace, purge_node,   purge_fastpath, purge_holder,
		purge_devices,	 tell_of_pods, purge_files,
	};
	int rc = cv_nl_create(&purge->nl);

	if (rc)
		return cv_error_set(error, rc, "cannot talk to the kernel: %s", strerror(-rc));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !rc; i++)
		rc = steps[i](purge, error);
	cv_nl_destroy(purge->nl);
	return rc;
}

int cv_purge_run(const char *run_dir)
{
	struct purge purge = {.rundir = {.lock = -1}};
	struct cv_error error;
	int rc = cv_rundir_take(&purge.rundir, run_dir, &error);

	cv_log_init();
	if (rc >= 0) {
		purge.is_run_dir = rc;
		rc = run(&purge, &error);
		cv_rundir_close(&purge.rundir);
	}
	if (rc)
		cv_log(LOG_ERR, "%s", error.text);
	else if (!removed)
		printf("nothing to purge in %s\n", purge.rundir.path);
	return rc ? 1 : 0;
}
