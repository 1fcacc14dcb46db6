/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pods_look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/node_ipam.h"
#include "model/tombstone.h"

/* Where runtimes look by default, podman and containerd both. */
#define CONF_DIR "/etc/cni/net.d"
static const char *const bin_dirs[] = {"/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni",
				       "/usr/local/lib/cni", NULL};

static void look_at_addresses(const struct cv_commands *commands, struct cv_pods_look *look)
{
	const struct cv_node_ipam *ipam = cv_node_ipam(commands->node);
	struct cv_node_ipam_room room = {.blocks = 0};

	cv_addresses_status(commands->addresses, &look->addresses);
	if (ipam)
		cv_node_ipam_room(ipam, &room);
	look->blocks = room.blocks;
	look->pools = room.pools;
	look->migration = cv_migrator_frozen(commands->migrator);
	look->registration = cv_registrar_problem(commands->registrar);
}

int cv_pods_look(const struct cv_commands *commands, struct cv_pods_look *ret_look)
{
	size_t count = cv_pods_count(commands->pods);
	struct timespec now;

	*ret_look = (struct cv_pods_look){
		.pods = calloc(count + 1, sizeof(ret_look->pods[0])),
		.pod_count = count,
		.endpoints = commands->endpoints,
		.datastore = commands->datastore,
		.sums = commands->sums,
		.conf_dir = CONF_DIR,
		.bin_dirs = bin_dirs,
		.now_s = time(NULL),
	};
	if (!ret_look->pods)
		return -ENOMEM;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ret_look->now_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	for (size_t i = 0; i < count; i++)
		ret_look->pods[i] = cv_pods_at(commands->pods, i);
	look_at_addresses(commands, ret_look);
	cv_etcd_traffic(&ret_look->traffic);
	snprintf(ret_look->tombstones, sizeof(ret_look->tombstones), "%s/" CV_TOMBSTONE_DIRECTORY,
		 commands->run_dir);
	return 0;
}

void cv_pods_look_fini(struct cv_pods_look *look)
{
	free(look->pods);
	*look = (struct cv_pods_look){.pods = NULL};
}
