/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing manifests in tests, and the demand that what is printed is taken again with the same
 * canonical texts. To be included behind cmocka.h.
 */
#ifndef CV_TESTS_UNIT_MANIFESTS_H
#define CV_TESTS_UNIT_MANIFESTS_H

#include <stdlib.h>
#include <string.h>

#include "model/manifest.h"

static inline struct cv_manifest parse(const char *text)
{
	struct cv_error error;
	struct cv_manifest manifest = {.count = 0};

	if (cv_manifest_parse("f.yaml", text, strlen(text), &manifest, &error))
		fail_msg("%s\n%s", error.text, text);
	return manifest;
}

/* Parse, and demand the canonical texts of manifest. */
static inline void assert_same(const struct cv_manifest *manifest, const char *text)
{
	struct cv_manifest again = parse(text);

	assert_int_equal(again.count, manifest->count);
	for (size_t i = 0; i < again.count; i++)
		assert_string_equal(again.resources[i]->text, manifest->resources[i]->text);
	cv_manifest_fini(&again);
}

static inline void assert_round_trip(const struct cv_manifest *manifest)
{
	char *yaml = cv_manifest_print_yaml(manifest->resources, manifest->count);
	char *json = cv_manifest_print_json(manifest->resources, manifest->count);

	assert_non_null(yaml);
	assert_non_null(json);
	assert_same(manifest, yaml);
	assert_same(manifest, json);
	free(yaml);
	free(json);
}

#endif
