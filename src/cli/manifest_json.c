/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests for --json, of commands that ask no daemon. */
#include "cli/manifest_json.h"

#include <jansson.h>
#include <stdlib.h>

#include "cli/show.h"

int cv_manifest_json_print(const struct cv_cli *cli, const struct cv_manifest *manifest)
{
	char *text = cv_manifest_print_json(manifest->resources, manifest->count);
	json_t *json = text ? json_loads(text, 0, NULL) : NULL;

	free(text);
	if (!json)
		return cv_report(cli, CV_CLI_FAILED, "failed", "out of memory");
	cv_show_json(json);
	json_decref(json);
	return CV_CLI_DONE;
}
