/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot says of BGP as a whole: BGPConfigurations, one over the other. */
#include "model/snapshot.h"

#include <string.h>

static void overlay_bgp(struct cv_bgp_configuration *bgp, const struct cv_bgp_configuration *over)
{
	if (over->as_number)
		bgp->as_number = over->as_number;
	if (over->has_mesh) {
		bgp->has_mesh = true;
		bgp->mesh = over->mesh;
	}
	if (over->listen_port)
		bgp->listen_port = over->listen_port;
	if (over->has_bind_mode) {
		bgp->has_bind_mode = true;
		bgp->bind_mode = over->bind_mode;
	}
	if (over->mesh_password.name)
		bgp->mesh_password = over->mesh_password;
	if (over->has_mesh_restart_time) {
		bgp->has_mesh_restart_time = true;
		bgp->mesh_restart_time_s = over->mesh_restart_time_s;
	}
	if (over->has_program_cluster_routes) {
		bgp->has_program_cluster_routes = true;
		bgp->program_cluster_routes = over->program_cluster_routes;
	}
	if (over->ignored_interface_count) {
		bgp->ignored_interfaces = over->ignored_interfaces;
		bgp->ignored_interface_count = over->ignored_interface_count;
	}
}

static bool is_of_node(const char *name, const char *node)
{
	return !strncmp(name, "node.", 5) && !strcmp(name + 5, node);
}

bool cv_snapshot_bgp(const struct cv_snapshot *snapshot, const char *node,
		     struct cv_bgp_configuration *ret_bgp)
{
	const struct cv_resource *common =
		cv_snapshot_find(snapshot, CV_KIND_BGP_CONFIGURATION, "default");
	size_t count;
	struct cv_resource *const *resources =
		cv_snapshot_kind(snapshot, CV_KIND_BGP_CONFIGURATION, &count);

	*ret_bgp = (struct cv_bgp_configuration){
		.as_number = CV_BGP_AS_DEFAULT,
		.mesh = true,
		.listen_port = CV_BGP_PORT,
		.mesh_restart_time_s = CV_BGP_RESTART_TIME_S,
		.program_cluster_routes = true,
	};
	if (!common)
		return false;
	overlay_bgp(ret_bgp, common->bgp_configuration);
	for (size_t i = 0; node && i < count; i++) {
		if (is_of_node(resources[i]->name, node))
			overlay_bgp(ret_bgp, resources[i]->bgp_configuration);
	}
	return true;
}
