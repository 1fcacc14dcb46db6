/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest, printed as JSON. */
#ifndef CV_CLI_MANIFEST_JSON_H
#define CV_CLI_MANIFEST_JSON_H

#include "cli/report.h"
#include "model/manifest.h"

/* Print resources as one that applies: the one, or a List. Returns an exit code. */
int cv_manifest_json_print(const struct cv_cli *cli, const struct cv_manifest *manifest);

#endif
