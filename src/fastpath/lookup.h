/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device that routes of packets of the host itself are asked from (bpf/route.h): one with
 * forwarding switched on.
 */
#ifndef CV_FASTPATH_LOOKUP_H
#define CV_FASTPATH_LOOKUP_H

#include "fastpath/state.h"

/*
 * Choose it, as the host is set up now. One of our own is made only while there is a tunnel, and
 * deleted once another device serves, or no tunnel is left. Where there is none, no_lookup says
 * why.
 */
void cv_lookup_choose(struct cv_fastpath *fastpath);

/* Delete the one that is our own, of the instance with this handle. True if there was one. */
bool cv_lookup_delete(struct cv_nl *nl, unsigned int handle);

#endif
