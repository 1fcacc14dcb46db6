/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests: YAML (or JSON, which is YAML) with any number of documents, read into resources.
 *
 * What Calico has and we do not act on is a warning that names it; what nobody knows, a wrong type
 * or broken YAML is an error with file, line and column. Nothing of a manifest with an error is
 * taken.
 */
#ifndef CV_MODEL_MANIFEST_H
#define CV_MODEL_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "model/resource.h"
#include "tunnel/error.h"

/* Lines for people. Zeroed: none. */
struct cv_messages {
	char **texts;
	size_t count;
	size_t capacity;
};

/*
 * Add one, unless it is there already or there are CV_MESSAGES_MAX, the last of which says that
 * there are more; without memory it is lost. What is no printable ASCII becomes '?'.
 */
enum {
	CV_MESSAGES_MAX = 1000
};
void cv_messages_add(struct cv_messages *messages, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void cv_messages_fini(struct cv_messages *messages);

struct cv_manifest {
	struct cv_resource **resources; /* a reference each */
	size_t count, capacity;
	struct cv_messages warnings; /* "FILE:LINE:COLUMN: …" */
};

/* Add a resource, whose reference becomes the manifest's. 0 or -ENOMEM. */
int cv_manifest_add(struct cv_manifest *manifest, struct cv_resource *resource);

/* True of a name that a directory's manifests have: editors' own files have others. */
bool cv_manifest_is_file_name(const char *name);

/*
 * Read a manifest of length bytes. file: its name for messages ("-" for standard input). Lists
 * (`kind: List`, `IPPoolList` …) are taken apart. 0, or -EINVAL/-ENOMEM/-E2BIG with
 * "FILE:LINE:COLUMN: …" in error. cv_manifest_fini frees.
 */
int cv_manifest_parse(const char *file, const char *text, size_t length,
		      struct cv_manifest *ret_manifest, struct cv_error *error);
void cv_manifest_fini(struct cv_manifest *manifest);

/*
 * Print resources as a manifest that cv_manifest_parse takes again and that gives the same
 * canonical texts: YAML documents with "---" between them, or one JSON object (a List if there is
 * more than one). The caller frees the text; NULL without memory.
 */
char *cv_manifest_print_yaml(struct cv_resource *const *resources, size_t count);
char *cv_manifest_print_json(struct cv_resource *const *resources, size_t count);

/* The same for canonical texts (struct cv_resource's text), which a client has from culvertd. */
char *cv_manifest_yaml_from_text(const char *const *texts, size_t count);

#endif
