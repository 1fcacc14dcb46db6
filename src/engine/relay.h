/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors about outer packets: soft state, and relay to the inner sender (RFC 2003, 4 and 5).
 */
#ifndef CV_ENGINE_RELAY_H
#define CV_ENGINE_RELAY_H

#include "engine/lane.h"
#include "net/raw.h"

/* Take one ICMP error. Whatever becomes of it is counted. */
void cv_relay_error(struct cv_lane *lane, const struct cv_raw_error *error);

#endif
