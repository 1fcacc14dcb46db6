/* SPDX-License-Identifier: Apache-2.0 */
/* An attachment as JSON: on the disk, and for those who ask. */
#ifndef CV_AGENT_POD_JSON_H
#define CV_AGENT_POD_JSON_H

#include "agent/pods.h"

/* The record; NULL without memory. */
json_t *cv_pod_to_json(const struct cv_pod *pod);

/* The record with what only the disk has: version, and the network namespace of the agent. */
char *cv_pod_to_note(const struct cv_pod *pod, const char *namespace_id);

/*
 * Read one. *ret_namespace_id: of the agent that wrote it; the caller frees it. 0; -EBADMSG: it is
 * no note of ours, with what is wrong; -ENOMEM. cv_pod_fini.
 */
int cv_pod_from_note(const char *text, struct cv_pod *ret_pod, char **ret_namespace_id,
		     struct cv_error *error);
void cv_pod_fini(struct cv_pod *pod);

#endif
