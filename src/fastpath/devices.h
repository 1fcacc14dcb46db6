/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices have which programs, and how that follows the network. */
#ifndef CV_FASTPATH_DEVICES_H
#define CV_FASTPATH_DEVICES_H

#include "fastpath/state.h"

/* Take up the devices that an earlier daemon has left programs on, and replace these. */
void cv_devices_take_up(struct cv_fastpath *fastpath);

/* Attach to what is new, let go of what is not ours to watch any more. */
void cv_devices_refresh(struct cv_fastpath *fastpath);

/* The same for a tunnel's device that is new, at the cost of one device. */
void cv_devices_add_tunnel(struct cv_fastpath *fastpath, int ifindex);

/* Take the programs of one kind off a device. */
void cv_devices_release(struct cv_fastpath *fastpath, int ifindex, uint32_t kind);

/* Let go of all devices that cv_devices lists in its map. How many programs there were. */
unsigned int cv_devices_purge(struct cv_nl *nl, const struct cv_pins *pins, const char *run_dir);

/* The entry of a device, or NULL. */
struct cv_fastpath_device *cv_devices_find(struct cv_fastpath *fastpath, int ifindex);

#endif
