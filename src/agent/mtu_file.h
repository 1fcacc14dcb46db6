/* SPDX-License-Identifier: Apache-2.0 */
/* The MTU of new endpoints, for who makes them: in `status`, and in a file of the run directory. */
#ifndef CV_AGENT_MTU_FILE_H
#define CV_AGENT_MTU_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "tunnel/set.h"

#define CV_MTU_FILE "mtu" /* in the run directory */

/*
 * That of new endpoints on this host, in bytes: that of the pool device where there is one, else
 * the smallest over all tunnels; 0: there is no device. Asks the kernel.
 */
uint32_t cv_mtu_for_endpoints(struct cv_engine *engine, const struct cv_tunnel_set *set);

struct cv_mtu_file {
	const char *run_dir; /* the caller's */
	bool is_behind;	     /* it could not be written, and will be tried again */
	bool is_known;	     /* written is what is there */
	uint32_t written;    /* 0: there is no file */
};

/* Write it, the number alone, if it is another one than what is there; 0: remove it. */
void cv_mtu_file_update(struct cv_mtu_file *file, uint32_t mtu);

#endif
