/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importing Kubernetes' nodes. Each is written as the canonical text of our own resources, which
 * is then parsed like any manifest: so that what comes out is right by the same rules, and applies.
 */
#include "model/import.h"

#include <errno.h>
#include <string.h>

#include "model/json.h"
#include "model/yaml.h"
#include "net/prefix.h"
#include "tunnel/config.h"

struct importer {
	const char *file;
	struct cv_manifest *manifest;
	size_t nodes; /* seen */
	enum cv_import_blocks blocks;
	bool has_calico; /* a node has Calico's annotations */
	struct cv_error *error;
};

static int fail(const struct importer *importer, const struct cv_yaml_node *node, const char *what)
{
	return cv_error_set(importer->error, -EINVAL, "%.256s:%u:%u: %s", importer->file,
			    node->line, node->column, what);
}

/* A string of a mapping, or NULL. */
static const char *get_text(const struct cv_yaml_node *mapping, const char *key)
{
	const struct cv_yaml_node *node = cv_yaml_get(mapping, key);

	return node && node->type == CV_YAML_SCALAR && cv_yaml_resolve(node) != CV_YAML_NULL
		       ? node->text
		       : NULL;
}

static const char *name_of(const struct cv_yaml_node *node)
{
	return get_text(cv_yaml_get(node, "metadata"), "name");
}

static void warn(struct importer *importer, const struct cv_yaml_node *node, const char *what,
		 const char *text)
{
	const char *name = name_of(node);

	cv_messages_add(&importer->manifest->warnings, "%.256s:%u:%u: node %.128s: %s%s%.64s",
			importer->file, node->line, node->column, name ? name : "?", what,
			*text ? " " : "", text);
}

/* ---- what a node says ------------------------------------------------------------ */

/* An address that a host may have, with or without a prefix length. */
static bool is_host(const char *text)
{
	struct cv_prefix prefix;

	return cv_prefix_parse(text, &prefix) != -EINVAL && prefix.address &&
	       !cv_tunnel_no_host(prefix.address);
}

/* Calico's own, else the first InternalIP of IPv4; NULL: neither. */
static const char *find_address(struct importer *importer, const struct cv_yaml_node *node)
{
	const struct cv_yaml_node *annotations =
		cv_yaml_get(cv_yaml_get(node, "metadata"), "annotations");
	const struct cv_yaml_node *addresses =
		cv_yaml_get(cv_yaml_get(node, "status"), "addresses");
	const char *text = get_text(annotations, "projectcalico.org/IPv4Address");

	importer->has_calico |= text != NULL;
	if (text && is_host(text))
		return text;
	if (text)
		warn(importer, node,
		     "no IPv4 address in annotation projectcalico.org/IPv4Address:", text);
	if (!addresses || addresses->type != CV_YAML_LIST)
		return NULL;
	for (const struct cv_yaml_node *entry = addresses->first; entry; entry = entry->next) {
		const char *type = get_text(entry, "type");

		text = get_text(entry, "address");
		if (type && text && !strcmp(type, "InternalIP") && is_host(text))
			return text;
	}
	return NULL;
}

static void write_head(struct cv_text *out, const char *kind, const char *name)
{
	cv_text_add(out, "{", 1);
	cv_json_key(out, "apiVersion");
	cv_json_string(out, "projectcalico.org/v3");
	cv_json_key(out, "kind");
	cv_json_string(out, kind);
	cv_json_key(out, "metadata");
	cv_text_add(out, "{", 1);
	cv_json_key(out, "name");
	cv_json_string(out, name);
}

/* Fields of spec.bgp for which Calico has annotations; a bad value is refused in their names. */
static void write_annotated(const struct cv_yaml_node *annotations, struct cv_text *out)
{
	static const struct {
		const char *annotation, *field;
	} annotated[] = {
		{"projectcalico.org/IPv4IPIPTunnelAddr", "ipv4IPIPTunnelAddr"},
		{"projectcalico.org/ASNumber", "asNumber"},
		{"projectcalico.org/RouteReflectorClusterID", "routeReflectorClusterID"},
	};

	for (size_t i = 0; i < sizeof(annotated) / sizeof(annotated[0]); i++) {
		const char *text = get_text(annotations, annotated[i].annotation);

		if (!text || !*text)
			continue;
		cv_json_key(out, annotated[i].field);
		cv_json_string(out, text);
	}
}

static void write_node(struct importer *importer, const struct cv_yaml_node *node,
		       struct cv_text *out)
{
	const struct cv_yaml_node *metadata = cv_yaml_get(node, "metadata");
	const struct cv_yaml_node *labels = cv_yaml_get(metadata, "labels");
	const char *address = find_address(importer, node);

	write_head(out, "Node", name_of(node));
	if (labels && labels->type == CV_YAML_MAPPING && labels->count) {
		cv_json_key(out, "labels");
		cv_json_node(out, labels);
	}
	cv_text_puts(out, "},\"spec\":{\"bgp\":{");
	if (address) {
		cv_json_key(out, "ipv4Address");
		cv_json_string(out, address);
	} else {
		warn(importer, node,
		     "no IPv4 address, neither InternalIP nor Calico's; add spec.bgp.ipv4Address",
		     "");
	}
	write_annotated(cv_yaml_get(metadata, "annotations"), out);
	cv_text_puts(out, "}}}");
}

/* "NODE-10-244-1-0-24", as Calico names them. */
static void write_block(struct cv_text *out, const char *node, const char *cidr)
{
	struct cv_text name = {.data = NULL};

	cv_text_puts(&name, node);
	cv_text_add(&name, "-", 1);
	for (const char *p = cidr; *p; p++)
		cv_text_add(&name, strchr("./", *p) ? "-" : p, 1);
	if (name.has_failed)
		out->has_failed = true;
	else
		write_head(out, "BlockAffinity", name.data);
	cv_text_fini(&name);
	cv_text_add(out, "}", 1);
	cv_json_key(out, "spec");
	cv_text_add(out, "{", 1);
	cv_json_key(out, "cidr");
	cv_json_string(out, cidr);
	cv_json_key(out, "node");
	cv_json_string(out, node);
	cv_json_key(out, "state");
	cv_json_string(out, "confirmed");
	cv_text_puts(out, "}}");
}

/* ---- into resources -------------------------------------------------------------- */

/* Take a text's one resource over, as if it stood where the node does. */
static int take(struct importer *importer, const struct cv_yaml_node *node, struct cv_text *out)
{
	struct cv_error error = {.text = ""};
	struct cv_manifest one;
	int rc = out->has_failed ? -ENOMEM
				 : cv_manifest_parse("-", out->data, out->length, &one, &error);

	out->length = 0;
	if (rc) {
		const char *what = strchr(error.text, ' ');

		return cv_error_set(importer->error, rc, "%.256s:%u:%u: %s", importer->file,
				    node->line, node->column,
				    rc == -ENOMEM ? "no memory"
				    : what	  ? what + 1
						  : error.text);
	}
	if (one.count != 1) {
		cv_manifest_fini(&one);
		return fail(importer, node, "no node of ours");
	}
	one.resources[0]->origin.line = node->line;
	one.resources[0]->origin.column = node->column;
	if (cv_manifest_add(importer->manifest, one.resources[0]))
		rc = cv_error_set(importer->error, -ENOMEM, "%.256s:1:1: no memory",
				  importer->file);
	else
		one.count = 0;
	cv_manifest_fini(&one);
	return rc;
}

static int import_block(struct importer *importer, const struct cv_yaml_node *node,
			const char *cidr, struct cv_text *out)
{
	struct cv_prefix prefix;

	if (cv_prefix_parse(cidr, &prefix)) {
		warn(importer, node, "pod CIDR passed over, it is no IPv4 network:", cidr);
		return 0;
	}
	write_block(out, name_of(node), cidr);
	return take(importer, node, out);
}

/* podCIDRs, or podCIDR, which is the first of them. */
static int import_blocks(struct importer *importer, const struct cv_yaml_node *node,
			 struct cv_text *out)
{
	const struct cv_yaml_node *spec = cv_yaml_get(node, "spec");
	const struct cv_yaml_node *list = cv_yaml_get(spec, "podCIDRs");
	const char *single = get_text(spec, "podCIDR");
	int rc = 0;

	if (!list || list->type != CV_YAML_LIST || !list->count)
		return single && *single ? import_block(importer, node, single, out) : 0;
	for (const struct cv_yaml_node *cidr = list->first; !rc && cidr; cidr = cidr->next) {
		if (cidr->type != CV_YAML_SCALAR)
			return fail(importer, cidr, "spec.podCIDRs: an entry must be a string");
		rc = import_block(importer, node, cidr->text, out);
	}
	return rc;
}

static int import_node(struct importer *importer, const struct cv_yaml_node *node)
{
	struct cv_text out = {.data = NULL};
	int rc;

	importer->nodes++;
	if (!name_of(node))
		return fail(importer, node, "metadata.name is missing; every Node needs it");
	write_node(importer, node, &out);
	rc = take(importer, node, &out);
	if (!rc && importer->blocks != CV_IMPORT_BLOCKS_NEVER)
		rc = import_blocks(importer, node, &out);
	cv_text_fini(&out);
	return rc;
}

/* What one node says holds for all, also for those before it. */
static void drop_blocks(struct importer *importer)
{
	struct cv_manifest *manifest = importer->manifest;
	size_t kept = 0, dropped;

	for (size_t i = 0; i < manifest->count; i++) {
		if (manifest->resources[i]->kind == CV_KIND_BLOCK_AFFINITY)
			cv_resource_put(manifest->resources[i]);
		else
			manifest->resources[kept++] = manifest->resources[i];
	}
	dropped = manifest->count - kept;
	manifest->count = kept;
	if (dropped)
		cv_messages_add(&manifest->warnings,
				"%.256s: pod CIDRs are left out (%zu), as the nodes have Calico's "
				"annotations: with its IPAM, pods have addresses of its blocks "
				"(kubectl get blockaffinities.crd.projectcalico.org -o yaml); "
				"--blocks if they have them of the pod CIDRs (host-local)",
				importer->file, dropped);
}

/* ---- lists ----------------------------------------------------------------------- */

/* kind, version: of the list that it is in, NULL where that does not say. */
static int import_any(struct importer *importer, const struct cv_yaml_node *node, const char *kind,
		      const char *version)
{
	const struct cv_yaml_node *items = cv_yaml_get(node, "items");
	const char *own_kind = get_text(node, "kind"), *own_version = get_text(node, "apiVersion");
	bool is_nodes;
	int rc = 0;

	kind = own_kind ? own_kind : kind;
	version = own_version ? own_version : version;
	if (node->type != CV_YAML_MAPPING || !kind || !version)
		return fail(importer, node,
			    "no resource of Kubernetes; pipe in: kubectl get nodes -o json");
	is_nodes = !strcmp(kind, "NodeList");
	if (!strcmp(version, "v1") && (is_nodes || !strcmp(kind, "List"))) {
		if (items && items->type != CV_YAML_LIST && cv_yaml_resolve(items) != CV_YAML_NULL)
			return fail(importer, items, "items must be a list");
		for (node = items ? items->first : NULL; !rc && node; node = node->next)
			rc = import_any(importer, node, is_nodes ? "Node" : NULL,
					is_nodes ? version : NULL);
		return rc;
	}
	if (!strcmp(kind, "Node") && !strcmp(version, "v1"))
		return import_node(importer, node);
	if (!strcmp(kind, "Node"))
		return fail(
			importer, node,
			"this Node is not Kubernetes' (apiVersion v1); culvert apply takes it as "
			"it is");
	cv_messages_add(&importer->manifest->warnings,
			"%.256s:%u:%u: %.64s passed over: only nodes are imported", importer->file,
			node->line, node->column, kind);
	return 0;
}

static int import_documents(struct importer *importer, struct cv_yaml *yaml)
{
	const struct cv_yaml_node *root;
	int rc;

	while ((rc = cv_yaml_next(yaml, &root, importer->error)) > 0) {
		if (cv_yaml_resolve(root) == CV_YAML_NULL)
			continue;
		rc = import_any(importer, root, NULL, NULL);
		if (rc)
			return rc;
	}
	return rc;
}

int cv_import_nodes(const char *file, const char *text, size_t length, enum cv_import_blocks blocks,
		    struct cv_manifest *ret, struct cv_error *error)
{
	struct cv_manifest manifest = {.resources = NULL};
	struct importer importer = {
		.file = file, .manifest = &manifest, .blocks = blocks, .error = error};
	struct cv_yaml *yaml;
	int rc = cv_yaml_create(file, text, length, &yaml, error);

	if (rc)
		return rc;
	rc = import_documents(&importer, yaml);
	cv_yaml_destroy(yaml);
	if (!rc && !importer.nodes)
		rc = cv_error_set(
			error, -EINVAL,
			"%.256s:1:1: there is no node in it; pipe in: kubectl get nodes -o "
			"json",
			file);
	if (!rc && blocks == CV_IMPORT_BLOCKS_AUTO && importer.has_calico)
		drop_blocks(&importer);
	if (rc)
		cv_manifest_fini(&manifest);
	else
		*ret = manifest;
	return rc;
}
