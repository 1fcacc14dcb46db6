/* SPDX-License-Identifier: Apache-2.0 */
/* A tunnel's device gets the MTU that it should have (mtu.h), unless somebody else has set one. */
#ifndef CV_TUNNEL_FOLLOW_H
#define CV_TUNNEL_FOLLOW_H

#include "tunnel/mtu.h"
#include "tunnel/tunnel.h"

/* Of an active tunnel. True if what was given to the device last (tunnel->mtu) is another now. log:
 * as in cv_tunnel_set_options. */
bool cv_tunnel_follow_mtu(struct cv_tunnel *tunnel, const struct cv_tunnel_mtu_host *host,
			  void (*log)(int priority, const char *text));

#endif
