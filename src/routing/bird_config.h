/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD 2's configuration, made of cv_bgp_intent. The same text for the same intent, so that a
 * change is seen by comparing.
 */
#ifndef CV_ROUTING_BIRD_CONFIG_H
#define CV_ROUTING_BIRD_CONFIG_H

#include "routing/bgp.h"

/*
 * The part that any BIRD can include: the table for next hops, our blocks (protocol static),
 * filters, sessions. Names begin with CV_BGP_PREFIX; routes are in master4. With bgp->programs
 * AGENT the kernel's filter leaves pools alone. The filter for the kernel is culvert_kernel. The
 * caller frees it (it has passwords). NULL without memory.
 */
char *cv_bird_config_include(const struct cv_bgp_intent *bgp);

/*
 * The whole file of a BIRD that we run: log, router id, device, kernel, and `include` of the part
 * above, which is at include_path. log_path: its log file.
 */
char *cv_bird_config_main(const struct cv_bgp_intent *bgp, const char *include_path,
			  const char *log_path);

#endif
