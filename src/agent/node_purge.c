/* SPDX-License-Identifier: Apache-2.0 */
/* What a node agent has left in the kernel, taken away. */
#include <stdio.h>
#include <string.h>

#include "agent/bird.h"
#include "agent/node.h"
#include "agent/node_state.h"
#include "routing/nat.h"

static int purge_bird(const char *run_dir, void (*tell_line)(const char *text),
		      struct cv_error *error)
{
	char directory[512];
	int rc;

	snprintf(directory, sizeof(directory), "%s/bird", run_dir);
	rc = cv_bird_purge(directory, error);
	if (rc > 0)
		tell_line("ended BIRD, and removed its files");
	return rc < 0 ? rc : 0;
}

int cv_node_purge(const char *run_dir, struct cv_nl *nl, void (*tell_line)(const char *text),
		  struct cv_error *error)
{
	struct cv_node_state state = {.protocol = 0};
	char text[64];
	size_t count = 0;
	int rc = purge_bird(run_dir, tell_line, error);

	if (!rc)
		rc = cv_node_state_load(run_dir, &state, error);
	if (!rc && state.protocol) {
		rc = cv_routes_purge(nl, state.protocol, &count);
		if (rc)
			return cv_error_set(error, rc, "cannot delete the routes of pools: %s",
					    strerror(-rc));
		if (count) {
			snprintf(text, sizeof(text), "deleted %zu route%s", count,
				 count == 1 ? "" : "s");
			tell_line(text);
		}
	}
	if (!rc && state.nat) {
		rc = cv_nat_purge(error);
		if (rc > 0)
			tell_line("deleted nftables table ip " CV_NAT_TABLE);
	}
	return rc < 0 ? rc : 0;
}
