/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes `culvert plan`. Input: the pool, and NAME=ADDRESS/LENGTH for each node, on lines of their
 * own. Beyond memory errors it demands: errors are one printable line; what is planned is a
 * manifest of the pool and, for each node, a Node and a block, without errors.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/manifest.h"
#include "model/overlay_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	NODES_MAX = 64
};

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_error(const struct cv_error *error)
{
	demand(error->text[0]);
	for (const char *p = error->text; *p; p++)
		demand(*p >= ' ' && *p <= '~');
}

static void check_plan(const struct cv_overlay_plan_input *input)
{
	struct cv_error error = {.text = ""};
	struct cv_manifest manifest;
	char *yaml;

	if (cv_overlay_plan(input, &yaml, &error)) {
		check_error(&error);
		return;
	}
	demand(!cv_manifest_parse("f", yaml, strlen(yaml), &manifest, &error));
	demand(manifest.count == 1 + 2 * input->node_count);
	cv_manifest_fini(&manifest);
	free(yaml);
}

static void plan(char *text)
{
	struct cv_overlay_plan_node nodes[NODES_MAX];
	struct cv_overlay_plan_input input;
	struct cv_error error = {.text = ""};
	char *rest = text, *line = strsep(&rest, "\n");

	cv_overlay_plan_init(&input);
	if (cv_overlay_plan_parse_pool(line, &input, &error)) {
		check_error(&error);
		return;
	}
	input.nodes = nodes;
	while ((line = strsep(&rest, "\n")) && input.node_count < NODES_MAX) {
		if (cv_overlay_plan_parse_node(line, &nodes[input.node_count], &error))
			check_error(&error);
		else
			input.node_count++;
	}
	check_plan(&input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	demand(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	plan(text);
	free(text);
	return 0;
}
