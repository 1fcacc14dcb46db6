/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata, as Kubernetes has it (ObjectMeta). Names are DNS subdomains; labels are what Calico
 * takes for labels. Of annotations those go that hold a copy of the resource: kubectl's and
 * Calico's own.
 */
#include "model/metadata.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	LABEL_VALUE_MAX = 63
};

static int no_memory(struct cv_reader *reader)
{
	return cv_error_set(reader->error, -ENOMEM, "no memory");
}

static int read_name(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_resource *resource = target;
	const char *name;
	int rc = cv_reader_name(reader, node, &name);

	if (rc)
		return rc;
	resource->name = strdup(name);
	if (!resource->name)
		return no_memory(reader);
	reader->name = resource->name;
	return 0;
}

/* A mapping of strings alone. */
static int check_strings(struct cv_reader *reader, const struct cv_yaml_node *mapping)
{
	char is[CV_READER_IS_MAX];
	const char *text;
	size_t entered;
	int rc = 0;

	if (mapping->type != CV_YAML_MAPPING)
		return cv_reader_fail(reader, mapping, "metadata.%s must be a mapping, %s",
				      mapping->key, cv_reader_is(mapping, is));
	entered = cv_reader_enter(reader, mapping->key, ": ");
	for (const struct cv_yaml_node *node = mapping->first; !rc && node; node = node->next)
		rc = cv_reader_string(reader, node, &text);
	cv_reader_leave(reader, entered);
	return rc;
}

static int check_label(struct cv_reader *reader, const struct cv_yaml_node *node)
{
	size_t length = strlen(node->text);

	if (!*node->key)
		return cv_reader_fail_key(reader, node, "metadata.labels: a label without a name");
	for (const char *p = node->key; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("-_./", *p))
			return cv_reader_fail_key(
				reader, node,
				"metadata.labels: \"%.64s\" has a character that a "
				"label cannot have; use letters, digits, '-', '_', "
				"'.' and '/'",
				node->key);
	}
	for (const char *p = node->text; *p; p++) {
		bool is_end = p == node->text || !p[1];

		if (!isalnum((unsigned char)*p) && (is_end || !strchr("-_.", *p)))
			return cv_reader_fail(
				reader, node,
				"metadata.labels: %.64s: \"%.64s\" is no label's value; "
				"use letters, digits, and '-', '_', '.' between them",
				node->key, node->text);
	}
	if (length > LABEL_VALUE_MAX)
		return cv_reader_fail(
			reader, node,
			"metadata.labels: %.64s has a value of more than 63 characters", node->key);
	return 0;
}

static int compare_labels(const void *a, const void *b)
{
	const struct cv_label *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int read_labels(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_resource *resource = target;
	int rc = check_strings(reader, node);

	if (rc || !node->count)
		return rc;
	resource->labels = calloc(node->count, sizeof(resource->labels[0]));
	if (!resource->labels)
		return no_memory(reader);
	for (const struct cv_yaml_node *child = node->first; child; child = child->next) {
		struct cv_label *label = &resource->labels[resource->label_count];

		rc = check_label(reader, child);
		if (rc)
			return rc;
		resource->label_count++;
		label->name = strdup(child->key);
		label->value = strdup(child->text);
		if (!label->name || !label->value)
			return no_memory(reader);
	}
	qsort(resource->labels, resource->label_count, sizeof(resource->labels[0]), compare_labels);
	cv_json_key(&reader->out, "labels");
	cv_json_node(&reader->out, node);
	return 0;
}

static bool is_copy(const char *annotation)
{
	return !strcmp(annotation, "kubectl.kubernetes.io/last-applied-configuration") ||
	       !strcmp(annotation, "projectcalico.org/metadata");
}

/* The nodes are copied without those that go; the copies live as long as this does. */
static int read_annotations(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_yaml_node kept = *node, *nodes;
	int rc = check_strings(reader, node);

	(void)target;
	if (rc)
		return rc;
	nodes = calloc(node->count + 1U, sizeof(nodes[0]));
	if (!nodes)
		return no_memory(reader);
	kept.count = 0;
	for (const struct cv_yaml_node *child = node->first; child; child = child->next) {
		if (is_copy(child->key))
			continue;
		nodes[kept.count] = *child;
		nodes[kept.count].next = NULL;
		if (kept.count)
			nodes[kept.count - 1].next = &nodes[kept.count];
		kept.count++;
	}
	kept.first = nodes;
	if (kept.count) {
		cv_json_key(&reader->out, "annotations");
		cv_json_node(&reader->out, &kept);
	}
	free(nodes);
	return 0;
}

static const struct cv_field fields[] = {
	{"name", CV_FIELD_READ, .is_required = true, .read = read_name},
	{"labels", CV_FIELD_OWN, .read = read_labels},
	{"annotations", CV_FIELD_OWN, .read = read_annotations},
	{.name = "clusterName", .type = CV_FIELD_DROPPED},
	{.name = "creationTimestamp", .type = CV_FIELD_DROPPED},
	{.name = "deletionGracePeriodSeconds", .type = CV_FIELD_DROPPED},
	{.name = "deletionTimestamp", .type = CV_FIELD_DROPPED},
	{.name = "finalizers", .type = CV_FIELD_DROPPED},
	{.name = "generateName", .type = CV_FIELD_DROPPED},
	{.name = "generation", .type = CV_FIELD_DROPPED},
	{.name = "initializers", .type = CV_FIELD_DROPPED},
	{.name = "managedFields", .type = CV_FIELD_DROPPED},
	{.name = "namespace", .type = CV_FIELD_DROPPED},
	{.name = "ownerReferences", .type = CV_FIELD_DROPPED},
	{.name = "resourceVersion", .type = CV_FIELD_DROPPED},
	{.name = "selfLink", .type = CV_FIELD_DROPPED},
	{.name = "uid", .type = CV_FIELD_DROPPED},
};

int cv_metadata_read(struct cv_reader *reader, const struct cv_yaml_node *node,
		     struct cv_resource *resource)
{
	static const struct cv_schema schema = {"metadata", fields,
						sizeof(fields) / sizeof(fields[0])};

	memcpy(reader->path, "metadata.", sizeof("metadata."));
	return cv_schema_read(reader, &schema, cv_yaml_get(node, "metadata"), node, resource);
}
