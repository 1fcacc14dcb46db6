/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of culvert/v1: Tunnel, a `culvert tunnel add` that stays, and Workload, addresses that
 * live on a node. A tunnel's values go through the command line's own parsers (tunnel/config.h).
 */
#include "model/kinds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/config.h"

/* ---- Tunnel ---------------------------------------------------------------------- */

static int read_end(struct cv_reader *reader, const struct cv_yaml_node *node, __be32 *ret_address)
{
	struct cv_error error;
	const char *text;
	char what[CV_READER_PATH_MAX + 16];
	int rc = cv_reader_string(reader, node, &text);

	if (rc)
		return rc;
	snprintf(what, sizeof(what), "%s%.16s", reader->path, node->key);
	if (cv_tunnel_parse_address(text, what, ret_address, &error))
		return cv_reader_fail(reader, node, "%s", error.text);
	return 0;
}

static int read_remote(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_tunnel_resource *tunnel = target;

	return read_end(reader, node, &tunnel->config.remote);
}

static int read_local(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_tunnel_resource *tunnel = target;

	return read_end(reader, node, &tunnel->config.local);
}

static int read_device_name(struct cv_reader *reader, const struct cv_yaml_node *node,
			    char ret_name[IFNAMSIZ])
{
	char what[CV_READER_PATH_MAX + 16];
	struct cv_error error;
	const char *text;
	int rc = cv_reader_string(reader, node, &text);

	if (rc)
		return rc;
	snprintf(what, sizeof(what), "%s%.16s", reader->path, node->key);
	if (cv_tunnel_check_name(text, what, &error))
		return cv_reader_fail(reader, node, "%s", error.text);
	snprintf(ret_name, IFNAMSIZ, "%s", text);
	return 0;
}

static int read_dev(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_tunnel_resource *tunnel = target;

	return read_device_name(reader, node, tunnel->config.dev);
}

/* A scalar as the JSON that the control protocol has for it. */
static json_t *to_json(const struct cv_yaml_node *node)
{
	long long number;

	if (cv_yaml_resolve(node) == CV_YAML_INT && !cv_yaml_integer(node, &number))
		return json_integer(number);
	return json_string(node->type == CV_YAML_SCALAR ? node->text : "");
}

/* ttl, tos, ecn, mode, mssclamp: what words and numbers they may be, tunnel/config.c knows. */
static int read_parameter(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_tunnel_resource *tunnel = target;
	struct cv_tunnel_patch patch;
	struct cv_error error;
	char is[CV_READER_IS_MAX];
	const char *expected;
	json_t *json = json_pack("{s:o}", node->key, to_json(node));
	int rc;

	if (!json)
		return cv_error_set(reader->error, -ENOMEM, "no memory");
	rc = cv_tunnel_patch_from_json(json, &patch, &error);
	json_decref(json);
	/* "field "ttl": expected …", without the field, which is named before. */
	expected = rc ? strstr(error.text, "expected ") : NULL;
	if (expected)
		return cv_reader_fail(reader, node, "spec.%s: %s, %s", node->key, expected,
				      cv_reader_is(node, is));
	if (rc)
		return cv_reader_fail(reader, node, "spec.%s", error.text);
	cv_tunnel_config_apply(&tunnel->config, &patch);
	return 0;
}

static int read_addresses(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_tunnel_resource *tunnel = target;

	return cv_reader_prefixes(reader, node, CV_ENTRY_INTERFACE, &tunnel->addresses,
				  &tunnel->address_count);
}

static int read_routes(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_tunnel_resource *tunnel = target;

	return cv_reader_prefixes(reader, node, CV_ENTRY_CIDR | CV_ENTRY_ADDRESS, &tunnel->routes,
				  &tunnel->route_count);
}

#define AT(member) offsetof(struct cv_tunnel_resource, member)

static const struct cv_field tunnel_fields[] = {
	{"node", CV_FIELD_NAME, .offset = AT(node)},
	{"mode", CV_FIELD_READ, .read = read_parameter},
	{"remote", CV_FIELD_READ, .read = read_remote},
	{"local", CV_FIELD_READ, .read = read_local},
	{"dev", CV_FIELD_READ, .read = read_dev},
	{"ttl", CV_FIELD_READ, .read = read_parameter},
	{"tos", CV_FIELD_READ, .read = read_parameter},
	{"pmtudisc", CV_FIELD_BOOL, .offset = AT(config.ipip.pmtudisc)},
	{"strict", CV_FIELD_BOOL, .offset = AT(config.strict)},
	{"ecn", CV_FIELD_READ, .read = read_parameter},
	{"mssclamp", CV_FIELD_READ, .read = read_parameter},
	{"up", CV_FIELD_BOOL, .offset = AT(up)},
	{"addresses", CV_FIELD_READ, .read = read_addresses},
	{"routes", CV_FIELD_READ, .read = read_routes},
};
#undef AT

static int init_tunnel(struct cv_resource *resource)
{
	resource->tunnel = calloc(1, sizeof(*resource->tunnel));
	if (!resource->tunnel)
		return -ENOMEM;
	cv_tunnel_config_init(&resource->tunnel->config);
	resource->tunnel->up = true;
	return 0;
}

static int check_tunnel(struct cv_reader *reader, const struct cv_yaml_node *node,
			struct cv_resource *resource)
{
	const struct cv_yaml_node *name = cv_yaml_get(cv_yaml_get(node, "metadata"), "name");
	struct cv_tunnel_config *config = &resource->tunnel->config;
	struct cv_error error;

	if (cv_tunnel_check_name(resource->name, "metadata.name", &error))
		return cv_reader_fail(reader, name, "%s", error.text);
	snprintf(config->name, sizeof(config->name), "%s", resource->name);
	if (cv_tunnel_config_check(config, &error))
		return cv_reader_fail(reader, node, "Tunnel %s: %s", resource->name, error.text);
	return 0;
}

static void fini_tunnel(struct cv_resource *resource)
{
	if (!resource->tunnel)
		return;
	free(resource->tunnel->node);
	free(resource->tunnel->addresses);
	free(resource->tunnel->routes);
	free(resource->tunnel);
}

const struct cv_kind_reader cv_kind_tunnel = {
	.spec = {"Tunnel spec", tunnel_fields, sizeof(tunnel_fields) / sizeof(tunnel_fields[0])},
	.init = init_tunnel,
	.check = check_tunnel,
	.fini = fini_tunnel,
};

/* ---- Workload -------------------------------------------------------------------- */

static int read_workload_device(struct cv_reader *reader, const struct cv_yaml_node *node,
				void *target)
{
	struct cv_workload *workload = target;

	return read_device_name(reader, node, workload->device);
}

static int read_workload_addresses(struct cv_reader *reader, const struct cv_yaml_node *node,
				   void *target)
{
	struct cv_workload *workload = target;
	int rc = cv_reader_prefixes(reader, node, CV_ENTRY_CIDR | CV_ENTRY_ADDRESS,
				    &workload->addresses, &workload->count);

	if (rc)
		return rc;
	if (!node->count)
		return cv_reader_fail(reader, node,
				      "spec.addresses is empty; give addresses or prefixes, or "
				      "delete the Workload");
	for (size_t i = 0; i < workload->count; i++) {
		if (!workload->addresses[i].length)
			return cv_reader_fail(
				reader, node,
				"spec.addresses: 0.0.0.0/0 is every address there is; "
				"give those of the workload");
	}
	return 0;
}

static const struct cv_field workload_fields[] = {
	{"node", CV_FIELD_NAME, .is_required = true, .offset = offsetof(struct cv_workload, node)},
	{"device", CV_FIELD_READ, .read = read_workload_device},
	{"addresses", CV_FIELD_READ, .is_required = true, .read = read_workload_addresses},
};

static void fini_workload(struct cv_resource *resource)
{
	free(resource->workload.node);
	free(resource->workload.addresses);
}

const struct cv_kind_reader cv_kind_workload = {
	.spec = {"Workload spec", workload_fields,
		 sizeof(workload_fields) / sizeof(workload_fields[0])},
	.fini = fini_workload,
};
