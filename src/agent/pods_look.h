/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of addresses and pods at one moment, for doctor and metrics. */
#ifndef CV_AGENT_PODS_LOOK_H
#define CV_AGENT_PODS_LOOK_H

#include "agent/addresses.h"
#include "agent/commands.h"
#include "agent/ipam_sums.h"
#include "agent/pods.h"
#include "store/datastore.h"
#include "store/etcd_http.h"
#include "tunnel/endpoint_set.h"

/* All pointers but pods are others'. */
struct cv_pods_look {
	struct cv_addresses_status addresses;
	struct cv_etcd_traffic traffic;
	const struct cv_pod **pods; /* owned */
	size_t pod_count;
	const struct cv_endpoint_set *endpoints;
	const struct cv_datastore_config *datastore; /* NULL, or no etcd: files */
	const struct cv_ipam_sums *sums;
	size_t blocks, pools;		      /* that this node's pods can get addresses of */
	const char *migration, *registration; /* what is the matter; or NULL */
	char tombstones[4096];		      /* directory */
	const char *conf_dir;		      /* of CNI */
	const char *const *bin_dirs;	      /* a list that NULL ends */
	int64_t now_us;			      /* CLOCK_MONOTONIC */
	int64_t now_s;			      /* since the epoch */
};

/* 0 or -ENOMEM. cv_pods_look_fini. */
int cv_pods_look(const struct cv_commands *commands, struct cv_pods_look *ret_look);
void cv_pods_look_fini(struct cv_pods_look *look);

#endif
