/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests, taken apart into resources: documents, lists, kinds. Kinds that Calico has and we do
 * not are known by name, so that an export of everything applies and says what it does not do.
 *
 * Invariant: a resource's text, parsed, gives a resource with the same text.
 */
#include "model/manifest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/kinds.h"
#include "model/metadata.h"
#include "model/nearest.h"

static const char crd[] = "crd.projectcalico.org/v1";

struct parser {
	struct cv_manifest *manifest;
	struct cv_reader reader;
};

/* ---- messages -------------------------------------------------------------------- */

static void add_text(struct cv_messages *messages, const char *text)
{
	if (messages->count == messages->capacity) {
		size_t capacity = messages->capacity ? messages->capacity * 2 : 8;
		char **texts = realloc(messages->texts, capacity * sizeof(texts[0]));

		if (!texts)
			return;
		messages->texts = texts;
		messages->capacity = capacity;
	}
	messages->texts[messages->count] = strdup(text);
	if (messages->texts[messages->count])
		messages->count++;
}

void cv_messages_add(struct cv_messages *messages, const char *format, ...)
{
	struct cv_error line; /* as clean as an error's */
	char text[CV_ERROR_TEXT_MAX];
	va_list args;

	if (!messages || messages->count >= CV_MESSAGES_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	cv_error_set(&line, 0, "%s", text);
	for (size_t i = 0; i < messages->count; i++) {
		if (!strcmp(messages->texts[i], line.text))
			return;
	}
	add_text(messages,
		 messages->count == CV_MESSAGES_MAX - 1 ? "and more of this kind" : line.text);
}

void cv_messages_fini(struct cv_messages *messages)
{
	for (size_t i = 0; i < messages->count; i++)
		free(messages->texts[i]);
	free(messages->texts);
	*messages = (struct cv_messages){.texts = NULL};
}

/* "#a.yaml", ".#a.yaml", ".a.yaml.swp" are editors' own; "a.yaml~" and the like have no such end.
 */
bool cv_manifest_is_file_name(const char *name)
{
	const char *end = strrchr(name, '.');

	if (*name == '.' || *name == '#' || !end)
		return false;
	return !strcmp(end, ".yaml") || !strcmp(end, ".yml") || !strcmp(end, ".json");
}

/* ---- other kinds ----------------------------------------------------------------- */

static const char policies[] = "Culvert does not enforce network policies";
static const char ipam[] = "it is a document of addresses, not a resource; culvert migrate "
			   "--from-calico takes them from etcd";
static const char server[] = "it is Calico's own";

/* Calico's kinds that we do not have. Kubernetes' policies are not acted on either. */
static const struct other_kind {
	const char *name, *why;
} other_kinds[] = {
	{"NetworkPolicy", policies},
	{"GlobalNetworkPolicy", policies},
	{"StagedNetworkPolicy", policies},
	{"StagedGlobalNetworkPolicy", policies},
	{"StagedKubernetesNetworkPolicy", policies},
	{"AdminNetworkPolicy", policies},
	{"BaselineAdminNetworkPolicy", policies},
	{"ClusterNetworkPolicy", policies},
	{"NetworkSet", policies},
	{"GlobalNetworkSet", policies},
	{"Tier", policies},
	{"Profile", policies},
	{"HostEndpoint", policies},
	{"QoSPolicy", "Culvert has no quality of service"},
	{"CalicoNodeStatus", "culvert bgp status tells the state of BGP"},
	{"IPAMBlock", ipam},
	{"IPAMConfig", ipam},
	{"IPAMHandle", ipam},
	{"WorkloadEndpoint", "Culvert's word for it is Workload, of culvert/v1"},
	{"ClusterInformation", server},
	{"DatastoreMigration", server},
	{"KubeControllersConfiguration", server},
	{"RemoteClusterConfiguration", server},
};

enum {
	OTHER_KINDS = sizeof(other_kinds) / sizeof(other_kinds[0])
};

static const struct other_kind *find_other(const char *name)
{
	for (size_t i = 0; i < OTHER_KINDS; i++) {
		if (!strcmp(other_kinds[i].name, name))
			return &other_kinds[i];
	}
	return NULL;
}

static bool is_policy_version(const char *version)
{
	return !strncmp(version, "networking.k8s.io/", 18) ||
	       !strncmp(version, "policy.networking.k8s.io/", 25);
}

static int pass_over(struct parser *parser, const struct cv_yaml_node *node,
		     const struct other_kind *other)
{
	const struct cv_yaml_node *name = cv_yaml_get(cv_yaml_get(node, "metadata"), "name");
	bool has_name = name && name->type == CV_YAML_SCALAR;

	cv_messages_add(&parser->manifest->warnings, "%.256s:%u:%u: %s%s%.128s is not acted on: %s",
			parser->reader.file, node->line, node->column, other->name,
			has_name ? " " : "", has_name ? name->text : "", other->why);
	return 0;
}

/* ---- resources ------------------------------------------------------------------- */

static const struct cv_field top_fields[] = {
	{.name = "apiVersion", .type = CV_FIELD_DROPPED},
	{.name = "kind", .type = CV_FIELD_DROPPED},
	{.name = "metadata", .type = CV_FIELD_DROPPED},
	{.name = "spec", .type = CV_FIELD_DROPPED},
	{.name = "status", .type = CV_FIELD_DROPPED},
	{.name = "items", .type = CV_FIELD_DROPPED},
};

/* A field of the spec that stands beside it, most often by a wrong indent. */
static int check_misplaced(struct cv_reader *reader, const struct cv_kind_reader *kind,
			   const struct cv_yaml_node *node)
{
	for (const struct cv_yaml_node *field = node->first; field; field = field->next) {
		for (size_t i = 0; i < kind->spec.count; i++) {
			if (!strcmp(kind->spec.fields[i].name, field->key))
				return cv_reader_fail_key(reader, field,
							  "field \"%.64s\" does not belong beside "
							  "%s's spec, but into "
							  "it; indent it there",
							  field->key, reader->kind);
		}
	}
	return 0;
}

/* The names of what a resource has at its top; items is a list's. */
static int check_top(struct cv_reader *reader, const struct cv_yaml_node *node, bool is_list)
{
	struct cv_schema schema = {reader->kind, top_fields,
				   sizeof(top_fields) / sizeof(top_fields[0]) - !is_list};

	return cv_schema_check_names(reader, &schema, node);
}

/* Fill in a resource. 0, CV_KIND_SKIP, -EINVAL or -ENOMEM. */
static int read_parts(struct cv_reader *reader, const struct cv_yaml_node *node,
		      struct cv_resource *resource)
{
	const struct cv_kind_reader *kind = cv_kind_reader(resource->kind);
	const struct cv_yaml_node *spec = cv_yaml_get(node, "spec");
	int rc = check_misplaced(reader, kind, node);

	if (!rc)
		rc = check_top(reader, node, false);
	if (rc)
		return rc;
	reader->out.length = 0;
	cv_text_add(&reader->out, "{", 1);
	cv_json_key(&reader->out, "apiVersion");
	cv_json_string(&reader->out, cv_kind_api_version(resource->kind));
	cv_json_key(&reader->out, "kind");
	cv_json_string(&reader->out, cv_kind_name(resource->kind));
	cv_json_key(&reader->out, "metadata");
	rc = cv_metadata_read(reader, node, resource);
	memcpy(reader->path, "spec.", sizeof("spec."));
	if (!rc && kind->look)
		rc = kind->look(reader, spec);
	if (rc)
		return rc;
	cv_json_key(&reader->out, "spec");
	rc = cv_schema_read(reader, &kind->spec, spec, node, cv_kind_target(resource));
	cv_text_add(&reader->out, "}", 1);
	if (!rc && kind->check)
		rc = kind->check(reader, node, resource);
	return rc;
}

int cv_manifest_add(struct cv_manifest *manifest, struct cv_resource *resource)
{
	if (manifest->count >= manifest->capacity) {
		size_t capacity = manifest->count ? manifest->count * 2 : 16;
		struct cv_resource **grown =
			realloc(manifest->resources, capacity * sizeof(grown[0]));

		if (!grown)
			return -ENOMEM;
		manifest->resources = grown;
		manifest->capacity = capacity;
	}
	manifest->resources[manifest->count++] = resource;
	return 0;
}

static int read_resource(struct parser *parser, const struct cv_yaml_node *node, enum cv_kind kind)
{
	struct cv_resource *resource = calloc(1, sizeof(*resource));
	struct cv_reader *reader = &parser->reader;
	int rc = -ENOMEM;

	if (!resource)
		return cv_error_set(reader->error, -ENOMEM, "no memory");
	resource->kind = kind;
	resource->references = 1;
	resource->origin = (struct cv_origin){strdup(reader->file), node->line, node->column};
	reader->kind = cv_kind_name(kind);
	reader->name = NULL;
	if (resource->origin.file &&
	    (!cv_kind_reader(kind)->init || !cv_kind_reader(kind)->init(resource)))
		rc = read_parts(reader, node, resource);
	if (!rc && !reader->out.has_failed)
		resource->text = strdup(reader->out.data);
	if (!rc && (!resource->text || cv_manifest_add(parser->manifest, resource)))
		rc = -ENOMEM;
	if (rc == -ENOMEM)
		cv_error_set(reader->error, rc, "no memory");
	if (rc)
		cv_resource_put(resource);
	reader->name = NULL;
	return rc == CV_KIND_SKIP ? 0 : rc;
}

/* ---- kinds and lists ------------------------------------------------------------- */

static int fail_kind(struct parser *parser, const struct cv_yaml_node *node, const char *version,
		     const char *kind)
{
	struct cv_nearest nearest;
	const char *near = NULL;

	if (!strncmp(version, "operator.tigera.io/", 19))
		return cv_reader_fail(
			&parser->reader, node,
			"%.64s is the Calico operator's; take what it made of it: kubectl "
			"get ippools.crd.projectcalico.org -o yaml",
			kind);
	cv_nearest_init(&nearest, kind);
	for (int i = 0; i < CV_KIND_MAX; i++) {
		if (!strcasecmp(cv_kind_name((enum cv_kind)i), kind))
			near = cv_kind_name((enum cv_kind)i);
		cv_nearest_offer(&nearest, cv_kind_name((enum cv_kind)i));
	}
	for (size_t i = 0; i < OTHER_KINDS; i++) {
		if (!strcasecmp(other_kinds[i].name, kind))
			near = other_kinds[i].name;
		cv_nearest_offer(&nearest, other_kinds[i].name);
	}
	if (!near)
		near = nearest.best;
	if (near)
		return cv_reader_fail(&parser->reader, node,
				      "unknown kind \"%.64s\"; did you mean %s?", kind, near);
	if (!strncmp(version, "kustomize.config.k8s.io/", 24))
		return cv_reader_fail(&parser->reader, node,
				      "%.64s: Culvert does not build; write kubectl kustomize "
				      "DIRECTORY | culvert apply -f -",
				      kind);
	return cv_reader_fail(&parser->reader, node,
			      "unknown kind \"%.64s\"; leave it out: there are IPPool, Node, "
			      "BlockAffinity, IPReservation, FelixConfiguration, Tunnel, Workload, "
			      "PathConfiguration, BGPConfiguration, BGPPeer, BGPFilter and "
			      "IPAMConfiguration",
			      kind);
}

/* Whether a kind is of this version; crd.projectcalico.org/v1 is v3 in the server's clothes. */
static int check_version(struct parser *parser, const struct cv_yaml_node *node, enum cv_kind kind,
			 const char *version)
{
	const char *wanted = cv_kind_api_version(kind);
	const struct cv_yaml_node *at = cv_yaml_get(node, "apiVersion");

	if (!strcmp(version, wanted))
		return 0;
	if (!strcmp(version, crd) && !strcmp(wanted, "projectcalico.org/v3"))
		return 0;
	if (kind == CV_KIND_NODE && !strcmp(version, "v1"))
		return cv_reader_fail(&parser->reader, at ? at : node,
				      "this is Kubernetes' own Node; make resources of it with: "
				      "kubectl get nodes -o json | culvert import -");
	return cv_reader_fail(&parser->reader, at ? at : node,
			      "kind %s is of apiVersion %s, not \"%.64s\"", cv_kind_name(kind),
			      wanted, version);
}

static int read_one(struct parser *parser, const struct cv_yaml_node *node, const char *version,
		    const char *kind)
{
	const struct cv_yaml_node *at = cv_yaml_get(node, "kind");
	const struct other_kind *other = find_other(kind);
	int rc;

	for (int i = 0; i < CV_KIND_MAX; i++) {
		if (strcmp(kind, cv_kind_name((enum cv_kind)i)))
			continue;
		rc = check_version(parser, node, (enum cv_kind)i, version);
		return rc ? rc : read_resource(parser, node, (enum cv_kind)i);
	}
	if (other && (!strcmp(version, "projectcalico.org/v3") || !strcmp(version, crd) ||
		      is_policy_version(version)))
		return pass_over(parser, node, other);
	if (!other)
		return fail_kind(parser, at ? at : node, version, kind);
	at = cv_yaml_get(node, "apiVersion");
	return cv_reader_fail(&parser->reader, at ? at : node,
			      "kind %s is of apiVersion projectcalico.org/v3, not \"%.64s\"", kind,
			      version);
}

/* Whether a field is as of a resource, perhaps nearly so: else it is something else altogether. */
static bool has_any_field(const struct cv_yaml_node *node)
{
	static const struct cv_schema schema = {"", top_fields,
						sizeof(top_fields) / sizeof(top_fields[0])};

	for (const struct cv_yaml_node *field = node->first; field; field = field->next) {
		if (cv_schema_nearest(&schema, field->key))
			return true;
	}
	return false;
}

/* apiVersion or kind: a string, or what a list says of all its items. */
static int read_head(struct parser *parser, const struct cv_yaml_node *node, const char *key,
		     const char *inherited, const char **ret_text)
{
	const struct cv_yaml_node *value = cv_yaml_get(node, key);
	int rc;

	parser->reader.path[0] = '\0';
	if (!cv_reader_absent(value))
		return cv_reader_string(&parser->reader, value, ret_text);
	if (inherited) {
		*ret_text = inherited;
		return 0;
	}
	if (!has_any_field(node))
		return cv_reader_fail(
			&parser->reader, node,
			"no resource: it has neither apiVersion nor kind; leave it out");
	/* Perhaps it is there with a slip in it. */
	rc = check_top(&parser->reader, node, true);
	if (rc)
		return rc;
	if (!strcmp(key, "kind"))
		return cv_reader_fail(&parser->reader, node,
				      "kind is missing; write, for instance, kind: IPPool");
	return cv_reader_fail(
		&parser->reader, node,
		"apiVersion is missing; write projectcalico.org/v3, or culvert/v1 for "
		"a Tunnel or Workload");
}

static int read_any(struct parser *parser, const struct cv_yaml_node *node, const char *version,
		    const char *kind);

/* `kind: List`, whose items say what they are, or IPPoolList and so on, whose items need not. */
static int read_list(struct parser *parser, const struct cv_yaml_node *node, const char *version,
		     const char *kind)
{
	const struct cv_yaml_node *items = cv_yaml_get(node, "items");
	size_t length = strlen(kind) - strlen("List");
	char of[64], is[CV_READER_IS_MAX];
	int rc = check_top(&parser->reader, node, true);

	if (rc)
		return rc;
	if (length >= sizeof(of))
		return fail_kind(parser, node, version, kind);
	memcpy(of, kind, length);
	of[length] = '\0';
	if (cv_reader_absent(items))
		return 0;
	if (items->type != CV_YAML_LIST)
		return cv_reader_fail(&parser->reader, items, "items must be a list, %s",
				      cv_reader_is(items, is));
	for (const struct cv_yaml_node *item = items->first; item; item = item->next) {
		parser->reader.kind = "a resource";
		rc = read_any(parser, item, length ? version : NULL, length ? of : NULL);
		if (rc)
			return rc;
	}
	return 0;
}

static int read_any(struct parser *parser, const struct cv_yaml_node *node, const char *version,
		    const char *kind)
{
	char is[CV_READER_IS_MAX];
	size_t length;
	int rc;

	if (node->type != CV_YAML_MAPPING)
		return cv_reader_fail(
			&parser->reader, node,
			"a resource must be a mapping with apiVersion, kind, metadata "
			"and spec, %s",
			cv_reader_is(node, is));
	rc = read_head(parser, node, "apiVersion", version, &version);
	if (!rc)
		rc = read_head(parser, node, "kind", kind, &kind);
	if (rc)
		return rc;
	length = strlen(kind);
	if (length >= 4 && !strcmp(kind + length - 4, "List")) {
		parser->reader.kind = "a list";
		return read_list(parser, node, version, kind);
	}
	return read_one(parser, node, version, kind);
}

static int read_documents(struct parser *parser, struct cv_yaml *yaml)
{
	const struct cv_yaml_node *root;
	int rc;

	for (;;) {
		rc = cv_yaml_next(yaml, &root, parser->reader.error);
		if (rc <= 0)
			return rc;
		/* Nothing between two "---": comments, or nothing at all. */
		if (cv_reader_absent(root))
			continue;
		parser->reader.kind = "a resource";
		rc = read_any(parser, root, NULL, NULL);
		if (rc)
			return rc;
	}
}

int cv_manifest_parse(const char *file, const char *text, size_t length,
		      struct cv_manifest *ret_manifest, struct cv_error *error)
{
	struct cv_manifest manifest = {.resources = NULL};
	struct parser parser = {
		.manifest = &manifest,
		.reader = {.file = file, .warnings = &manifest.warnings, .error = error},
	};
	struct cv_yaml *yaml;
	int rc = cv_yaml_create(file, text, length, &yaml, error);

	if (rc)
		return rc;
	rc = read_documents(&parser, yaml);
	cv_yaml_destroy(yaml);
	cv_text_fini(&parser.reader.out);
	if (rc)
		cv_manifest_fini(&manifest);
	else
		*ret_manifest = manifest;
	return rc;
}

void cv_manifest_fini(struct cv_manifest *manifest)
{
	for (size_t i = 0; i < manifest->count; i++)
		cv_resource_put(manifest->resources[i]);
	free(manifest->resources);
	cv_messages_fini(&manifest->warnings);
	*manifest = (struct cv_manifest){.resources = NULL};
}

/* ---- printing -------------------------------------------------------------------- */

char *cv_manifest_yaml_from_text(const char *const *texts, size_t count)
{
	struct cv_text text = {.data = NULL};

	for (size_t i = 0; i < count; i++) {
		if (i)
			cv_text_puts(&text, "---\n");
		if (cv_json_to_yaml(&text, texts[i])) {
			cv_text_fini(&text);
			return NULL;
		}
	}
	return cv_text_take(&text);
}

char *cv_manifest_print_yaml(struct cv_resource *const *resources, size_t count)
{
	const char **texts = calloc(count + 1, sizeof(texts[0]));
	char *yaml;

	if (!texts)
		return NULL;
	for (size_t i = 0; i < count; i++)
		texts[i] = resources[i]->text;
	yaml = cv_manifest_yaml_from_text(texts, count);
	free(texts);
	return yaml;
}

char *cv_manifest_print_json(struct cv_resource *const *resources, size_t count)
{
	struct cv_text text = {.data = NULL};

	if (count == 1)
		return strdup(resources[0]->text);
	cv_text_puts(&text, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			cv_text_add(&text, ",", 1);
		cv_text_puts(&text, resources[i]->text);
	}
	cv_text_puts(&text, "]}");
	return cv_text_take(&text);
}
