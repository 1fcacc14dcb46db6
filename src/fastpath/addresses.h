/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of this host, as the programs see them (cv_addresses). */
#ifndef CV_FASTPATH_ADDRESSES_H
#define CV_FASTPATH_ADDRESSES_H

#include "fastpath/state.h"

/* Bring the map in line with the addresses of now. */
void cv_addresses_refresh(struct cv_fastpath *fastpath);

/* Forget entries of the map that are no address of this host: an earlier daemon's. */
void cv_addresses_sweep(struct cv_fastpath *fastpath);

#endif
