/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert bgp` in words. What the answer lacks is "-" or left out. */
#ifndef CV_CLI_BGP_TEXT_H
#define CV_CLI_BGP_TEXT_H

#include <jansson.h>

/* result of bgp.status, bgp.peers, and of bgp.routes (its second line). */
void cv_bgp_text_status(const json_t *result);
void cv_bgp_text_peers(const json_t *result);
void cv_bgp_text_routes(const json_t *result);

/* `bgp` of the result of status: one line, and its problems. */
void cv_bgp_text_summary(const json_t *bgp);

#endif
