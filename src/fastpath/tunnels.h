/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels as the programs see them. */
#ifndef CV_FASTPATH_TUNNELS_H
#define CV_FASTPATH_TUNNELS_H

#include "fastpath/state.h"

/* Bring the maps in line with a tunnel as it is now. */
void cv_tunnels_refresh(struct cv_fastpath *fastpath, struct cv_fastpath_tunnel *tunnel);

/* Forget entries of the maps that no tunnel has: an earlier daemon's. */
void cv_tunnels_sweep(struct cv_fastpath *fastpath);

#endif
