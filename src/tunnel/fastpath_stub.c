/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for src/fastpath/ until that is there: there is no fast path. Delete it then. */
#include <errno.h>
#include <stdio.h>

#include "fastpath/fastpath.h"

int cv_fastpath_create(const struct cv_fastpath_options *options, struct cv_fastpath **ret_fastpath,
		       char *why, size_t size)
{
	(void)options;
	(void)ret_fastpath;
	snprintf(why, size, "this culvertd was built without it");
	return -ENOSYS;
}

void cv_fastpath_destroy(struct cv_fastpath *fastpath)
{
	(void)fastpath;
}

int cv_fastpath_purge(const char *run_dir, struct cv_nl *nl, unsigned int *ret_removed)
{
	(void)run_dir;
	(void)nl;
	*ret_removed = 0;
	return 0;
}

int cv_fastpath_tunnel_set(struct cv_fastpath *fastpath, const struct cv_engine_tunnel *tunnel)
{
	(void)fastpath;
	(void)tunnel;
	return -ENOSYS;
}

void cv_fastpath_tunnel_delete(struct cv_fastpath *fastpath, int ifindex)
{
	(void)fastpath;
	(void)ifindex;
}

const char *cv_fastpath_tunnel_problem(struct cv_fastpath *fastpath, int ifindex)
{
	(void)fastpath;
	(void)ifindex;
	return "this culvertd was built without it";
}

int cv_fastpath_counters(struct cv_fastpath *fastpath, int ifindex, struct cv_counters *sum,
			 struct cv_fastpath_share *ret_share)
{
	(void)fastpath;
	(void)ifindex;
	(void)sum;
	(void)ret_share;
	return -ENOENT;
}

void cv_fastpath_refresh(struct cv_fastpath *fastpath)
{
	(void)fastpath;
}

size_t cv_fastpath_underlays(struct cv_fastpath *fastpath, char (*ret_names)[IFNAMSIZ], size_t max)
{
	(void)fastpath;
	(void)ret_names;
	(void)max;
	return 0;
}

int cv_fastpath_endpoint_set(struct cv_fastpath *fastpath,
			     const struct cv_fastpath_endpoint *endpoint)
{
	(void)fastpath;
	(void)endpoint;
	return -ENOSYS;
}

void cv_fastpath_endpoint_delete(struct cv_fastpath *fastpath, int ifindex)
{
	(void)fastpath;
	(void)ifindex;
}

const char *cv_fastpath_endpoint_problem(struct cv_fastpath *fastpath, int ifindex)
{
	(void)fastpath;
	(void)ifindex;
	return "this culvertd was built without it";
}
