/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes manifests. Input: a file. Beyond memory errors and leaks it demands: errors and warnings
 * are one printable line that begins with the file's name; what is taken prints, as YAML and as
 * JSON, and what is printed is taken again with the same canonical texts; Kubernetes' nodes that
 * can be imported give resources that apply.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/import.h"
#include "model/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_line(const char *line)
{
	demand(!strncmp(line, "f:", 2));
	for (const char *p = line; *p; p++)
		demand(*p >= ' ' && *p <= '~');
}

/* Takes text over. */
static void check_again(const struct cv_manifest *manifest, char *text)
{
	struct cv_manifest again;

	demand(text);
	demand(!cv_manifest_parse("f", text, strlen(text), &again, NULL));
	demand(again.count == manifest->count);
	for (size_t i = 0; i < again.count; i++)
		demand(!strcmp(again.resources[i]->text, manifest->resources[i]->text));
	cv_manifest_fini(&again);
	free(text);
}

static void check(struct cv_manifest *manifest)
{
	for (size_t i = 0; i < manifest->warnings.count; i++)
		check_line(manifest->warnings.texts[i]);
	check_again(manifest, cv_manifest_print_yaml(manifest->resources, manifest->count));
	check_again(manifest, cv_manifest_print_json(manifest->resources, manifest->count));
	cv_manifest_fini(manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_error error = {.text = ""};
	struct cv_manifest manifest;

	if (cv_manifest_parse("f", (const char *)data, size, &manifest, &error))
		check_line(error.text);
	else
		check(&manifest);
	error.text[0] = '\0';
	if (cv_import_nodes("f", (const char *)data, size, CV_IMPORT_BLOCKS_AUTO, &manifest,
			    &error))
		check_line(error.text);
	else
		check(&manifest);
	return 0;
}
