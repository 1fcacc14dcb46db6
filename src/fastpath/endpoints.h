/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints as the programs see them, and whether bypass can be in force. */
#ifndef CV_FASTPATH_ENDPOINTS_H
#define CV_FASTPATH_ENDPOINTS_H

#include "fastpath/state.h"

/* True if the device is one of an endpoint. */
bool cv_endpoints_have(const struct cv_fastpath *fastpath, int ifindex);

/* The device's programs are about to go: no bypass, until the next refresh says otherwise. */
void cv_endpoints_suspend(struct cv_fastpath *fastpath, int ifindex);

/* After cv_devices_refresh: judge every endpoint again. */
void cv_endpoints_refresh(struct cv_fastpath *fastpath);

/* Forget entries of the map that no endpoint has: an earlier daemon's. */
void cv_endpoints_sweep(struct cv_fastpath *fastpath);

#endif
