/* SPDX-License-Identifier: Apache-2.0 */
/* What culvertd tells, for people or (--json) for programs. All return an exit code. */
#ifndef CV_CLI_SHOW_H
#define CV_CLI_SHOW_H

#include <jansson.h>

#include "cli/report.h"

/* result of tunnel.show. */
int cv_show_tunnels(const struct cv_cli *cli, const json_t *result);

/* The same as commands that make these tunnels, for a file: `culvert tunnel -f`. */
int cv_show_commands(const struct cv_cli *cli, const json_t *result);

/* result of endpoint.show, and of endpoint.default. */
int cv_show_endpoints(const struct cv_cli *cli, const json_t *result);
int cv_show_endpoint_default(const struct cv_cli *cli, const json_t *result);

/* Every drop reason and event there is, explained; asks nobody. */
int cv_show_drops(const struct cv_cli *cli);

/* Parts of it: the fast path, and what was dropped. indent: what every line begins with. */
void cv_show_fastpath(const json_t *fastpath, const char *indent);
void cv_show_reasons(const json_t *counters, const char *indent);

/* As it is; and what is said of an answer that lacks what it must have. */
void cv_show_json(const json_t *json);
int cv_show_no_sense(const struct cv_cli *cli);

#endif
