/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <run-dir>/tunnels.json: which tunnels there are, for the daemon's next start. Written
 * as a whole, atomically: a crash leaves the old file or the new one.
 */
#ifndef CV_TUNNEL_STATE_H
#define CV_TUNNEL_STATE_H

#include <stddef.h>

#include "tunnel/config.h"
#include "tunnel/error.h"

#define CV_TUNNEL_STATE_FILE "tunnels.json"

struct cv_tunnel_record {
	struct cv_tunnel_config config; /* with owner and wanted MTU */
	int ifindex;			/* of its device, which may be renamed; 0: not known */
	uint32_t mtu;			/* bytes; what we last gave the device, 0: nothing yet */
	bool complete; /* false: being made; a restart takes back what there is of it */
};

/* Replace the file. 0 or -errno (-ENOSPC, …); on failure the old file stands. */
int cv_tunnel_state_save(const char *run_dir, const struct cv_tunnel_record *records, size_t count,
			 struct cv_error *error);

/*
 * Read the file; no file means no records. The caller frees *ret_records. 0, -EBADMSG when
 * it is not what cv_tunnel_state_save writes, or -errno.
 */
int cv_tunnel_state_load(const char *run_dir, struct cv_tunnel_record **ret_records,
			 size_t *ret_count, struct cv_error *error);

#endif
