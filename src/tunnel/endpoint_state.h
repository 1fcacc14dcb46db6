/* SPDX-License-Identifier: Apache-2.0 */
/* <run-dir>/endpoints.json: which endpoints there are, for the daemon's next start. */
#ifndef CV_TUNNEL_ENDPOINT_STATE_H
#define CV_TUNNEL_ENDPOINT_STATE_H

#include <stddef.h>

#include "net/namespace.h"
#include "tunnel/endpoint.h"
#include "tunnel/error.h"

#define CV_ENDPOINT_STATE_FILE "endpoints.json"

struct cv_endpoint_record {
	struct cv_endpoint_config config;
	int ifindex; /* of its device */
};

/* All that the file says. */
struct cv_endpoint_state {
	char namespace_id[CV_NAMESPACE_ID_MAX]; /* where the devices' indexes mean something */
	bool bypass; /* the default of those with CV_ENDPOINT_BYPASS_DEFAULT */
	struct cv_endpoint_record *records;
	size_t count;
};

/* Replace the file. 0 or -errno (-ENOSPC, …); on failure the old file stands. */
int cv_endpoint_state_save(const char *run_dir, const struct cv_endpoint_state *state,
			   struct cv_error *error);

/*
 * Read the file; no file means no endpoints and bypass. The caller frees ret_state->records. 0,
 * -EBADMSG when it is not what cv_endpoint_state_save writes, or -errno.
 */
int cv_endpoint_state_load(const char *run_dir, struct cv_endpoint_state *ret_state,
			   struct cv_error *error);

#endif
