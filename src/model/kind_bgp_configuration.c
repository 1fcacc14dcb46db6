/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BGPConfiguration (https://docs.tigera.io/calico/latest/reference/resources/bgpconfig): "default"
 * for all nodes, and "node.NAME" for what a node may have of its own. That there is a "default" is
 * what turns BGP on.
 */
#include "model/kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/schema_values.h"

enum {
	RESTART_TIME_MAX_S = 4095 /* 12 bits (RFC 4724, 3) */
};

static const struct cv_word switch_words[] = {
	{"Enabled", true},
	{"Disabled", false},
	{NULL, 0},
};

static int read_as_number(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_configuration *bgp = target;

	return cv_reader_as_number(reader, node, &bgp->as_number);
}

static void write_as_number(struct cv_text *out, const void *target)
{
	const struct cv_bgp_configuration *bgp = target;

	cv_json_integer(out, bgp->as_number);
}

static int read_mesh(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_configuration *bgp = target;

	bgp->has_mesh = true;
	return cv_reader_bool(reader, node, &bgp->mesh);
}

static int read_port(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_configuration *bgp = target;
	long long port;
	int rc = cv_reader_integer(reader, node, 1, UINT16_MAX, &port);

	if (!rc)
		bgp->listen_port = (uint16_t)port;
	return rc;
}

static int read_bind_mode(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	static const struct cv_word words[] = {
		{"None", CV_BGP_BIND_NONE},
		{"NodeIP", CV_BGP_BIND_NODE_IP},
		{NULL, 0},
	};
	struct cv_bgp_configuration *bgp = target;
	int mode, rc = cv_reader_word(reader, node, words, &mode);

	if (rc)
		return rc;
	bgp->has_bind_mode = true;
	bgp->bind_mode = (enum cv_bgp_bind_mode)mode;
	return 0;
}

static int read_key(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_configuration *bgp = target;

	return cv_reader_secret_key(reader, node, &bgp->mesh_password.key);
}

static int read_restart_time(struct cv_reader *reader, const struct cv_yaml_node *node,
			     void *target)
{
	struct cv_bgp_configuration *bgp = target;

	bgp->has_mesh_restart_time = true;
	return cv_reader_seconds(reader, node, 0, RESTART_TIME_MAX_S, &bgp->mesh_restart_time_s);
}

static int read_programs(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_configuration *bgp = target;
	int value, rc = cv_reader_word(reader, node, switch_words, &value);

	if (rc)
		return rc;
	bgp->has_program_cluster_routes = true;
	bgp->program_cluster_routes = value;
	return 0;
}

static int read_ignored(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_bgp_configuration *bgp = target;

	return cv_reader_texts(reader, node, cv_reader_interface, &bgp->ignored_interfaces,
			       &bgp->ignored_interface_count);
}

static const char no_services[] = "Culvert knows no Services";
static const char no_communities[] = "Culvert gives no communities to routes";
static const char no_workload_peers[] = "Culvert speaks no BGP with workloads";

#define AT(member) offsetof(struct cv_bgp_configuration, member)

static const struct cv_field secret_fields[] = {
	{"name", CV_FIELD_NAME, .offset = AT(mesh_password.name)},
	{"key", CV_FIELD_READ, .read = read_key},
	{"optional", CV_FIELD_UNUSED_SCALAR,
	 .note = "without its password a session is not made at all"},
};
#undef AT

static const struct cv_schema secret = {"BGPConfiguration spec.nodeMeshPassword.secretKeyRef",
					secret_fields,
					sizeof(secret_fields) / sizeof(secret_fields[0])};

static const struct cv_field password_fields[] = {
	{"secretKeyRef", CV_FIELD_OBJECT, .object = &secret},
};

static const struct cv_schema password = {"BGPConfiguration spec.nodeMeshPassword", password_fields,
					  sizeof(password_fields) / sizeof(password_fields[0])};

static const struct cv_field fields[] = {
	{"asNumber", CV_FIELD_READ, .read = read_as_number, .write = write_as_number},
	{"nodeToNodeMeshEnabled", CV_FIELD_READ, .read = read_mesh},
	{"listenPort", CV_FIELD_READ, .read = read_port},
	{"bindMode", CV_FIELD_READ, .read = read_bind_mode},
	{"nodeMeshPassword", CV_FIELD_OBJECT, .object = &password},
	{"nodeMeshMaxRestartTime", CV_FIELD_READ, .read = read_restart_time},
	{"programClusterRoutes", CV_FIELD_READ, .read = read_programs},
	{"ignoredInterfaces", CV_FIELD_READ, .read = read_ignored},
	/* Calico's others, up to its version 3.32, in the alphabet's order. */
	{"communities", CV_FIELD_UNUSED_LIST, .note = no_communities},
	{.name = "ipv4ElevatedRoutePriority", .type = CV_FIELD_UNUSED_SCALAR},
	{.name = "ipv4NormalRoutePriority", .type = CV_FIELD_UNUSED_SCALAR},
	{.name = "ipv6ElevatedRoutePriority", .type = CV_FIELD_UNUSED_SCALAR},
	{.name = "ipv6NormalRoutePriority", .type = CV_FIELD_UNUSED_SCALAR},
	{"localWorkloadPeeringIPV4", CV_FIELD_UNUSED_SCALAR, .note = no_workload_peers},
	{"localWorkloadPeeringIPV6", CV_FIELD_UNUSED_SCALAR, .note = no_workload_peers},
	{.name = "logSeverityScreen", .type = CV_FIELD_UNUSED_SCALAR},
	{"prefixAdvertisements", CV_FIELD_UNUSED_LIST, .note = no_communities},
	{"serviceClusterIPs", CV_FIELD_UNUSED_LIST, .note = no_services},
	{"serviceExternalIPs", CV_FIELD_UNUSED_LIST, .note = no_services},
	{"serviceLoadBalancerAggregation", CV_FIELD_UNUSED_SCALAR, .note = no_services},
	{"serviceLoadBalancerIPs", CV_FIELD_UNUSED_LIST, .note = no_services},
};

static int init(struct cv_resource *resource)
{
	resource->bgp_configuration = calloc(1, sizeof(*resource->bgp_configuration));
	return resource->bgp_configuration ? 0 : -ENOMEM;
}

static int look(struct cv_reader *reader, const struct cv_yaml_node *spec)
{
	return cv_reader_look_secret(reader, spec, "nodeMeshPassword");
}

/* What is said for all nodes, and what a node has instead. */
static int check_of_node(struct cv_reader *reader, const struct cv_yaml_node *spec)
{
	static const struct {
		const char *name, *instead;
	} common[] = {
		{"asNumber", "give the Node its spec.bgp.asNumber"},
		{"nodeToNodeMeshEnabled", "it is said in BGPConfiguration default, for all nodes"},
		{"nodeMeshPassword", "it is said in BGPConfiguration default, for all nodes"},
		{"nodeMeshMaxRestartTime", "it is said in BGPConfiguration default, for all nodes"},
		{"programClusterRoutes", "it is said in BGPConfiguration default, for all nodes"},
	};

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		const struct cv_yaml_node *field = cv_yaml_get(spec, common[i].name);

		if (!cv_reader_absent(field))
			return cv_reader_fail_key(reader, field,
						  "spec.%s does not belong into a single node's "
						  "BGPConfiguration; %s",
						  common[i].name, common[i].instead);
	}
	return 0;
}

/* What only the mesh has is a mistake without one: nobody gets that password. */
static int check_mesh(struct cv_reader *reader, const struct cv_yaml_node *spec,
		      const struct cv_bgp_configuration *bgp)
{
	const struct cv_yaml_node *secret_node = cv_yaml_get(spec, "nodeMeshPassword");
	const struct cv_yaml_node *time = cv_yaml_get(spec, "nodeMeshMaxRestartTime");
	bool has_secret = !cv_reader_absent(secret_node);

	if (has_secret && (!bgp->mesh_password.name || !bgp->mesh_password.key))
		return cv_reader_fail(reader, secret_node,
				      "spec.nodeMeshPassword needs a secretKeyRef with name and "
				      "key: the password stands in the file secrets/NAME/KEY");
	if (!bgp->has_mesh || bgp->mesh)
		return 0;
	if (has_secret)
		return cv_reader_fail_key(reader, secret_node,
					  "spec.nodeMeshPassword without a mesh, as "
					  "nodeToNodeMeshEnabled is false; delete one of them");
	if (!cv_reader_absent(time))
		return cv_reader_fail_key(reader, time,
					  "spec.nodeMeshMaxRestartTime without a mesh, as "
					  "nodeToNodeMeshEnabled is false; delete one of them");
	return 0;
}

static int check(struct cv_reader *reader, const struct cv_yaml_node *node,
		 struct cv_resource *resource)
{
	const struct cv_yaml_node *spec = cv_yaml_get(node, "spec");

	if (!strcmp(resource->name, "default"))
		return check_mesh(reader, spec, resource->bgp_configuration);
	if (strncmp(resource->name, "node.", 5) || !resource->name[5])
		return cv_reader_fail(reader, cv_yaml_get(cv_yaml_get(node, "metadata"), "name"),
				      "metadata.name: a BGPConfiguration is \"default\", for all "
				      "nodes, or \"node.NAME\", for one; rename %s",
				      resource->name);
	return check_of_node(reader, spec);
}

static void fini(struct cv_resource *resource)
{
	struct cv_bgp_configuration *bgp = resource->bgp_configuration;

	if (!bgp)
		return;
	free(bgp->mesh_password.name);
	free(bgp->mesh_password.key);
	cv_reader_free_texts(bgp->ignored_interfaces, bgp->ignored_interface_count);
	free(bgp);
}

const struct cv_kind_reader cv_kind_bgp_configuration = {
	.spec = {"BGPConfiguration spec", fields, sizeof(fields) / sizeof(fields[0])},
	.init = init,
	.look = look,
	.check = check,
	.fini = fini,
};
